"""A scripted engine, and the plug-in's client that has found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gimp_plugin.client import Engine
from tests.gimp_plugin.scripted_engine import ScriptedEngine


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ScriptedEngine]:
    server = ScriptedEngine(tmp_path)
    yield server
    server.close()


@pytest.fixture
def engine(server: ScriptedEngine) -> Engine:
    engine = Engine.find(server.state_dir)
    assert engine is not None
    return engine
