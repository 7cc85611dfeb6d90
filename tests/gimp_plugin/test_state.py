"""The state folder of users whose home cannot be written, or who have none; and what is said where nothing helps."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from gimp_plugin import wire
from gimp_plugin.client import launch
from gimp_plugin.wire import state
from tests.gimp_plugin.test_launch import Home, home

__all__ = ["home"]  # the fixture
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="homes of POSIX")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own, and nothing said about state."""
    for name in ("IMPASTO_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return tmp_path


def _forbid(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make all in a folder read-only, also for root."""
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: real(path, mode) and not (mode & os.W_OK and Path(path).is_relative_to(folder))
    )


def _lose_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)


def test_without_a_home_the_state_is_in_a_private_temporary_folder(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _lose_home(monkeypatch)
    assert wire.home() is None and wire.usual_dir() is None
    assert wire.state_dir() == bare / "temporary" / f"impasto-{os.getuid()}"


@pytest.mark.parametrize("value", ["", "relative/home"])
def test_a_home_that_is_no_full_path_is_none(bare: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HOME", value)
    assert wire.state_dir().is_absolute()


def test_a_home_that_cannot_be_written_is_left_for_the_state_home_or_the_temporary_folder(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / "home").mkdir()
    monkeypatch.setenv("HOME", str(bare / "home"))
    if sys.platform == "linux":
        assert wire.state_dir() == bare / "home" / ".local" / "share" / "impasto"
    _forbid(monkeypatch, bare / "home")
    assert wire.state_dir() == bare / "temporary" / f"impasto-{os.getuid()}"
    monkeypatch.setenv("XDG_STATE_HOME", str(bare / "kept"))
    assert wire.state_dir() == bare / "kept" / "impasto"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert wire.state_dir().parent == bare / "temporary"


@pytest.mark.parametrize("how", ["open", "link", "file", "foreign"])
def test_a_temporary_folder_that_another_may_have_made_is_refused(
    bare: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    _lose_home(monkeypatch)
    place = bare / "temporary" / f"impasto-{os.getuid()}"
    if how == "open":
        place.mkdir()
        place.chmod(0o777)
    elif how == "link":
        (bare / "elsewhere").mkdir(mode=0o700)
        place.symlink_to(bare / "elsewhere")
    elif how == "file":
        place.touch()
    else:
        place.mkdir(mode=0o700)
        monkeypatch.setattr(os, "getuid", lambda: 4711)
        place.rename(bare / "temporary" / "impasto-4711")
    with pytest.raises(wire.WireError, match="not yours alone: remove it, or set IMPASTO_STATE_DIR"):
        wire.state_dir()


def test_the_plug_in_starts_its_engine_on_a_home_that_cannot_be_written(
    home: Home, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.install()  # engine.json names a folder in the home
    _forbid(monkeypatch, home.state.parent / "state")
    home.state.mkdir()
    spare = wire.spare_dir()
    try:
        engine = home.ensure()
        assert wire.read_endpoint(spare) is not None and not (home.state / "engine.json").exists()
        assert home.ensure().port == engine.port
        assert spare.stat().st_mode & 0o777 == 0o700
    finally:
        home.state = spare  # where the engine notes its number


def test_a_state_folder_that_is_a_file_is_named_and_no_new_set_up_asked_for(home: Home) -> None:
    home.install()
    home.state.write_text("a file in the way")
    message = home.refusal()
    home.state.unlink()
    assert f"its folder {home.state} cannot be used (File exists)" in message
    assert "install.py" not in message


def test_what_the_engine_says_about_its_folder_is_passed_on_as_it_is(home: Home) -> None:
    said = "The engine could not start: Read-only file system (/x): set IMPASTO_STATE_DIR to a folder of yours."
    home.install(before=f"sys.exit({said!r})")
    assert home.refusal() == said


def test_a_crash_still_sends_to_the_set_up(home: Home) -> None:
    home.install(before="raise ModuleNotFoundError('No module named: x')")
    assert home.refusal().endswith("run install.py again.")


def test_a_full_disk_is_called_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.install()

    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device", str(home.state / "engine-start.log"))

    monkeypatch.setattr(launch._Child, "_popen", fail)
    assert home.refusal() == f"The disk is full, so the engine cannot be started: make room at {home.state}."


def test_a_snap_that_may_not_read_the_state_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = home.plugin.parent / ".local" / "share" / "impasto"
    (home.plugin / "engine.json").write_text(json.dumps({"command": ["/x/impasto", "serve"], "state_dir": str(hidden)}))
    monkeypatch.setenv("SNAP", "/snap/gimp/1")
    monkeypatch.setenv("SNAP_NAME", "gimp")
    assert f"is a snap, which may not read {hidden}: run `python3 install.py`" in home.refusal()


def test_what_cannot_be_made_is_read_only_and_a_file_in_the_way_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not state.is_read_only(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    assert not state.is_read_only(tmp_path / "file" / "b")
    _forbid(monkeypatch, tmp_path)
    assert state.is_read_only(tmp_path) and state.is_read_only(tmp_path / "a" / "b")
