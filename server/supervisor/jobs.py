"""Jobs and their states: a bounded queue, short ones first, and leases for clients that vanish.

queued -> running -> done | failed | cancelled, and queued -> cancelled | failed. A final state never changes.
One job runs, and sometimes a short one beside it: see ``overtaking``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gimp_plugin.wire import WireError
from server.supervisor.effort import LONG_S, SHORT_S
from server.supervisor.spool import TEMPORARY, discard

MAX_QUEUED = 8
LEASE_S = 30.0
GONE_S = 0.6  # what is left of the lease when an events stream breaks off: our client comes back at once, or never
UNREAD_SHARE = 0.33  # of a lease: so late is it noticed that a client reads no more

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
FINAL = frozenset({DONE, FAILED, CANCELLED})
NEXT = {QUEUED: frozenset({RUNNING, CANCELLED, FAILED}), RUNNING: FINAL}


@dataclass(eq=False)
class Job:
    """One request on its way.

    Args:
        id: the client's UUID.
        digest: of the request's frame, to tell a repeated submission from another one.
        request: the spooled frame.
        result: where the worker puts the result's frame.
        lease_s: how long the client may be silent.
        expected_s: how long it will take, roughly.
    """

    id: str
    digest: str
    request: Path
    result: Path
    lease_s: float = LEASE_S
    expected_s: float = 0.0
    state: str = QUEUED
    share: float = 0.0
    message: str = "Waiting"
    has_begun: bool = False  # the worker has said something about it
    error: WireError | None = None
    seen_at: float = field(default_factory=time.monotonic)
    due_at: float = 0.0  # its place in the queue
    n_listeners: int = 0  # streams of its events
    is_unwanted: bool = False  # it runs and is to stop
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def move(self, state: str, error: WireError | None = None) -> None:
        """Go to another state.

        Raises:
            RuntimeError: the state machine has no such step.
        """
        if state not in NEXT.get(self.state, frozenset()):
            raise RuntimeError(f"A job cannot go from {self.state} to {state}.")
        self.state, self.error = state, error
        self.touch()

    def touch(self) -> None:
        """Tell everybody who waits that something changed."""
        self.changed.set()
        self.changed = asyncio.Event()

    def renew(self) -> None:
        """The client has shown itself."""
        self.seen_at = time.monotonic()

    def renew_by_listening(self) -> None:
        """The client has read what it was sent, some seconds ago at worst."""
        self.seen_at = max(self.seen_at, time.monotonic() - UNREAD_SHARE * self.lease_s)

    def client_left(self) -> None:
        """The client's last stream broke off: it gets a little while to come back."""
        self.seen_at = min(self.seen_at, time.monotonic() - self.lease_s + min(GONE_S, self.lease_s))

    @property
    def is_expired(self) -> bool:
        return time.monotonic() - self.seen_at > self.lease_s

    @property
    def is_short(self) -> bool:
        return self.expected_s <= SHORT_S

    @property
    def is_long(self) -> bool:
        return self.expected_s >= LONG_S


