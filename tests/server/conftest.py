"""Engines for tests: one that a module shares, and as many of their own as a test wants."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.running_engine import RunningEngine, start_with_page, wait_until

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunningEngine]]:
    """Start engines in a folder of this test; whatever still runs at its end is stopped."""
    engines: list[RunningEngine] = []

    def start_one(*options: str, folder: Path = tmp_path / "state", **more: Any) -> RunningEngine:
        engines.append(RunningEngine(folder, *options, **more))
        return engines[-1]

    yield start_one
    for engine in engines:
        engine.stop()


@pytest.fixture(scope="module")
def module_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """The engine that a module's tests share."""
    engine = RunningEngine(tmp_path_factory.mktemp("engine") / "state")
    try:
        yield engine.wait_ready()
    finally:
        engine.stop()


@pytest.fixture
def engine(module_engine: RunningEngine) -> Iterator[RunningEngine]:
    """The shared engine; it must be well and hold no working file when a test is through with it."""
    yield module_engine
    assert module_engine.process.poll() is None, module_engine.printed
    wait_until(lambda: module_engine.spooled == [], 5, f"no working file is left: {module_engine.spooled}")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    engine = start_with_page(tmp_path_factory.mktemp("page") / "state")
    try:
        yield engine.wait_ready()
    finally:
        engine.stop()
