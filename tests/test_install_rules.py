"""install.py: where things lie on each system, what can be wrong, and what the user is told then."""

from __future__ import annotations

import platform
import shutil
import sys
from io import StringIO
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

import install
from scripts.installer import installation, interpreter, pip_output, places
from scripts.installer.changes import Changes
from scripts.installer.environment import Environment
from scripts.installer.voice import SetupError, Voice

LINUX = PurePosixPath("/home/ada")
MAC = PurePosixPath("/Users/ada")
WINDOWS = PureWindowsPath(r"C:\Users\Ada")


# --- where things lie ------------------------------------------------------------------------------------


def test_profiles_on_linux_are_looked_for_in_the_system_flatpak_and_snap_places() -> None:
    assert [str(root) for root in places.profile_roots("linux", {}, LINUX)] == [
        "/home/ada/.config/GIMP",
        "/home/ada/.var/app/org.gimp.GIMP/config/GIMP",
        "/home/ada/snap/gimp/current/.config/GIMP",
        "/home/ada/snap/gimp/common/.config/GIMP",
    ]


def test_linux_honors_an_absolute_config_home_and_still_knows_the_flatpaks() -> None:
    roots = places.profile_roots("linux", {"XDG_CONFIG_HOME": "/data/conf"}, LINUX)
    assert [str(root) for root in roots[:2]] == ["/data/conf/GIMP", "/home/ada/.config/GIMP"]
    relative = places.profile_roots("linux", {"XDG_CONFIG_HOME": "conf"}, LINUX)
    assert str(relative[0]) == "/home/ada/.config/GIMP"


def test_profiles_on_windows_are_in_the_roaming_folder() -> None:
    moved = {"APPDATA": r"D:\Roaming"}
    assert [str(root) for root in places.profile_roots("win32", moved, WINDOWS)] == [r"D:\Roaming\GIMP"]
    assert [str(root) for root in places.profile_roots("win32", {}, WINDOWS)] == [r"C:\Users\Ada\AppData\Roaming\GIMP"]


def test_profiles_on_macos_are_in_application_support() -> None:
    assert [str(root) for root in places.profile_roots("darwin", {}, MAC)] == [
        "/Users/ada/Library/Application Support/GIMP"
    ]


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        ("3.0", True),
        ("3.2", True),
        ("3.14", True),
        ("2.10", False),
        ("4.0", False),
        ("3", False),
        ("3.0-old", False),
    ],
)
def test_only_folders_of_gimp_3_are_profiles(name: str, is_ours: bool) -> None:
    assert places.is_profile_name(name) is is_ours


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("GNU Image Manipulation Program version 3.0.4\n", "3.0"),
        ("GNU Image Manipulation Program Version 3.2.6\n", "3.2"),
        ("GNU Image Manipulation Program version 2.10.34\n", None),
        ("Programme de manipulation d'image GNU version 3.0.2\nusing GEGL 0.4.62", "3.0"),
        ("bash: no such file", None),
    ],
)
def test_the_profile_version_is_read_from_what_gimp_prints(output: str, version: str | None) -> None:
    assert places.version_of(output) == version


def test_a_profile_named_by_the_environment_starts_at_home_if_relative() -> None:
    assert places.profile_override({}, LINUX) is None
    assert str(places.profile_override({"GIMP3_DIRECTORY": "/p"}, LINUX)) == "/p"
    assert str(places.profile_override({"GIMP3_DIRECTORY": "p"}, LINUX)) == "/home/ada/p"


def test_gimp_is_looked_for_where_each_system_puts_it() -> None:
    linux = places.console_commands("linux", {}, LINUX)
    assert linux.index(("gimp-console-3.2",)) < linux.index(("gimp-console-3.0",))  # the newest first
    assert ("flatpak", "run", "--command=gimp-console-3.0", "org.gimp.GIMP") in linux
    windows = places.console_commands("win32", {"ProgramFiles": r"C:\Program Files"}, WINDOWS)
    assert (r"C:\Program Files\GIMP 3\bin\gimp-console-3.0.exe",) in windows
    assert (r"C:\Users\Ada\AppData\Local\Programs\GIMP 3\bin\gimp-console-3.2.exe",) in windows
    assert ("/Applications/GIMP.app/Contents/MacOS/gimp-console-3.0",) in places.console_commands("darwin", {}, MAC)


def test_the_launcher_goes_into_the_menu_of_linux_only() -> None:
    entry = places.desktop_entry("linux", {}, LINUX)
    assert str(entry) == "/home/ada/.local/share/applications/impasto-engine.desktop"
    moved = places.desktop_entry("linux", {"XDG_DATA_HOME": "/data"}, LINUX)
    assert str(moved) == "/data/applications/impasto-engine.desktop"
    assert places.desktop_entry("win32", {}, WINDOWS) is None
    assert places.desktop_entry("darwin", {}, MAC) is None


def test_programs_of_the_environment_are_found_on_windows_too() -> None:
    assert places.venv_program("linux", Path("v"), "impasto") == Path("v/bin/impasto")
    assert places.venv_program("win32", Path("v"), "impasto") == Path("v/Scripts/impasto.exe")