class Jobs:
    """All jobs that clients may still ask for.

    Args:
        lease_s: silence after which a client counts as gone.
        on_cancel: called with a running job that is to stop; the runner then moves it to its final state.
    """

    def __init__(self, lease_s: float = LEASE_S, on_cancel: Callable[[Job], None] = lambda _job: None) -> None:
        self.lease_s = lease_s
        self.on_cancel = on_cancel
        self.by_id: dict[str, Job] = {}
        self.waiting: list[Job] = []  # in the order in which they are taken
        self.running: list[Job] = []
        self.changed = asyncio.Event()
        self.is_draining = False
        self.last_active = time.monotonic()

    def check_room(self) -> None:
        """Refuse new work while draining or full: ``MAX_QUEUED`` and one more are what it takes.

        Raises:
            WireError: draining or busy.
        """
        if self.is_draining:
            raise WireError("draining", "The engine is shutting down. Run the filter again in a moment.")
        if len(self.waiting) + len(self.running) > MAX_QUEUED:
            raise WireError(
                "busy", f"The engine has {MAX_QUEUED} pictures waiting already. Try again when some are done."
            )

    def find(self, job_id: str) -> Job:
        """The job of an id.

        Raises:
            WireError: there is none, or no longer.
        """
        if job_id not in self.by_id:
            raise WireError("not_found", "The engine does not know this job (any more). Run the filter again.")
        return self.by_id[job_id]

    def submit(self, job: Job) -> Job:
        """Queue a job, or return the one that was submitted under its id before.

        Raises:
            WireError: the id stands for another request, the queue is full, or the engine is draining.
        """
        known = self.by_id.get(job.id)
        if known is not None:
            if known.digest != job.digest:
                raise WireError("conflict", "Another request was sent under this job id.")
            known.renew()
            return known
        self.check_room()
        job.lease_s = self.lease_s
        job.renew()
        job.due_at = time.monotonic() + job.expected_s  # a long one is passed by shorter ones, but not for ever
        self.by_id[job.id] = job
        self.waiting.append(job)
        self.waiting.sort(key=lambda waiting: waiting.due_at)
        self.last_active = time.monotonic()
        self.touch()
        return job

    def touch(self) -> None:
        """Tell those who wait what became of the queue."""
        for waiting in self.waiting:
            waiting.touch()
        self.changed.set()
        self.changed = asyncio.Event()

    async def wait_for(self, is_wanted: Callable[[Job], bool]) -> None:
        """Wait until a job of some kind waits."""
        while not any(map(is_wanted, self.waiting)):
            await self.changed.wait()

    def take_now(self, is_wanted: Callable[[Job], bool]) -> Job | None:
        """The next job of some kind, if there is one; it is running from now on."""
        job = next(filter(is_wanted, self.waiting), None)
        if job is not None:
            self.waiting.remove(job)
            self.running.append(job)
            job.move(RUNNING)
            self.touch()
        return job

    async def take(self) -> Job:
        """The next job, as soon as there is one; it is running from now on."""
        while (job := self.take_now(lambda _job: True)) is None:
            await self.changed.wait()
        return job

    def finish(self, job: Job, state: str, error: WireError | None = None) -> None:
        """A running job has come to its end."""
        job.move(state, error)
        self.running.remove(job)
        self.touch()
        self.last_active = time.monotonic()
        discard(job.request)
        discard(job.result.with_suffix(TEMPORARY))  # of a worker that was killed while it wrote
        if self.by_id.get(job.id) is not job:  # forgotten while it ran, and its id perhaps given to another
            discard(job.result)

    def cancel(self, job: Job) -> None:
        """Stop a job where it stands; a final one stays as it is."""
        if job in self.waiting:
            self.waiting.remove(job)
            job.move(CANCELLED, WireError("cancelled", "Cancelled."))
            discard(job.request)
            self.touch()
        elif job in self.running:
            job.is_unwanted = True
            self.on_cancel(job)

    def forget(self, job: Job) -> None:
        """Stop a job and drop its result."""
        self.cancel(job)
        self.by_id.pop(job.id, None)
        if job not in self.running:
            discard(job.result)

    def drain(self) -> None:
        """Take no more work and stop what there is, so that no client keeps the engine from going."""
        self.is_draining = True
        for job in list(self.by_id.values()):
            self.cancel(job)

    def forget_expired(self) -> None:
        """Forget the jobs of clients that have been silent for too long."""
        for job in [job for job in self.by_id.values() if job.is_expired]:
            self.forget(job)

    def describe(self, job: Job) -> dict[str, Any]:
        """What a client is told of a job (JSON values). ``lease_s``: how long it may be silent at most."""
        position = self.waiting.index(job) + 1 if job in self.waiting else 0
        behind = " behind a long painting" if any(running.is_long for running in self.running) else ""
        return {
            "id": job.id,
            "state": job.state,
            "share": round(job.share, 4),
            "message": f"Waiting{behind}: number {position} in the queue" if position else job.message,
            "queue_position": position,
            "lease_s": job.lease_s,
            "error": {"code": job.error.code, "message": job.error.message} if job.error else None,
        }
