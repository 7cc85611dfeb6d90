"""The user's image: read a layer and the selection, put the painted layer in.

Coordinates are GIMP's: x before y, layers have their own origin and the selection has the image's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gi.repository import Gimp

from gimp_plugin import wire
from gimp_plugin.image import pixels, scratch
from gimp_plugin.image.pixels import Box, Depth
from gimp_plugin.language import _
from gimp_plugin.wire.changes import changes

PADDING_PX = 64
PADDING_SHARE = 0.15
SETTINGS_PARASITE = "impasto-settings"
_PARASITE_FLAGS = 1 | 2  # persistent (saved in the XCF file) and undoable


@dataclass(frozen=True)
class Reading:
    """What was read of a layer.

    Args:
        size: of the whole layer, (width, height).
        offset: of the layer in its image, (x, y).
        box: the part that is to be painted.
        content: its pixels.
        mask: the selection in it, softened if that was asked for; None = everything.
    """

    size: tuple[int, int]
    offset: tuple[int, int]
    box: Box
    depth: Depth
    content: wire.Plane
    mask: wire.Plane | None


class MissedError(wire.WireError):
    """Nothing of a layer is selected."""

    def __init__(self, layer: Gimp.Layer) -> None:
        super().__init__(
            "unprocessable",
            _(
                'The selection lies outside the layer "{layer}": select a part of the layer, or turn off "Only the '
                'selection".'
            ).format(layer=layer.get_name()),
        )


def pick_layers(image: Gimp.Image, drawables: Sequence[Gimp.Drawable]) -> list[Gimp.Layer]:
    """The layers that can be read, at least one.

    Raises:
        WireError: nothing or the wrong thing is selected; the message says what to do.
    """
    return [pick_layer(image, [drawable]) for drawable in drawables] or [pick_layer(image, drawables)]


def pick_layer(image: Gimp.Image, drawables: Sequence[Gimp.Drawable]) -> Gimp.Layer:
    """The one layer that can be read.

    Raises:
        WireError: nothing, too much or the wrong thing is selected; the message says what to do.
    """
    if len(drawables) != 1:
        raise pixels.refusal(_("Select one layer in the Layers dialog, then run the filter again."))
    layer = drawables[0]
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise pixels.refusal(
            _(
                "An indexed image has too few colors to paint with: choose Image > Mode > RGB, then run the filter "
                "again."
            )
        )
    if layer.is_layer_mask():
        raise pixels.refusal(
            _("The layer mask is selected: click the layer's picture in the Layers dialog, then run the filter again.")
        )
    if not layer.is_layer():
        raise pixels.refusal(_("A channel is selected: click a layer in the Layers dialog, then run the filter again."))
    if image.get_floating_sel() is not None:
        raise pixels.refusal(_("Something pasted is still floating: choose Layer > Anchor Layer, then run it again."))
    _check_place(layer)
    if layer.is_group() and not layer.get_children():
        raise pixels.refusal(
            _('The layer group "{layer}" is empty: select something else.').format(layer=layer.get_name())
        )
    return layer


def has_selection(image: Gimp.Image) -> bool:
    """Whether anything is selected."""
    return not Gimp.Selection.is_empty(image)


def is_gray(image: Gimp.Image) -> bool:
    """Whether the image cannot show colors."""
    return image.get_base_type() == Gimp.ImageBaseType.GRAY


def read_layer(image: Gimp.Image, layer: Gimp.Layer, selection_only: bool, feather_px: float) -> Reading:
    """Read the part of a layer that is to be painted, and the selection in it.

    Args:
        selection_only: read the selection's surroundings; else all of the layer.
        feather_px: how far the mask is softened, like Select > Feather; the selection itself stays as it is.

    Raises:
        MissedError: the selection misses the layer.
        WireError: nothing is selected, or the part is too large.
    """
    depth = pixels.depth_of(image, layer)
    whole = Box(0, 0, layer.get_width(), layer.get_height())
    box = surroundings(image, layer, feather_px) if selection_only else whole
    _check_size(box)
    mask = _read_selection(image, layer, box, depth, feather_px) if selection_only else None
    if mask is not None and bytes(mask).count(0) == len(mask):  # what is selected is beside or around the layer
        raise MissedError(layer)
    with scratch.as_seen(image, layer) as drawable:
        content = pixels.read(drawable, box, depth.pixels)
    return Reading(
        (whole.width, whole.height),
        offset_of(layer),
        box,
        depth,
        wire.Plane(depth.dtype, (box.height, box.width, 4), content),
        wire.Plane(depth.dtype, (box.height, box.width), mask) if mask is not None else None,
    )


def surroundings(image: Gimp.Image, layer: Gimp.Layer, feather_px: float) -> Box:
    """The selection's surroundings in the layer: what a network must see to paint it as part of its picture."""
    _ok, is_anything, x1, y1, x2, y2 = Gimp.Selection.bounds(image)
    if not is_anything:
        raise pixels.refusal(
            _('Nothing is selected: select something, or turn off "Only the selection" (selection-only).')
        )
    left, top = offset_of(layer)
    width, height = layer.get_width(), layer.get_height()
    x1, x2, y1, y2 = x1 - left, x2 - left, y1 - top, y2 - top
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        raise MissedError(layer)
    padding = max(PADDING_PX, math.ceil(PADDING_SHARE * max(x2 - x1, y2 - y1)), math.ceil(1.5 * feather_px))
    return Box(x1, y1, x2 - x1, y2 - y1).padded(padding, Box(0, 0, width, height))


