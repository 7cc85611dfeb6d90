"""From a rough selection, or none, to an object: read what is visible, ask the engine, select what it found."""

from __future__ import annotations

from gi.repository import Gimp, GObject

from gimp_plugin import wire
from gimp_plugin.choices import checks
from gimp_plugin.filter import notes
from gimp_plugin.filter.asking import ask
from gimp_plugin.image import canvas, pixels, scratch
from gimp_plugin.image.pixels import Box
from gimp_plugin.image.watch import Watch
from gimp_plugin.language import _

WHOLE_SIDE_PX = 4096  # a picture up to this side is sent whole: networks know things by what is around them
MIN_LASSO = 0.3  # of its rectangle that an outline fills
_HALF = bytes(128) + bytes([255]) * 128  # a byte -> 255 where it is at least one half
SURROUNDINGS = 1.0  # of a larger one: that many sides of the rectangle around it
_KINDS = {
    Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
    Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
    Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
}


def declare(procedure: Gimp.Procedure) -> None:
    """Tell GIMP the arguments."""
    flags = GObject.ParamFlags.READWRITE
    procedure.add_string_argument(
        "model",
        "_Model",
        "What looks for the object: auto, object, grabcut, sam, sam-vit-l or sam-vit-h",
        "auto",
        flags,
    )
    procedure.add_string_argument(  # no choice: GIMP would take an unknown word for the default, and say nothing
        "edge",
        "_Edge",
        f"How the selection's edge is drawn: soft follows hair and fur. One of: {', '.join(wire.EDGES)}",
        "auto",
        flags,
    )


def select_object(image: Gimp.Image, model: str | None, edge: str | None) -> None:
    """Replace the selection by the object in it, in one undo step; without one, select what stands out.

    Everything that can fail comes first: the image is touched only once the mask is here.

    Args:
        model, edge: None: the usual one.

    Raises:
        WireError: with a sentence for the user; the image is unchanged.
    """
    edge = checks.known("edge", edge or "", [(name, name) for name in wire.EDGES], "auto")
    rough = _bounds(image)
    canvas.start_progress(_("Neural Style: looking at the picture"))
    around = _surroundings(rough, Box(0, 0, image.get_width(), image.get_height()))
    data = scratch.read_visible(image, around)
    request = wire.SegmentRequest(
        wire.Plane("U8", (around.height, around.width, 4), data),
        box=None if rough is None else _within(rough, around),
        model=model or "auto",
        edge=edge,
        lasso=None if rough is None else _lasso(image, rough, around),
    )
    found = ask(request, Watch(image))
    select(image, around, found.mask)
    notes.tell([found.report])


def _bounds(image: Gimp.Image) -> Box | None:
    """The rectangle around what is selected; None = nothing is."""
    if image.get_floating_sel() is not None:
        raise pixels.refusal(_("Something pasted is still floating: choose Layer > Anchor Layer, then run it again."))
    _ok, is_anything, x1, y1, x2, y2 = Gimp.Selection.bounds(image)
    return Box(x1, y1, x2 - x1, y2 - y1) if is_anything else None


def _within(rough: Box, around: Box) -> tuple[int, int, int, int]:
    """A rectangle as left, top, right, bottom in what the engine is shown."""
    left, top = rough.x - around.x, rough.y - around.y
    return left, top, left + rough.width, top + rough.height


def _lasso(image: Gimp.Image, rough: Box, around: Box) -> wire.Plane | None:
    """The selection as an outline; None: a rectangle, or so thin that only the rectangle around it can be meant."""
    inside = bytes(pixels.read(image.get_selection(), rough, pixels.U8.mask)).translate(_HALF)
    share = inside.count(255) / len(inside)
    if not MIN_LASSO <= share < 1:
        return None
    left, top, _right, _bottom = _within(rough, around)
    mask = bytearray(around.width * around.height)
    for row in range(rough.height):
        start = (top + row) * around.width + left
        mask[start : start + rough.width] = inside[row * rough.width : (row + 1) * rough.width]
    return wire.Plane("U8", (around.height, around.width), mask)


def _surroundings(rough: Box | None, whole: Box) -> Box:
    """What the engine is shown."""
    if rough is None or max(whole.width, whole.height) <= WHOLE_SIDE_PX:
        wire.plane_bytes("U8", (whole.height, whole.width))
        return whole
    around = rough.padded(round(SURROUNDINGS * max(rough.width, rough.height)), whole)
    wire.plane_bytes("U8", (around.height, around.width))  # refuses what is too large before it is read
    return around


def select(image: Gimp.Image, around: Box, mask: wire.Plane) -> None:
    """Make a mask the selection.

    GIMP selects by items of the image only, so a layer that is opaque where the mask is comes and goes within the undo
    step; a layer and no channel, since taking a channel back leaves the user without a selected layer (GIMP 3.2).
    """
    chosen = image.get_selected_layers()
    parent = chosen[0].get_parent() if chosen else None
    position = image.get_item_position(chosen[0]) if chosen else 0
    kind = _KINDS[image.get_base_type()]
    size = image.get_width(), image.get_height()
    layer = Gimp.Layer.new(image, "object", *size, kind, 100.0, Gimp.LayerMode.NORMAL)
    image.undo_group_start()
    try:
        layer.set_visible(False)
        image.insert_layer(layer, parent, position)
        pixels.write(layer, around, "A u8", mask.data)
        image.select_item(Gimp.ChannelOps.REPLACE, layer)
        image.set_selected_layers(chosen)
        image.remove_layer(layer)
    finally:
        image.undo_group_end()
