"""Several pictures that are to look alike: what the any-style network measures of a picture, measured of all at once.

The network whitens a picture's features by the picture's own statistics. So the same thing comes out otherwise when
what surrounds it has changed: another exposure, another crop. Pictures of a series share their statistics, the
transport of their colors and their strength, and what is the same in two of them is painted the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.tiles import spread_crops
from engine.core.types import Picture

MAX_PICTURES = 32  # of which a series is measured; whoever has more chooses among them
SAMPLE_PX, CROP_PX = 768, 256  # a larger picture is known by 9 crops of it, laid side by side


@dataclass(frozen=True, eq=False)
class Series:
    """Samples of pictures.

    Args:
        pictures: (3, h, w) each, at the size at which they are painted.
        known: what was measured of them, by whoever measures; kept so that it is done once.
    """

    pictures: tuple[Picture, ...]
    known: dict[Any, Any] = field(default_factory=dict, repr=False)

    def scaled(self, factor: float) -> list[Tensor]:
        """(1, 3, h, w) of each at a factor of its size."""
        rgbs = [picture.rgb[None].clamp(0, 1) for picture in self.pictures]
        if factor == 1:
            return rgbs
        sizes = [[max(1, round(side * factor)) for side in rgb.shape[2:]] for rgb in rgbs]
        return [
            F.interpolate(rgb, size, mode="bilinear", antialias=True, align_corners=False)
            for rgb, size in zip(rgbs, sizes, strict=True)
        ]


def sample_series(pictures: Iterable[Picture], size_px: int | None = None) -> Series:
    """A series of pictures, of which no more is kept than is measured.

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
        factor = size_px / max(picture.size)
        size = [max(1, round(side * factor)) for side in picture.size]
        rgb = F.interpolate(rgb, size, mode="bilinear", antialias=True, align_corners=False)
    if min(rgb.shape[2:]) < CROP_PX or max(rgb.shape[2:]) <= SAMPLE_PX:
        return Picture(rgb[0])
    tops, lefts = ([0, (side - CROP_PX) // 2, side - CROP_PX] for side in rgb.shape[2:])
    rows = [torch.cat([rgb[0, :, t : t + CROP_PX, x : x + CROP_PX] for x in lefts], 2) for t in tops]
    return replace(picture, rgb=torch.cat(rows, 1), alpha=None)


def crops_of(rgbs: list[Tensor], side_px: int, stride_px: int, n_crops: int) -> Tensor:
    """Crops of all pictures as one batch, as many of each.

    Args:
        rgbs: (1, 3, h, w) each, no side below ``stride_px``.
        side_px: of a crop, at most; a smaller picture makes all of them smaller.
        stride_px: what divides it.
        n_crops: about how many in all.

    Returns:
        (K, 3, side, side).
    """
    smallest = min(min(rgb.shape[2:]) for rgb in rgbs)
    side = min(side_px, smallest // stride_px * stride_px)
    each = max(1, round(n_crops / len(rgbs)))
    return torch.cat([spread_crops(rgb, side, each) for rgb in rgbs])
