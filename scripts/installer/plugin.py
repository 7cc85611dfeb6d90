"""Puts the plug-in into a GIMP profile, with what it must know of this computer, and takes it out again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.installer.changes import Changes
from scripts.installer.voice import SetupError

NAME = "impasto"
ENTRY = f"{NAME}.py"  # GIMP runs it; it loads the package beside it
PACKAGE = "gimp_plugin"
CATALOGS = "locale/*/LC_MESSAGES/*.mo"  # what translators write, compiled
_GENERATED = ("catalog.json", "engine.json")


@dataclass(frozen=True)
class Placed:
    """What was put into one profile.

    Args:
        folder: ``plug-ins/impasto`` of the profile.
        files: paths in it, with slashes.
        made_folders: folders that had to be made for it, outermost first.
    """

    folder: Path
    files: tuple[str, ...]
    made_folders: tuple[Path, ...] = ()


def files_of(source: Path) -> list[str]:
    """The plug-in's own files as they are placed: the entry, and beside it the package with its translations."""
    paths = (*source.rglob("[!.]*.py"), *source.glob(CATALOGS))
    names = (path.relative_to(source).as_posix() for path in paths)
    return [ENTRY, *sorted(f"{PACKAGE}/{name}" for name in names if name != ENTRY)]


def thumbnails_of(source: Path) -> list[Path]:
    """The pictures of the styles for the gallery: it shows them until it has painted the user's own picture."""
    return sorted((source.parent / "engine" / "presets" / "thumbnails").glob("*.jpg"))


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
    is_linked = (folder / PACKAGE).is_symlink() and (folder / PACKAGE).resolve() == source.resolve()
    for link in (folder,) if is_linked else (folder, folder / PACKAGE):
        if link.is_symlink():
            raise SetupError(f"{link} is a link to {link.resolve()}: remove the link and run this again.")
    made = changes.make_folders(folder)
    names = [ENTRY] if is_linked else files_of(source)
    contents = {name: (source / name.removeprefix(f"{PACKAGE}/")).read_bytes() for name in names}
    contents |= {f"thumbnails/{path.name}": path.read_bytes() for path in thumbnails_of(source)}
    contents |= {"catalog.json": _json(catalog), "engine.json": launcher_json}
    written = [name for name, data in contents.items() if changes.write(folder / name, data, is_program=name == ENTRY)]
    stale = set(old.files) - set(contents) if old else set()
    removed = _remove_files(changes, folder, stale)
    if written or removed:
        changes.touch(folder / ENTRY)  # GIMP asks for the arguments again only if this file is new
        changes.announce(f"put the plug-in into {folder}", f"put the plug-in into {folder}")
    else:
        changes.voice.say(f"  The plug-in is up to date: {folder}")
    earlier = old.made_folders if old else ()
    return Placed(folder, tuple(contents), tuple(dict.fromkeys((*earlier, *made))))


def remove(changes: Changes, placed: Placed) -> None:
    """Take the plug-in out of a profile: our files, what Python made of them, folders empty by then."""
    folder = placed.folder
    removed = _remove_files(changes, folder, placed.files)
    for made in (folder, *reversed(placed.made_folders)):
        changes.remove_folder_if_empty(made)
    if removed:
        changes.announce(f"removed the plug-in from {folder}", f"remove the plug-in from {folder}")


def _remove_files(changes: Changes, folder: Path, names: Iterable[str]) -> list[str]:
    """Remove files of ours, what Python made of them, and the folders in ``folder`` that are empty then."""
    removed = [name for name in sorted(names) if changes.remove_file(folder / name)]
    for name in names:
        path = folder / name
        for compiled in sorted((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")):
            changes.remove_file(compiled)
    places = {folder / place for name in names for place in Path(name).parents}
    for place in sorted(places, reverse=True):  # the deepest first
        changes.remove_folder_if_empty(place / "__pycache__")
        if place != folder:
            changes.remove_folder_if_empty(place)
    return removed


def find_unrecorded(profile: Path, source: Path) -> Placed | None:
    """Our plug-in in a profile without a record."""
    folder = profile / "plug-ins" / NAME
    if folder.is_symlink() or not (folder / ENTRY).is_file():
        return None
    thumbnails = (f"thumbnails/{path.name}" for path in thumbnails_of(source))
    return Placed(folder, (*files_of(source), *thumbnails, *_GENERATED))


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
