"""What the set-up says: one line a step, kept alive on a terminal, plain in a pipe."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

TICK_S = 0.25


class SetupError(Exception):
    """The set-up cannot go on. The message is one sentence that says what to do."""


class Voice:
    """Prints the set-up's steps.

    Args:
        stream: where to; a terminal gets a line that is rewritten while a step runs.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._is_live = self._stream.isatty()
        self._lock = threading.Lock()  # the live line has a thread of its own
        self._live = ""
        self._state = ""

    def say(self, text: str = "") -> None:
        """A line that stays."""
        with self._lock:
            self._clear()
            self._stream.write(text + "\n")
            self._stream.flush()

    def show(self, text: str) -> None:
        """What the running step is doing just now; only a terminal shows it."""
        self._state = text

    @contextmanager
    def step(self, doing: str, done: str) -> Iterator[None]:
        """A step that takes a while: what is being done while it runs, what was done in how many seconds after it."""
        started = time.monotonic()
        self._state = doing
        is_over = threading.Event()
        if self._is_live:
            threading.Thread(target=self._tick, args=(started, is_over), daemon=True).start()
        try:
            yield
        finally:
            is_over.set()
            with self._lock:
                self._clear()
        self.say(f"  {done} ({time.monotonic() - started:.1f} s)")

    def _tick(self, started: float, is_over: threading.Event) -> None:
        while not is_over.wait(TICK_S):
            with self._lock:
                if is_over.is_set():
                    return
                self._clear()
                width = shutil.get_terminal_size().columns
                self._live = f"  ... {self._state} ({time.monotonic() - started:.0f} s)"[: width - 1]
                self._stream.write(self._live)
                self._stream.flush()

    def _clear(self) -> None:
        if self._live:
            self._stream.write("\r" + " " * len(self._live) + "\r")
            self._stream.flush()
            self._live = ""
