"""The user's image: read a layer and the selection, read style pictures, put the painted layer in.

The only file that touches pixels, selections or layers. Coordinates are GIMP's: x before y, layers have their own
origin and the selection has the image's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gi

gi.require_version("Babl", "0.1")
gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Babl, Gegl, Gimp, Gio, GLib  # noqa: E402

if TYPE_CHECKING or __package__:
    from . import wire
else:
    import wire

STYLE_SIDE_PX = 1024
PADDING_PX = 64
PADDING_SHARE = 0.15
SETTINGS_PARASITE = "impasto-settings"
_PARASITE_FLAGS = 1 | 2  # persistent (saved in the XCF file) and undoable
_EIGHT_BIT = (Gimp.Precision.U8_NON_LINEAR, Gimp.Precision.U8_PERCEPTUAL)


@dataclass(frozen=True)
class Box:
    """A rectangle in a layer's own coordinates."""

    x: int
    y: int
    width: int
    height: int

    @property
    def rectangle(self) -> Gegl.Rectangle:
        return Gegl.Rectangle.new(self.x, self.y, self.width, self.height)


@dataclass(frozen=True)
class Depth:
    """How pixels and masks of an image cross the wire: in 8 bits where that loses nothing, else in floats."""

    dtype: str
    pixels: str
    mask: str


_U8 = Depth("U8", "R'G'B'A u8", "Y u8")
_F32 = Depth("F32", "R'G'B'A float", "Y float")


@dataclass(frozen=True)
class Reading:
    """What was read of a layer.

    Args:
        box: the part that is to be painted.
        content: its pixels.
        mask: the selection in it, softened if that was asked for; None = everything.
        is_softened: whether ``mask`` differs from the selection that GIMP has.
        backing: all of the layer's pixels where the new layer cannot be a copy of it (groups, text, effects).
    """

    box: Box
    depth: Depth
    content: wire.Plane
    mask: wire.Plane | None
    is_softened: bool
    backing: bytes | None


