"""Work beside GIMP's main thread: only the main thread may talk to GIMP, and it must stay awake."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gi.repository import GLib

Report = Callable[[float, str], None]
Result = TypeVar("Result")

POLL_S = 0.05


class Work(Generic[Result]):
    """One function in a thread of its own, whose progress the main thread shows.

    Args:
        function: takes ``report`` (call it with the share done and a message) and ``is_stopped`` (ask it now and then).
    """

    def __init__(self, function: Callable[[Report, Callable[[], bool]], Result]) -> None:
        self._function = function
        self._news: tuple[float, str] | None = None
        self._done = threading.Event()
        self._stopped = threading.Event()
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self, show: Report) -> Result:
        """Run it to its end; ``show`` is called on this thread with what it reports.

        Raises:
            whatever the function raised.
        """
        # A daemon: if GIMP goes away, this process ends at once, and the engine notices that.
        threading.Thread(target=self._work, daemon=True).start()
        try:
            while not self._done.wait(POLL_S):
                self._show_news(show)
                while GLib.MainContext.default().iteration(False):
                    pass  # the closed dialog disappears, GIMP's messages are answered
        finally:
            self._stopped.set()
        self._show_news(show)
        if self._error is not None:
            raise self._error
        return self._result

    def _show_news(self, show: Report) -> None:
        news, self._news = self._news, None
        if news is not None:
            show(*news)

    def _work(self) -> None:
        try:
            self._result = self._function(self._report, self._stopped.is_set)
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()

    def _report(self, share: float, message: str) -> None:
        self._news = (share, message)
