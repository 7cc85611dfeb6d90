"""A layer as something that can be written down and found again: after other runs, and after the image was saved."""

from __future__ import annotations

import os
from typing import Any

from gi.repository import Gimp


def describe(layer: Gimp.Layer) -> dict[str, Any]:
    """What a layer is known by, as JSON values. GIMP's numbers are of one session only, its tattoos of one image."""
    return {
        "id": layer.get_id(),
        "session": os.getppid(),
        "tattoo": layer.get_tattoo(),
        "name": layer.get_name(),
        "size": [layer.get_width(), layer.get_height()],
    }


def find_anywhere(reference: dict[str, Any], image: Gimp.Image) -> Gimp.Layer | None:
    """The layer of any open image: by its number in this session, else one of ``image``."""
    number = reference.get("id")
    if reference.get("session") == os.getppid() and isinstance(number, int) and Gimp.Item.id_is_layer(number):
        return Gimp.Layer.get_by_id(number)
    return find_in(image, reference)


def find_in(
    image: Gimp.Image,
    reference: dict[str, Any],
    likely: Gimp.Layer | None = None,
    other: Gimp.Layer | None = None,
) -> Gimp.Layer | None:
    """The layer of an image that a reference means; None: it is gone.

    A tattoo alone is no proof: in a copy of the image all have others. So the name must agree, or at least the size.

    Args:
        likely: where it should be; taken if the name agrees.
        other: a layer that it is not.
    """
    name, size, tattoo = (reference.get(part) for part in ("name", "size", "tattoo"))
    marked = image.get_layer_by_tattoo(tattoo) if isinstance(tattoo, int) and tattoo > 0 else None
    if marked is not None and other is not None and marked.get_id() == other.get_id():
        marked = None
    if marked is not None and marked.get_name() == name:
        return marked
    if likely is not None and likely.get_name() == name:
        return likely
    if marked is not None and [marked.get_width(), marked.get_height()] == size:
        return marked
    named = image.get_layer_by_name(name) if isinstance(name, str) else None
    return named if named is not None and [named.get_width(), named.get_height()] == size else None