def pick_layer(image: Gimp.Image, drawables: Sequence[Gimp.Drawable]) -> Gimp.Layer:
    """The one layer that can be read.

    Raises:
        WireError: nothing, too much or the wrong thing is selected; the message says what to do.
    """
    if len(drawables) != 1:
        raise _refusal("Select one layer in the Layers dialog, then run the filter again.")
    layer = drawables[0]
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise _refusal(
            "An indexed image has too few colors to paint with: choose Image > Mode > RGB, then run the filter again."
        )
    if layer.is_layer_mask():
        raise _refusal(
            "The layer mask is selected: click the layer's picture in the Layers dialog, then run the filter again."
        )
    if not layer.is_layer():
        raise _refusal("A channel is selected: click a layer in the Layers dialog, then run the filter again.")
    if image.get_floating_sel() is not None:
        raise _refusal("Something pasted is still floating: choose Layer > Anchor Layer, then run the filter again.")
    _check_unlocked(layer)
    if layer.get_width() < 1 or layer.get_height() < 1:
        raise _refusal(f'The layer group "{layer.get_name()}" is empty: put a layer into it or select another one.')
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
        WireError: nothing is selected, the selection misses the layer, or the part is too large.
    """
    depth = _depth_of(image, layer)
    whole = Box(0, 0, layer.get_width(), layer.get_height())
    box = _padded_selection(image, layer, feather_px) if selection_only else whole
    _check_size(box)
    with _as_seen(image, layer) as drawable:
        buffer = drawable.get_buffer()
        content = buffer.get(box.rectangle, 1.0, depth.pixels, Gegl.AbyssPolicy.CLAMP)
        backing = None
        if not _can_be_copied(layer):
            backing = buffer.get(whole.rectangle, 1.0, depth.pixels, Gegl.AbyssPolicy.CLAMP)
        del buffer
    mask = _read_selection(image, layer, box, depth, feather_px) if selection_only else None
    return Reading(
        box,
        depth,
        wire.Plane(depth.dtype, (box.height, box.width, 4), content),
        wire.Plane(depth.dtype, (box.height, box.width), mask) if mask is not None else None,
        selection_only and feather_px > 0,
        backing,
    )


def read_style_file(file: Gio.File) -> wire.Plane:
    """The pixels of any picture that GIMP opens, at most ``STYLE_SIDE_PX`` on the longest side.

    Only pixels leave this process, so the engine never opens a file that somebody else made.

    Raises:
        WireError: GIMP cannot open it.
    """
    try:
        image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    except GLib.Error as error:
        raise _refusal(f"GIMP cannot open the style picture {file.get_parse_name()}: {error.message}") from error
    if image is None:
        raise _refusal(f"GIMP cannot open the style picture {file.get_parse_name()}: choose another file.")
    try:
        return _read_scaled(image)
    finally:
        image.delete()


def read_style_layer(layer: Gimp.Layer) -> wire.Plane:
    """The pixels of a layer of any open image, as ``read_style_file`` gives them.

    Raises:
        WireError: the layer is empty.
    """
    if layer.get_width() < 1 or layer.get_height() < 1:
        raise _refusal(f'The style layer "{layer.get_name()}" is empty: choose another one.')
    with _scratch(layer.get_image(), layer.get_width(), layer.get_height()) as scratch:
        _copy_into(scratch, layer)
        return _read_scaled(scratch)


def insert_layer(
    image: Gimp.Image,
    source: Gimp.Layer,
    reading: Reading,
    picture: wire.Plane,
    name: str,
    settings: dict[str, Any],
) -> Gimp.Layer:
    """Put the painted picture into the image: one layer right above the source, in one undo step.

    Where nothing was painted the new layer holds the source's pixels, so that its mask can be edited freely.

    Args:
        picture: the pixels for ``reading.box``.
        name: of the new layer.
        settings: JSON values, kept in a parasite of the layer.

    Raises:
        WireError: GIMP refused; the image is as it was.
    """
    layer = _new_layer(image, source, reading)
    is_inserted = False
    try:
        _write(layer, reading.box, reading.depth.pixels, picture.data)
        _make_plain(layer, image, name)
        layer.attach_parasite(Gimp.Parasite.new(SETTINGS_PARASITE, _PARASITE_FLAGS, json.dumps(settings).encode()))
        _replace_mask(layer, reading)
        image.undo_group_start()
        try:
            is_inserted = image.insert_layer(layer, source.get_parent(), image.get_item_position(source))
        finally:
            image.undo_group_end()
    finally:
        if not is_inserted:
            layer.delete()
    if not is_inserted:
        raise wire.WireError("failed", "GIMP did not take the new layer: unlock the layer group, then try again.")
    return layer


def start_progress(message: str) -> None:
    """Show a progress bar where GIMP shows it."""
    Gimp.progress_init(message)


def show_progress(share: float, message: str) -> None:
    """Move the progress bar. Main thread only, as everything of GIMP."""
    if message:
        Gimp.progress_set_text(message)
    Gimp.progress_update(share)


# --- reading -------------------------------------------------------------------------------------------


def _refusal(message: str) -> wire.WireError:
    return wire.WireError("unprocessable", message)


def _check_unlocked(layer: Gimp.Layer) -> None:
    item = layer
    while item is not None:
        if item.get_lock_content():
            kind = "group" if item.is_group() else "layer"
            raise _refusal(
                f'The {kind} "{item.get_name()}" is locked: unlock its pixels in the Layers dialog, '
                "then run the filter again."
            )
        item = item.get_parent()


def _check_size(box: Box) -> None:
    """Refuse what the wire refuses, before hundreds of megabytes are read."""
    wire.plane_bytes("U8", (box.height, box.width))


def _depth_of(image: Gimp.Image, layer: Gimp.Layer) -> Depth:
    """8 bits for 8-bit sRGB images. Colors of a wider space would be cut off in 8 bits of sRGB; floats keep them."""
    space = Babl.get_name(Babl.format_get_space(layer.get_format()))
    return _U8 if image.get_precision() in _EIGHT_BIT and space == "sRGB" else _F32


def _padded_selection(image: Gimp.Image, layer: Gimp.Layer, feather_px: float) -> Box:
    """The selection's surroundings in the layer: what a network must see to paint it as part of its picture."""
    _ok, is_anything, x1, y1, x2, y2 = Gimp.Selection.bounds(image)
    if not is_anything:
        raise _refusal('Nothing is selected: select something, or turn off "Only the selection".')
    _ok, left, top = layer.get_offsets()
    width, height = layer.get_width(), layer.get_height()
    x1, x2, y1, y2 = x1 - left, x2 - left, y1 - top, y2 - top
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        raise _refusal(
            f'The selection lies outside the layer "{layer.get_name()}": select a part of the layer, '
            'or turn off "Only the selection".'
        )
    padding = max(PADDING_PX, math.ceil(PADDING_SHARE * max(x2 - x1, y2 - y1)), math.ceil(1.5 * feather_px))
    x1, y1 = max(0, x1 - padding), max(0, y1 - padding)
    return Box(x1, y1, min(width, x2 + padding) - x1, min(height, y2 + padding) - y1)


