"""The user's own styles: a folder of style files, which outlives every version of GIMP. Standard library only."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gimp_plugin import wire
from gimp_plugin.language import _, mark
from gimp_plugin.wire import Plane, SavedStyle, WireError

MAX_LISTED = 1000
MAX_NAME_BYTES = 100  # of a file, less its suffix and number
FORBIDDEN = frozenset('<>:"/\\|?*')  # in names of files, on one system or another
DEVICES = frozenset(("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))))
NO_HOME = mark("You have no home folder on this computer: set HOME to a folder of yours.")


class Listed(NamedTuple):
    """A style file as a gallery shows it: where it is, its texts, and the thumbnail (H, W, 3) in 8 bits."""

    path: Path
    title: str
    artist: str
    thumbnail: Plane


def folder() -> Path:
    """Where the user's styles are; it need not exist yet.

    Raises:
        WireError: nobody knows the user's home.
    """
    home = wire.home()
    if sys.platform == "win32":
        given, usual = os.environ.get("APPDATA", ""), home and home / "AppData" / "Roaming"
    elif sys.platform == "darwin":
        given, usual = "", home and home / "Library" / "Application Support"
    else:
        given, usual = os.environ.get("XDG_DATA_HOME", ""), home and home / ".local" / "share"
    base = Path(given) if os.path.isabs(given) else usual  # a path that is not absolute has no meaning there
    if base is None:
        raise WireError("unprocessable", _(NO_HOME))
    return base / "impasto" / "styles"


def listed() -> list[Listed]:
    """The user's styles, by title. What is no style file, or a damaged one, is left out."""
    try:
        names = sorted(name for name in os.listdir(folder()) if name.lower().endswith(wire.SUFFIX))
    except (OSError, WireError):
        return []
    found = []
    for path in (folder() / name for name in names[:MAX_LISTED]):
        with suppress(WireError):
            label = wire.unpack_label(wire.read_style_bytes(path))
            found.append(Listed(path, label.title, label.artist, label.thumbnail))
    return sorted(found, key=lambda style: (style.title.casefold(), style.path.name))


def add(path: Path) -> Path:
    """Copy a style file that somebody gave us into the folder, once all of it is checked.

    Returns:
        Its place there. A style that is there already is not copied again, and nothing is overwritten.

    Raises:
        WireError: it is no style file, damaged, or the folder cannot be written.
    """
    data = wire.read_style_bytes(path)
    return _put(data, wire.unpack_style(data).title)


def keep(style: SavedStyle) -> Path:
    """Write a style into the folder; its place there.

    Raises:
        WireError: the folder cannot be written.
    """
    return _put(wire.pack_style(style), style.title)


def _put(data: bytes, title: str) -> Path:
    """Write a checked style file under a name that no other has."""
    place, stem = folder(), _stem(title)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or _("the disk refuses")
        says = _("The folder {folder} cannot be made ({reason}): make it yourself.")
        raise WireError("unprocessable", says.format(folder=place, reason=reason)) from error
    for number in range(1, MAX_LISTED + 1):
        path = place / f"{stem}{'' if number == 1 else f' {number}'}{wire.SUFFIX}"
        if _holds(path, data):
            return path
        try:
            wire.write_style_bytes(path, data)
            return path
        except WireError as error:
            if error.code != "conflict":
                raise
    says = _("There are too many styles called {title}: remove some of {folder}.")
    raise WireError("conflict", says.format(title=title, folder=place))


def _holds(path: Path, data: bytes) -> bool:
    try:
        return wire.read_style_bytes(path) == data
    except WireError:
        return False


def _stem(title: str) -> str:
    """A title as the name of a file on every system, without its suffix."""
    plain = "".join("_" if letter in FORBIDDEN or letter in "\u200c\u200d" else letter for letter in title)
    plain = plain.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore").strip(" .")
    return f"_{plain}" if not plain or plain.partition(".")[0].lower() in DEVICES else plain
