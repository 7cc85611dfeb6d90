"""Many styles in one network: the CoMatch layer of MSG-Net.

Source: Zhang & Dana 2018, "Multi-style Generative Network for Real-time Transfer". ``CoMatch`` is the paper's equation
(5); ``MsgNet`` is the compact network that we train, ``PublishedMsgNet`` (in ``published.py``) the authors'. Departs,
in what we train: features are matched again in every residual block instead of once, so that few channels hold many
styles; and as in ``feedforward``: the picture comes in folded and in the style's colors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import WeightsError
from engine.networks.anystyle import (
    HALF_CHANNELS,
    PAINT_CHANNELS,
    RGB_MOMENTS,
    conv,
    rgb_moments,
    shuffled_conv,
)
from engine.networks.feedforward import MAX_BLOCKS, MAX_WIDTH, act, blurred, doubled, fill
from engine.networks.measured import InstanceNorm, Measured


def gram(features: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, C): F F^T / (C H W), as the paper has it; float32."""
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)  # (B, C, H*W)
        return flat @ flat.transpose(1, 2) / flat[0].numel()


class CoMatch(nn.Module):
    """Y = ((Phi(X)^T W G(S))^T): features turned so that they answer to the style's second moments.

    Args:
        n_channels: C.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(n_channels) * n_channels)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """(B, C, H, W) features and (B or 1, C, C) target Gram matrix -> (B, C, H, W)."""
        turned = (self.weight @ target).transpose(1, 2)  # (B, C, C)
        return (turned.to(x.dtype) @ x.flatten(2)).reshape(x.shape)


@dataclass(frozen=True)
class StyleCode:
    """What the network must know of a style.

    Args:
        colors: (B, 12) mean and covariance of its colors.
        gram: (B, C, C) of the network's own encoder.
    """

    colors: Tensor
    gram: Tensor

    def lerp(self, other: StyleCode, share: float) -> StyleCode:
        """On the straight line to another style."""
        return StyleCode(self.colors.lerp(other.colors, share), self.gram.lerp(other.gram, share))


class MatchedBlock(nn.Module):
    """A residual block whose input is matched to the style."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.match = CoMatch(n_channels)
        self.conv1, self.conv2 = conv(n_channels, n_channels), conv(n_channels, n_channels)
        self.norm0, self.norm1, self.norm2 = (InstanceNorm(n_channels) for _ in range(3))

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        y = act(x + self.norm0(self.match(x, target)))
        y = act(self.norm1(self.conv1(y)))
        added: Tensor = x + self.norm2(self.conv2(y))
        return added


class MsgNet(Measured):
    """The compact network.

    Args:
        width: channels at 1/4 resolution.
        n_blocks: residual blocks.
    """

    stride_px = 8
    margin_px = 64

    def __init__(self, width: int = 64, n_blocks: int = 5) -> None:
        super().__init__()
        self.stem, self.down = conv(12, HALF_CHANNELS), conv(HALF_CHANNELS, width, stride=2)
        self.deepen, self.entry = conv(width, width), InstanceNorm(width)
        self.blocks = nn.ModuleList(MatchedBlock(width) for _ in range(n_blocks))
        self.up, self.up_norm = conv(width, PAINT_CHANNELS), InstanceNorm(PAINT_CHANNELS)
        self.paint = shuffled_conv(PAINT_CHANNELS, 3, gain=0.1)

    def encode(self, rgb: Tensor) -> Tensor:
        """Features that content and style share: (B, 3, H, W) -> (B, C, H/4, W/4)."""
        x = act(self.stem(F.pixel_unshuffle(rgb * 4 - 2, 2)))  # (B, 24, H/2, W/2)
        x = self.down(x)  # (B, C, H/4, W/4)
        return x + self.deepen(act(x))

    def encode_style(self, rgb: Tensor) -> StyleCode:
        """The code of styles (B, 3, H, W), H and W divisible by 8."""
        return StyleCode(rgb_moments(rgb), gram(self.encode(rgb)))

    def forward(self, rgb: Tensor, code: StyleCode) -> Tensor:
        """(B, 3, H, W) in [0, 1], in the style's colors -> painted, not clamped."""
        x = self.entry(self.encode(rgb))
        for block in self.blocks:
            x = block(x, code.gram)
        x = act(self.up_norm(self.up(doubled(x))))  # (B, 32, H/2, W/2)
        return blurred(rgb) + F.pixel_shuffle(self.paint(x), 2)  # (B, 3, H, W)