def is_unchanged(source: Gimp.Layer, reading: Reading) -> bool:
    """Whether a layer is still there, as large as it was when it was read: GIMP's user may go on."""
    return source.is_valid() and (source.get_width(), source.get_height()) == reading.size


def offset_of(layer: Gimp.Layer) -> tuple[int, int]:
    """Its place in its image."""
    _ok, left, top = layer.get_offsets()
    return left, top


def insert_layer(
    image: Gimp.Image,
    source: Gimp.Layer,
    reading: Reading,
    picture: wire.Plane,
    name: str,
    settings: dict[str, Any],
) -> Gimp.Layer:
    """Put the painted picture into the image: one layer right above the source, in one undo step.

    Where nothing was painted the new layer holds the source's pixels, so that its mask can be edited freely. So it does
    to the bit wherever a pixel came back as it was sent, whatever the image's color space. A source that was deleted or
    got another size meanwhile gives no pixels: then the new layer is what was read of it, where it was.

    Args:
        picture: the pixels for ``reading.box``.
        name: of the new layer.
        settings: JSON values, kept in a parasite of the layer.

    Raises:
        WireError: GIMP refused; the image is as it was.
    """
    if is_unchanged(source, reading):
        layer = _new_layer(image, source)
    else:
        layer = _layer_of(image, reading)
        reading = replace(reading, box=Box(0, 0, reading.box.width, reading.box.height))
    parent, place = (source.get_parent(), image.get_item_position(source)) if source.is_valid() else (None, 0)
    is_inserted = False
    try:
        for part in changes(reading.content, picture):
            box = Box(reading.box.x + part.x, reading.box.y + part.y, part.width, part.height)
            pixels.write(layer, box, reading.depth.pixels, part.data)
        _make_plain(layer, image, name)
        attach_settings(layer, settings)
        _replace_mask(layer, source, reading)
        image.undo_group_start()
        try:
            is_inserted = image.insert_layer(layer, parent, place)
        finally:
            image.undo_group_end()
    finally:
        if not is_inserted:
            layer.delete()
    if not is_inserted:
        raise wire.WireError("failed", _("GIMP did not take the new layer: unlock the layer group, then try again."))
    return layer


def attach_settings(layer: Gimp.Layer, settings: dict[str, Any]) -> None:
    """Keep JSON values in a layer: they tell how it was made."""
    layer.attach_parasite(Gimp.Parasite.new(SETTINGS_PARASITE, _PARASITE_FLAGS, json.dumps(settings).encode()))


def show_changes() -> None:
    """Let GIMP's windows show what was changed while this run goes on."""
    Gimp.displays_flush()


def start_progress(message: str) -> None:
    """Show a progress bar where GIMP shows it."""
    Gimp.progress_init(message)


def show_progress(share: float, message: str) -> None:
    """Move the progress bar. Main thread only, as everything of GIMP."""
    if message:
        Gimp.progress_set_text(message)
    Gimp.progress_update(share)


# --- reading -------------------------------------------------------------------------------------------


def _check_place(layer: Gimp.Layer) -> None:
    """Refuse a group that is locked: the new layer would come into it. A locked layer is only read."""
    group = layer.get_parent()
    while group is not None:
        if group.get_lock_content():
            raise pixels.refusal(
                _(
                    'The group "{group}" is locked: unlock its pixels in the Layers dialog, then run the filter again.'
                ).format(group=group.get_name())
            )
        group = group.get_parent()


def _check_size(box: Box) -> None:
    """Refuse what the wire refuses, before hundreds of megabytes are read."""
    wire.plane_bytes("U8", (box.height, box.width))


