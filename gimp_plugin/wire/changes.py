"""What differs between the pixels that were sent and those that came back.

Whatever came back as it was sent is not written: then it keeps the layer's own bits. Pixels of a wide or linear color
space do not survive the way to sRGB and back to the last bit. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gimp_plugin.wire.frames import ITEM_BYTES, Buffer, Plane


@dataclass(frozen=True)
class Change:
    """Pixels to be written.

    Args:
        x, y, width, height: where, in the plane.
        data: rows without gaps.
    """

    x: int
    y: int
    width: int
    height: int
    data: Buffer


def changes(sent: Plane, received: Plane) -> Iterator[Change]:
    """Rectangles that hold every pixel that differs: one for each run of rows in which something does.

    Args:
        sent, received: (H, W, C) of the same shape and dtype.
    """
    height, width, n_channels = sent.shape
    pixel = n_channels * ITEM_BYTES[sent.dtype]
    before, after = _Rows(sent.data, width * pixel), _Rows(received.data, width * pixel)
    top: int | None = None
    for y in range(height + 1):
        is_same = y == height or before[y] == after[y]
        if not is_same and top is None:
            top = y
        elif is_same and top is not None:
            yield _rectangle(before, after, top, y, pixel)
            top = None


class _Rows:
    """The rows of a plane, as bytes: they are compared as fast as memory is read, and views are not."""

    def __init__(self, data: Buffer, n_bytes: int) -> None:
        self._data = memoryview(data).cast("B")
        self.n_bytes = n_bytes

    def __getitem__(self, y: int) -> bytes:
        return bytes(self._data[y * self.n_bytes : (y + 1) * self.n_bytes])

    def run(self, top: int, bottom: int) -> Buffer:
        return self._data[top * self.n_bytes : bottom * self.n_bytes]


def _rectangle(before: _Rows, after: _Rows, top: int, bottom: int, pixel: int) -> Change:
    """The rows from ``top`` on, without the columns at both sides in which nothing differs."""
    n_pixels = before.n_bytes // pixel
    left, right = n_pixels, 0
    for y in range(top, bottom):
        ours, theirs = before[y], after[y]
        if ours[: left * pixel] != theirs[: left * pixel]:
            left = _first_difference(ours, theirs, left * pixel) // pixel
        if ours[right * pixel :] != theirs[right * pixel :]:
            right = n_pixels - _first_difference(ours[::-1], theirs[::-1], (n_pixels - right) * pixel) // pixel
        if left == 0 and right == n_pixels:
            return Change(0, top, n_pixels, bottom - top, after.run(top, bottom))
    rows = [after[y][left * pixel : right * pixel] for y in range(top, bottom)]
    return Change(left, top, right - left, bottom - top, b"".join(rows))


def _first_difference(ours: bytes, theirs: bytes, end: int) -> int:
    """Where two rows differ first, before ``end``, where they do."""
    low, high = 0, end  # equal up to low, not equal up to high
    while high - low > 1:
        middle = (low + high) // 2
        if ours[low:middle] == theirs[low:middle]:
            low = middle
        else:
            high = middle
    return low
