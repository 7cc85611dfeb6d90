"""TIFF with 16 bits or floats a channel, which Pillow reads with 8 bits or not at all: read, and written."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import product
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from engine.files import opencv
from engine.files.icc import Floats

NONE, ZIP, OLD_ZIP = 1, 8, 32946
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
INTEGER, FLOAT = 1, 3
ASSOCIATED = 1  # alpha that is multiplied into the colors
MAX_CHANNELS = 8


@dataclass(frozen=True, eq=False)
class Layout:
    """How a TIFF's first page lies in the file, by its directory (TIFF 6.0, section 8)."""

    tags: dict[int, Any]
    order: str
    has_more_pages: bool

    def first(self, tag: int, default: int) -> int:
        """The only, or the first, number of a tag."""
        value = self.tags.get(tag, default)
        return int(value[0] if isinstance(value, tuple) else value)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.first(257, 0), self.first(256, 0)

    @property
    def channels(self) -> int:
        return self.first(277, 1)

    @property
    def profile(self) -> bytes | None:
        found = self.tags.get(34675)
        return found if isinstance(found, bytes) else None

    @property
    def extra(self) -> int | None:
        """What the first channel behind the colors means (0 unknown, 1 or 2 alpha); None = there is none."""
        n_colors = 3 if self.first(262, 0) == RGB else 1
        return self.first(338, 0) if self.channels > n_colors else None

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """Of a channel, if it is deep: 16 or 32 bit integers, or floats."""
        kinds = {(16, INTEGER): "u2", (32, INTEGER): "u4", (16, FLOAT): "f2", (32, FLOAT): "f4", (64, FLOAT): "f8"}
        bits = self.tags.get(258, (1,))
        kind = kinds.get((self.first(258, 1), self.first(339, INTEGER)))
        is_plain = self.first(262, -1) in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB) and len(set(bits)) == 1
        return np.dtype(self.order + kind) if kind is not None and is_plain else None

    @property
    def is_for_pillow(self) -> bool:
        """Whether Pillow reads it, with 8 bits: RGB of 16, channels together."""
        is_rgb = self.first(262, -1) == RGB and self.first(284, 1) == 1
        return is_rgb and self.dtype is not None and self.dtype.str[1:] == "u2"

    @property
    def is_deep(self) -> bool:
        return self.dtype is not None and min(self.size) > 0 and 0 < self.channels <= MAX_CHANNELS


def layout_of(stream: BinaryIO) -> Layout:
    """The directory of the first page.

    Raises:
        Exception: whatever Pillow raises at a damaged one.
    """
    stream.seek(0)
    head = stream.read(8)
    if head[2:3] in b"+" or head[3:4] in b"+":
        head += stream.read(8)
    directory = TiffImagePlugin.ImageFileDirectory_v2(head)
    stream.seek(directory.next)
    directory.load(stream)
    tags = {}
    for tag in (256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339, 34675):
        if tag in directory:
            tags[tag] = directory[tag]
    return Layout(tags, "<" if head[:2] == b"II" else ">", directory.next != 0)


def read_pixels(stream: BinaryIO, layout: Layout) -> NDArray[Any] | None:
    """(H, W, channels) of a deep TIFF as the file has them; None = of a kind that is not read.

    Raises:
        Exception: zlib, struct, numpy or OSError at a damaged file; "truncated" is in the words if it lacks its end.
    """
    compression, dtype = layout.first(259, NONE), layout.dtype
    if dtype is None:
        return None
    if compression not in (NONE, ZIP, OLD_ZIP):
        return _by_opencv(stream, layout)
    (height, width), n = layout.size, layout.channels
    is_tiled = 324 in layout.tags
    rows = min(height, layout.first(323 if is_tiled else 278, height))
    columns = layout.first(322, width) if is_tiled else width
    n_planes, depth = (n, 1) if layout.first(284, 1) == 2 else (1, n)  # each channel apart, or together
    starts, sizes = (_numbers(layout.tags[tag]) for tag in ((324, 325) if is_tiled else (273, 279)))
    places = product(range(n_planes), range(0, height, rows), range(0, width, columns))
    pixels = np.zeros((height, width, n), dtype.newbyteorder("="))
    for (plane, top, left), start, size in zip(places, starts, sizes, strict=False):
        n_rows = rows if is_tiled else min(rows, height - top)
        stream.seek(start)
        block = _block(stream.read(size), layout, (n_rows, columns, depth), dtype)
        part = pixels[top : top + n_rows, left : left + columns, plane : plane + depth]
        part[:] = block[: part.shape[0], : part.shape[1]]
    return pixels