def _read_selection(image: Gimp.Image, layer: Gimp.Layer, box: Box, depth: Depth, feather_px: float) -> wire.Buffer:
    left, top = offset_of(layer)
    in_image = Box(left + box.x, top + box.y, box.width, box.height)
    mask = pixels.read(image.get_selection(), in_image, depth.mask)
    return mask if feather_px <= 0 else scratch.feather(image, mask, box, depth, feather_px)


# --- writing -------------------------------------------------------------------------------------------


def _can_be_copied(layer: Gimp.Layer) -> bool:
    """Whether a copy of it is plain pixels. A copied text, group or link would stay one and lose what is painted, and
    GIMP takes no mask from a layer that is in no image yet.
    """
    is_plain = type(layer) is Gimp.Layer
    return is_plain and not layer.get_filters() and layer.get_mask() is None


def _new_layer(image: Gimp.Image, source: Gimp.Layer) -> Gimp.Layer:
    """A layer of the source's size and place with the source's pixels, not yet in the image."""
    if _can_be_copied(source):
        layer = Gimp.Layer.new_from_drawable(source, image)
        layer.set_lock_content(False)
        return layer
    width, height = source.get_width(), source.get_height()
    layer = Gimp.Layer.new(image, "", width, height, source.type(), 100.0, Gimp.LayerMode.NORMAL)
    layer.set_offsets(*offset_of(source))
    with scratch.as_seen(image, source) as drawable:
        pixels.copy(drawable, layer)
    return layer


def _layer_of(image: Gimp.Image, reading: Reading) -> Gimp.Layer:
    """A layer of the part that was read, at its place, not yet in the image."""
    box, (left, top) = reading.box, reading.offset
    kind = Gimp.ImageType.GRAYA_IMAGE if is_gray(image) else Gimp.ImageType.RGBA_IMAGE
    layer = Gimp.Layer.new(image, "", box.width, box.height, kind, 100.0, Gimp.LayerMode.NORMAL)
    layer.set_offsets(left + box.x, top + box.y)
    pixels.write(layer, Box(0, 0, box.width, box.height), reading.depth.pixels, reading.content.data)
    return layer


def _make_plain(layer: Gimp.Layer, image: Gimp.Image, name: str) -> None:
    """Undo what a copy inherits and a result should not have."""
    layer.set_name(name)
    layer.set_visible(True)
    layer.set_opacity(100.0)
    layer.set_mode(Gimp.LayerMode.NORMAL)
    layer.set_color_tag(Gimp.ColorTag.NONE)
    layer.set_lock_alpha(False)
    layer.set_lock_position(False)
    layer.set_lock_visibility(False)
    space = _own_space(image)
    layer.set_blend_space(space)
    layer.set_composite_space(space)
    layer.set_composite_mode(Gimp.LayerCompositeMode.AUTO)  # clipped to itself it would hide what its mask spares


def _own_space(image: Gimp.Image) -> Gimp.LayerColorSpace:
    """Deep images are mixed in their own encoding.

    GIMP mixes in linear light and converts back, which moves every pixel of a 32-bit image by a rounding error, also
    those that the mask protects. 8-bit pixels come back the same, so they keep GIMP's usual way.
    """
    precision = image.get_precision()
    if precision in pixels.EIGHT_BIT or precision == Gimp.Precision.U8_LINEAR:
        return Gimp.LayerColorSpace.AUTO
    encoding = precision.value_nick.partition("-")[2]  # "float-non-linear" -> "non-linear"
    return {
        "linear": Gimp.LayerColorSpace.RGB_LINEAR,
        "non-linear": Gimp.LayerColorSpace.RGB_NON_LINEAR,
        "perceptual": Gimp.LayerColorSpace.RGB_PERCEPTUAL,
    }[encoding]


def _replace_mask(layer: Gimp.Layer, source: Gimp.Layer, reading: Reading) -> None:
    """Make the selection, as it was when it was read, the layer's mask. A mask that the source has still limits it."""
    has_limit = is_unchanged(source, reading) and source.get_mask() is not None and source.get_apply_mask()
    limit = source.get_mask() if has_limit else None
    if reading.mask is None and limit is None:
        return
    if reading.mask is None:
        mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    else:
        mask = layer.create_mask(Gimp.AddMaskType.BLACK)
        pixels.write(mask, reading.box, reading.depth.mask, reading.mask.data)
    if limit is not None:
        mask.combine_masks(limit, Gimp.ChannelOps.INTERSECT, 0, 0)
    layer.add_mask(mask)
    layer.set_edit_mask(False)  # or the next stroke would go to the mask
