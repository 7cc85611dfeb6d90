"""The worker's loop: jobs come first, and when none has come for a while it rests, once."""

from __future__ import annotations

import io
import json
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from server.worker.loop import Worker

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
