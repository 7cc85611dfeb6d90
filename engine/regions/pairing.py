"""Regions on feature maps: which positions of a style's map may feed which positions of the picture's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.types import Picture, Region, Style
from engine.regions.parts import counted_in


@dataclass(frozen=True, eq=False)
class Pairing:
    """Parts of a picture, and for each the part of a style that feeds it.

    Args:
        content: (P, H, W) weights; a position belongs to the part that weighs most there.
        style: (P, h, w) weights.
    """

    content: Tensor
    style: Tensor

    @property
    def reversed(self) -> Pairing:
        """The same, with the picture feeding the style."""
        return Pairing(self.style, self.content)

    def part(self, size: Sequence[int]) -> Tensor:
        """(H, W) int64, which part each position of a map of the picture belongs to."""
        return pooled(self.content, size).argmax(0)

    def allowed(self, size: Sequence[int], border: int = 0) -> Tensor:
        """Which positions of a map of the style feed each part: (P, h, w) bool.

        At least those where the part is thickest, so that a region of one pixel has its position too.

        Args:
            size: (h, w) of the map.
            border: positions at each side that do not count.
        """
        return allowed_positions(self.style, size, border)


def pair_up(size: tuple[int, int], style: Style, picture: Picture, regions: Sequence[Region]) -> Pairing:
    """Parts of a picture and of a style. What no region covers is fed by the whole style.

    Args:
        size: (H, W) of the picture.
        style: for its name.
        picture: of the style; what is transparent in it feeds nothing.
        regions: pairs; those that cover nothing of the picture are left out.

    Raises:
        InputError: regions of another size than the style, or with nothing of it.
    """
    used = [region for region in regions if bool((region.content.weight > 0).any())]
    ours, theirs = [region.content.weight for region in used], [region.style.weight for region in used]
    rest = torch.ones(size) - (torch.stack(ours).sum(0) if ours else 0)
    if bool((rest > 1e-3).any()):
        ours, theirs = [*ours, rest.clamp_min(0)], [*theirs, torch.ones(picture.size)]
    return Pairing(torch.stack(ours), torch.stack([counted_in(picture, weight, style.name) for weight in theirs]))


def allowed_positions(weights: Tensor, size: Sequence[int], border: int = 0) -> Tensor:
    """Where parts are: positions of at least half the weight of their thickest ones.

    Args:
        weights: (P, H, W) of the parts, >= 0.
        size: (h, w) of the map.
        border: positions at each side that do not count.

    Returns:
        (P, h, w) bool; nowhere true for a part that is empty.
    """
    inner = slice(border, size[0] - border), slice(border, size[1] - border)
    small = pooled(weights, size)
    if not bool((small[:, inner[0], inner[1]].flatten(1).amax(1) > 0).all()):  # a part that is nothing but border
        small = F.max_pool2d(small[None], 2 * border + 1, 1, border)[0]
    most = small[:, inner[0], inner[1]].flatten(1).amax(1)[:, None, None]
    return (small >= 0.5 * most) & (most > 0)


def pooled(weights: Tensor, size: Sequence[int]) -> Tensor:
    """(P, H, W), their means at another size (h, w)."""
    return F.adaptive_avg_pool2d(weights[None], (size[0], size[1]))[0]
