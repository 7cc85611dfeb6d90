"""Images without a window: pixels as GIMP shows them, a softened selection, pictures of styles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gi.repository import Gegl, Gimp, Gio, GLib

from gimp_plugin import wire
from gimp_plugin.image import pixels
from gimp_plugin.language import _, ngettext

STYLE_SIDE_PX = 1024
LABELS_SIDE_PX = 4096
# How files begin that hold several pictures of equal rank, frames or pages. In others, layers make up one picture.
_SEQUENCES = re.compile(rb"GIF8|RIFF....WEBP|II[*+]\0|MM\0[*+]|%PDF|\x89PNG|\0\0[\1\2]\0", re.DOTALL)


@contextmanager
def as_seen(image: Gimp.Image, layer: Gimp.Layer) -> Iterator[Gimp.Drawable]:
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


def read_visible(image: Gimp.Image, box: pixels.Box) -> wire.Buffer:
    """What the user sees of a part of an image, all layers together: R'G'B'A with 8 bits, whatever the image has."""
    view = Gimp.Image.new(image.get_width(), image.get_height(), Gimp.ImageBaseType.RGB)
    try:
        view.undo_disable()
        layer = Gimp.Layer.new_from_visible(image, view, "visible")
        view.insert_layer(layer, None, 0)
        return pixels.read(layer, box, pixels.U8.pixels)
    finally:
        view.delete()


def feather(
    image: Gimp.Image, mask: wire.Buffer, box: pixels.Box, depth: pixels.Depth, feather_px: float
) -> wire.Buffer:
    """GIMP's own Select > Feather, on a selection of a scratch image instead of the user's."""
    with _scratch(image, box.width, box.height) as scratch:
        channel = Gimp.Channel.new(scratch, "selection", box.width, box.height, 100.0, Gegl.Color.new("white"))
        scratch.insert_channel(channel, None, 0)
        whole = pixels.Box(0, 0, box.width, box.height)
        pixels.write(channel, whole, depth.mask, mask)
        scratch.select_item(Gimp.ChannelOps.REPLACE, channel)
        Gimp.Selection.feather(scratch, feather_px)
        return pixels.read(scratch.get_selection(), whole, depth.mask)


def read_style(file: Gio.File, weight: float) -> tuple[wire.StyleEntry, str | None]:
    """The style in a file: in a style file as it was saved, else in any picture that GIMP opens.

    Returns:
        The style; and what the user should know of how it was taken.

    Raises:
        WireError: it cannot be read.
    """
    _require(file)
    name = pixels.file_name(file)
    if name.lower().endswith(wire.SUFFIX):
        return wire.StyleEntry.of_saved(wire.unpack_style(_bytes_of(file)), weight), None
    stem, _, rest = name.rpartition(".")
    picture, note = read_style_file(file)
    return wire.StyleEntry(stem or rest, weight, picture=picture), note


def _require(file: Gio.File) -> None:
    if not file.query_exists(None):
        raise pixels.refusal(
            _("There is no style picture {name}: choose another file.").format(name=file.get_parse_name())
        )


def _bytes_of(file: Gio.File) -> bytes:
    """A style file's bytes, from wherever GIMP's system reads files; no more than such a file has."""
    path = file.get_path()
    if path is not None:
        return wire.read_style_bytes(Path(path))
    try:
        stream = file.read(None)
        parts: list[bytes] = []
        while (part := stream.read_bytes(1 << 20, None).get_data()) and len(parts) <= wire.MAX_FILE_BYTES >> 20:
            parts.append(part)
        stream.close(None)
    except GLib.Error as error:
        says = _("The style file {name} cannot be read: {reason}")
        raise pixels.refusal(says.format(name=file.get_parse_name(), reason=error.message)) from error
    return b"".join(parts)


def read_style_file(file: Gio.File) -> tuple[wire.Plane, str | None]:
    """The pixels of any picture that GIMP opens, at most ``STYLE_SIDE_PX`` on the longest side.

    Only pixels leave this process, so the engine never opens a file that somebody else made. Of a style file it is the
    swatch, which is read without GIMP.

    Returns:
        The pixels, upright; and what the user should know of how they were taken.

    Raises:
        WireError: GIMP cannot open it.
    """
    _require(file)
    if pixels.file_name(file).lower().endswith(wire.SUFFIX):
        return wire.unpack_style(_bytes_of(file)).rgba(), None
    try:
        image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    except GLib.Error as error:
        says = _("GIMP cannot open the style picture {name}: {reason}")
        raise pixels.refusal(says.format(name=file.get_parse_name(), reason=error.message)) from error
    if image is None:
        says = _("GIMP cannot open the style picture {name}: choose another file.")
        raise pixels.refusal(says.format(name=file.get_parse_name()))
    try:
        image.policy_rotate(False)  # by its EXIF tag; scripts get it as it lies in the file
        note = _keep_first(image, file)
        return _read_scaled(image), note
    finally:
        image.delete()


