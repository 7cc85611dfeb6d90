"""The user's own styles: a folder that takes friends' files, loses none, and is listed quickly whatever lies in it."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import pytest

from gimp_plugin import wire
from gimp_plugin.choices import own_styles
from gimp_plugin.client import Engine, launch
from gimp_plugin.wire import Plane, WireError
from tests.gimp.fake_engine import FakeEngine
from tests.gimp_plugin.test_style_file import a_style, pixels

posix_only = pytest.mark.skipif(os.name != "posix" or sys.platform == "darwin", reason="folders of other systems")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody's own styles are touched."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path / "AppData"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    return tmp_path


def friend(folder: Path, **more: object) -> Path:
    """A file that somebody sent."""
    path = folder / f"sent{wire.SUFFIX}"
    wire.write_style(path, a_style(**more), replace=True)
    return path


# --- where


def test_the_folder_is_the_users_and_not_of_one_gimp(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_styles.sys, "platform", "linux")
    assert own_styles.folder() == home / ".local" / "share" / "impasto" / "styles"
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    assert own_styles.folder() == home / "data" / "impasto" / "styles"
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert own_styles.folder() == home / ".local" / "share" / "impasto" / "styles"
    monkeypatch.setattr(own_styles.sys, "platform", "darwin")
    assert own_styles.folder() == home / "Library" / "Application Support" / "impasto" / "styles"
    monkeypatch.setattr(own_styles.sys, "platform", "win32")
    assert own_styles.folder() == home / "AppData" / "impasto" / "styles"


def test_without_a_home_there_is_no_folder_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_styles.sys, "platform", "linux")
    monkeypatch.setattr(wire, "home", lambda: None)
    with pytest.raises(WireError, match="set HOME"):
        own_styles.folder()
    assert own_styles.listed() == []


# --- what is there


def test_an_empty_home_has_no_styles() -> None:
    assert own_styles.listed() == [] and not own_styles.folder().exists()


def test_styles_are_listed_by_title_and_what_is_none_is_left_out(home: Path) -> None:
    for title in ("zebra", "Ärmel", "apple"):
        own_styles.add(friend(home, title=title, artist=title.upper()))
    folder = own_styles.folder()
    whole = (folder / f"apple{wire.SUFFIX}").read_bytes()
    (folder / f"broken{wire.SUFFIX}").write_bytes(whole[:-1])
    (folder / f"empty{wire.SUFFIX}").touch()
    (folder / f"folder{wire.SUFFIX}").mkdir()
    (folder / "notes.txt").write_bytes(whole)
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / f"pipe{wire.SUFFIX}")
        (folder / f"lost{wire.SUFFIX}").symlink_to(home / "nowhere")
    found = own_styles.listed()
    assert [style.title for style in found] == ["apple", "zebra", "Ärmel"]
    assert (found[0].artist, found[0].thumbnail) == ("APPLE", a_style().thumbnail)
    assert wire.read_style(found[0].path).title == "apple"


def test_two_hundred_styles_are_listed_in_a_second(home: Path) -> None:
    folder = own_styles.folder()
    folder.mkdir(parents=True)
    data = wire.pack_style(a_style(256, 256, thumbnail=pixels(128, 128)))
    assert len(data) > 200_000
    for number in range(200):
        (folder / f"{number}{wire.SUFFIX}").write_bytes(data)
    began = time.process_time()
    assert len(own_styles.listed()) == 200
    assert time.process_time() - began < 1.0


# --- what comes in


def test_a_friends_file_is_copied_once_and_takes_nobodys_place(home: Path) -> None:
    first = own_styles.add(friend(home, title="Wave"))
    assert own_styles.add(friend(home, title="Wave")) == first
    other = own_styles.add(friend(home, title="Wave", artist="another"))
    assert (first.name, other.name) == (f"Wave{wire.SUFFIX}", f"Wave 2{wire.SUFFIX}")
    assert wire.read_style(first).artist == "Hokusai" and wire.read_style(other).artist == "another"
    assert friend(home).exists()


def test_a_broken_file_is_refused_and_nothing_is_left(home: Path) -> None:
    path = friend(home)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(WireError, match="damaged"):
        own_styles.add(path)
    assert own_styles.listed() == [] and not own_styles.folder().exists()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("../../.bashrc", "_.._.bashrc"),
        ("a/b\\c:d", "a_b_c_d"),
        ("CON", "_CON"),
        ("com1.txt", "_com1.txt"),
        ("...", "_"),
        ("~", "~"),
        ("ü" * 120, "ü" * 50),
    ],
)
def test_any_title_is_a_name_inside_the_folder(home: Path, title: str, name: str) -> None:
    path = own_styles.add(friend(home, title=title))
    assert path.parent == own_styles.folder() and path.name == f"{name}{wire.SUFFIX}"
    assert own_styles.listed()[0].title == title


@posix_only
def test_a_folder_that_cannot_be_made_is_a_sentence(home: Path) -> None:
    (home / ".local").write_text("in the way")
    with pytest.raises(WireError, match="cannot be made"):
        own_styles.add(friend(home))


# --- what is saved


@pytest.fixture
def saving(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, in a Python without GIMP: its room asks for one."""
    for name in ("gi", "gi.repository"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    yield importlib.import_module("gimp_plugin.filter.saving")
    for name in ("gimp_plugin.filter.saving", "gimp_plugin.filter"):
        sys.modules.pop(name, None)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    engine = FakeEngine(tmp_path / "state")
    thread = threading.Thread(target=engine.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setattr(launch, "ensure_engine", lambda on_progress: Engine.find(tmp_path / "state"))
    yield engine
    engine.shutdown()
    engine.server_close()
    thread.join()


PICTURE = Plane("U8", (2, 3, 4), bytes([51, 102, 204, 255] * 6))


def test_a_picture_is_saved_as_what_the_engine_says_of_it(server: FakeEngine, saving: ModuleType) -> None:
    told: list[float] = []
    path = saving.save_style(PICTURE, " My\twave\n", "me", lambda share, _message: told.append(share))
    style = wire.read_style(path)
    assert (style.title, style.artist, path.name) == ("My wave", "me", f"My wave{wire.SUFFIX}")
    assert bytes(style.swatch.data) == bytes([51, 102, 204]) and server.jobs == {}
    assert told == sorted(told) and all(0 <= share <= 1 for share in told)
    assert [listed.path for listed in own_styles.listed()] == [path]
    assert saving.save_style(PICTURE, "\x00").name == f"My style{wire.SUFFIX}"


def test_a_saving_that_is_cancelled_leaves_no_file(server: FakeEngine, saving: ModuleType) -> None:
    with pytest.raises(WireError) as caught:
        saving.save_style(PICTURE, "x", should_cancel=lambda: True)
    assert caught.value.code == "cancelled" and own_styles.listed() == []