def test_the_launcher_quotes_a_path_as_the_desktop_entry_specification_asks() -> None:
    text = installation.desktop_entry('/home/a b/$x/100%/say "hi"/impasto').decode()
    (line,) = (line for line in text.splitlines() if line.startswith("Exec="))
    # Quoting gives \$ and \" ; the string escape then doubles each backslash; a percent sign is doubled.
    assert line == r'Exec=/usr/bin/env -u PYTHONHOME -u PYTHONPATH "/home/a b/\\$x/100%%/say \\"hi\\"/impasto" serve'


# --- what can be wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "machine", "version", "is_64bit", "words"),
    [
        ("linux", "x86_64", (3, 9), True, "Python 3.9 is too old"),
        ("linux", "x86_64", (3, 15), True, "Python 3.15 is too new"),
        ("win32", "AMD64", (3, 12), False, "32 bits"),
        ("darwin", "x86_64", (3, 12), True, "Intel"),
    ],
)
def test_a_python_that_torch_is_not_made_for_is_refused_in_words(
    platform: str, machine: str, version: tuple[int, int], is_64bit: bool, words: str
) -> None:
    reason = interpreter.reason_against(platform, machine, version, is_64bit)
    assert reason is not None and words in reason


@pytest.mark.parametrize("minor", range(10, 15))
def test_every_python_that_torch_is_made_for_is_accepted(minor: int) -> None:
    assert interpreter.reason_against("linux", "x86_64", (3, minor), True) is None
    assert interpreter.reason_against("darwin", "arm64", (3, minor), True) is None


def test_another_python_on_the_path_is_found_newest_first_if_it_works() -> None:
    there = {"python3.10": "/usr/bin/python3.10", "python3.12": "/usr/bin/python3.12"}
    assert interpreter.find_other(there.get, lambda _command: True) == "/usr/bin/python3.12"
    assert interpreter.find_other(there.get, lambda command: "3.10" in command[0]) == "/usr/bin/python3.10"
    assert interpreter.find_other(there.get, lambda _command: False) is None
    assert interpreter.find_other({}.get, lambda _command: True) is None


@pytest.mark.parametrize(
    ("machine", "version", "restarts"), [("x86_64", (3, 12), 0), ("arm64", (3, 12), 0), ("arm64", (3, 15), 1)]
)
def test_another_python_is_tried_only_where_the_version_is_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, machine: str, version: tuple[int, int], restarts: int
) -> None:
    """On a Mac with an Intel processor one would restart for ever."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    tried: list[str] = []
    monkeypatch.setattr(interpreter, "find_other", lambda: "/usr/bin/python3.11")
    monkeypatch.setattr(interpreter, "restart_with", lambda python: tried.append(python) or 7)
    monkeypatch.setattr("scripts.installer.commands.run", lambda *_args: 0)
    assert install.main(["--dry-run"]) == {"x86_64": 1, "arm64": 7 if restarts else 0}[machine]
    assert len(tried) == restarts


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("WARNING: Retrying ... Failed to establish a new connection: [Errno -3]", "could not be reached"),
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "disk is full"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.", "broke off"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no PyTorch for this Python"),
        ("ssl.SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED", "certificate"),
        ("ERROR: Something odd\n", "Something odd"),
        ("", "without an error message"),
    ],
)
def test_a_failure_of_pip_is_told_in_a_sentence(output: str, words: str) -> None:
    assert words in pip_output.explain_failure(output)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Collecting numpy>=1.26 (from impasto==0.1.0)", "looking for numpy"),
        (
            "  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (190.2 MB)",
            "downloading torch 2.13.0 (190.2 MB)",
        ),
        (
            "  Downloading https://index/a/b/scikit_image-0.26.0-cp311-cp311-x.whl (14 MB)",
            "downloading scikit_image 0.26.0 (14 MB)",
        ),
        ("Progress 50 of 200", "25 %"),
        ("Installing collected packages: a, b, c", "unpacking 3 packages"),
        ("Requirement already satisfied: pip", None),
    ],
)
def test_pips_lines_are_told_in_the_users_words(line: str, words: str | None) -> None:
    assert pip_output.describe(line) == words


def test_only_downloads_that_take_a_while_get_a_line_of_their_own() -> None:
    assert pip_output.is_large_download("downloading torch 2.13.0 (190.2 MB)")
    assert pip_output.is_large_download("downloading torch 2.13.0 (2.1 GB)")
    assert not pip_output.is_large_download("downloading idna 3.1 (66 kB)")
    assert not pip_output.is_large_download("downloading starlette 1.0 (1.2 MB)")


def test_too_little_disk_space_is_told_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text('"torch==2.13.0"')
    usage = shutil.disk_usage(tmp_path)._replace(free=1_200_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(SetupError, match=r"about 2 GB of disk space.*1\.2 GB free"):
        Environment(tmp_path, Changes(Voice(StringIO()))).ensure()
    assert not (tmp_path / ".venv").exists()


def test_a_python_without_venv_pip_and_virtualenv_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('"torch==2.13.0"')
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"sudo apt install python3\.\d+-venv"):
        Environment(tmp_path, Changes(Voice(StringIO()))).ensure()
    assert not (tmp_path / ".venv").exists()


def test_an_environment_that_somebody_else_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('"torch==2.13.0"')
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "mine.txt").write_text("x")
    environment = Environment(tmp_path, Changes(Voice(StringIO())))
    with pytest.raises(SetupError, match="was not made by this set-up"):
        environment.ensure()
    assert not environment.is_ours()
    assert (tmp_path / ".venv" / "mine.txt").exists()
