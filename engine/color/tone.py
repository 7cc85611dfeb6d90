"""Light and dark: luma, and whether the light of a picture lies where it lay in another."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
CELLS_PX = (8, 16)
NEXT_TO_NOTHING = 0.02  # a deviation of lightness; so that nothing becomes something in an even gray


def luma(rgb: Tensor) -> Tensor:
    """(..., 3, H, W) -> (..., 1, H, W), of the same type."""
    return (rgb * rgb.new_tensor(LUMA)[:, None, None]).sum(-3, keepdim=True)


def tone_distance(rgb: Tensor, content: Tensor, weight: Tensor | None = None) -> Tensor:
    """Whether light is where it was, per picture: (B,). 0 = everywhere; unrelated pictures have about 2.

    Mean squared difference of lightness averaged over cells of 8 and of 16 pixels, less its mean, over its deviation.
    Features hardly see a dark patch over half of a face, for all edges are still there; the eye sees nothing else.

    Args:
        rgb: (B, 3, H, W) the painting, in any contrast and color; sides of at least 16 pixels.
        content: (B, 3, H, W) the picture that is painted.
        weight: (B, 1, H, W) share of each position; None = all alike.
    """
    ours, theirs = luma(rgb.float()), luma(content.float())
    terms = []
    for cell_px in CELLS_PX:
        share = None if weight is None else F.avg_pool2d(weight, cell_px)  # (B, 1, H/8, W/8)
        seen = [standardized(F.avg_pool2d(light, cell_px), share) for light in (ours, theirs)]
        terms.append(_mean((seen[0] - seen[1]).square(), share))
    return torch.stack(terms).mean(0)[:, 0, 0, 0]


def stain_distance(rgb: Tensor, content: Tensor) -> Tensor:
    """Whether color is where it was, whatever the light does, per picture: (B,). 0 = everywhere.

    Mean squared difference of what colors have beside lightness, averaged over cells of 8 and of 16 pixels, less its
    mean, over the variance of lightness: so a stain counts as much as a patch of dark in ``tone_distance``.

    Args:
        rgb: (B, 3, H, W) the painting; sides of at least 16 pixels.
        content: (B, 3, H, W) the picture that is painted, in the style's colors.
    """
    rgb, content = rgb.float(), content.float()
    light = luma(content)
    error = (rgb - luma(rgb)) - (content - light)  # (B, 3, H, W)
    terms = []
    for cell_px in CELLS_PX:
        cells, lights = F.avg_pool2d(error, cell_px), F.avg_pool2d(light, cell_px)
        variance = (lights - _mean(lights)).square().mean((1, 2, 3)) + NEXT_TO_NOTHING**2
        terms.append((cells - _mean(cells)).square().sum(1).mean((1, 2)) / variance)
    return torch.stack(terms).mean(0)


def standardized(plane: Tensor, weight: Tensor | None = None) -> Tensor:
    """(B, 1, H, W) less its mean, over its deviation; ``weight`` as in ``tone_distance``."""
    centered = plane - _mean(plane, weight)
    deviation = (_mean(centered.square(), weight) + 1e-8).sqrt()
    return centered / (deviation + NEXT_TO_NOTHING)


def _mean(plane: Tensor, weight: Tensor | None = None) -> Tensor:
    """(B, C, H, W) -> (B, C, 1, 1)."""
    if weight is None:
        return plane.mean((2, 3), keepdim=True)
    return (plane * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp_min(1e-6)
