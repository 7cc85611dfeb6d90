"""The styles that a visitor of the web page chose: a famous painting, a picture or a style file, and one to mix in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gimp_plugin.settings import NONE
from gimp_plugin.wire import MIN_WEIGHT, STYLE_PICTURE_PX, SUFFIX, StyleEntry, StyleRequest, WireError, style_text
from server.page import uploads

if TYPE_CHECKING:
    from server.page.files import PageFiles

PAINTING, PICTURE, FILE = "painting", "picture", "file"
SOURCES = [("A famous painting", PAINTING), ("A picture of mine", PICTURE), ("A style file", FILE)]


@dataclass(frozen=True)
class Chosen:
    """What of the page says which styles are wanted.

    Args:
        source: ``PAINTING``, ``PICTURE`` or ``FILE``.
        preset: name of a famous painting.
        picture, file: uploads, by the paths that the client gave.
        second: name of the painting that is mixed in; ``NONE`` = none.
        mix: its share.
    """

    source: str
    preset: str | None
    picture: str | None
    file: str | None
    second: str | None
    mix: float


def read(chosen: Chosen, catalog: Mapping[str, Any] | None, files: PageFiles, unread: list[str]) -> list[StyleEntry]:
    """The styles by their shares.

    Args:
        catalog: of the engine; None = it is still starting.
        files: which uploads a client may name.
        unread: gets sentences about what of a file was not read.

    Raises:
        WireError: something is not chosen, not there, or not to be read.
    """
    second = chosen.second if chosen.second not in (None, "", NONE) else None
    share = chosen.mix if second is not None else 0.0
    styles = []
    if share < 1:
        styles.append(replace(_first(chosen, catalog, files, unread), weight=max(1 - share, MIN_WEIGHT)))
    if share > 0:
        styles.append(replace(_preset(second, catalog), weight=max(share, MIN_WEIGHT)))
    return styles


def request_to_save(picture: str | None, files: PageFiles) -> StyleRequest:
    """What the engine is asked so that a style picture becomes a style file.

    Raises:
        WireError: there is none, or it cannot be read.
    """
    if picture is None:
        raise WireError("unprocessable", "Choose a style picture first.")
    path = files.find(picture, "style picture")
    plane = uploads.read_picture(path, "style picture", small_px=STYLE_PICTURE_PX)
    return StyleRequest(plane, style_text(path.stem, "My style"))


def names_of(styles: Sequence[StyleEntry]) -> str:
    """As the result's file is named."""
    return " + ".join(style.name for style in styles)


def _first(chosen: Chosen, catalog: Mapping[str, Any] | None, files: PageFiles, unread: list[str]) -> StyleEntry:
    if chosen.source == PAINTING:
        return _preset(chosen.preset, catalog)
    is_file = chosen.source == FILE
    given, what = (chosen.file, "style file") if is_file else (chosen.picture, "style picture")
    if given is None:
        raise WireError("unprocessable", f"Choose a {what} first, or a famous painting.")
    path = files.find(given, what)
    if is_file or path.suffix.lower() == SUFFIX:
        return StyleEntry.of_saved(uploads.read_style(path))
    return _of_picture(path, unread)


def _of_picture(path: Path, unread: list[str]) -> StyleEntry:
    return StyleEntry(path.stem, picture=uploads.read_picture(path, "style picture", unread))


def _preset(name: str | None, catalog: Mapping[str, Any] | None) -> StyleEntry:
    """A famous painting; the first one for a script that names none."""
    if catalog is None:
        raise WireError("starting", "The engine is still starting: try again in a few seconds.")
    names = [style["name"] for style in catalog["styles"]]
    name = name or next(iter(names), None)
    if name is None or name not in names:
        raise WireError("unprocessable", "Choose a painting from the list.")
    return StyleEntry(name, preset=name)