def _keep_first(image: Gimp.Image, file: Gio.File) -> str | None:
    """Of frames or pages, which GIMP opens as layers, leave the first; a note if there were more."""
    *others, _first = image.get_layers()
    if not others or not _SEQUENCES.match(file.read(None).read_bytes(16, None).get_data()):
        return None
    for layer in others:
        image.remove_layer(layer)
    n = len(others) + 1
    says = ngettext(
        "{name} holds {n} picture: the first is the style.", "{name} holds {n} pictures: the first is the style.", n
    )
    return says.format(name=pixels.file_name(file), n=n)


def read_style_layer(layer: Gimp.Layer) -> wire.Plane:
    """The pixels of a layer of any open image, as ``read_style_file`` gives them.

    Raises:
        WireError: the layer is empty.
    """
    if layer.get_width() < 1 or layer.get_height() < 1:
        says = _('The style layer "{layer}" is empty: choose another one.')
        raise pixels.refusal(says.format(layer=layer.get_name()))
    with _scratch(layer.get_image(), layer.get_width(), layer.get_height()) as scratch:
        _copy_into(scratch, layer)
        return _read_scaled(scratch)


def foreign_name(labels: Gimp.Layer | None, image: Gimp.Image) -> str:
    """The name of a label map that is not of an image; "" if it is, or if there is none."""
    if labels is None or labels.get_image().get_id() == image.get_id():
        return ""
    return str(labels.get_name())


def read_over(labels: Gimp.Layer, layer: Gimp.Layer, box: pixels.Box) -> wire.Plane:
    """What a layer with a label map has over a part of another layer of its image; transparent where it ends."""
    _ok, left, top = layer.get_offsets()
    _ok, labels_left, labels_top = labels.get_offsets()
    there = pixels.Box(left + box.x - labels_left, top + box.y - labels_top, box.width, box.height)
    with as_seen(labels.get_image(), labels) as drawable:
        data = pixels.read(drawable, there, pixels.U8.pixels)
    return wire.Plane("U8", (box.height, box.width, 4), data)


def read_labels(labels: Gimp.Layer, style: Gimp.Layer | None) -> wire.Plane:
    """The label map of a style: where it lies over the style's layer, if both are of one image, else all of it.

    At most ``LABELS_SIDE_PX`` on the longest side: styles may be of any size.
    """
    if style is None or style.get_image().get_id() != labels.get_image().get_id():
        style = labels
    longest = max(style.get_width(), style.get_height())
    if longest <= LABELS_SIDE_PX:
        return read_over(labels, style, pixels.Box(0, 0, style.get_width(), style.get_height()))
    scale = LABELS_SIDE_PX / longest
    _ok, left, top = style.get_offsets()
    _ok, labels_left, labels_top = labels.get_offsets()
    width, height = max(1, round(style.get_width() * scale)), max(1, round(style.get_height() * scale))
    there = pixels.Box(round((left - labels_left) * scale), round((top - labels_top) * scale), width, height)
    with _scratch(labels.get_image(), labels.get_width(), labels.get_height()) as scratch:
        copy = _copy_into(scratch, labels)
        _scale(copy, scale, Gimp.InterpolationType.NONE)  # a label is a color of its own: no mixing
        return wire.Plane("U8", (height, width, 4), pixels.read(copy, there, pixels.U8.pixels))


def _read_scaled(image: Gimp.Image) -> wire.Plane:
    """What an image of our own shows, scaled down to ``STYLE_SIDE_PX``. The image is changed."""
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        image.convert_rgb()
    layers = image.get_layers()
    is_one_picture = len(layers) == 1 and layers[0].get_visible() and not layers[0].is_group()
    layer = layers[0] if is_one_picture else image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
    if layer is None:
        raise pixels.refusal(
            _("The style picture shows nothing: make one of its layers visible, or choose another one.")
        )
    longest = max(layer.get_width(), layer.get_height())
    if longest > STYLE_SIDE_PX:
        _scale(layer, STYLE_SIDE_PX / longest, Gimp.InterpolationType.CUBIC)
    width, height = layer.get_width(), layer.get_height()
    data = pixels.read(layer, pixels.Box(0, 0, width, height), pixels.U8.pixels)
    return wire.Plane("U8", (height, width, 4), data)


def _scale(layer: Gimp.Layer, scale: float, interpolation: Gimp.InterpolationType) -> None:
    """Scale a layer of our own; the user's tools may be set to another interpolation."""
    Gimp.context_push()
    try:
        Gimp.context_set_interpolation(interpolation)
        layer.scale(max(1, round(layer.get_width() * scale)), max(1, round(layer.get_height() * scale)), False)
    finally:
        Gimp.context_pop()
