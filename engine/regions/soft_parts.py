"""Parts of a picture with soft borders, which follow the picture's edges; each is fed by a part of the style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.core.types import Mask, Region
from engine.edges.smoothing import guided_filter

MIN_PIXELS = 10  # of a region, in content and in style: the published guards
MAX_RATIO = 100.0  # of the shares of the two pictures that a pair covers
SOFT_RADIUS, SOFT_EPS = 1 / 100, 1e-4  # of the filter that lets borders follow edges; the radius in longest sides


@dataclass(frozen=True, eq=False)
class SoftPart:
    """A part of the content, fed by a part of the style.

    Args:
        share: (H, W) in [0, 1], how much of each pixel it paints; the shares of all parts sum to 1.
        counted: (H, W), what of the content counts in its statistics; None = everything.
        style: (H', W'), what of the style does; None = everything.
    """

    share: Tensor
    counted: Tensor | None
    style: Tensor | None


def soft_parts_of(
    content: Tensor, regions: Sequence[Region], mask: Mask | None, style_alpha: Tensor | None
) -> list[SoftPart]:
    """The parts of a picture, with soft borders.

    What no region covers, or a pair that is no use for statistics (of a few pixels, or a hundred times larger in one
    picture than in the other), is fed by the whole style.

    Args:
        content: (3, H, W).
        regions: pairs; content masks (H, W), style masks of the style's size.
        mask: what of the content counts; None = all of it.
        style_alpha: what of the style is visible; None = all of it.

    Returns:
        At least one part.
    """
    seen = None if mask is None or not bool((mask.weight > 0).any()) else mask.weight
    pairs = [
        (
            region.content.weight,
            visible_part(region.content.weight, seen),
            visible_part(region.style.weight, style_alpha),
        )
        for region in regions
    ]
    pairs = [pair for pair in pairs if is_fit(pair[1], pair[2])]
    covered = torch.zeros(content.shape[1:]) if not pairs else torch.stack([pair[0] for pair in pairs]).sum(0)
    rest = (1 - covered).clamp_min(0)
    shares = soften([*(pair[0] for pair in pairs), rest], content)
    parts = [SoftPart(share, counted, style) for share, (_, counted, style) in zip(shares, pairs, strict=False)]
    if bool((rest > 0).any()):
        parts.append(SoftPart(shares[-1], seen, style_alpha))
    return parts


def visible_part(weight: Tensor, seen: Tensor | None) -> Tensor:
    """A region less what is not seen."""
    return weight if seen is None else weight * seen


def is_fit(content: Tensor, style: Tensor) -> bool:
    """The published guards, of the weights of a pair."""
    pixels = float(content.sum()), float(style.sum())
    shares = pixels[0] / content.numel(), pixels[1] / style.numel()
    return min(pixels) > MIN_PIXELS and max(shares) < MAX_RATIO * min(shares)


def soften(weights: Sequence[Tensor], content: Tensor) -> list[Tensor]:
    """Weights (H, W) whose borders follow the content's edges nearby, scaled to sum to 1."""
    stacked = torch.stack(list(weights))  # (R, H, W)
    if len(weights) > 1:
        radius_px = max(1, round(SOFT_RADIUS * max(content.shape[1:])))
        stacked = guided_filter(content, stacked, radius_px, SOFT_EPS).clamp_(0, 1)
    return list(stacked / stacked.sum(0).clamp_min(1e-6))
