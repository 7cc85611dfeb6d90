"""What every test may use, the rule that nothing skips silently in CI, and a list of tests that lack the mark slow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

QUICK_S = 5.0  # of computing, in this process and those that it started and that have ended
MARKED = ("slow", "gimp")
_computed: dict[str, float] = {}  # seconds of each test that has no such mark


def skip_or_fail(reason: str) -> None:
    """Skip because something is missing on this machine; fail where everything must run (IMPASTO_NO_SKIP=1)."""
    if os.environ.get("IMPASTO_NO_SKIP") == "1":
        pytest.fail(f"Must not be missing here: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Training and benchmark data that does not ship: the folder IMPASTO_SHARED names."""
    folder = Path(os.environ.get("IMPASTO_SHARED", "/nonexistent")) / "data"
    if not folder.is_dir():
        skip_or_fail("IMPASTO_SHARED names no folder with the project's training data")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the engine notes about this computer goes to a folder of the tests' own, in all processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMPASTO_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def computed_s() -> float:
    """Seconds that processors have worked for this process. Unlike the clock's, another program hardly changes them."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Note what a test without a mark computes."""
    began_s = computed_s()
    try:
        return (yield)
    finally:
        if not any(item.get_closest_marker(name) for name in MARKED):
            _computed[item.nodeid] = computed_s() - began_s


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the tests that are to be marked: a busy machine must not fail them, so it stays a list."""
    slow = sorted(((seconds, name) for name, seconds in _computed.items() if seconds > QUICK_S), reverse=True)
    if slow:
        terminalreporter.section(f"more than {QUICK_S:.0f} s of computing, and not marked slow")
    for seconds, name in slow:
        terminalreporter.line(f"{seconds:5.1f} s  {name}")
