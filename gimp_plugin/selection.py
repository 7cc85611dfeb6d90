"""From a rough selection to the object in it: read what is visible there, ask the engine, select what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Gegl, Gimp, GObject  # noqa: E402

if TYPE_CHECKING or __package__:
    from . import canvas, launch, pixels, scratch, wire
    from .pixels import Box
else:
    import canvas
    import launch
    import pixels
    import scratch
    import wire
    from pixels import Box

WHOLE_SIDE_PX = 4096  # a picture up to this side is sent whole: networks know things by what is around them
SURROUNDINGS = 1.0  # of a larger one: that many sides of the rectangle around it
_START_SHARE = 0.05  # of the progress bar: finding the engine


def declare(procedure: Gimp.Procedure) -> None:
    """Tell GIMP the arguments."""
    flags = GObject.ParamFlags.READWRITE
    procedure.add_string_argument(
        "model", "_Model", "What looks for the object: auto, grabcut, sam, sam-vit-l or sam-vit-h", "auto", flags
    )
    procedure.add_choice_argument(
        "edge", "_Edge", "How the selection's edge is drawn: soft follows hair and fur", _edges(), "auto", flags
    )


def select_object(image: Gimp.Image, model: str, edge: str) -> None:
    """Replace the selection by the object in its bounding rectangle, in one undo step.

    Everything that can fail comes first: the image is touched only once the mask is here.

    Raises:
        WireError: with a sentence for the user; the image is unchanged.
    """
    rough = _bounds(image)
    canvas.start_progress("Neural Style: looking at the picture")
    around = _surroundings(rough, Box(0, 0, image.get_width(), image.get_height()))
    data = scratch.read_visible(image, around)
    left, top = rough.x - around.x, rough.y - around.y
    request = wire.SegmentRequest(
        wire.Plane("U8", (around.height, around.width, 4), data),
        box=(left, top, left + rough.width, top + rough.height),
        model=model,
        edge=edge,
    )
    engine = launch.ensure_engine(
        on_progress=lambda share, message: canvas.show_progress(_START_SHARE * share, message)
    )
    found = engine.find_object(
        request,
        on_progress=lambda share, message: canvas.show_progress(_START_SHARE + (1 - _START_SHARE) * share, message),
    )
    _select(image, around, found.mask)


def _bounds(image: Gimp.Image) -> Box:
    """The rectangle around what is selected."""
    if image.get_floating_sel() is not None:
        raise pixels.refusal("Something pasted is still floating: choose Layer > Anchor Layer, then run it again.")
    _ok, is_anything, x1, y1, x2, y2 = Gimp.Selection.bounds(image)
    if not is_anything:
        raise pixels.refusal(
            "Nothing is selected: draw a rough rectangle around the object with the Rectangle Select tool, then "
            "run it again."
        )
    return Box(x1, y1, x2 - x1, y2 - y1)


def _surroundings(rough: Box, whole: Box) -> Box:
    """What the engine is shown."""
    if max(whole.width, whole.height) <= WHOLE_SIDE_PX:
        return whole
    padding = round(SURROUNDINGS * max(rough.width, rough.height))
    x1, y1 = max(0, rough.x - padding), max(0, rough.y - padding)
    x2, y2 = min(whole.width, rough.x + rough.width + padding), min(whole.height, rough.y + rough.height + padding)
    around = Box(x1, y1, x2 - x1, y2 - y1)
    wire.plane_bytes("U8", (around.height, around.width))  # refuses what is too large before it is read
    return around


def _select(image: Gimp.Image, around: Box, mask: wire.Plane) -> None:
    """Make a mask the selection. GIMP selects by channels of the image only: one comes and goes in the same step."""
    channel = Gimp.Channel.new(image, "object", image.get_width(), image.get_height(), 100.0, Gegl.Color.new("white"))
    chosen = image.get_selected_drawables()
    image.undo_group_start()
    try:
        image.insert_channel(channel, None, 0)
        channel.set_visible(False)
        pixels.write(channel, around, pixels.U8.mask, mask.data)
        image.select_item(Gimp.ChannelOps.REPLACE, channel)
        image.remove_channel(channel)
        image.set_selected_layers([item for item in chosen if item.is_layer()])
    finally:
        image.undo_group_end()


def _edges() -> Gimp.Choice:
    choice = Gimp.Choice.new()
    for number, name in enumerate(wire.EDGES):
        choice.add(name, number, name.capitalize(), "")
    return choice
