"""One picture that the web page has in the engine's queue: submitted, followed, and never left behind."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gimp_plugin import wire
from gimp_plugin.wire import WireError
from server.page.visitors import padding_pause_s
from server.supervisor.effort import expected_s
from server.supervisor.jobs import DONE, FINAL, Job
from server.supervisor.spool import disk_error

if TYPE_CHECKING:
    from server.supervisor.app import Engine

R = TypeVar("R", bound=wire.Result)
PAUSE_S = 0.05  # between two reports: a browser need not redraw more often


class Painting(Generic[R]):
    """A job of this process, straight in the queue: its pixels need not go over a socket.

    Args:
        engine: whose queue.
        session: of the visitor, by which is known whether the page is still read.
    """

    def __init__(self, engine: Engine, session: str | None = None) -> None:
        self.engine, self.session = engine, session
        self.job: Job | None = None
        self.result: R
        self.is_cancelled = False
        self.is_of_earlier_photo = False  # the visitor has chosen another one since

    def cancel(self) -> None:
        """Stop wherever it stands; ``follow`` then raises ``WireError("cancelled")``."""
        self.is_cancelled = True
        if self.job is not None:
            self.engine.jobs.forget(self.job)

    async def follow(self, request: wire.Request[R]) -> AsyncGenerator[tuple[float, str], None]:
        """Submit, and report share and message until it is done; then ``result`` is there.

        Whoever stops iterating must close the iterator: that cancels the job.

        Raises:
            WireError: refused, failed or cancelled.
        """
        jobs = self.engine.jobs
        job, has_listened = await self._submit(request), False
        try:
            while job.state not in FINAL:
                has_listened = self.engine.visitors.renew(job, self.session, has_listened)
                changed = job.changed
                yield job.share, self._message(job)
                try:
                    await asyncio.wait_for(changed.wait(), padding_pause_s(job.lease_s))
                except asyncio.TimeoutError:
                    continue
                await asyncio.sleep(PAUSE_S)
            if job.state != DONE or self.is_cancelled:
                raise job.error or WireError("cancelled", "Cancelled.")
            result = request.read_result(await asyncio.to_thread(job.result.read_bytes))
            if result is None:
                raise WireError("failed", "The engine sent something else than was asked for: try again.")
            self.result = result
        finally:
            jobs.forget(job)

    async def _submit(self, request: wire.Request[R]) -> Job:
        jobs, job_id = self.engine.jobs, str(uuid.uuid4())
        jobs.check_room()
        path = self.engine.spool / f"{job_id}.request"
        try:
            await asyncio.to_thread(_write_frame, path, request)
            if self.is_cancelled:
                raise WireError("cancelled", "Cancelled.")
            result = path.with_suffix(".result")
            self.job = jobs.submit(Job(job_id, job_id, path, result, expected_s=expected_s(path)))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return self.job

    def _message(self, job: Job) -> str:
        if not self.engine.worker.is_ready:
            return "The engine is starting"
        return str(self.engine.jobs.describe(job)["message"])


def _write_frame(path: Path, request: wire.Request[Any]) -> None:
    try:
        with path.open("xb") as file:
            for buffer in request.pack():
                file.write(buffer)
    except OSError as error:
        raise disk_error(error) from error
