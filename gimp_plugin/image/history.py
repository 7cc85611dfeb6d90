"""What was painted in an image, newest first: kept with it, so that a look that was liked can be had again."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gi.repository import Gimp

from gimp_plugin.image import view
from gimp_plugin.image.pixels import Box

PARASITE = "impasto-history"
_PERSISTENT = 1  # saved in the XCF file; not undoable: what was tried stays known after Undo
MAX_ENTRIES = 12
SIDE_PX = 96
MAX_BYTES = 200_000  # of all of it


@dataclass(frozen=True)
class Result:
    """One painting.

    Args:
        title: as its layer was called.
        settings: as the layer keeps them.
        jpeg: a small picture of it.
        painted_at: seconds since 1970.
    """

    title: str
    settings: Mapping[str, Any]
    jpeg: bytes
    painted_at: float


def read(image: Gimp.Image) -> list[Result]:
    """The last paintings, newest first. What is broken is left out."""
    parasite = image.get_parasite(PARASITE)
    if parasite is None:
        return []
    try:
        entries = json.loads(bytes(parasite.get_data()).rstrip(b"\0"))
        return [_result(entry) for entry in entries[:MAX_ENTRIES]]
    except (ValueError, LookupError, TypeError):
        return []


def add(image: Gimp.Image, layer: Gimp.Layer, box: Box, settings: Mapping[str, Any]) -> None:
    """Put a painting before the others; one with the same settings goes.

    Args:
        layer: it.
        box: what of it was painted.
        settings: as the layer keeps them.
    """
    scale = SIDE_PX / max(box.width, box.height)
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    jpeg = view.jpeg_of(view.thumbnail(image, layer, box, size))
    plain = {name: value for name, value in settings.items() if name not in ("report", "seconds", "box")}
    new = Result(layer.get_name(), plain, jpeg, time.time())
    others = [old for old in read(image) if _choices(old.settings) != _choices(plain)]
    entries = [_plain(result) for result in [new, *others][:MAX_ENTRIES]]
    while len(data := json.dumps(entries).encode()) > MAX_BYTES and len(entries) > 1:
        entries.pop()
    image.attach_parasite(Gimp.Parasite.new(PARASITE, _PERSISTENT, data))


def _choices(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in ("name", "source")}


def _plain(result: Result) -> dict[str, Any]:
    jpeg = base64.b64encode(result.jpeg).decode()
    return {"title": result.title, "settings": dict(result.settings), "jpeg": jpeg, "painted_at": result.painted_at}


def _result(entry: Any) -> Result:
    settings, jpeg = entry["settings"], base64.b64decode(entry["jpeg"])
    if not isinstance(settings, dict):
        raise TypeError("no settings")
    return Result(str(entry["title"]), settings, jpeg, float(entry["painted_at"]))
