"""What the window did and when, for tests and for reports of faults: only if IMPASTO_TRACE names a file."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from gi.repository import GLib

VARIABLE = "IMPASTO_TRACE"
BEAT_MS = 10


class Trace:
    """Writes a JSON line for each event. A heartbeat of the main loop tells how long the window did not answer."""

    def __init__(self) -> None:
        self._path = os.environ.get(VARIABLE, "")
        self._began = self._last = time.monotonic()
        self._longest_s = 0.0
        self._is_over = not self._path
        if self._path:
            GLib.timeout_add(BEAT_MS, self._beat)

    def note(self, event: str, **facts: Any) -> None:
        """Write an event down, with the longest wait since the one before."""
        if not self._path:
            return
        line = {"event": event, "at_s": round(time.monotonic() - self._began, 3), "held_s": round(self._longest_s, 3)}
        self._longest_s = 0.0
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps({**line, **facts}) + "\n")

    def end(self) -> None:
        """The window is closed."""
        if not self._is_over:
            self.note("closed")
        self._is_over = True

    def _beat(self) -> bool:
        now = time.monotonic()
        self._longest_s = max(self._longest_s, now - self._last - BEAT_MS / 1000)
        self._last = now
        return GLib.SOURCE_REMOVE if self._is_over else GLib.SOURCE_CONTINUE
