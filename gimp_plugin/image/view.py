"""Small views of what is to be painted, for the preview: quick to read, 8 bits, whatever the image holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gi.repository import GdkPixbuf, Gimp, GLib

from gimp_plugin import wire
from gimp_plugin.image import canvas, pixels, repaint, scratch
from gimp_plugin.image.pixels import Box

PALE_COLOR, VEIL = 0.3, 0xFFFFFF99  # of what is not selected, while objects are clicked
THUMBNAIL_PX = 1024  # the most that GIMP gives
STRIP_PIXELS = 8_000_000  # read at a time of a layer that GIMP gives no thumbnail of


def _linear(value: int) -> int:
    """An sRGB byte as linear light: GIMP 3.2 gives thumbnails of a selection as if it were a gray picture."""
    share = value / 255
    light = share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
    return round(255 * light)


_LINEAR = bytes(map(_linear, range(256)))


@dataclass(frozen=True)
class View:
    """A part of a layer, small.

    Args:
        content: (H, W, 4) R'G'B'A, 8 bits.
        mask: (H, W), 8 bits; None = all of it is painted.
        box: what part of the layer it is.
        scale: pixels of the view for one of the layer.
    """

    content: wire.Plane
    mask: wire.Plane | None
    box: Box
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.content.shape[1], self.content.shape[0]


class Sight:
    """Looks at a layer, or at what a painting was made from.

    Args:
        image: it.
        layer: that is to be painted.
        painting: that is to be painted again, in place of the layer.
    """

    def __init__(self, image: Gimp.Image, layer: Gimp.Layer, painting: repaint.Painting | None = None) -> None:
        self.image, self.painting = image, painting
        self.layer: Gimp.Layer = (painting.source if painting is not None else None) or layer
        self.whole = Box(0, 0, self.layer.get_width(), self.layer.get_height())

    def area(self, is_change: bool, selection_only: bool) -> tuple[Box, bool]:
        """The part of the layer that is painted with its surroundings, and whether a mask limits it.

        Raises:
            WireError: what is selected lies outside the layer.
        """
        if is_change and self.painting is not None:
            mask = repaint.mask_of(self.painting)
            return self.whole if mask is None else repaint.box_of(self.painting, mask, self.whole), mask is not None
        if selection_only and canvas.has_selection(self.image):
            return canvas.surroundings(self.image, self.layer, 0.0), True
        return self.whole, False

    def fit(self, box: Box, side_px: int, is_change: bool, is_masked: bool, feather_px: float) -> View:
        """All of a part, its longest side at most ``side_px``."""
        scale = min(1.0, side_px / max(box.width, box.height))
        size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
        content = thumbnail(self.image, self.layer, box, size)
        mask = self._mask(box, size, is_change, feather_px * scale) if is_masked else None
        return View(content, mask, box, scale)

    def detail(self, box: Box, is_change: bool, is_masked: bool, feather_px: float) -> View:
        """A part, pixel for pixel."""
        with scratch.as_seen(self.image, self.layer) as drawable:
            data = pixels.read(drawable, box, pixels.U8.pixels)
        size = box.width, box.height
        mask = self._mask(box, size, is_change, feather_px) if is_masked else None
        return View(wire.Plane("U8", (box.height, box.width, 4), data), mask, box, 1.0)

    def _mask(self, box: Box, size: tuple[int, int], is_change: bool, feather_px: float) -> wire.Plane:
        if is_change and self.painting is not None:
            return wire.Plane("U8", size[::-1], _shares(repaint.mask_of(self.painting), box, size))
        left, top = canvas.offset_of(self.layer)
        there = Box(left + box.x, top + box.y, box.width, box.height)
        shares: wire.Buffer = _shares(self.image.get_selection(), there, size)
        if feather_px > 0:
            shares = scratch.feather(self.image, shares, Box(0, 0, *size), pixels.U8, feather_px)
        return wire.Plane("U8", size[::-1], shares)


def visible(image: Gimp.Image, box: Box) -> wire.Plane:
    """All layers together, pixel for pixel."""
    return wire.Plane("U8", (box.height, box.width, 4), scratch.read_visible(image, box))


def shrunk(plane: wire.Plane, side_px: int) -> wire.Plane:
    """A picture (H, W, 4) of 8 bits, its longest side at most ``side_px``."""
    height, width = plane.shape[:2]
    scale = side_px / max(height, width)
    if scale >= 1:
        return plane
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = pixbuf_of(plane).scale_simple(*size, GdkPixbuf.InterpType.BILINEAR)
    return _plane_of(small)


def jpeg_of(plane: wire.Plane) -> bytes:
    """A picture (H, W, 4) of 8 bits as a small file."""
    plain = pixbuf_of(plane).composite_color_simple(
        plane.shape[1], plane.shape[0], GdkPixbuf.InterpType.NEAREST, 255, 8, 0xFFFFFF, 0xFFFFFF
    )
    is_saved, data = plain.save_to_bufferv("jpeg", ["quality"], ["85"])
    return bytes(data) if is_saved else b""


def read_bytes(data: bytes) -> GdkPixbuf.Pixbuf | None:
    """A picture out of a small file in memory; None: it is none."""
    loader = GdkPixbuf.PixbufLoader()
    try:
        loader.write(data)
        loader.close()
    except GLib.Error:
        return None
    return loader.get_pixbuf()


def opaque(plane: wire.Plane) -> wire.Plane:
    """A picture (H, W, 3) of 8 bits as (H, W, 4)."""
    return wire.Plane("U8", (*plane.shape[:2], 4), _rgba(bytes(plane.data), 3))


def covering(plane: wire.Plane, size: tuple[int, int]) -> wire.Plane:
    """The middle of a picture (H, W, 4) of 8 bits, which fills (width, height)."""
    height, width = plane.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    scaled = max(size[0], round(width * scale)), max(size[1], round(height * scale))
    large = pixbuf_of(plane).scale_simple(*scaled, GdkPixbuf.InterpType.BILINEAR)
    return _plane_of(large.new_subpixbuf((scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2, *size).copy())


def pixbuf_of(plane: wire.Plane) -> GdkPixbuf.Pixbuf:
    """A picture (H, W, 4) of 8 bits for the screen."""
    height, width = plane.shape[:2]
    data = GLib.Bytes.new(bytes(plane.data))
    return GdkPixbuf.Pixbuf.new_from_bytes(data, GdkPixbuf.Colorspace.RGB, True, 8, width, height, 4 * width)


def spotlit(plane: wire.Plane, mask: wire.Plane | None) -> GdkPixbuf.Pixbuf:
    """A picture (H, W, 4) of 8 bits for the screen, pale where the mask (H, W) is not."""
    picture = pixbuf_of(plane)
    if mask is None:
        return picture
    height, width = mask.shape
    everything = (0, 0, width, height, 0, 0, 1, 1, GdkPixbuf.InterpType.NEAREST)
    pale = picture.copy()
    pale.saturate_and_pixelate(pale, PALE_COLOR, False)
    veil = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, True, 8, width, height)
    veil.fill(VEIL)
    veil.composite(pale, *everything, 255)
    inside = bytearray(plane.data)
    inside[3::4] = bytes(mask.data)
    pixbuf_of(wire.Plane("U8", plane.shape, inside)).composite(pale, *everything, 255)
    return pale


def read_file(path: str, side_px: int) -> wire.Plane | None:
    """A picture file, small; None: only GIMP can read it. It touches nothing of GIMP, so any thread may call it."""
    try:
        picture = GdkPixbuf.Pixbuf.new_from_file_at_scale(path, side_px, side_px, True)
    except GLib.Error:
        return None
    upright = picture.apply_embedded_orientation() or picture
    return _plane_of(upright)


def _plane_of(picture: GdkPixbuf.Pixbuf) -> wire.Plane:
    """The pixels of a picture, without the gaps between its rows."""
    if not picture.get_has_alpha():
        picture = picture.add_alpha(False, 0, 0, 0)
    width, height, stride = picture.get_width(), picture.get_height(), picture.get_rowstride()
    data = picture.read_pixel_bytes().get_data()
    if stride != 4 * width:
        data = b"".join(data[y * stride : y * stride + 4 * width] for y in range(height))
    return wire.Plane("U8", (height, width, 4), data[: 4 * width * height])


def thumbnail(image: Gimp.Image, layer: Gimp.Layer, box: Box, size: tuple[int, int]) -> wire.Plane:
    """A part of a layer with its effects, small: by GIMP's own thumbnails, some 10 ms, where they are plain bytes."""
    if max(size) <= THUMBNAIL_PX:
        found = layer.get_sub_thumbnail_data(box.x, box.y, box.width, box.height, *size)
        if found is not None:
            given, width, height, n_bytes = found
            small = bytes(given.get_data())
            if (width, height) == size and n_bytes <= 4 and len(small) == width * height * n_bytes:
                return wire.Plane("U8", (height, width, 4), _rgba(small, n_bytes))
    with scratch.as_seen(image, layer) as drawable:
        return wire.Plane("U8", (size[1], size[0], 4), b"".join(_strips(drawable, box, size)))


