"""The thread behind the window: the newest wish counts, older answers never come after newer ones, nothing is left."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from gimp_plugin import wire
from gimp_plugin.client import Engine
from gimp_plugin.client.background import MAX_FAILURES, Background, Wish

WAIT_S = 10.0


class Scripted:
    """An engine that answers with what it was asked, when it is told to.

    Args:
        is_held: each job waits until it is let go or cancelled.
    """

    def __init__(self, is_held: bool = False) -> None:
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.go = threading.Event()
        self.began: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.failure: wire.WireError | None = None
        if not is_held:
            self.go.set()

    def answer(self, request: Any, on_progress: Callable[[float, str], None], should_cancel: Callable[[], bool]) -> str:
        name = str(request)
        self.asked.append(name)
        self.began.put(name)
        on_progress(0.5, "half")
        while not self.go.wait(0.005):
            if should_cancel():
                self.cancelled.append(name)
                raise wire.WireError("cancelled", "Cancelled.")
        if self.failure is not None:
            raise self.failure
        return f"{name} painted"


class Loop:
    """The caller's thread: functions are delivered to it, and it calls them when it pleases."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.said: list[str] = []

    def turn_until(self, is_enough: Callable[[], bool]) -> None:
        """Call what is delivered until something is so."""
        end = time.monotonic() + WAIT_S
        while not is_enough():
            try:
                self.calls.get(timeout=0.02)()
            except queue.Empty:
                assert time.monotonic() < end, "waited in vain"


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def make(loop: Loop) -> Iterator[Callable[[Scripted], Background]]:
    """Backgrounds that end with the test."""
    made: list[Background] = []

    def start(engine: Scripted) -> Background:
        def find(report: Callable[[float, str], None]) -> Engine:
            report(0.0, "starting")
            return cast(Engine, engine)

        made.append(Background(find, loop.calls.put, loop.said.append))
        return made[-1]

    yield start
    for background in made:
        background.stop()


def wish(name: str, heard: list[str], patience_s: float = 0.0) -> Wish:
    """One that writes down what it was told."""
    return Wish(
        lambda: cast(Any, name),
        heard.append,
        lambda error: heard.append(f"{name} failed: {error.code}"),
        patience_s=patience_s,
    )


def test_an_answer_is_handed_over_on_the_callers_thread(make: Callable[..., Background], loop: Loop) -> None:
    threads: list[threading.Thread] = []
    background = make(Scripted())
    background.want(Wish(lambda: cast(Any, "a"), lambda _result: threads.append(threading.current_thread())))
    loop.turn_until(lambda: bool(threads))
    assert threads == [threading.current_thread()]
    assert loop.said == ["starting", ""]


def test_of_many_wishes_the_last_is_painted_and_shown_last(make: Callable[..., Background], loop: Loop) -> None:
    engine, heard = Scripted(is_held=True), []  # type: Scripted, list[str]
    background = make(engine)
    background.want(wish("0", heard))
    engine.began.get(timeout=WAIT_S)
    for i in range(1, 200):
        background.want(wish(str(i), heard))
    engine.began.get(timeout=WAIT_S)  # the first was given up for another one
    engine.go.set()
    loop.turn_until(lambda: "199 painted" in heard)
    time.sleep(0.05)
    assert heard[-1] == "199 painted" and heard == sorted(heard, key=lambda text: int(text.split()[0]))
    assert "0" in engine.cancelled
    assert len(engine.asked) < 10  # and not two hundred


def test_what_is_nearly_done_is_shown_though_it_is_no_longer_the_newest(
    make: Callable[..., Background], loop: Loop
) -> None:
    engine, heard = Scripted(is_held=True), []  # type: Scripted, list[str]
    background = make(engine)
    background.want(wish("old", heard, patience_s=WAIT_S))
    engine.began.get(timeout=WAIT_S)
    background.want(wish("new", heard))
    time.sleep(0.1)
    engine.go.set()
    loop.turn_until(lambda: len(heard) == 2)
    assert heard == ["old painted", "new painted"] and not engine.cancelled


