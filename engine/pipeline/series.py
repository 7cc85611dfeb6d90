"""Several pictures that are to look alike: what the any-style network measures of a picture, measured of all at once.

The network whitens a picture's features by the picture's own statistics. So the same thing comes out otherwise when
what surrounds it has changed: another exposure, another crop. Pictures of a series share their statistics, the
transport of their colors and their strength, and what is the same in two of them is painted the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch

from engine.compute.resize import rescale
from engine.core.types import Picture, Series

MAX_PICTURES = 32  # that a series is measured from; of more, choose some
SAMPLE_PX, CROP_PX = 768, 256  # a larger picture is known by 9 crops of it, laid side by side


def sample_series(pictures: Iterable[Picture], size_px: int | None = None) -> Series:
    """A series of pictures; only what is measured is kept.

    Args:
        pictures: in any order; the first ``MAX_PICTURES`` count.
        size_px: longest side at which they are painted; None = their own.
    """
    kept = []
    for picture in pictures:
        kept.append(sample(picture, size_px))
        if len(kept) == MAX_PICTURES:
            break
    return Series(tuple(kept))


def sample(picture: Picture, size_px: int | None = None) -> Picture:
    """What is kept of a picture: all of a small one, of a large one crops at its own resolution."""
    rgb = picture.rgb[None]
    if size_px is not None and size_px < max(picture.size):
        rgb = rescale(rgb, size_px / max(picture.size))
    if min(rgb.shape[2:]) < CROP_PX or max(rgb.shape[2:]) <= SAMPLE_PX:
        return Picture(rgb[0])
    tops, lefts = ([0, (side - CROP_PX) // 2, side - CROP_PX] for side in rgb.shape[2:])
    rows = [torch.cat([rgb[0, :, t : t + CROP_PX, x : x + CROP_PX] for x in lefts], 2) for t in tops]
    return replace(picture, rgb=torch.cat(rows, 1), alpha=None)
