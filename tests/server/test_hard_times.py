"""The real worker where memory is short, and where the graphics card only claims to be there."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable

import pytest
import torch

from gimp_plugin import wire
from server.worker import loop
from server.worker.loop import Worker
from tests.server.conftest import linux_only
from tests.server.running_engine import RunningEngine

Start = Callable[..., RunningEngine]
MEMORY_BYTES = int(1.7 * 2**30)
ROUNDS = 2  # python -m benchmarks.reliability does 50


def a_request(side: int, device: str = "auto") -> wire.StylizeRequest:
    plane = wire.Plane("U8", (side, side, 4), os.urandom(4 * side) * side)
    style = wire.StyleEntry("style", picture=wire.Plane("U8", (64, 64, 4), bytes(range(256)) * 64))
    return wire.StylizeRequest(plane, (style,), device=device)


def limit_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


@pytest.mark.slow
@pytest.mark.parametrize("device", ["auto", "cuda", "cpu"])
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card that works")
def test_a_card_that_only_claims_to_be_there_costs_a_note(start: Start, device: str) -> None:
    engine = start(worker="tests.server.broken_card_worker").wait_ready(60)
    for _ in range(2):
        report = engine.paint(a_request(48, device)).report
        notes = [note for note in report["notes"] if "graphics card" in note]
        assert report["device"] == "cpu" and len(notes) == (device != "cpu")
    assert engine.status == "ready"


@pytest.mark.slow
@linux_only
def test_after_a_picture_that_did_not_fit_the_next_one_is_painted(start: Start) -> None:
    engine = start(worker="server.worker.process", before=limit_memory).wait_ready(60)
    for _ in range(ROUNDS):
        for side in (6000, 4000):
            job_id = engine.submit(a_request(side))
            last = engine.last_event(job_id)
            engine.forget(job_id)
            if last["state"] != "done":
                assert last["error"]["code"] in ("out_of_memory", "worker_died"), last
                assert "memory" in last["error"]["message"]
            else:
                assert side < 6000
            engine.paint(a_request(64))


@pytest.mark.parametrize(
    ("error", "code", "is_spoiled"),
    [
        (RuntimeError("could not create a primitive"), "out_of_memory", True),
        (MemoryError(), "out_of_memory", True),
        (wire.WireError("out_of_memory", "Memory is short."), "out_of_memory", True),
        (ZeroDivisionError(), "failed", True),
        (wire.WireError("unprocessable", "No."), "unprocessable", False),
    ],
)
def test_a_worker_says_when_it_is_not_to_be_trusted(error: Exception, code: str, is_spoiled: bool) -> None:
    reading, _writing = os.pipe()  # stays open: its end would be that of the process
    said = io.StringIO()
    one = Worker(os.fdopen(reading, encoding="utf-8"), said)

    def paint(*_args: object) -> None:
        raise error

    one.serve({"run": "1", "request": "a", "result": "b"}, paint)
    end = json.loads(said.getvalue().splitlines()[-1])
    assert (end["code"], bool(end.get("is_spoiled"))) == (code, is_spoiled)
    assert end["message"] != loop.FAULT or code == "failed"
