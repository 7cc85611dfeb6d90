"""What was finished survives the worker, with the real one: another color mode comes at once, kill or no kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gimp_plugin import wire
from tests.server.conftest import linux_only
from tests.server.running_engine import RunningEngine, kill, picture_request, wait_until

Start = Callable[..., RunningEngine]


@pytest.fixture
def real(start: Start) -> RunningEngine:
    return start(worker="server.worker.process").wait_ready(60)


def painted(engine: RunningEngine, asked: wire.StylizeRequest) -> wire.StylizeResult:
    job_id = engine.submit(asked)
    last = engine.last_event(job_id)
    assert last["state"] == "done", last
    frame = engine.ask("GET", f"/v1/jobs/{job_id}/result").body
    engine.forget(job_id)
    return wire.StylizeResult.unpack(frame)


def a_request(**settings: object) -> wire.StylizeRequest:
    asked = picture_request("same", 60, 80)
    style = wire.StyleEntry("wave", preset="great-wave")
    return replace(wire.StylizeRequest(asked.content, (style,)), **settings)  # type: ignore[arg-type]


@pytest.mark.slow
@linux_only
def test_a_cancelled_job_costs_no_finished_painting_even_if_the_worker_is_killed(real: RunningEngine) -> None:
    first = painted(real, a_request())
    assert not first.report["reused"]
    (pid,) = real.worker_pids()
    picture = wire.StyleEntry("own", picture=picture_request("same", 60, 80).content)
    doomed = real.submit(replace(a_request(method="gatys", options={"iterations": 2000}), styles=(picture,)))
    real.wait_running(doomed)
    real.forget(doomed)
    wait_until(lambda: real.spooled == [], 5)
    for killed in real.worker_pids():  # whether the cancellation had to or not
        kill(killed)
    again = painted(real, a_request())
    assert real.worker_pids() != [pid]
    assert again.report["reused"] and bytes(again.picture.data) == bytes(first.picture.data)
    assert painted(real, a_request(color="luminance")).report["reused"]
    kept = real.folder / "kept"
    assert kept.stat().st_mode & 0o777 == 0o700 and all(path.stat().st_mode & 0o077 == 0 for path in kept.iterdir())
    real.stop()
    assert not kept.exists()  # pictures of the user do not stay when the engine goes
