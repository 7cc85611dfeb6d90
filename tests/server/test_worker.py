"""The worker's loop: jobs come first, and when none has come for a while it rests, once."""

from __future__ import annotations

import asyncio
import io
import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.supervisor import worker_process
from server.supervisor.jobs import Job, Jobs
from server.supervisor.worker_process import WorkerProcess
from server.worker.loop import Worker
from tests.server.running_engine import PAINT_WORKER, frame_of, picture_request

PATIENCE_S = 20.0


def test_a_worker_rests_once_between_jobs_and_only_then() -> None:
    reading, writing = os.pipe()  # stays open: its end would be that of the process
    worker = Worker(os.fdopen(reading, encoding="utf-8"), io.StringIO())
    happened: queue.Queue[str] = queue.Queue()

    def paint(request: Path, _result: Path, _tell: Callable[[float, str], None]) -> None:
        happened.put(request.name)

    def order(*names: str) -> None:
        lines = "".join(json.dumps({"run": name, "request": name, "result": "r"}) + "\n" for name in names)
        os.write(writing, lines.encode())

    def rest() -> None:
        happened.put("rest")

    threading.Thread(target=worker.run, args=(paint, {}, rest, 0.3), daemon=True).start()
    for round_ in (["a", "b"], ["c"]):
        order(*round_)
        assert [happened.get(timeout=PATIENCE_S) for _ in range(len(round_) + 1)] == [*round_, "rest"]
    try:
        again = happened.get(timeout=1.0)  # three times what it waits
    except queue.Empty:
        again = None
    assert again is None


class LateListener(WorkerProcess):
    """Reads the end of a job only after it has killed the worker for not coming to it."""

    async def listen(self) -> dict[str, Any] | None:
        message = await super().listen()
        if message is not None and "end" in message:
            assert self.process is not None and self.job is not None
            self.cancel(self.job)
            await self.process.wait()
        return message


def test_a_worker_that_was_killed_as_it_answered_is_replaced_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next job waits for torch to load."""
    monkeypatch.setattr(worker_process, "GRACE_S", 0.0)
    (tmp_path / "request").write_bytes(frame_of(picture_request()))

    async def serve() -> tuple[str, int | None, int | None]:
        jobs = Jobs()
        worker = LateListener([sys.executable, "-m", PAINT_WORKER], jobs, tmp_path / "log")
        await worker.prepare()
        first = worker.process
        jobs.submit(Job("id", "digest", tmp_path / "request", tmp_path / "result"))
        job = await worker.take()
        await worker.serve(job)
        second = worker.process
        assert first is not None and second is not None
        found = job.state, first.returncode, second.returncode
        await worker.stop()
        return found

    state, first, second = asyncio.run(asyncio.wait_for(serve(), PATIENCE_S))
    assert state == "done" and first is not None and second is None