def _read_selection(image: Gimp.Image, layer: Gimp.Layer, box: Box, depth: Depth, feather_px: float) -> bytes:
    _ok, left, top = layer.get_offsets()
    area = Gegl.Rectangle.new(left + box.x, top + box.y, box.width, box.height)
    buffer = image.get_selection().get_buffer()
    mask: bytes = buffer.get(area, 1.0, depth.mask, Gegl.AbyssPolicy.NONE)
    del buffer
    return mask if feather_px <= 0 else _feather(image, mask, box, depth, feather_px)


def _feather(image: Gimp.Image, mask: bytes, box: Box, depth: Depth, feather_px: float) -> bytes:
    """GIMP's own Select > Feather, on a selection of a scratch image instead of the user's."""
    with _scratch(image, box.width, box.height) as scratch:
        channel = Gimp.Channel.new(scratch, "selection", box.width, box.height, 100.0, Gegl.Color.new("white"))
        scratch.insert_channel(channel, None, 0)
        _write(channel, Box(0, 0, box.width, box.height), depth.mask, mask)
        scratch.select_item(Gimp.ChannelOps.REPLACE, channel)
        Gimp.Selection.feather(scratch, feather_px)
        buffer = scratch.get_selection().get_buffer()
        softened: bytes = buffer.get(
            Gegl.Rectangle.new(0, 0, box.width, box.height), 1.0, depth.mask, Gegl.AbyssPolicy.NONE
        )
        del buffer
        return softened


def _read_scaled(image: Gimp.Image) -> wire.Plane:
    """What an image of our own shows, scaled down to ``STYLE_SIDE_PX``. The image is changed."""
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        image.convert_rgb()
    layers = image.get_layers()
    is_one_picture = len(layers) == 1 and layers[0].get_visible() and not layers[0].is_group()
    layer = layers[0] if is_one_picture else image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
    if layer is None:
        raise _refusal("The style picture shows nothing: make one of its layers visible, or choose another one.")
    longest = max(layer.get_width(), layer.get_height())
    if longest > STYLE_SIDE_PX:
        scale = STYLE_SIDE_PX / longest
        layer.scale(max(1, round(layer.get_width() * scale)), max(1, round(layer.get_height() * scale)), False)
    width, height = layer.get_width(), layer.get_height()
    buffer = layer.get_buffer()
    pixels = buffer.get(Gegl.Rectangle.new(0, 0, width, height), 1.0, _U8.pixels, Gegl.AbyssPolicy.CLAMP)
    del buffer
    return wire.Plane("U8", (height, width, 4), pixels)


@contextmanager
def _as_seen(image: Gimp.Image, layer: Gimp.Layer) -> Iterator[Gimp.Drawable]:
    """The layer, or where it has effects a copy in which they are applied: GIMP's buffers hold pixels without them."""
    if not any(effect.get_visible() for effect in layer.get_filters()):
        yield layer
        return
    with _scratch(image, layer.get_width(), layer.get_height()) as scratch:
        yield _copy_into(scratch, layer)


