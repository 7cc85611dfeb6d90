"""Paintings beside the user's work: one thread asks the engine, the newest wish counts, and spare time fills a gallery.

Standard library only. The caller's thread is never held up: answers are handed to it by a function of its choice, such
as ``GLib.idle_add``.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from gimp_plugin import wire
from gimp_plugin.client import Engine

PATIENCE_S = 0.4  # a painting that is nearly done is shown, though a newer one is wanted
END_S = 2.0
MAX_FAILURES = 3  # of the spare-time ones: then the rest of them would fail, too
RECOVERABLE = ("unreachable", "no_engine")


def _nothing(*_: Any) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Wish:
    """One request, and who is told of it. All are called on the caller's thread.

    Args:
        make: gives the request; called on the background's thread, so it must not touch GIMP.
        on_done: gets the result.
        on_failed: gets the error; not called for a wish that was dropped.
        on_progress: gets the share and the message.
        patience_s: how long it may go on once a newer wish waits.
    """

    make: Callable[[], wire.Request[Any]]
    on_done: Callable[[Any], None]
    on_failed: Callable[[wire.WireError], None] = _nothing
    on_progress: Callable[[float, str], None] = _nothing
    patience_s: float = PATIENCE_S
    is_dropped: threading.Event = field(default_factory=threading.Event)


class Background:
    """The thread. Orders come first, then the newest wish, then what fills the gallery.

    Args:
        find: gives the engine, starting it if need be; called on the background's thread with a progress callback.
        deliver: calls a function on the caller's thread, some time soon.
        on_state: told on the caller's thread what the background is waiting for; "" = nothing.
    """

    def __init__(
        self,
        find: Callable[[Callable[[float, str], None]], Engine],
        deliver: Callable[[Callable[[], None]], object],
        on_state: Callable[[str], None] = _nothing,
    ) -> None:
        self._find, self._deliver, self._on_state = find, deliver, on_state
        self._news = threading.Condition()
        self._orders: deque[Wish] = deque()
        self._wish: Wish | None = None
        self._fills: deque[Wish] = deque()
        self._current: Wish | None = None
        self._shown: Wish | None = None  # the last wish that was taken up
        self._engine: Engine | None = None
        self._is_over = False
        self._n_failures = 0
        self._thread = threading.Thread(target=self._run, name="impasto-background", daemon=True)
        self._thread.start()

    def want(self, wish: Wish) -> None:
        """Replace the wish that waits, and before long the one that is painted."""
        with self._news:
            if self._wish is not None:
                self._wish.is_dropped.set()
            self._wish = wish
            self._news.notify()

    def drop(self) -> None:
        """Give the wish up, with nothing in its place; nobody is told of what is painted for it already."""
        with self._news:
            for wish in (self._wish, self._shown):
                if wish is not None:
                    wish.is_dropped.set()
            self._wish = self._shown = None

    def order(self, wish: Wish) -> None:
        """Ask for something that no newer wish replaces."""
        with self._news:
            self._orders.append(wish)
            self._news.notify()

    def fill(self, wishes: Iterable[Wish]) -> None:
        """Replace what is painted in spare time."""
        with self._news:
            for old in self._fills:
                old.is_dropped.set()
            self._fills = deque(wishes)
            self._n_failures = 0
            self._news.notify()

    def stop(self) -> None:
        """End the thread, and the job that it waits for; nobody is told anything from now on."""
        with self._news:
            self._is_over = True
            for wish in (*self._orders, *self._fills, *filter(None, (self._wish, self._current))):
                wish.is_dropped.set()
            self._orders.clear()
            self._fills.clear()
            self._wish = None
            self._news.notify()
        self._thread.join(END_S)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is painted or waits to be."""
        with self._news:
            return not (self._orders or self._fills or self._wish or self._current)

    # --- on the background's thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while (wish := self._next()) is not None:
            try:
                self._serve(wish)
            finally:
                with self._news:
                    self._current = None

    def _next(self) -> Wish | None:
        with self._news:
            while not (self._is_over or self._orders or self._wish or self._fills):
                self._news.wait()
            if self._is_over:
                return None
            if self._orders:
                found = self._orders.popleft()
            elif self._wish is not None:
                found, self._wish = self._wish, None
                self._shown = found
            else:
                found = self._fills.popleft()
            self._current = found
            return found

    def _serve(self, wish: Wish) -> None:
        try:
            result = self._ask(wish)
        except wire.WireError as error:
            self._fail(wish, error)
            return
        self._n_failures = 0
        self._tell(wish, lambda: wish.on_done(result))

    def _fail(self, wish: Wish, error: wire.WireError) -> None:
        if error.code == "cancelled":  # which only we do: something newer is wanted
            return
        self._n_failures += 1
        if self._n_failures >= MAX_FAILURES:
            with self._news:
                self._fills.clear()
        self._tell(wish, lambda: wish.on_failed(error))

    def _ask(self, wish: Wish) -> Any:
        if self._engine is not None:
            try:
                return self._answer(self._engine, wish)
            except wire.WireError as error:
                if error.code not in RECOVERABLE or wish.is_dropped.is_set():
                    raise
                self._engine = None  # it has ended since: a new one is started
        self._engine = self._find(lambda _share, message: self._say(message))
        self._say("")
        return self._answer(self._engine, wish)

    def _answer(self, engine: Engine, wish: Wish) -> Any:
        began = time.monotonic()

        def is_obsolete() -> bool:
            if wish.is_dropped.is_set():
                return True
            with self._news:
                is_late = self._wish is not None or bool(self._orders)
            return is_late and time.monotonic() - began > wish.patience_s

        def report(share: float, message: str) -> None:
            self._tell(wish, lambda: wish.on_progress(share, message))

        return engine.answer(wish.make(), report, is_obsolete)

    def _tell(self, wish: Wish, call: Callable[[], None]) -> None:
        def tell() -> None:
            if not wish.is_dropped.is_set():
                call()

        self._deliver(tell)

    def _say(self, message: str) -> None:
        def say() -> None:
            if not self._is_over:
                self._on_state(message)

        self._deliver(say)
