"""A picture of any size for measurements that do not depend on what it shows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def make_landscape(width: int, height: int, seed: int) -> Tensor:
    """Noise at all octaves, falling like a photo's: (1, 3, H, W) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.full((1, 3, height, width), 0.5)
    longest, cells = max(width, height), 4
    while cells <= longest:
        size = [max(2, cells * side // longest) for side in (height, width)]
        octave = torch.rand(1, 3, *size, generator=generator) - 0.5
        total += F.interpolate(octave, (height, width), mode="bilinear", align_corners=False) / cells**0.5
        cells *= 2
    return total.clamp_(0, 1)
