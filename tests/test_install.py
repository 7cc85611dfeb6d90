"""install.py: a whole life (install, upgrade, uninstall) in a home of its own.

The environment is a stand-in (a folder with a small ``impasto`` program) where pip would take minutes; the
real one is made by ``python3 install.py demo``, which CI runs in a fresh clone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from gimp_plugin import wire
from scripts.installer import commands, gimps, places, plugin
from scripts.installer.changes import Changes
from scripts.installer.installation import Setup, install, uninstall
from scripts.installer.voice import SetupError, Voice

ROOT = Path(__file__).resolve().parent.parent
CATALOG = {"version": "0.1.0", "methods": [{"name": "anystyle"}], "styles": [{"name": "starry-night"}]}

posix_only = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for GIMP and the engine are shell scripts")


@dataclass
class StandIn:
    """An environment without pip: a folder with an ``impasto`` that prints a catalog."""

    folder: Path
    changes: Changes

    def program(self, name: str) -> Path:
        return self.folder / "bin" / name

    def is_ours(self) -> bool:
        return True

    def ensure(self, extras: tuple[str, ...] = ()) -> None:
        if self.changes.is_dry or self.folder.exists():
            return
        (self.folder / "bin").mkdir(parents=True)
        _write_program(self.program("impasto"), f"echo '{json.dumps(CATALOG)}'")


def _write_program(path: Path, shell: str) -> None:
    path.write_text(f"#!/bin/sh\n{shell}\n")
    path.chmod(0o755)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a GIMP 3.0 profile, a GIMP 2.10 profile and things of the user's; no GIMP on the PATH."""
    home = tmp_path / "home"
    for profile in ("3.0", "2.10"):
        (home / ".config" / "GIMP" / profile / "plug-ins" / "others").mkdir(parents=True)
        (home / ".config" / "GIMP" / profile / "gimprc").write_text("(mine)")
    (home / ".local").mkdir()
    for name in ("IMPASTO_STATE_DIR", "GIMP3_DIRECTORY", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "mkdir").symlink_to(shutil.which("mkdir") or "/bin/mkdir")
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    monkeypatch.setattr(places, "GIMP_MINORS", ("3.0",))
    return home


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What install.py needs of the checkout."""
    root = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", "catalog.json", "engine.json")
    shutil.copytree(ROOT / "gimp_plugin", root / "gimp_plugin", ignore=ignored)
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=ignored)
    for name in ("install.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    return root


def _setup(checkout: Path, home: Path, is_dry: bool = False, gimp_dir: Path | None = None) -> tuple[Setup, StringIO]:
    said = StringIO()
    changes = Changes(Voice(said), is_dry)
    carrier = StandIn(checkout / ".venv", changes)
    return Setup(checkout, changes, carrier, gimp_dir, (), "linux", os.environ, home), said


def _tree(*folders: Path) -> dict[str, str]:
    """Every path below the folders with kind, mode, content and time of change."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            info = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "-"
            when = info.st_mtime_ns if path.is_file() else 0
            found[str(path)] = f"{stat.filemode(info.st_mode)} {content} {when}"
    return found


def _fake_gimp(home: Path, knows: bool = True, makes_profile: bool = False) -> None:
    """A gimp-console-3.0 that answers --version, and a batch as the real one would."""
    answer = "impasto procedure is known" if knows else "impasto procedure is unknown"
    profile = home / ".config" / "GIMP" / "3.0"
    make = f'mkdir -p "{profile}/plug-ins"' if makes_profile else ":"
    _write_program(
        home.parent / "programs" / "gimp-console-3.0",
        f'if [ "$1" = --version ]; then echo "GNU Image Manipulation Program version 3.0.4"; exit; fi\n'
        f"{make}\necho 'ImportError: no json'\necho 'stale context'\necho '{answer}'",
    )


@posix_only
def test_a_dry_run_changes_nothing_and_says_what_it_would(home: Path, checkout: Path) -> None:
    before = _tree(home.parent)
    setup, said = _setup(checkout, home, is_dry=True)
    install(setup)
    uninstall(setup)
    assert _tree(home.parent) == before
    assert f"would put the plug-in into {home}/.config/GIMP/3.0/plug-ins/impasto" in said.getvalue()