def test_a_wish_passes_what_fills_the_gallery_and_an_order_passes_both(
    make: Callable[..., Background], loop: Loop
) -> None:
    engine, heard = Scripted(is_held=True), []  # type: Scripted, list[str]
    background = make(engine)
    background.fill([wish(f"tile {i}", heard, patience_s=WAIT_S) for i in range(5)])
    engine.began.get(timeout=WAIT_S)
    background.want(wish("preview", heard))
    background.order(wish("object", heard, patience_s=WAIT_S))
    engine.go.set()
    loop.turn_until(lambda: len(heard) == 7)
    assert engine.asked == ["tile 0", "object", "preview", *(f"tile {i}" for i in range(1, 5))]


def test_a_dropped_wish_is_given_up_and_its_answer_is_not_shown(make: Callable[..., Background], loop: Loop) -> None:
    engine, heard = Scripted(is_held=True), []  # type: Scripted, list[str]
    background = make(engine)
    background.want(wish("a", heard, patience_s=WAIT_S))
    engine.began.get(timeout=WAIT_S)
    background.drop()
    loop.turn_until(lambda: background.is_idle)
    assert engine.cancelled == ["a"] and not heard
    engine.go.set()
    background.want(wish("b", heard))
    loop.turn_until(lambda: heard == ["b painted"])
    background.want(wish("c", heard))
    loop.turn_until(lambda: background.is_idle)
    background.drop()  # it is painted, but the window has not heard of it yet, or has: both are right
    loop.turn_until(loop.calls.empty)
    assert heard[0] == "b painted" and set(heard) <= {"b painted", "c painted"}


def test_an_error_is_told_and_the_next_wish_is_painted(make: Callable[..., Background], loop: Loop) -> None:
    engine, heard = Scripted(), []  # type: Scripted, list[str]
    engine.failure = wire.WireError("unprocessable", "No.")
    background = make(engine)
    background.want(wish("a", heard))
    loop.turn_until(lambda: heard == ["a failed: unprocessable"])
    engine.failure = None
    background.want(wish("b", heard))
    loop.turn_until(lambda: heard[-1] == "b painted")


def test_a_gallery_that_fails_again_and_again_is_given_up(make: Callable[..., Background], loop: Loop) -> None:
    engine, heard = Scripted(), []  # type: Scripted, list[str]
    engine.failure = wire.WireError("failed", "No.")
    background = make(engine)
    background.fill([wish(str(i), heard) for i in range(50)])
    loop.turn_until(lambda: background.is_idle)
    assert len(engine.asked) == MAX_FAILURES


def test_an_engine_that_is_gone_is_looked_for_again(loop: Loop) -> None:
    dead, alive, heard = Scripted(), Scripted(), []  # type: Scripted, Scripted, list[str]
    engines = [dead, alive]
    background = Background(lambda _report: cast(Engine, engines.pop(0)), loop.calls.put)
    try:
        background.want(wish("a", heard))
        loop.turn_until(lambda: heard == ["a painted"])
        dead.failure = wire.WireError("unreachable", "Gone.")
        background.want(wish("b", heard))
        loop.turn_until(lambda: heard == ["a painted", "b painted"])
        assert alive.asked == ["b"]
    finally:
        background.stop()


def test_after_the_end_nobody_is_told_anything_and_no_job_is_left(loop: Loop) -> None:
    engine, heard = Scripted(is_held=True), []  # type: Scripted, list[str]
    background = Background(lambda _report: cast(Engine, engine), loop.calls.put)
    background.want(wish("a", heard, patience_s=WAIT_S))
    background.fill([wish("tile", heard)])
    engine.began.get(timeout=WAIT_S)
    began = time.monotonic()
    background.stop()
    assert time.monotonic() - began < 1.0 and engine.cancelled == ["a"]
    while not loop.calls.empty():
        loop.calls.get()()
    assert not heard and engine.asked == ["a"]
