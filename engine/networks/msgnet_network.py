"""Many styles in one network: the CoMatch layer of MSG-Net.

Source: Zhang & Dana 2018, "Multi-style Generative Network for Real-time Transfer". ``CoMatch`` is the paper's equation
(5); ``MsgNet`` is the compact network that we train, ``PublishedMsgNet`` (in ``published.py``) the authors'. Departs,
in what we train: the root of the centered Gram matrix is matched, not its square, at two resolutions; residual blocks
are scaled and shifted by what the same matrices say, so that few channels hold many styles; and as in ``feedforward``:
the picture comes in folded and in the style's colors. Layers are those of the any-style network between photo and
painting, so that training can start from there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.networks.anystyle_network import (
    COLORING_CHANNELS,
    EIGHTH_CHANNELS,
    LATENT_SIZE,
    N_BLOCKS,
    N_QUARTER_BLOCKS,
    QUARTER_CHANNELS,
    conv,
)
from engine.networks.feedforward import Folded, act
from engine.networks.measured import InstanceNorm
from engine.networks.moments import RGB_MOMENTS, covariance, inverse_root, rgb_moments

SAID_SIZE = RGB_MOMENTS + 2 * COLORING_CHANNELS + COLORING_CHANNELS * (COLORING_CHANNELS + 1)


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
        gram: second moments of the network's own encoder: (B, 2, 32, 33) of ours, (B, C, C) of the authors'.
    """

    colors: Tensor
    gram: Tensor

    def lerp(self, other: StyleCode, share: float) -> StyleCode:
        """On the straight line to another style."""
        return StyleCode(self.colors.lerp(other.colors, share), self.gram.lerp(other.gram, share))


class Matching(nn.Module):
    """CoMatch in a few channels: compressed, of unit variance, matched, expanded.

    Args:
        n_channels: of the features.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.compress, self.expand = conv(n_channels, COLORING_CHANNELS, 1), conv(COLORING_CHANNELS, n_channels, 1)
        self.norm, self.match = InstanceNorm(COLORING_CHANNELS, is_affine=False), CoMatch(COLORING_CHANNELS)

    def describe(self, features: Tensor) -> Tensor:
        """What a style asks for: (B, 32, 33), mean and root of the covariance."""
        mean, cov = covariance(self.compress(features))
        return torch.cat([mean, inverse_root(cov)[0]], 2)

    def forward(self, features: Tensor, target: Tensor) -> Tensor:
        small = self.norm(self.compress(features))
        matched = self.match(small, target[:, :, 1:]) + target[:, :, :1, None].to(small.dtype)
        expanded: Tensor = self.expand(matched)
        return expanded


class StyledNorm(InstanceNorm):
    """Instance normalization whose scale and shift come from what the style's Gram matrices say."""

    def __init__(self, n_channels: int) -> None:
        super().__init__(n_channels, is_affine=False, is_clipped=True)
        self.affine = nn.Linear(LATENT_SIZE, 2 * n_channels)
        nn.init.normal_(self.affine.weight, std=0.02)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:  # type: ignore[override]
        mean, std = self.measured(x)
        scale, shift = self.affine(latent)[:, :, None, None].float().chunk(2, 1)  # (B, C, 1, 1)
        return self.scaled(x, mean, std, 1 + scale, shift)


class StyledBlock(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(n_channels, n_channels), conv(n_channels, n_channels)
        self.norm1, self.norm2 = StyledNorm(n_channels), StyledNorm(n_channels)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        y = act(self.norm1(self.conv1(x), latent))
        added: Tensor = x + self.norm2(self.conv2(y), latent)
        return added


class MsgNet(Folded):
    """The compact network; one encoder sees photos and styles (Siamese, as in the paper).

    Args:
        quarter: channels at 1/4 resolution.
        eighth: channels at 1/8 resolution.
        n_blocks: residual blocks there.
        n_quarter_blocks: residual blocks at 1/4 resolution, on the way back.
    """

    norm_half: StyledNorm

    def __init__(
        self,
        quarter: int = QUARTER_CHANNELS,
        eighth: int = EIGHTH_CHANNELS,
        n_blocks: int = N_BLOCKS,
        n_quarter_blocks: int = N_QUARTER_BLOCKS,
    ) -> None:
        widths, counts = (quarter, eighth), (n_blocks, n_quarter_blocks)
        super().__init__(widths, counts)
        self.color_quarter, self.color_eighth = Matching(quarter), Matching(eighth)
        self.latent = nn.Linear(SAID_SIZE, LATENT_SIZE)
        self.add_way_out(widths, counts, StyledBlock, StyledNorm)

    def encode_style(self, rgb: Tensor) -> StyleCode:
        """The code of styles (B, 3, H, W), H and W divisible by 8."""
        quarter, eighth = self.encode(rgb)
        levels = [self.color_quarter.describe(quarter), self.color_eighth.describe(eighth)]
        return StyleCode(rgb_moments(rgb), torch.stack(levels, 1))

    @staticmethod
    def said(code: StyleCode) -> Tensor:
        """All that a code says, each number once: (B, SAID_SIZE)."""
        rows, columns = torch.triu_indices(COLORING_CHANNELS, COLORING_CHANNELS)
        roots = code.gram[:, :, :, 1:][:, :, rows, columns]  # (B, 2, 528)
        return torch.cat([code.colors, code.gram[:, :, :, 0].flatten(1), roots.flatten(1)], 1)

    def forward(self, rgb: Tensor, code: StyleCode) -> Tensor:
        """(B, 3, H, W) in [0, 1], in the style's colors -> painted, not clamped."""
        latent = self.latent(self.said(code))
        quarter, eighth = self.encode(rgb)
        x = self.enlarge(self.color_eighth(eighth, code.gram[:, 1]), latent)
        return self.finish(act(x + self.color_quarter(quarter, code.gram[:, 0])), rgb, latent)
