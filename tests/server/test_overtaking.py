"""A short job does not wait behind a long one, and the long one goes on as if nothing had been."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gimp_plugin import wire
from server.supervisor.effort import LONG_S, SHORT_S, expected_s
from server.supervisor.jobs import Job, Jobs
from tests.server.conftest import linux_only
from tests.server.running_engine import RunningEngine, frame_of, is_alive, picture_request, wait_until

Start = Callable[..., RunningEngine]


def long_request(seconds: float = 60) -> wire.StylizeRequest:
    """One that says of itself that it takes minutes."""
    asked = picture_request(f"sleep {seconds:g}", 600, 800)
    return wire.StylizeRequest(asked.content, asked.styles, quality="best")


def begin_long(engine: RunningEngine, seconds: float = 60) -> str:
    job_id = engine.submit(long_request(seconds))
    engine.wait_running(job_id)
    return job_id


@pytest.mark.slow
def test_short_jobs_pass_a_long_one_that_rests_meanwhile(start: Start) -> None:
    engine = start().wait_ready()
    long_id = begin_long(engine)
    waiting = engine.submit(long_request())
    assert engine.look(waiting)["message"] == "Waiting behind a long painting: number 1 in the queue"
    assert engine.paint(picture_request("same")).report["method"] == "same"  # no minute has passed
    slow = engine.submit(picture_request("deaf 1.5"))
    engine.wait_running(slow)
    time.sleep(0.2)  # the long one is at its next progress
    before, position = engine.look(long_id), engine.look(waiting)["queue_position"]
    assert position == 1
    time.sleep(0.6)
    assert engine.look(long_id)["share"] == before["share"] and engine.look(slow)["state"] == "running"
    assert engine.last_event(slow)["state"] == "done"
    wait_until(lambda: engine.look(long_id)["share"] > before["share"], what="it goes on")
    for job_id in (waiting, long_id, slow):
        engine.forget(job_id)
    wait_until(lambda: engine.spooled == [], 5)


@pytest.mark.slow
def test_a_long_job_that_rests_can_be_cancelled(start: Start) -> None:
    engine = start().wait_ready()
    long_id = begin_long(engine)
    short_id = engine.submit(picture_request("deaf 2"))
    engine.wait_running(short_id)
    time.sleep(0.2)
    began = time.monotonic()
    engine.forget(long_id)
    wait_until(lambda: not any(long_id in name for name in engine.spooled) and len(engine.spooled) <= 1, 5)
    assert time.monotonic() - began < 1
    assert engine.last_event(short_id)["state"] == "done"
    engine.forget(short_id)
    engine.paint(picture_request("same"))


def test_a_short_job_that_passes_can_be_cancelled_and_may_crash(start: Start) -> None:
    engine = start().wait_ready()
    long_id = begin_long(engine)
    short_id = engine.submit(picture_request("sleep 60"))
    engine.wait_running(short_id)
    engine.forget(short_id)
    crashed = engine.submit(picture_request("crash"))
    assert engine.last_event(crashed)["error"]["code"] == "worker_died"
    engine.forget(crashed)
    assert engine.look(long_id)["state"] == "running"
    share = engine.look(long_id)["share"]
    wait_until(lambda: engine.look(long_id)["share"] > share, what="it goes on")
    engine.paint(picture_request("same"))


@linux_only
def test_no_worker_outlives_a_supervisor_that_is_killed_while_one_rests(start: Start) -> None:
    engine = start().wait_ready()
    begin_long(engine)
    short_id = engine.submit(picture_request("deaf 20"))
    engine.wait_running(short_id)
    pids = engine.worker_pids()
    assert len(pids) == 2
    engine.process.kill()
    engine.process.wait()
    wait_until(lambda: not is_alive(pids[0]) and not is_alive(pids[1]), 2)


@pytest.mark.parametrize(
    ("settings", "side", "is_short", "is_long"),
    [
        ({}, 512, True, False),
        ({"quality": "best"}, 512, False, True),
        ({"quality": "best", "size_px": 64}, 512, True, False),
        ({"method": "gatys"}, 1024, False, True),
        ({"method": "never heard of"}, 1024, False, True),
    ],
)
def test_what_is_long_is_told_by_the_request(
    settings: dict[str, str], side: int, is_short: bool, is_long: bool, tmp_path: Path
) -> None:
    asked = picture_request("same", side, side)
    (tmp_path / "r").write_bytes(frame_of(wire.StylizeRequest(asked.content, asked.styles, **settings)))  # type: ignore[arg-type]
    seconds = expected_s(tmp_path / "r")
    assert (seconds <= SHORT_S, seconds >= LONG_S) == (is_short, is_long)


@pytest.mark.parametrize("data", [b"", b"1234567", b"\x05" + bytes(7) + b"[[[]]", b"\xff" * 200])
def test_what_is_no_request_takes_no_time(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(data)
    assert expected_s(tmp_path / "r") == 0
    assert expected_s(tmp_path / "none") == 0


def test_shorter_ones_are_taken_first_but_none_waits_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("server.supervisor.jobs.time.monotonic", lambda: now[0])
    jobs = Jobs()

    def submit(name: str, expected: float) -> None:
        jobs.submit(Job(name, "d", tmp_path / name, tmp_path / f"{name}r", expected_s=expected))

    def order() -> str:
        return "".join(job.id for job in jobs.waiting)

    submit("a", 100)
    submit("b", 5)
    submit("c", 50)
    assert order() == "bca"
    now[0] = 97
    submit("d", 1)
    assert order() == "bcda"
    now[0] = 99.5
    submit("e", 1)  # "a" has waited as long as it takes: nothing passes it any more
    assert order() == "bcdae"
    assert jobs.describe(jobs.by_id["a"])["queue_position"] == 4