def _strips(drawable: Gimp.Drawable, box: Box, size: tuple[int, int]) -> Iterator[wire.Buffer]:
    """A part of a drawable, small, in strips from top to bottom: never much of a large one at a time."""
    width, height = size
    n_strips = min(height, math.ceil(box.width * box.height / STRIP_PIXELS))
    for i in range(n_strips):
        top, bottom = (height * k // n_strips for k in (i, i + 1))
        y1, y2 = (box.height * row // height for row in (top, bottom))
        part = Box(box.x, box.y + y1, box.width, max(1, y2 - y1))
        large = pixbuf_of(wire.Plane("U8", (part.height, part.width, 4), pixels.read(drawable, part, pixels.U8.pixels)))
        yield _plane_of(large.scale_simple(width, bottom - top, GdkPixbuf.InterpType.BILINEAR)).data


def _rgba(data: bytes, n_channels: int) -> bytes:
    """Gray, gray and alpha, RGB or RGBA bytes as RGBA."""
    if n_channels == 4:
        return data
    out = bytearray(b"\xff") * (len(data) // n_channels * 4)
    n_colors = n_channels - (n_channels == 2)
    for channel in range(3):
        out[channel::4] = data[channel % n_colors :: n_channels]
    if n_channels == 2:
        out[3::4] = data[1::2]
    return bytes(out)


def _shares(channel: Gimp.Drawable, box: Box, size: tuple[int, int]) -> bytes:
    """What a channel or a mask holds in a part of it, one byte a pixel; outside it nothing."""
    data = bytes(pixels.read(channel, box, pixels.U8.mask))
    if (box.width, box.height) == size:
        return data
    gray = bytearray(3 * len(data))
    for plane in range(3):
        gray[plane::3] = data
    large = GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(bytes(gray)), GdkPixbuf.Colorspace.RGB, False, 8, box.width, box.height, 3 * box.width
    )
    small = large.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR)
    stride, rows = small.get_rowstride(), small.read_pixel_bytes().get_data()
    return b"".join(rows[y * stride : y * stride + 3 * size[0] : 3] for y in range(size[1]))
