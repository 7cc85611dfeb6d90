"""What every test may use: real photos, a deterministic torch, the rule that nothing skips silently in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


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
