"""What the set-up says: one line a step, kept alive on a terminal, plain in a pipe."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


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
        self._live = ""
        self._painted_at = 0.0

    def say(self, text: str = "") -> None:
        """A line that stays."""
        self._clear()
        self._stream.write(text + "\n")
        self._stream.flush()

    def show(self, text: str, started: float) -> None:
        """The state of a running step: a line rewritten in place on a terminal, nothing in a pipe."""
        now = time.monotonic()
        if not self._is_live or now - self._painted_at < 0.1:
            return
        self._painted_at = now
        self._clear()
        width = shutil.get_terminal_size().columns
        self._live = f"  ... {text} ({now - started:.0f} s)"[: width - 1]
        self._stream.write(self._live)
        self._stream.flush()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Says the title with the seconds that the step took, once it is done."""
        started = time.monotonic()
        self.show(title, started)
        yield
        self.say(f"  {title} ({time.monotonic() - started:.1f} s)")

    def end(self) -> None:
        """Leave no half-written line behind."""
        self._clear()
        self._stream.flush()

    def _clear(self) -> None:
        if self._live:
            self._stream.write("\r" + " " * len(self._live) + "\r")
            self._live = ""
