"""Puts the plug-in into a GIMP profile, with what it must know of this computer, and takes it out again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.installer.changes import Changes
from scripts.installer.voice import SetupError

NAME = "impasto"
ENTRY = f"{NAME}.py"
_GENERATED = ("catalog.json", "engine.json")


@dataclass(frozen=True)
class Placed:
    """What was put into one profile.

    Args:
        folder: ``plug-ins/impasto`` of the profile.
        files: names in it.
        made_folders: folders that had to be made for it, outermost first.
    """

    folder: Path
    files: tuple[str, ...]
    made_folders: tuple[Path, ...] = ()


def files_of(source: Path) -> list[str]:
    """Names of the plug-in's own files; GIMP loads them as top-level modules, so no ``__init__.py``."""
    return sorted(
        path.name
        for path in source.iterdir()
        if path.is_file() and not path.name.startswith(("_", ".")) and path.name not in _GENERATED
    )


def launcher(command: list[str], state_dir: Path | None) -> bytes:
    """``engine.json``: how the plug-in starts the engine, and where the engine keeps its state.

    Args:
        command: starts the engine.
        state_dir: None = where each user's is by rule, at the time.
    """
    return _json({"command": command, "state_dir": str(state_dir) if state_dir else None})


def place(
    changes: Changes,
    source: Path,
    profile: Path,
    launcher_json: bytes,
    catalog: dict[str, Any],
    old: Placed | None,
) -> Placed:
    """Put the plug-in into a profile; only what differs is written, what an older version left is removed.

    Args:
        changes: does it, or in a dry run only says it.
        source: ``gimp_plugin`` of the checkout.
        profile: GIMP's folder for one version.
        launcher_json: see ``launcher``.
        catalog: methods and styles that the dialog offers.
        old: what the last set-up put there.

    Raises:
        SetupError: the plug-in's folder is a link to somewhere else.
    """
    folder = profile / "plug-ins" / NAME
    is_link_to_us = folder.is_symlink() and folder.resolve() == source.resolve()
    if folder.is_symlink() and not is_link_to_us:
        raise SetupError(f"{folder} is a link to {folder.resolve()}: remove the link and run this again.")
    made = changes.make_folders(folder)
    contents = {} if is_link_to_us else {name: (source / name).read_bytes() for name in files_of(source)}
    contents |= {"catalog.json": _json(catalog), "engine.json": launcher_json}
    written = [name for name, data in contents.items() if changes.write(folder / name, data, is_program=name == ENTRY)]
    stale = set(old.files) - set(contents) if old else set()
    removed = [name for name in sorted(stale) if changes.remove_file(folder / name)]
    if written or removed:
        changes.announce(f"put the plug-in into {folder}", f"put the plug-in into {folder}")
    else:
        changes.voice.say(f"  The plug-in is up to date: {folder}")
    earlier = old.made_folders if old else ()
    return Placed(folder, tuple(contents), tuple(dict.fromkeys((*earlier, *made))))


def remove(changes: Changes, placed: Placed) -> None:
    """Take the plug-in out of a profile: our files, what Python made of them, folders empty by then."""
    folder = placed.folder
    removed = [name for name in placed.files if changes.remove_file(folder / name)]
    for compiled in sorted((folder / "__pycache__").glob("*.pyc")):
        if compiled.name.split(".")[0] in {Path(name).stem for name in placed.files}:
            changes.remove_file(compiled)
    changes.remove_folder_if_empty(folder / "__pycache__")
    for made in (folder, *reversed(placed.made_folders)):
        changes.remove_folder_if_empty(made)
    if removed:
        changes.announce(f"removed the plug-in from {folder}", f"remove the plug-in from {folder}")


def find_unrecorded(profile: Path, source: Path) -> Placed | None:
    """Our plug-in in a profile of which no record is left."""
    folder = profile / "plug-ins" / NAME
    if folder.is_symlink() or not (folder / ENTRY).is_file():
        return None
    return Placed(folder, (*files_of(source), *_GENERATED))


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
