"""The plug-in in each of GIMP's profiles: is it there, is it this version's, and which Python does GIMP take for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gimp_plugin import wire
from server.checks.finding import AGAIN, Finding
from server.checks.folders import recorded_plugins

WHAT = "Plug-in"
MISSING = "GIMP's menu has no Neural Style without it."
SOURCE = Path(wire.__file__).parent.parent
PACKAGE = SOURCE.name
PACKAGES = "on Debian and Ubuntu: sudo apt install gir1.2-gimp-3.0 python3-gi"
FLATPAK, SNAP = "/.var/app/", "/snap/gimp/"


def check_plugins() -> Iterator[Finding]:
    """Where install.py has put the plug-in, and whether it is still there and finds its engine."""
    folders = recorded_plugins()
    if not folders:
        yield Finding(None, WHAT, "in no GIMP yet: python3 install.py puts it there.")
    for folder in folders:
        yield _plugin_in(folder)
    known = {folder.resolve() for folder in folders}
    for profile in profiles():
        folder = profile / "plug-ins" / "impasto"
        if folders and folder.resolve() not in known:
            is_there = (folder / "impasto.py").is_file()
            text = f"{folder} was put there by hand" if is_there else f"GIMP's profile {profile} has none"
            yield Finding(is_there or False, WHAT, text, "" if is_there else MISSING, "" if is_there else AGAIN)


def _plugin_in(folder: Path) -> Finding:
    if fault := _out_of_menu(folder) or _without_engine(folder) or _not_of_today(folder):
        return fault
    sandbox = " (Flatpak)" if FLATPAK in f"{folder}/" else " (Snap)" if SNAP in f"{folder}/" else ""
    how = "Start the engine from the applications menu, or with `impasto serve`: it may not." if sandbox else ""
    return Finding(True, WHAT, f"{folder}{sandbox}", "", how)


def _out_of_menu(folder: Path) -> Finding | None:
    entry = folder / "impasto.py"
    if not entry.is_file():
        return Finding(False, WHAT, f"{folder} has lost it", MISSING, AGAIN)
    if sys.platform != "win32" and not entry.stat().st_mode & 0o100:
        return Finding(False, WHAT, f"{entry} may not be run", "GIMP leaves it out of its menu.", AGAIN)
    return None


def _without_engine(folder: Path) -> Finding | None:
    starter = _json(folder / "engine.json")
    try:
        program = Path(starter["command"][0])
    except (KeyError, IndexError, TypeError):
        return Finding(False, WHAT, f"{folder} does not say how to start the engine", "It cannot paint.", AGAIN)
    if not program.is_file():
        return Finding(False, WHAT, f"{folder} starts {program}, which is gone", "It cannot paint.", AGAIN)
    if SNAP in f"{folder}/" and any(part.startswith(".") for part in Path(starter.get("state_dir") or "").parts):
        text = f"{folder} keeps the engine's state in {starter['state_dir']}"
        return Finding(False, WHAT, text, "Snap's GIMP may not read hidden folders of the home.", AGAIN)
    return None


def _not_of_today(folder: Path) -> Finding | None:
    if old := _differing(folder):
        text = f"{folder} is not of this version ({', '.join(old[:4])}{' and others' if len(old) > 4 else ''})"
        return Finding(False, WHAT, text, "Plug-in and engine may not understand each other.", AGAIN)
    if _offer(_json(folder / "catalog.json")) != _offer(_catalog()):
        text = f"{folder}/catalog.json is older than the engine"
        return Finding(False, WHAT, text, "The dialog does not offer what the engine can do.", AGAIN)
    return None


def _differing(folder: Path) -> list[str]:
    """Files of the plug-in that are not ours of today."""
    names = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
    placed = {name: folder / ("" if name == "impasto.py" else PACKAGE) / name for name in names}
    return [name for name, path in placed.items() if _bytes(path) != (SOURCE / name).read_bytes()]


def _offer(catalog: Any) -> Any:
    """What of a catalog the dialog shows, but for what fetching a model changes."""
    if not isinstance(catalog, dict):
        return None
    methods = [{**method, "is_ready": None} for method in catalog.get("methods", []) if isinstance(method, dict)]
    return catalog.get("version"), methods, catalog.get("styles")


def _catalog() -> Any:
    from server.commands.catalog import read_catalog  # noqa: PLC0415  (torch)

    return json.loads(json.dumps(read_catalog()))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def profiles() -> list[Path]:
    """GIMP 3's profiles in their usual places."""
    home = wire.home()
    if os.environ.get("GIMP3_DIRECTORY"):
        return [(home or Path()) / os.environ["GIMP3_DIRECTORY"]]
    roots = [Path(os.environ[name]) / "GIMP" for name in ("XDG_CONFIG_HOME", "APPDATA") if os.environ.get(name)]
    if home is not None:
        places = (".config", ".var/app/org.gimp.GIMP/config", "snap/gimp/current/.config", "snap/gimp/common/.config")
        roots += [home / place / "GIMP" for place in (*places, "Library/Application Support")]
    found: dict[Path, Path] = {}
    for root in roots:
        children = sorted(root.iterdir()) if os.path.isdir(root) and os.access(root, os.R_OK) else []
        for path in children:
            if re.fullmatch(r"3\.\d+", path.name) and path.is_dir():
                found.setdefault(path.resolve(), path)
    return list(found.values())


def check_gimps_python() -> Iterator[Finding]:
    """The Python that GIMP takes for the plug-in. Windows, macOS, Flatpak and Snap bring one of their own."""
    what = "GIMP's Python"
    if not sys.platform.startswith("linux"):
        return
    native = [path for path in recorded_plugins() if FLATPAK not in f"{path}/" and SNAP not in f"{path}/"]
    names = ("gimp", "gimp-3.0", "gimp-3.2", "gimp-console-3.0", "gimp-console-3.2", "gimp-console")
    if not native or not any(shutil.which(name) for name in names):
        return
    first = shutil.which("python3")
    if first is None:
        yield Finding(False, what, "the PATH has no `python3`", "GIMP starts plug-ins with it.", "Install Python 3.")
        return
    taken = _ask([first, str(native[0] / PACKAGE / "interpreter.py")])
    has_gi = _ask([first, "-c", "import gi; gi.require_version('Gimp', '3.0'); print('yes')"]) == "yes"
    if not taken:
        text = f"{first} has no gi with GIMP 3's bindings, and no other python3 has"
        yield Finding(False, what, text, MISSING, f"Install GIMP's Python support ({PACKAGES}).")
    elif has_gi:
        yield Finding(True, what, taken)
    else:
        text = f"`python3` is {first} here, which has no gi; Neural Style takes {taken}"
        advice = "GIMP's own Python plug-ins need a PATH in which the system's python3 is first."
        yield Finding(None, what, text, "", advice)


def _ask(command: list[str]) -> str:
    try:
        answer = subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