@posix_only
def test_the_dry_run_of_the_command_changes_nothing(home: Path, checkout: Path) -> None:
    before = _tree(home.parent)
    for arguments in (
        ["--dry-run"],
        ["demo", "--dry-run"],
        ["test", "--dry-run"],
        ["--uninstall", "--dry-run"],
    ):
        answer = subprocess.run(
            [sys.executable, "-B", checkout / "install.py", *arguments],
            env={**os.environ, "HOME": str(home)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
        assert "would" in answer.stdout or "Nothing was changed" in answer.stdout
    assert _tree(home.parent) == before


@posix_only
def test_the_plug_in_arrives_with_launcher_catalog_and_execute_bit(home: Path, checkout: Path) -> None:
    setup, _ = _setup(checkout, home)
    install(setup)
    folder = home / ".config" / "GIMP" / "3.0" / "plug-ins" / "impasto"
    assert {path.name for path in folder.iterdir()} == {"impasto.py", "gimp_plugin", "catalog.json", "engine.json"}
    sources = {path.relative_to(ROOT): path for path in (ROOT / "gimp_plugin").rglob("*.py")}
    sources[Path("impasto.py")] = sources.pop(Path("gimp_plugin/impasto.py"))
    sources |= {path.relative_to(ROOT): path for path in (ROOT / "gimp_plugin").rglob("*.mo")}
    placed = {path.relative_to(folder) for pattern in ("*.py", "*.mo") for path in folder.rglob(pattern)}
    assert placed == set(sources) and Path("gimp_plugin/locale/de/LC_MESSAGES/impasto.mo") in placed
    for name, source in sources.items():
        assert (folder / name).read_bytes() == source.read_bytes()
    assert json.loads((folder / "catalog.json").read_text()) == CATALOG
    assert json.loads((folder / "engine.json").read_text()) == {
        "command": [str(checkout / ".venv" / "bin" / "impasto"), "serve"],
        "state_dir": str(home / ".local" / "share" / "impasto"),
    }
    assert os.access(folder / "impasto.py", os.X_OK)
    assert not (home / ".config" / "GIMP" / "2.10" / "plug-ins" / "impasto").exists()
    entry = (home / ".local" / "share" / "applications" / "impasto-engine.desktop").read_text()
    assert f'"{checkout}/.venv/bin/impasto" serve\n' in entry
    assert stat.S_IMODE((home / ".local" / "share" / "impasto").stat().st_mode) == 0o700


@posix_only
def test_a_second_install_rewrites_nothing(home: Path, checkout: Path) -> None:
    install(_setup(checkout, home)[0])
    first = _tree(home, checkout)
    setup, said = _setup(checkout, home)
    install(setup)
    assert _tree(home, checkout) == first
    assert "up to date" in said.getvalue()


@posix_only
def test_an_upgrade_rewrites_what_changed_and_takes_old_files_away(home: Path, checkout: Path) -> None:
    (checkout / "gimp_plugin" / "oldpart.py").write_text("OLD = 1\n")
    install(_setup(checkout, home)[0])
    folder = home / ".config" / "GIMP" / "3.0" / "plug-ins" / "impasto"
    assert (folder / "gimp_plugin" / "oldpart.py").exists()
    os.utime(folder / "impasto.py", (1, 1))
    (folder / "mine.txt").write_text("the user's")
    untouched = (folder / "gimp_plugin" / "wire" / "state.py").stat().st_mtime_ns
    (checkout / "gimp_plugin" / "oldpart.py").unlink()
    (checkout / "gimp_plugin" / "newpart.py").write_text("NEW = 1\n")
    install(_setup(checkout, home)[0])
    assert not (folder / "gimp_plugin" / "oldpart.py").exists()
    assert (folder / "gimp_plugin" / "newpart.py").read_text() == "NEW = 1\n"
    assert (folder / "mine.txt").exists()
    assert (folder / "gimp_plugin" / "wire" / "state.py").stat().st_mtime_ns == untouched
    assert (folder / "impasto.py").stat().st_mtime > 1  # or GIMP would not ask for the arguments again
    first = _tree(home, checkout)
    install(_setup(checkout, home)[0])
    assert _tree(home, checkout) == first


@posix_only
def test_an_upgrade_takes_away_the_plug_in_of_one_folder(home: Path, checkout: Path) -> None:
    """Version 0.1 had all its files beside the entry."""
    folder = home / ".config" / "GIMP" / "3.0" / "plug-ins" / "impasto"
    (folder / "__pycache__").mkdir(parents=True)
    for name in ("impasto.py", "wire.py", "__pycache__/wire.cpython-313.pyc"):
        (folder / name).write_bytes(b"old")
    state = home / ".local" / "share" / "impasto"
    state.mkdir(parents=True)
    plugins = [{"folder": str(folder), "files": ["impasto.py", "wire.py"], "made_folders": [str(folder)]}]
    record = {"plugins": plugins, "desktop_entry": None, "made_folders": [], "is_state_ours": True}
    (state / "install.json").write_text(json.dumps(record))
    install(_setup(checkout, home)[0])
    assert {path.name for path in folder.iterdir()} == {"impasto.py", "gimp_plugin", "catalog.json", "engine.json"}


@posix_only
def test_uninstall_takes_away_exactly_what_install_made(home: Path, checkout: Path) -> None:
    before = _tree(home, checkout)
    install(_setup(checkout, home)[0])
    install(_setup(checkout, home)[0])  # twice: what the first run made must still be known
    state = home / ".local" / "share" / "impasto"
    (state / "token").write_text("0" * 64)  # what the engine and GIMP's Python leave
    (state / "jobs").mkdir()
    cache = home / ".config" / "GIMP" / "3.0" / "plug-ins" / "impasto" / "gimp_plugin" / "wire" / "__pycache__"
    cache.mkdir()
    (cache / "state.cpython-313.pyc").write_bytes(b"x")
    uninstall(_setup(checkout, home)[0])
    assert _tree(home, checkout) == before


@posix_only
def test_uninstall_leaves_what_the_user_put_among_ours(home: Path, checkout: Path) -> None:
    install(_setup(checkout, home)[0])
    folder = home / ".config" / "GIMP" / "3.0" / "plug-ins" / "impasto"
    (folder / "notes.txt").write_text("the user's")
    uninstall(_setup(checkout, home)[0])
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@posix_only
def test_uninstall_finds_the_plug_in_when_the_record_is_lost(home: Path, checkout: Path) -> None:
    install(_setup(checkout, home)[0])
    shutil.rmtree(home / ".local" / "share" / "impasto")
    uninstall(_setup(checkout, home)[0])
    assert not (home / ".config" / "GIMP" / "3.0" / "plug-ins" / "impasto").exists()
    assert (home / ".config" / "GIMP" / "3.0" / "plug-ins" / "others").is_dir()


@posix_only
def test_a_state_folder_of_the_users_choice_keeps_the_users_files(
    home: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = home / "stuff"
    chosen.mkdir()
    (chosen / "thesis.txt").write_text("the user's")
    monkeypatch.setenv("IMPASTO_STATE_DIR", str(chosen))
    install(_setup(checkout, home)[0])
    assert (chosen / "install.json").exists()
    uninstall(_setup(checkout, home)[0])
    assert [path.name for path in chosen.iterdir()] == ["thesis.txt"]


@posix_only
def test_an_explicit_profile_is_the_only_one_touched(home: Path, checkout: Path) -> None:
    elsewhere = home / "portable" / "profile"
    install(_setup(checkout, home, gimp_dir=elsewhere)[0])
    assert (elsewhere / "plug-ins" / "impasto" / "gimp_plugin" / "wire" / "state.py").exists()
    assert not (home / ".config" / "GIMP" / "3.0" / "plug-ins" / "impasto").exists()
    uninstall(_setup(checkout, home, gimp_dir=elsewhere)[0])
    assert not (home / "portable").exists()


@posix_only
def test_a_link_to_the_checkout_is_served_without_copies(home: Path, checkout: Path) -> None:
    folder = home / ".config" / "GIMP" / "3.0" / "plug-ins" / "impasto"
    folder.mkdir()
    (folder / "gimp_plugin").symlink_to(checkout / "gimp_plugin")
    before = _tree(checkout)
    install(_setup(checkout, home)[0])
    assert {path.name for path in folder.iterdir()} == {"impasto.py", "gimp_plugin", "catalog.json", "engine.json"}
    uninstall(_setup(checkout, home)[0])
    assert [path.name for path in folder.iterdir()] == ["gimp_plugin"]
    assert _tree(checkout) == before


@posix_only
def test_a_link_to_somewhere_else_is_named_and_left_alone(home: Path, checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = home / ".config" / "GIMP" / "3.0" / "plug-ins" / "impasto"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SetupError, match=r"is a link to .*elsewhere"):
        install(_setup(checkout, home)[0])
    assert list((tmp_path / "elsewhere").iterdir()) == []


@posix_only
def test_without_any_gimp_the_user_is_told_so(home: Path, checkout: Path) -> None:
    shutil.rmtree(home / ".config" / "GIMP" / "3.0")
    setup, said = _setup(checkout, home)
    install(setup)
    assert "no GIMP 3 was found" in said.getvalue()


@posix_only
def test_the_registration_is_proved_by_gimp_itself(home: Path, checkout: Path) -> None:
    _fake_gimp(home, knows=True)
    setup, said = _setup(checkout, home)
    install(setup)
    assert "GIMP 3.0 knows the filter." in said.getvalue()
    assert "Filters > Artistic > Neural Style..." in said.getvalue()


@posix_only
def test_a_gimp_that_does_not_take_the_plug_in_up_is_an_error(home: Path, checkout: Path) -> None:
    _fake_gimp(home, knows=False)
    with pytest.raises(SetupError, match=r"GIMP 3\.0 started, but did not take the plug-in up: ImportError: no json"):
        install(_setup(checkout, home)[0])


def _said_without_a_profile(home: Path, checkout: Path, *, makes_profile: bool) -> str:
    """What an installation says for a GIMP that was never started; when it is, it makes its profile, or does not."""
    shutil.rmtree(home / ".config" / "GIMP" / "3.0")
    _fake_gimp(home, makes_profile=makes_profile)
    setup, said = _setup(checkout, home)
    install(setup)
    return said.getvalue()


@posix_only
def test_a_gimp_that_was_never_started_makes_its_own_profile_first(home: Path, checkout: Path) -> None:
    assert "GIMP 3.0 was never started" in _said_without_a_profile(home, checkout, makes_profile=True)
    assert (home / ".config" / "GIMP" / "3.0" / "plug-ins" / "impasto" / "impasto.py").exists()


@posix_only
def test_a_gimp_that_makes_no_profile_is_told_to_be_started_by_hand(home: Path, checkout: Path) -> None:
    assert "GIMP 3.0 made no profile" in _said_without_a_profile(home, checkout, makes_profile=False)
    assert not (home / ".config" / "GIMP" / "3.0").exists()  # made by us it would keep GIMP from its own set-up


@posix_only
def test_an_engine_that_says_nothing_is_an_error_and_touches_no_profile(home: Path, checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    _write_program(checkout / ".venv" / "bin" / "impasto", "echo oops >&2; exit 1")
    with pytest.raises(SetupError, match="The engine does not say what it offers"):
        install(_setup(checkout, home)[0])
    assert not (home / ".config" / "GIMP" / "3.0" / "plug-ins" / "impasto").exists()


def test_profiles_that_are_links_to_each_other_are_filled_once(tmp_path: Path) -> None:
    (tmp_path / "a" / "3.0").mkdir(parents=True)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert gimps.find_profiles([tmp_path / "a", tmp_path / "b", tmp_path / "none"]) == [tmp_path / "a" / "3.0"]


def test_a_file_that_cannot_be_written_whole_is_not_written_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "engine.json"
    target.write_bytes(b"old")

    def fail(_source: str, _target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        Changes(Voice(StringIO())).write(target, b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"engine.json": b"old"}


def test_leftovers_among_the_plug_ins_files_stay_behind(tmp_path: Path) -> None:
    for name in ("impasto.py", "__init__.py", "wire/state.py", "wire/.hidden.py", "__pycache__/a.pyc", "catalog.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert plugin.files_of(tmp_path) == ["impasto.py", "gimp_plugin/__init__.py", "gimp_plugin/wire/state.py"]


def test_what_became_of_the_gimp_tests_is_said_plainly() -> None:
    report = """<testsuites><testsuite>
        <testcase classname="tests.test_house" name="a"/>
        <testcase classname="tests.gimp.test_plugin" name="b"/>
        <testcase classname="tests.gimp.test_plugin" name="c"><skipped message="no GIMP 3.2 here"/></testcase>
        <testcase classname="tests.gimp.test_window" name="d"><skipped message="no GIMP 3.2 here"/></testcase>
    </testsuite></testsuites>"""
    assert commands.gimp_sentence(report).splitlines() == [
        "Tests in a real GIMP: 1 ran, 2 did not.",
        "  did not run (2): no GIMP 3.2 here",
    ]


def test_the_state_folder_is_the_one_that_the_plug_in_knows(home: Path) -> None:
    if sys.platform == "linux":
        assert wire.state_dir() == home / ".local" / "share" / "impasto"
