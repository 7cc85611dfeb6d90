"""Progress on a terminal, nothing in a pipe."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

MIN_INTERVAL_S = 0.1
BAR_CHARACTERS = 30


class ProgressBar:
    """A line that is drawn over itself. Call it with the share done and a message."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.is_shown = stream.isatty()
        self.drawn_at = 0.0

    def __call__(self, share: float, message: str) -> None:
        now = time.monotonic()
        if not self.is_shown or (now - self.drawn_at < MIN_INTERVAL_S and share < 1):
            return
        self.drawn_at = now
        filled = round(BAR_CHARACTERS * min(1.0, max(0.0, share)))
        bar = "#" * filled + "." * (BAR_CHARACTERS - filled)
        line = f"[{bar}] {share:4.0%} {message}"
        width = shutil.get_terminal_size().columns - 1
        self.stream.write("\r" + line[:width].ljust(width))
        self.stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self.is_shown and self.drawn_at:
            self.stream.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
            self.stream.flush()


@contextmanager
def progress_bar() -> Iterator[ProgressBar]:
    """A bar on stderr that is gone at the end, however it ends."""
    bar = ProgressBar(sys.stderr)
    try:
        yield bar
    finally:
        bar.clear()
