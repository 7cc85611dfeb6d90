"""The worker's loop: orders in, progress and ends out.

It speaks JSON lines. In come ``{"run": id, "request": path, "result": path}``, ``{"cancel": id}`` and
``{"pause": bool}``: a job that pauses waits at its next progress, and goes on as if nothing had been. Out go
``{"ready": catalog}``, ``{"progress": id, "share", "message"}`` and ``{"end": id, "code", "message"}``, perhaps with
``"is_spoiled"``: after that job the process is not to be trusted with another. When its input ends, its supervisor is
dead, and so is it.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from engine.compute.memory import is_out_of_memory
from gimp_plugin.wire import WireError

PaintJob = Callable[[Path, Path, Callable[[float, str], None]], None]
"""Reads the request's frame, writes the result's, reports progress; raises ``WireError`` for the user."""


REST_S = 10.0
FAULT = "The engine met a fault of its own. Nothing was changed; its log says more."
NO_MEMORY = (
    "There is not enough memory for this picture. Close other programs, select a smaller part or scale the picture "
    "down."
)
log = logging.getLogger("impasto.worker")


class JobCancelled(Exception):  # noqa: N818  (an outcome, not a fault)
    """Raised by the progress callback when the supervisor wants the job stopped."""


class Worker:
    """The loop. It listens from the moment it is made: a supervisor that dies while torch loads takes its worker along.

    Args:
        source: where messages come from.
        sink: where messages go; nothing else may write there.
    """

    def __init__(self, source: TextIO, sink: TextIO) -> None:
        self.source, self.sink = source, sink
        self.orders: queue.Queue[dict[str, str]] = queue.Queue()
        self.stop_id: str | None = None
        self.going = threading.Event()
        self.going.set()
        threading.Thread(target=self.read, daemon=True).start()

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message to the supervisor."""
        self.sink.write(json.dumps(message) + "\n")
        self.sink.flush()

    def read(self) -> None:
        """Take messages as they come, also while painting; the end of input is the end of the process."""
        for line in self.source:
            message = json.loads(line)
            if "cancel" in message:
                self.stop_id = message["cancel"]
                self.going.set()
            elif "pause" in message:
                (self.going.clear if message["pause"] else self.going.set)()
            else:
                self.stop_id = None  # an id may come again, and what stopped it then does not stop it now
                self.orders.put(message)
        os._exit(0)

    def run(
        self,
        paint: PaintJob,
        catalog: dict[str, Any],
        rest: Callable[[], None] = lambda: None,
        rest_s: float = REST_S,
    ) -> None:
        """Serve until the process ends.

        Args:
            paint: does the work.
            catalog: what the engine can do, told to the supervisor now that it is ready (JSON values).
            rest: called when there is no work for a while, once until there is some again.
            rest_s: how long that is, in seconds.
        """
        self.tell({"ready": catalog})
        wait_s: float | None = rest_s
        while True:
            try:
                order = self.orders.get(timeout=wait_s)
            except queue.Empty:
                rest()
                wait_s = None
            else:
                self.serve(order, paint)
                wait_s = rest_s

    def serve(self, order: dict[str, str], paint: PaintJob) -> None:
        """Run one job and report how it ended."""
        job_id = order["run"]
        last_share, last_message = -1.0, ""

        def on_progress(share: float, message: str) -> None:
            nonlocal last_share, last_message
            self.going.wait()
            if self.stop_id == job_id:
                raise JobCancelled
            if share >= last_share + 0.01 or message != last_message:  # a line a layer would be a flood
                last_share, last_message = share, message
                self.tell({"progress": job_id, "share": share, "message": message})

        end: dict[str, Any] = {"end": job_id, "code": None, "message": ""}
        try:
            on_progress(0.0, "Starting")  # the supervisor gives a job that nobody began to another worker
            paint(Path(order["request"]), Path(order["result"]), on_progress)
        except JobCancelled:
            end["code"] = "cancelled"
        except WireError as error:
            end |= {"code": error.code, "message": error.message, "is_spoiled": error.code == "out_of_memory"}
        except Exception as error:
            log.exception("job %s", job_id)
            end |= {"code": "failed", "message": FAULT, "is_spoiled": True}
            if is_out_of_memory(error):
                end |= {"code": "out_of_memory", "message": NO_MEMORY}
        self.tell(end)
