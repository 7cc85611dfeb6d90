"""Where things lie on each system: GIMP's profiles and programs, the venv, the launcher.

Every rule is a pure function of (platform, environment, home folder), so that the rules of all systems are
tested on any one of them. ``platform`` is ``sys.platform``: "linux", "win32", "darwin".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePath

Command = tuple[str, ...]

FLATPAK_APP = "org.gimp.GIMP"
GIMP_MINORS = ("3.0", "3.2", "3.4")
"""Releases whose console program is looked for by name; profiles of later ones are found all the same."""

_MAC_APPS = ("GIMP.app", "GIMP3.app")


def profile_roots(platform: str, env: Mapping[str, str], home: PurePath) -> list[PurePath]:
    """The folders that hold one profile per GIMP version (".../3.0", ".../3.2"), most usual first.

    Flatpak's GIMP shares ``~/.config/GIMP`` with the system's; builds of others keep their own. Snap moves
    the home folder: to the revision's own, or to one for all revisions.
    """
    if platform == "win32":
        return [_folder(env, "APPDATA", home, home / "AppData" / "Roaming") / "GIMP"]
    if platform == "darwin":
        return [home / "Library" / "Application Support" / "GIMP"]
    roots = [
        _folder(env, "XDG_CONFIG_HOME", home, home / ".config") / "GIMP",
        home / ".config" / "GIMP",
        home / ".var" / "app" / FLATPAK_APP / "config" / "GIMP",
        home / "snap" / "gimp" / "current" / ".config" / "GIMP",
        home / "snap" / "gimp" / "common" / ".config" / "GIMP",
    ]
    return list(dict.fromkeys(roots))


def is_profile_name(name: str) -> bool:
    """Whether a folder of this name is the profile of a GIMP 3 ("3.0", "3.2"), not of GIMP 2 or 4."""
    return re.fullmatch(r"3\.\d+", name) is not None


def profile_override(env: Mapping[str, str], home: PurePath) -> PurePath | None:
    """The one profile that GIMP is told to use by GIMP3_DIRECTORY; relative paths start at home."""
    chosen = env.get("GIMP3_DIRECTORY")
    return home / chosen if chosen else None


def snap_state(home: PurePath, profile: PurePath) -> PurePath | None:
    """The state folder for a profile of Snap's GIMP, which may not read the home's hidden folders; None for others."""
    snap = home / "snap" / "gimp"
    return snap / "common" / "impasto" if snap in profile.parents else None


def version_of(output: str) -> str | None:
    """The profile version ("3.0") in what ``gimp-console --version`` prints; None if that is no GIMP 3.

    The words before the number are translated; the number is not.
    """
    found = re.search(r"\b(3\.\d+)\.\d+", output)
    return found[1] if found else None


def console_commands(platform: str, env: Mapping[str, str], home: PurePath) -> list[Command]:
    """Commands that may start GIMP without a window; which of them exist is for the caller to see."""
    names = [f"gimp-console-{minor}" for minor in reversed(GIMP_MINORS)] + ["gimp-console-3", "gimp-console"]
    folders: list[PurePath] = []
    others: list[Command] = []
    if platform == "win32":
        folders = [
            _folder(env, "ProgramFiles", home, home.parent) / "GIMP 3" / "bin",
            _folder(env, "LOCALAPPDATA", home, home / "AppData" / "Local") / "Programs" / "GIMP 3" / "bin",
        ]
        names = [f"{name}.exe" for name in names]
    elif platform == "darwin":
        bundles = [root / app for root in (type(home)("/Applications"), home / "Applications") for app in _MAC_APPS]
        folders = [bundle / "Contents" / "MacOS" for bundle in bundles]
    else:
        flatpak = ("flatpak", "run")
        others = [(*flatpak, f"--command=gimp-console-{minor}", FLATPAK_APP) for minor in reversed(GIMP_MINORS)]
    paths = [*names, *(str(folder / name) for folder in folders for name in names)]
    return [*((path,) for path in paths), *others]


def desktop_entry(platform: str, env: Mapping[str, str], home: PurePath) -> PurePath | None:
    """The menu entry that starts the engine, on Linux (GIMP may be in a sandbox that cannot); else None."""
    if platform in ("win32", "darwin"):
        return None
    data = _folder(env, "XDG_DATA_HOME", home, home / ".local" / "share")
    return data / "applications" / "impasto-engine.desktop"


def venv_program(platform: str, venv: Path, name: str) -> Path:
    """A program of the venv: ``bin/name``, or ``Scripts\\name.exe`` on Windows."""
    if platform == "win32":
        return venv / "Scripts" / f"{name}.exe"
    return venv / "bin" / name


def _folder(env: Mapping[str, str], variable: str, home: PurePath, default: PurePath) -> PurePath:
    """The folder that an environment variable names; the default where it is unset or relative."""
    named = type(home)(env.get(variable, ""))
    return named if named.is_absolute() else default
