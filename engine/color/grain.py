"""Grain: what a canvas has and an even background lacks, so that there is something to paint strokes from.

A network of convolutions can only repeat one color where a picture is exactly even, but near anything else it can
paint, so that a thing before black or white stood in a cloud of strokes. Grain that nobody sees gives it a place for a
stroke everywhere; photos have enough of their own.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.color.tone import luma

DEVIATION = 1.5 / 255
EVEN = 2.5 / 255  # deviation of lightness from which on a place gets none
CELL_PX = 4
PERIOD_PX = 256
OCTAVES_PX = (1, 2, 4, 8)
SEED = 1


def grained(rgb: Tensor, top: int = 0, left: int = 0) -> Tensor:
    """A picture with grain where it is even; not clamped.

    Args:
        rgb: (B, 3, H, W) in [0, 1], a whole picture or a tile of it.
        top: row of the whole picture with which the tile begins; a multiple of 4, if tiles are to agree.
        left: its column, likewise.
    """
    height, width = rgb.shape[2:]
    grain = pattern().to(rgb.device).roll((-top, -left), (0, 1))
    times = (-(-height // PERIOD_PX), -(-width // PERIOD_PX))
    return rgb + grain.tile(times)[:height, :width] * evenness(rgb)


@torch.no_grad()
def evenness(rgb: Tensor) -> Tensor:
    """Share of the grain that each place gets, (B, 1, H, W): all of it where nothing is, none in a photo's noise."""
    light = F.pad(luma(rgb.float()), (0, -rgb.shape[3] % CELL_PX, 0, -rgb.shape[2] % CELL_PX), mode="replicate")
    moments = F.avg_pool2d(torch.cat([light, light.square()], 1), CELL_PX)  # (B, 2, H/4, W/4)
    moments = F.avg_pool2d(F.pad(moments, (1, 1, 1, 1), mode="replicate"), 3, 1)  # of some 12 px around
    mean, square = moments.split(1, 1)
    deviation = (square - mean.square()).clamp_min(0).sqrt()
    even = (1 - deviation / EVEN).clamp_min(0)
    wide = F.interpolate(even, scale_factor=float(CELL_PX), mode="bilinear", align_corners=False)
    return wide[:, :, : rgb.shape[2], : rgb.shape[3]]


@cache
@torch.inference_mode(False)  # a training can use it too
def pattern() -> Tensor:
    """The grain, which repeats every 256 pixels without a seam: (256, 256), as much of it in every octave."""
    rng = np.random.default_rng(SEED)
    total = torch.zeros(PERIOD_PX, PERIOD_PX)
    for octave_px in OCTAVES_PX:
        noise = torch.from_numpy(rng.standard_normal((1, 1, PERIOD_PX, PERIOD_PX), dtype=np.float32))
        noise = F.avg_pool2d(F.pad(noise, (0, octave_px - 1, 0, octave_px - 1), mode="circular"), octave_px, 1)
        total += (noise / noise.std())[0, 0]
    return (total - total.mean()) / total.std() * DEVIATION
