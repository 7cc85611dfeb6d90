"""A style of two halves, and regions that take them crosswise: what a method must paint where is known."""

from __future__ import annotations

import torch

from engine.core.types import Mask, Picture, Region


def crosswise(size: tuple[int, int], noise: float = 0.0) -> tuple[Picture, list[Region]]:
    """A style half red and half blue, and regions: the left of a picture is to take the right of the style.

    Args:
        size: (H, W) of the picture.
        noise: in [0, 0.9], how much the style's values scatter.
    """
    rgb = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)) * noise
    rgb[0, :, :32] += 0.9 - noise
    rgb[2, :, 32:] += 0.9 - noise
    left, style_left = torch.zeros(size), torch.zeros(64, 64)
    left[:, : size[1] // 2], style_left[:, :32] = 1, 1
    pairs = ((left, 1 - style_left), (1 - left, style_left))
    return Picture(rgb), [Region(Mask(ours), Mask(theirs)) for ours, theirs in pairs]