def _numbers(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _block(data: bytes, layout: Layout, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A strip or a tile, unpacked."""
    rows, columns, depth = shape
    wanted = rows * columns * depth * dtype.itemsize
    if layout.first(259, NONE) != NONE:
        data = zlib.decompressobj().decompress(data, wanted)
    if len(data) < wanted:
        raise OSError("the file is truncated")
    predictor = layout.first(317, 1)
    if predictor == 3:  # Adobe's technical note 3: differences of bytes, the highest of all values first
        steps = np.frombuffer(data, np.uint8, wanted).reshape(rows, columns * dtype.itemsize, depth)
        summed = np.add.accumulate(steps, 1, dtype=np.uint8).reshape(rows, dtype.itemsize, columns * depth)
        return np.ascontiguousarray(summed.transpose(0, 2, 1)).view(dtype.newbyteorder(">")).reshape(shape)
    block = np.frombuffer(data, dtype, rows * columns * depth).reshape(shape)
    if predictor == 2:
        native = dtype.newbyteorder("=")
        return np.add.accumulate(block.astype(native), 1, dtype=native)
    return block


def _by_opencv(stream: BinaryIO, layout: Layout) -> NDArray[Any] | None:
    """LZW and the like; (H, W, channels), or None."""
    if layout.first(284, 1) == 2:
        raise ValueError("LZW with each channel apart: Pillow would mix them up")
    if layout.channels not in (1, 3, 4):
        return None
    pixels = opencv.decode(stream)
    if pixels is None or pixels.shape != (*layout.size, layout.channels) or pixels.dtype.itemsize < 2:
        return None
    return pixels


def encode(pixels: NDArray[Any], profile: bytes | None, exif: dict[int, Any], dpi: tuple[float, float] | None) -> bytes:
    """A TIFF of (H, W, 3 or 4) uint16 or float32 pixels, the fourth channel alpha, packed without loss."""
    height, width, n = pixels.shape
    data = zlib.compress(np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).data, 3)
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    for tag, value in exif.items():
        directory[tag] = value
    types = {256: 4, 257: 4, 258: 3, 259: 3, 262: 3, 273: 4, 277: 3, 278: 4, 279: 4, 339: 3}
    values: dict[int, Any] = {
        256: width, 257: height, 258: (pixels.itemsize * 8,) * n, 259: ZIP, 262: RGB, 277: n, 278: height,
        273: 0,  # counted from the end of the directory
        279: len(data), 339: (FLOAT if pixels.dtype.kind == "f" else INTEGER,) * n,
    }  # fmt: skip
    if n == 4:
        values[338] = 2  # alpha that is not multiplied in
        types[338] = 3
    if profile is not None:
        values[34675], types[34675] = profile, 7
    if dpi is not None:
        values |= {282: dpi[0], 283: dpi[1], 296: 2}
        types |= {282: 5, 283: 5, 296: 3}
    for tag, value in values.items():
        directory.tagtype[tag] = types[tag]
        directory[tag] = value
    return b"".join((b"II*\0\x08\0\0\0", directory.tobytes(8), data))


def unassociated(colors: Floats, alpha: Floats) -> Floats:
    """Colors (H, W, C) with the alpha (H, W) that was multiplied into them taken out."""
    return np.where(alpha[:, :, None] > 0, colors / np.maximum(alpha[:, :, None], 1e-9), colors).astype(np.float32)
