"""The engine under requests of every wrong kind, in short; ``python -m benchmarks.fuzz`` sends 10,000."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import fuzz
from tests.server.running_engine import PAINT_WORKER, RunningEngine, wait_until

Start = Callable[..., RunningEngine]


@pytest.mark.slow
@pytest.mark.parametrize(("worker", "n"), [(PAINT_WORKER, 500), ("server.worker.process", 100)], ids=["fake", "real"])
def test_no_request_causes_a_fault_or_names_a_path(start: Start, worker: str, n: int) -> None:
    engine = start(worker=worker).wait_ready(60)
    report = fuzz.run(fuzz.Target(engine.port, engine.token, engine.process.pid), n, seed=3)
    print(
        f"\n{dict(report.statuses)}, {dict(report.ends)}, slowest {report.slowest_s:.2f} s, {report.grown_bytes} bytes"
    )
    assert report.faults == []
    assert {202, 400, 401, 422} <= report.statuses.keys() and report.ends["done"] > 2
    assert "Traceback" not in engine.log
    wait_until(lambda: engine.spooled == [], what="the last job's files to go")


def test_the_fuzz_finds_what_it_looks_for() -> None:
    """An oracle that is never wrong is worth nothing: these answers must be blamed."""
    sent = fuzz.Sent("GET", "/x")
    for status, body in (
        (500, b'{"error": {"code": "failed", "message": "Oh."}}'),
        (422, b'{"error": {"code": "unprocessable", "message": "There is nothing in /home/x/models."}}'),
        (422, b'{"error": {"code": "failed", "message": "The engine met a fault of its own."}}'),
        (400, b"oh"),
    ):
        report = fuzz.Report()
        fuzz.check_answer(status, body, sent, report)
        assert len(report.faults) == 1, body
    report = fuzz.Report()
    fuzz.check_answer(503, b'{"error": {"code": "starting", "message": "Wait."}}', sent, report)
    fuzz.check_answer(200, b"anything", sent, report)
    assert report.faults == []
