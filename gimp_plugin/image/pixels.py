"""Raw pixels of one drawable: where they lie, how they cross the wire, reading and writing them."""

from __future__ import annotations

from dataclasses import dataclass

from gi.repository import Babl, Gegl, Gimp, Gio

from gimp_plugin import wire

EIGHT_BIT = (Gimp.Precision.U8_NON_LINEAR, Gimp.Precision.U8_PERCEPTUAL)

OPAQUE_U8 = {"R'G'B' u8": 3, "Y' u8": 1}  # Babl's name -> channels


@dataclass(frozen=True)
class Box:
    """A rectangle in a layer's own coordinates."""

    x: int
    y: int
    width: int
    height: int

    def padded(self, padding_px: int, whole: Box) -> Box:
        """With more around it, as far as the layer or image goes."""
        x1, y1 = max(0, self.x - padding_px), max(0, self.y - padding_px)
        x2 = min(whole.width, self.x + self.width + padding_px)
        y2 = min(whole.height, self.y + self.height + padding_px)
        return Box(x1, y1, x2 - x1, y2 - y1)

    @property
    def rectangle(self) -> Gegl.Rectangle:
        return Gegl.Rectangle.new(self.x, self.y, self.width, self.height)


@dataclass(frozen=True)
class Depth:
    """How pixels and masks of an image cross the wire: in 8 bits where that loses nothing, else in floats."""

    dtype: str
    pixels: str
    mask: str


U8 = Depth("U8", "R'G'B'A u8", "Y u8")
F32 = Depth("F32", "R'G'B'A float", "Y float")


def depth_of(image: Gimp.Image, layer: Gimp.Layer) -> Depth:
    """8 bits for 8-bit sRGB images. Colors of a wider space would be cut off in 8 bits of sRGB; floats keep them."""
    space = Babl.get_name(Babl.format_get_space(layer.get_format()))
    return U8 if image.get_precision() in EIGHT_BIT and space == "sRGB" else F32


def read(drawable: Gimp.Drawable, box: Box, pixel_format: str) -> wire.Buffer:
    """The pixels of a part of a drawable; what lies outside it is transparent, or not selected."""
    own_format = Babl.get_name(drawable.get_format())
    is_inside = min(box.x, box.y) >= 0 and box.x + box.width <= drawable.get_width()
    is_inside = is_inside and box.y + box.height <= drawable.get_height()
    if pixel_format == U8.pixels and own_format in OPAQUE_U8 and is_inside:
        return _opaque(read(drawable, box, own_format), OPAQUE_U8[own_format])
    buffer = drawable.get_buffer()
    data: bytes = buffer.get(box.rectangle, 1.0, pixel_format, Gegl.AbyssPolicy.NONE)
    del buffer
    return data


def _opaque(pixels: wire.Buffer, n_channels: int) -> bytearray:
    """Gray or RGB bytes as RGBA. GEGL takes three times as long for it: it begins by timing its ways there."""
    out = bytearray(b"\xff") * (len(pixels) // n_channels * 4)
    for channel in range(3):
        out[channel::4] = pixels[channel % n_channels :: n_channels]
    return out


def write(drawable: Gimp.Drawable, box: Box, pixel_format: str, data: wire.Buffer) -> None:
    """Replace the pixels of a part of a drawable, whatever is selected or locked."""
    plain = data if isinstance(data, bytes) else bytes(data)  # anything else is read item by item: seconds
    buffer = drawable.get_buffer()
    buffer.set(box.rectangle, pixel_format, plain)
    buffer.flush()
    del buffer
    drawable.update(box.x, box.y, box.width, box.height)


def copy(source: Gimp.Drawable, target: Gimp.Drawable) -> None:
    """All pixels of a drawable into another of the same size and kind, to the bit."""
    area = Gegl.Rectangle.new(0, 0, source.get_width(), source.get_height())
    ours, theirs = source.get_buffer(), target.get_buffer()
    ours.copy(area, Gegl.AbyssPolicy.NONE, theirs, area)
    theirs.flush()
    del ours, theirs
    target.update(0, 0, area.width, area.height)


def file_name(file: Gio.File) -> str:
    """The name of a file as it can be shown: on some disks names are not all Unicode."""
    return (file.get_basename() or "picture").encode("utf-8", "replace").decode()


def refusal(message: str) -> wire.WireError:
    """The error for what the user must change before the filter can work."""
    return wire.WireError("unprocessable", message)
