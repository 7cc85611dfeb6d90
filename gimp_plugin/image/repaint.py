"""Layers that we painted: what they were made from, and how one is painted again in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gi.repository import Gimp

from gimp_plugin import settings as table
from gimp_plugin import wire
from gimp_plugin.image import canvas, pixels, references, scratch
from gimp_plugin.image.pixels import Box
from gimp_plugin.language import _
from gimp_plugin.wire.changes import changes


@dataclass(frozen=True)
class Painting:
    """A layer that carries our settings.

    Args:
        layer: the painted one.
        settings: how it was made, by the names of the procedure's arguments.
        source: the layer that it was made from; None = it cannot be painted again.
        problem: why it cannot, as a sentence; "" = it can.
    """

    layer: Gimp.Layer
    settings: Mapping[str, Any]
    source: Gimp.Layer | None
    problem: str = ""


def find(image: Gimp.Image, layer: Gimp.Layer) -> Painting | None:
    """What a layer was made from, if it is a painting of ours."""
    settings = read_settings(layer)
    if settings is None:
        return None
    source = _source(image, layer, settings.get("source"))
    if source is None:
        return Painting(layer, settings, None, _("The layer that this painting was made from is gone."))
    problem = _problem(layer, source, settings)
    return Painting(layer, settings, None if problem else source, problem)


def find_all(image: Gimp.Image, drawables: Sequence[Gimp.Drawable]) -> list[Painting]:
    """The paintings, if all that is selected are such; else none."""
    found = [find(image, drawable) for drawable in drawables if isinstance(drawable, Gimp.Layer)]
    paintings = [painting for painting in found if painting is not None]
    return paintings if len(paintings) == len(drawables) else []


def read_settings(layer: Gimp.Layer) -> dict[str, Any] | None:
    """What we wrote into a layer when it was made; None: nothing that can be read."""
    parasite = layer.get_parasite(canvas.SETTINGS_PARASITE)
    if parasite is None:
        return None
    try:
        settings = json.loads(bytes(parasite.get_data()).rstrip(b"\0"))
    except ValueError:
        return None
    return settings if isinstance(settings, dict) else None


def record(source: Gimp.Layer, reading: canvas.Reading) -> dict[str, Any]:
    """What a painting must carry so that its source and its part of it are found again."""
    box = reading.box
    return {"source": references.describe(source), "box": [box.x, box.y, box.width, box.height]}


def start(image: Gimp.Image, layer: Gimp.Layer) -> Painting | None:
    """Like ``find``, for a layer that is to be painted again now.

    Raises:
        WireError: its source is gone, or it is locked.
    """
    painting = find(image, layer)
    if painting is not None and painting.source is None:
        raise pixels.refusal(
            _("{problem} Without change-painting the painting itself is painted over.").format(problem=painting.problem)
        )
    if painting is not None:
        _check_unlocked(layer)
    return painting


def read(image: Gimp.Image, source: Gimp.Layer, painting: Painting) -> canvas.Reading:
    """Read the source where the painting's mask lets something be seen.

    Raises:
        WireError: the mask hides everything.
    """
    mask = mask_of(painting)
    depth = pixels.depth_of(image, source)
    whole = Box(0, 0, source.get_width(), source.get_height())
    box = whole if mask is None else box_of(painting, mask, whole)
    wire.plane_bytes("U8", (box.height, box.width))  # refuses what is too large before it is read
    with scratch.as_seen(image, source) as drawable:
        content = pixels.read(drawable, box, depth.pixels)
    weights = None
    if mask is not None:
        weights = wire.Plane(depth.dtype, (box.height, box.width), pixels.read(mask, box, depth.mask))
    plane = wire.Plane(depth.dtype, (box.height, box.width, 4), content)
    return canvas.Reading((whole.width, whole.height), canvas.offset_of(source), box, depth, plane, weights)


def mask_of(painting: Painting) -> Gimp.LayerMask | None:
    """The mask that says where a painting is seen; None: everywhere."""
    return painting.layer.get_mask() if painting.settings.get("selection-only", True) else None


def box_of(painting: Painting, mask: Gimp.LayerMask, whole: Box) -> Box:
    """The part that was painted the last time, if it holds all of the mask: then what the engine knows is of use."""
    settings = painting.settings
    seen = _bounds(pixels.read(mask, whole, "Y u8"), whole)
    if seen is None:
        raise pixels.refusal(_("The mask of the painting hides all of it: paint some of the mask white."))
    last, reference = settings.get("box"), settings.get("source")
    size = reference.get("size") if isinstance(reference, dict) else None
    if isinstance(last, list) and len(last) == 4 and size == [whole.width, whole.height]:
        box = Box(*(int(value) for value in last))
        if box.x <= seen.x and box.y <= seen.y and _ends(seen)[0] <= _ends(box)[0] and _ends(seen)[1] <= _ends(box)[1]:
            return box
    return seen.padded(max(canvas.PADDING_PX, round(canvas.PADDING_SHARE * max(seen.width, seen.height))), whole)


def replace(
    image: Gimp.Image,
    source: Gimp.Layer,
    painting: Painting,
    reading: canvas.Reading,
    picture: wire.Plane,
    name: str,
    settings: Mapping[str, Any],
) -> Gimp.Layer:
    """Put another painting in the place of one: its mask, position, opacity, mode and effects stay.

    A copy takes the place, because GIMP's undo knows layers that come and go, but not pixels that a plug-in writes.

    Args:
        name: for a layer that still has the name that we gave it; any other name stays.

    Raises:
        WireError: GIMP refused; the image is as it was.
    """
    old = painting.layer
    of_the_mask = [setting.name for setting in table.of("gimp") if setting.group == "area"]  # which stays as it is
    kept = {name: painting.settings[name] for name in of_the_mask if name in painting.settings}
    new = old.copy()
    is_inserted = False
    image.undo_group_start()
    try:
        with scratch.as_seen(image, source) as drawable:
            pixels.copy(drawable, new)  # where nothing is painted the mask can be edited freely
        for part in changes(reading.content, picture):
            box = Box(reading.box.x + part.x, reading.box.y + part.y, part.width, part.height)
            pixels.write(new, box, reading.depth.pixels, part.data)
        given = name if _is_ours(old.get_name(), painting.settings) else old.get_name()
        canvas.attach_settings(new, {**settings, **kept})
        is_inserted = image.insert_layer(new, old.get_parent(), image.get_item_position(old))
        if is_inserted:
            tattoo = old.get_tattoo()
            if new.get_mask() is not None:
                new.set_edit_mask(old.get_edit_mask())
            image.remove_layer(old)
            new.set_name(given)
            new.set_tattoo(tattoo)  # what was painted over the old one is still found
    finally:
        image.undo_group_end()
        if not is_inserted:
            new.delete()
    if not is_inserted:
        raise wire.WireError("failed", _("GIMP did not take the new layer: unlock the layer group, then try again."))
    return new


def _source(image: Gimp.Image, layer: Gimp.Layer, reference: Any) -> Gimp.Layer | None:
    """The layer that a reference means; of paintings of the first versions, which have none, the layer below."""
    below = _below(image, layer)
    if not isinstance(reference, dict):
        return below
    found = references.find_in(image, reference, below, layer)
    return None if found is None or found.get_id() == layer.get_id() else found


def _below(image: Gimp.Image, layer: Gimp.Layer) -> Gimp.Layer | None:
    parent = layer.get_parent()
    siblings = image.get_layers() if parent is None else parent.get_children()
    place = image.get_item_position(layer) + 1
    return siblings[place] if place < len(siblings) else None


def _problem(layer: Gimp.Layer, source: Gimp.Layer, settings: Mapping[str, Any]) -> str:
    name = source.get_name()
    if (layer.get_width(), layer.get_height()) != (source.get_width(), source.get_height()):
        return _('This painting has another size than the layer "{layer}" that it was made from.').format(layer=name)
    if settings.get("selection-only") and layer.get_mask() is None:
        return _("This painting has lost its mask, so what was selected is not known.")
    if type(layer) is not Gimp.Layer:
        return _("This painting is no longer a layer of plain pixels.")
    return ""


def _check_unlocked(layer: Gimp.Layer) -> None:
    """A painting that is to be replaced must not be locked, nor a group that it is in."""
    item = layer
    while item is not None:
        if item.get_lock_content():
            says = (
                _('The group "{group}" is locked: unlock its pixels in the Layers dialog, then run the filter again.')
                if item.is_group()
                else _(
                    'The layer "{layer}" is locked: unlock its pixels in the Layers dialog, then run the filter again.'
                )
            )
            raise pixels.refusal(says.format(group=item.get_name(), layer=item.get_name()))
        item = item.get_parent()


def _ends(box: Box) -> tuple[int, int]:
    return box.x + box.width, box.y + box.height


def _bounds(data: wire.Buffer, whole: Box) -> Box | None:
    """The rectangle around what is not zero in bytes, one a pixel; None: all is."""
    width, plain = whole.width, bytes(data)
    rest = len(plain) - len(plain.lstrip(b"\0"))
    if rest == len(plain):
        return None
    top, bottom = rest // width, (len(plain.rstrip(b"\0")) - 1) // width + 1
    rows = [plain[y * width : (y + 1) * width] for y in range(top, bottom)]
    left = min(width - len(row.lstrip(b"\0")) for row in rows)
    right = max(len(row.rstrip(b"\0")) for row in rows)
    return Box(left, top, right - left, bottom - top)


def _is_ours(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether a layer still has the name that we gave it; GIMP numbers what there is twice."""
    given = settings.get("name")
    if not isinstance(given, str):
        return name.partition("#")[0].rstrip().endswith("(Neural Style)")
    return name == given or (name.startswith(f"{given} #") and name[len(given) + 2 :].isdecimal())