def _copy_into(scratch: Gimp.Image, layer: Gimp.Layer) -> Gimp.Layer:
    """A copy of a layer's pixels in a scratch image: opaque, without mask, its effects applied, not a group."""
    copy = Gimp.Layer.new_from_drawable(layer, scratch)
    scratch.insert_layer(copy, None, 0)
    copy.set_offsets(0, 0)
    copy.set_visible(True)
    copy.set_lock_content(False)
    copy.set_mode(Gimp.LayerMode.NORMAL)
    copy.set_opacity(100.0)
    if copy.get_mask() is not None:
        copy.remove_mask(Gimp.MaskApplyMode.DISCARD)
    if copy.is_group():
        copy = copy.merge()
    copy.merge_filters()
    return copy


@contextmanager
def _scratch(image: Gimp.Image, width: int, height: int) -> Iterator[Gimp.Image]:
    """An image without a window, of the same kind, deleted afterwards."""
    scratch = Gimp.Image.new_with_precision(width, height, image.get_base_type(), image.get_precision())
    try:
        scratch.undo_disable()
        profile = image.get_color_profile()
        if profile is not None:
            scratch.set_color_profile(profile)
        yield scratch
    finally:
        scratch.delete()


# --- writing -------------------------------------------------------------------------------------------


def _can_be_copied(layer: Gimp.Layer) -> bool:
    """Whether a copy of it is plain pixels. A copied text, group or link would stay one and lose what is painted."""
    is_plain = type(layer) is Gimp.Layer
    return is_plain and not layer.get_filters()


def _new_layer(image: Gimp.Image, source: Gimp.Layer, reading: Reading) -> Gimp.Layer:
    """A layer of the source's size and place with the source's pixels, not yet in the image."""
    if reading.backing is None:
        return Gimp.Layer.new_from_drawable(source, image)
    width, height = source.get_width(), source.get_height()
    layer = Gimp.Layer.new(image, "", width, height, source.type(), 100.0, Gimp.LayerMode.NORMAL)
    _ok, left, top = source.get_offsets()
    layer.set_offsets(left, top)
    _write(layer, Box(0, 0, width, height), reading.depth.pixels, reading.backing)
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


def _own_space(image: Gimp.Image) -> Gimp.LayerColorSpace:
    """Deep images are mixed in their own encoding.

    GIMP mixes in linear light and converts back, which moves every pixel of a 32-bit image by a rounding error, also
    those that the mask protects. 8-bit pixels come back the same, so they keep GIMP's usual way.
    """
    precision = image.get_precision()
    if precision in _EIGHT_BIT or precision == Gimp.Precision.U8_LINEAR:
        return Gimp.LayerColorSpace.AUTO
    encoding = precision.value_nick.partition("-")[2]  # "float-non-linear" -> "non-linear"
    return {
        "linear": Gimp.LayerColorSpace.RGB_LINEAR,
        "non-linear": Gimp.LayerColorSpace.RGB_NON_LINEAR,
        "perceptual": Gimp.LayerColorSpace.RGB_PERCEPTUAL,
    }[encoding]


def _replace_mask(layer: Gimp.Layer, reading: Reading) -> None:
    """Make the selection the layer's mask. A mask that the source had still limits it."""
    inherited = layer.get_mask()
    if reading.mask is None:
        return
    if reading.is_softened:
        mask = layer.create_mask(Gimp.AddMaskType.BLACK)
        _write(mask, reading.box, reading.depth.mask, reading.mask.data)
    else:
        mask = layer.create_mask(Gimp.AddMaskType.SELECTION)
    if inherited is not None:
        if layer.get_apply_mask():
            mask.combine_masks(inherited, Gimp.ChannelOps.INTERSECT, 0, 0)
        layer.remove_mask(Gimp.MaskApplyMode.DISCARD)
    layer.add_mask(mask)
    layer.set_apply_mask(True)
    layer.set_show_mask(False)
    layer.set_edit_mask(False)


def _write(drawable: Gimp.Drawable, box: Box, pixel_format: str, pixels: wire.Buffer) -> None:
    data = pixels if isinstance(pixels, bytes) else bytes(pixels)  # anything else is read item by item: seconds
    buffer = drawable.get_buffer()
    buffer.set(box.rectangle, pixel_format, data)
    buffer.flush()
    del buffer
    drawable.update(box.x, box.y, box.width, box.height)
