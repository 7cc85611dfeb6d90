"""The job queue against a model of it, and the single promises of leases."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace

import pytest

from gimp_plugin.wire import WireError
from server.supervisor import jobs as jobs_module
from server.supervisor.jobs import Job, Jobs

N_SEQUENCES = 1000
N_STEPS = 30
STATES = ("queued", "running", "done", "failed", "cancelled")
# From the contract: queued -> running -> done | failed | cancelled, queued -> cancelled | failed. Nothing else.
STEPS = {
    ("queued", "running"), ("queued", "cancelled"), ("queued", "failed"),
    ("running", "done"), ("running", "failed"), ("running", "cancelled"),
}  # fmt: skip


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The queue's clock: its only item is the time."""
    now = [1000.0]
    monkeypatch.setattr(jobs_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.mark.parametrize(("old", "new"), list(product(STATES, STATES)))
def test_a_job_makes_the_steps_of_the_contract_and_no_others(old: str, new: str, tmp_path: Path) -> None:
    job = Job("id", "digest", tmp_path / "a", tmp_path / "b", state=old)
    if (old, new) in STEPS:
        job.move(new)
        assert job.state == new
    else:
        with pytest.raises(RuntimeError):
            job.move(new)
        assert job.state == old


@dataclass
class Model:
    """What the queue should hold, written down as plainly as can be."""

    lease: float
    known: dict[str, int] = field(default_factory=dict)  # id -> index of its submission
    digest: list[str] = field(default_factory=list)  # by submission, as the rest
    state: list[str] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    wants_stop: set[int] = field(default_factory=set)

    @property
    def queue(self) -> list[int]:
        return [i for i, state in enumerate(self.state) if state == "queued"]  # submissions are in their order

    @property
    def running(self) -> list[int]:
        return [i for i, state in enumerate(self.state) if state == "running"]

    def stop(self, i: int) -> None:
        if self.state[i] == "queued":
            self.state[i] = "cancelled"
        elif self.state[i] == "running":
            self.wants_stop.add(i)

    def forget(self, job_id: str) -> None:
        self.stop(self.known.pop(job_id))


class Walk:
    """One random sequence of what clients and the worker do, on the queue and on the model alike."""

    def __init__(self, seed: int, folder: Path, clock: list[float]) -> None:
        self.dice = random.Random(seed)  # noqa: S311
        self.folder, self.clock = folder, clock
        self.stopped: set[Job] = set()
        self.jobs = Jobs(30.0, on_cancel=self.stopped.add)
        self.model = Model(30.0)
        self.made: list[Job] = []
        self.ids = [str(uuid.UUID(int=n)) for n in range(14)]
        self.history: dict[Job, list[str]] = {}

    async def step(self) -> None:
        names = ["submit"] * 5 + ["take"] * 3 + ["finish"] * 3 + ["delete", "look", "wait", "expire"]
        what = self.dice.choice(names)
        job_id = self.dice.choice(self.ids)
        if what == "submit":
            self.submit(job_id)
        elif what == "take" and self.model.queue and not self.model.running:
            await self.take()
        elif what == "finish" and self.model.running:
            self.finish()
        elif what in ("delete", "look"):
            self.touch(job_id, what)
        elif what == "wait":
            self.clock[0] += self.dice.choice([1, 10, 29])
        elif what == "expire":
            self.expire()
        self.compare()

    def submit(self, job_id: str) -> None:
        digest = self.dice.choice(["one", "two"])
        i = len(self.made)
        job = Job(job_id, digest, self.folder / f"{i}.request", self.folder / f"{i}.result")
        known = self.model.known.get(job_id)
        if known is not None and self.model.digest[known] != digest:
            expected = "conflict"
        elif known is not None:
            expected = "known"
        else:
            expected = "busy" if len(self.model.queue) + len(self.model.running) >= 9 else "taken"
        try:
            taken = self.jobs.submit(job)
        except WireError as error:
            assert error.code == expected
            return
        if expected == "known":
            assert known is not None and taken is self.made[known]
            self.model.seen[known] = self.clock[0]
            return
        assert expected == "taken" and taken is job
        job.request.touch()
        self.made.append(job)
        self.model.known[job_id] = i
        self.model.digest.append(digest)
        self.model.state.append("queued")
        self.model.seen.append(self.clock[0])

    async def take(self) -> None:
        job = await self.jobs.take()
        assert job is self.made[self.model.queue[0]]  # first come, first served
        self.model.state[self.model.queue[0]] = "running"

    def finish(self) -> None:
        (i,) = self.model.running
        assert (self.made[i] in self.stopped) == (i in self.model.wants_stop)  # the worker was told
        state = "cancelled" if i in self.model.wants_stop else self.dice.choice(["done", "failed"])
        if state == "done" or self.dice.random() < 0.5:  # also one killed when its result was there already
            self.made[i].result.touch()
        self.made[i].result.with_suffix(".tmp").touch()  # killed while it wrote
        self.jobs.finish(self.made[i], state)
        self.model.state[i] = state

    def touch(self, job_id: str, what: str) -> None:
        if job_id not in self.model.known:
            with pytest.raises(WireError) as caught:
                self.jobs.find(job_id)
            assert caught.value.code == "not_found"
            return
        job = self.jobs.find(job_id)
        assert job is self.made[self.model.known[job_id]]
        if what == "look":
            job.renew()
            self.model.seen[self.model.known[job_id]] = self.clock[0]
        else:
            self.jobs.forget(job)
            self.model.forget(job_id)

    def expire(self) -> None:
        self.jobs.forget_expired()
        for job_id, i in list(self.model.known.items()):
            if self.clock[0] - self.model.seen[i] > self.model.lease:
                self.model.forget(job_id)

    def compare(self) -> None:
        model = self.model
        assert {job_id: job.state for job_id, job in self.jobs.by_id.items()} == {
            job_id: model.state[i] for job_id, i in model.known.items()
        }
        for i, job in enumerate(self.made):
            assert job.state == model.state[i]
            position = model.queue.index(i) + 1 if i in model.queue else 0
            assert self.jobs.describe(job)["queue_position"] == position
            trace = self.history.setdefault(job, [])
            if not trace or trace[-1] != job.state:
                trace.append(job.state)
        alive = {f"{i}.request" for i, state in enumerate(model.state) if state in ("queued", "running")}
        files = {path.name for path in self.folder.iterdir()}
        assert {name for name in files if not name.endswith(".result")} == alive
        known_results = {f"{i}.result" for i in model.known.values()}
        assert {name for name in files if name.endswith(".result")} <= known_results
        done = {f"{i}.result" for i in model.known.values() if model.state[i] == "done"}
        assert done <= files

    def judge(self) -> None:
        for trace in self.history.values():
            assert trace[0] == "queued" and all(step in STEPS for step in pairwise(trace)), trace


@pytest.mark.slow
def test_a_thousand_random_walks_agree_with_the_model(tmp_path: Path, clock: list[float]) -> None:
    async def walk_all() -> int:
        n_refused = 0
        for seed in range(N_SEQUENCES):
            folder = tmp_path / str(seed)
            folder.mkdir()
            walk = Walk(seed, folder, clock)
            for _ in range(N_STEPS):
                await walk.step()
            walk.judge()
            n_refused += len(walk.jobs.waiting) == 8
        return n_refused

    assert asyncio.run(walk_all()) > 10  # the walks reach the bound of the queue


def test_the_next_job_is_taken_as_soon_as_it_comes(tmp_path: Path) -> None:
    async def story() -> None:
        jobs = Jobs()
        taking = asyncio.ensure_future(jobs.take())
        await asyncio.sleep(0.01)
        assert not taking.done()
        job = jobs.submit(Job("a", "d", tmp_path / "a", tmp_path / "b"))
        assert await asyncio.wait_for(taking, 5) is job and job.state == "running"

    asyncio.run(story())


def test_a_taker_that_is_called_off_loses_no_job(tmp_path: Path) -> None:
    async def story() -> None:
        jobs = Jobs()
        for n in range(200):
            taking = asyncio.ensure_future(jobs.take())
            for _ in range(n % 4):
                await asyncio.sleep(0)
            job = jobs.submit(Job(str(n), "d", tmp_path / "a", tmp_path / "b"))
            taking.cancel()
            taken = (await asyncio.gather(taking, return_exceptions=True))[0]
            if taken is not job:
                assert await asyncio.wait_for(jobs.take(), 5) is job
            jobs.finish(job, "done")

    asyncio.run(story())


def test_a_client_whose_stream_broke_has_a_moment_to_come_back(tmp_path: Path, clock: list[float]) -> None:
    jobs = Jobs()
    job = jobs.submit(Job("a", "d", tmp_path / "a", tmp_path / "b"))
    job.client_left()
    clock[0] += 0.5
    jobs.forget_expired()
    assert "a" in jobs.by_id
    job.renew()
    clock[0] += 29.9
    jobs.forget_expired()
    assert "a" in jobs.by_id
    job.client_left()  # leaving never lengthens what is left of the lease
    clock[0] += 0.2
    jobs.forget_expired()
    assert jobs.by_id == {} and job.state == "cancelled"


def test_an_engine_that_is_going_takes_nothing_and_stops_everything(tmp_path: Path) -> None:
    async def story() -> None:
        stopped: list[Job] = []
        jobs = Jobs(on_cancel=stopped.append)
        first, second = (jobs.submit(Job(n, "d", tmp_path / n, tmp_path / f"{n}r")) for n in "ab")
        assert await jobs.take() is first
        jobs.drain()
        assert stopped == [first] and second.state == "cancelled"
        with pytest.raises(WireError) as caught:
            jobs.submit(Job("c", "d", tmp_path / "c", tmp_path / "cr"))
        assert caught.value.code == "draining"
        assert (
            jobs.submit(Job("a", "d", tmp_path / "c", tmp_path / "cr")) is first
        )  # but still answers for what it knows

    asyncio.run(story())
