"""What the engine needs to see of each picture of a series: of a large one a few crops, not all of it.

Every job of a series carries all of its pictures: sixteen of 12 megapixels would be gigabytes, sixteen times.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence

from gimp_plugin.wire.frames import ITEM_BYTES, Plane
from gimp_plugin.wire.stylize import MAX_SERIES

SAMPLE_PX, CROP_PX = 768, 256  # as in engine/pipeline/series.py, which would take the same crops


def series_of(planes: Sequence[Plane]) -> tuple[Plane, ...]:
    """What the engine measures a series by: of more than ``MAX_SERIES`` pictures some that lie evenly among them."""
    n = len(planes)
    chosen = range(n) if n <= MAX_SERIES else (i * (n - 1) // (MAX_SERIES - 1) for i in range(MAX_SERIES))
    return tuple(sample(planes[i]) for i in chosen)


def sample(plane: Plane) -> Plane:
    """A picture (H, W, C), or if it is large nine crops of it at its own resolution, laid side by side."""
    height, width, n_channels = plane.shape
    if min(height, width) < CROP_PX or max(height, width) <= SAMPLE_PX:
        return plane
    pixels, n_bytes = memoryview(plane.data).cast("B"), n_channels * ITEM_BYTES[plane.dtype]
    tops, lefts = ((0, (side - CROP_PX) // 2, side - CROP_PX) for side in (height, width))
    starts = [(y * width + x) * n_bytes for top in tops for y in range(top, top + CROP_PX) for x in lefts]
    crops = b"".join([pixels[start : start + CROP_PX * n_bytes] for start in starts])
    return Plane(plane.dtype, (3 * CROP_PX, 3 * CROP_PX, n_channels), crops)
