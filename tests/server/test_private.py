"""A state folder that once was open to others: what they may have planted there leads us to no other file."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gimp_plugin import wire
from gimp_plugin.client import Engine, launch
from server.supervisor import spool
from tests.server.running_engine import RunningEngine, picture_request

Start = Callable[..., RunningEngine]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX links and owners")
NOBODY = 65534


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the user that nobody but he may change."""
    path = tmp_path / "victim.txt"
    path.write_text("mine")
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder, open to all as it should not be."""
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.mark.parametrize("how", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_an_engine_writes_through_no_link(start: Start, state: Path, victim: Path, how: Callable[..., None]) -> None:
    victim.chmod(0o644)
    for name in ("engine.log", "worker.log", "engine-start.log", "lock", "token", "engine.json"):
        how(victim, state / name)
    engine = start(folder=state).wait_ready()
    assert engine.paint(picture_request()).report
    engine.stop()
    assert victim.read_text() == "mine" and stat.S_IMODE(victim.stat().st_mode) == 0o644
    assert "listening" in (state / "engine.log").read_text() and not (state / "engine.log").is_symlink()


def test_a_planted_folder_of_jobs_is_not_entered(start: Start, state: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (elsewhere / "keep").write_text("mine")
    (state / "jobs").symlink_to(elsewhere)
    engine = start(folder=state).wait_ready()
    engine.submit(picture_request("sleep 30"))
    assert [path.name for path in elsewhere.iterdir()] == ["keep"]
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755
    assert engine.spooled and not (state / "jobs").is_symlink()
    engine.stop()
    assert (elsewhere / "keep").read_text() == "mine"


def test_a_pipe_in_place_of_a_file_freezes_nobody(start: Start, state: Path) -> None:
    for name in ("engine.log", "worker.log", "lock", "token", "engine.json"):
        os.mkfifo(state / name)
    assert wire.read_endpoint(state) is None and wire.read_token(state) is None
    engine = start(folder=state).wait_ready()
    assert engine.paint(picture_request()).report


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_another_user_is_replaced_or_refused(state: Path) -> None:
    for name in ("engine.log", "lock"):
        (state / name).write_text("planted")
        os.chown(state / name, NOBODY, NOBODY)
    (state / "jobs").mkdir()
    os.chown(state / "jobs", NOBODY, NOBODY)
    spool.make_private(state)
    assert list(state.iterdir()) == []
    mine = state.with_name("mine")
    mine.symlink_to(state)
    spool.make_private(mine)
    os.chown(mine, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(wire.WireError, match="belongs to another user"):
        spool.make_private(mine)
    os.chown(state, NOBODY, NOBODY)
    with pytest.raises(wire.WireError, match="belongs to another user"):
        spool.make_private(state)


PLANTED: dict[str, Callable[[Path, Path], object]] = {
    "a link": lambda path, real: path.symlink_to(real),
    "open to all": lambda path, real: (path.write_bytes(real.read_bytes()), path.chmod(0o666)),
    "open to the group": lambda path, real: (path.write_bytes(real.read_bytes()), path.chmod(0o660)),
    "a pipe": lambda path, real: os.mkfifo(path),
    "a folder": lambda path, real: path.mkdir(),
    "huge": lambda path, real: path.write_bytes(real.read_bytes().ljust(1 << 20)),
}
if hasattr(os, "geteuid") and os.geteuid() == 0:
    PLANTED["another user's"] = lambda path, real: (
        path.write_bytes(real.read_bytes()),
        path.chmod(0o600),
        os.chown(path, NOBODY, NOBODY),
    )


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("name", ["token", "engine.json"])
def test_a_planted_token_or_port_is_not_believed(tmp_path: Path, name: str, kind: str) -> None:
    """Else pixels go to whoever planted it: he knows the token, so his proof is right."""
    real = {"token": "5" * 64, "engine.json": json.dumps({"port": 4711, "pid": 1, "nonce": "a", "version": "1"})}
    for which, text in real.items():
        spool.write_private(tmp_path / which, text)
    assert wire.read_token(tmp_path) == "5" * 64 and wire.read_endpoint(tmp_path) is not None
    source = tmp_path / "source"
    (tmp_path / name).rename(source)
    PLANTED[kind](tmp_path / name, source)
    read: Callable[[Path], object] = wire.read_token if name == "token" else wire.read_endpoint
    assert read(tmp_path) is None and Engine.find(tmp_path) is None


def test_a_backup_by_hard_links_hides_no_engine(tmp_path: Path) -> None:
    spool.write_private(tmp_path / "token", "5" * 64)
    (tmp_path / "lock").touch()
    for name in ("token", "lock"):
        os.link(tmp_path / name, tmp_path / f"{name}.backup")
    spool.make_private(tmp_path)
    assert (tmp_path / "lock").exists() and wire.read_token(tmp_path) == "5" * 64


def test_the_plug_in_writes_its_log_through_no_link(state: Path, victim: Path) -> None:
    (state / launch.LOG_NAME).symlink_to(victim)
    with contextlib.suppress(wire.WireError):
        launch._start(
            launch.Installation((sys.executable, "-c", "print('hello')"), state), timeout_s=2, on_progress=print
        )
    assert victim.read_text() == "mine" and "hello" in (state / launch.LOG_NAME).read_text()
