"""The network that finds an object: what the deep embedded network sees in a picture, and what a user says about it.

The trunk looks at the picture once. All that a hint touches comes after it, from a sixteenth of the resolution up, so a
further click costs a fraction of the first one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from engine.features.backbone import IMAGENET_MEAN, IMAGENET_STD, block_of
from engine.features.embedded import DEEP_CHANNELS, DEEP_LAYERS

HINTS = ("on", "on far", "beside", "beside far", "region", "has region", "before", "has before", "nothing")
HINT_STRIDE = 4
SIGMAS = 1.5, 8.0  # of a click's planes, in cells
LATERALS = ("relu2_2", "relu3_3", "relu4_3", "relu5_1")  # strides 2, 4, 8, 16
WIDTH, N_BLOCKS, N_HEADS = 192, 4, 6
HINT_WIDTHS = 32, 64, 128  # at strides 4, 8, 16


class Sight(NamedTuple):
    """What the trunk saw: (B, C, H/s, W/s) for strides s of 2, 4, 8 and 16."""

    half: Tensor
    quarter: Tensor
    eighth: Tensor
    sixteenth: Tensor


class Block(nn.Module):
    """A look around near by, one at the whole picture, and a thought about each place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 3 * width), nn.Linear(3 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.near(x)
        batch, width, h, w = x.shape
        flat = x.flatten(2).transpose(1, 2)  # (B, h*w, C)
        parts = self.query(self.norm1(flat)).view(batch, h * w, 3, N_HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(parts[0], parts[1], parts[2])  # (B, heads, h*w, C/heads)
        flat = flat + self.out(seen.transpose(1, 2).reshape(batch, h * w, width))
        flat = flat + self.narrow(F.gelu(self.widen(self.norm2(flat))))
        return flat.transpose(1, 2).reshape(batch, width, h, w)


def _conv(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False), nn.GroupNorm(8, n_out), nn.ReLU(inplace=True)
    )


class ObjectNet(nn.Module):
    """A picture and hints in, the logits of an object out, at half the size."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.ModuleDict()
        n_in = 3
        for name in DEEP_LAYERS:
            self.trunk[name] = nn.Conv2d(n_in, DEEP_CHANNELS[block_of(name)], 3, padding=1)
            n_in = DEEP_CHANNELS[block_of(name)]
        self.head = Head()

    def look(self, rgb: Tensor) -> Sight:
        """See a picture.

        Args:
            rgb: (B, 3, H, W) in [0, 1].
        """
        x = (rgb - rgb.new_tensor(IMAGENET_MEAN)[:, None, None]) / rgb.new_tensor(IMAGENET_STD)[:, None, None]
        found, block = [], 1
        for name, conv in self.trunk.items():
            if block_of(name) != block:
                block = block_of(name)
                x = F.max_pool2d(x, 2)  # (B, C, H/2, W/2)
            x = F.relu(conv(x))
            if name in LATERALS:
                found.append(x)
        return Sight(*found)

    def forward(self, rgb: Tensor, hints: Tensor) -> Tensor:
        return self.head(self.look(rgb), hints)[0]


class Head(nn.Module):
    """What the trunk saw and the hints in, logits out: (B, 1, H/2, W/2), and coarser ones to learn from."""

    def __init__(self) -> None:
        super().__init__()
        n4, n8, n16 = HINT_WIDTHS
        self.hint4, self.hint8, self.hint16 = _conv(len(HINTS), n4), _conv(n4, n8, 2), _conv(n8, n16, 2)
        self.enter = nn.Conv2d(DEEP_CHANNELS[5], WIDTH, 1)
        self.enter_hint = nn.Conv2d(n16, WIDTH, 1)
        self.norm_in = nn.GroupNorm(8, WIDTH)
        self.blocks = nn.ModuleList(Block(WIDTH) for _ in range(N_BLOCKS))
        self.up8, self.side8 = nn.Conv2d(WIDTH, 96, 1), nn.Conv2d(DEEP_CHANNELS[4], 96, 1)
        self.join8 = _conv(96 + 96 + n8, 96)
        self.up4, self.side4 = nn.Conv2d(96, 64, 1), nn.Conv2d(DEEP_CHANNELS[3], 48, 1)
        self.join4 = _conv(64 + 48 + n4, 64)
        self.up2, self.side2 = nn.Conv2d(64, 32, 1), nn.Conv2d(DEEP_CHANNELS[2], 24, 1)
        self.join2 = _conv(32 + 24, 32)
        self.out2, self.out8, self.out16 = nn.Conv2d(32, 1, 3, padding=1), nn.Conv2d(96, 1, 1), nn.Conv2d(WIDTH, 1, 1)

    def forward(self, sight: Sight, hints: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hint4 = self.hint4(hints)
        hint8 = self.hint8(hint4)
        x = self.norm_in(self.enter(sight.sixteenth)) + _fit(self.enter_hint(self.hint16(hint8)), sight.sixteenth)
        for block in self.blocks:
            x = block(x)
        x8 = torch.cat((_fit(self.up8(x), sight.eighth), self.side8(sight.eighth), _fit(hint8, sight.eighth)), 1)
        x8 = self.join8(x8)
        x4 = torch.cat((_fit(self.up4(x8), sight.quarter), self.side4(sight.quarter), _fit(hint4, sight.quarter)), 1)
        x4 = self.join4(x4)
        x2 = torch.cat((_fit(self.up2(x4), sight.half), self.side2(sight.half)), 1)
        return self.out2(self.join2(x2)), self.out8(x8), self.out16(x)


def _fit(x: Tensor, like: Tensor) -> Tensor:
    """Maps at the size of others."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


@dataclass
class Hint:
    """What a user said, in cells of ``HINT_STRIDE`` pixels.

    Args:
        on, beside: (row, column) of clicks.
        region: (h, w), a box or a lasso.
        before: (h, w) in [0, 1], the mask that the clicks correct.
    """

    on: list[tuple[int, int]] = field(default_factory=list)
    beside: list[tuple[int, int]] = field(default_factory=list)
    region: NDArray[np.bool_] | NDArray[np.float32] | None = None
    before: Tensor | None = None


def hint_planes(hint: Hint, size: tuple[int, int]) -> Tensor:
    """A hint as ``HINTS``: (P, h, w)."""
    planes = torch.zeros(len(HINTS), *size)
    row, column = torch.arange(size[0])[:, None], torch.arange(size[1])
    for first, clicks in ((0, hint.on), (2, hint.beside)):
        for y, x in clicks:
            squared = ((row - y).square() + (column - x).square()).float()
            for plane, sigma in zip(planes[first : first + 2], SIGMAS, strict=True):
                torch.maximum(plane, torch.exp(-squared / (2 * sigma**2)), out=plane)
    if hint.region is not None:
        planes[4], planes[5] = torch.from_numpy(hint.region), 1.0
    if hint.before is not None:
        planes[6], planes[7] = hint.before, 1.0
    planes[8] = float(not (hint.on or hint.region is not None or hint.before is not None))
    return planes
