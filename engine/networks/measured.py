"""Networks that normalize by the moments of a whole picture, and can remember them: its tiles then all see the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.networks.moments import mean_std

CLIP = 5.0  # deviations


class InstanceNorm(nn.Module):
    """gamma (x - mu) / sigma + beta with the moments of each picture, at training and at use alike.

    Args:
        n_channels: C.
        is_affine: with gamma and beta.
        is_clipped: what is farther than ``CLIP`` deviations from the mean counts as so far. Features have long tails,
            and where a photo has what no photo of the training had, they would paint a burst of grid.

    Source: Ulyanov 2017, "Improved Texture Networks", equation (4).
    """

    def __init__(self, n_channels: int, *, is_affine: bool = True, is_clipped: bool = False) -> None:
        super().__init__()
        self.is_clipped = is_clipped
        self.weight = nn.Parameter(torch.ones(n_channels)) if is_affine else None
        self.bias = nn.Parameter(torch.zeros(n_channels)) if is_affine else None
        self.is_measuring = False
        self.moments: tuple[Tensor, Tensor] | None = None

    def measured(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation: each picture's, or the remembered ones, (B or 1, C, 1, 1)."""
        if self.is_measuring:
            self.moments = mean_std(x, is_joint=True)  # all crops are one picture
        return self.moments or mean_std(x)

    def forward(self, x: Tensor) -> Tensor:
        mean, std = self.measured(x)
        if self.weight is None or self.bias is None:
            return self.scaled(x, mean, std, 1.0, 0.0)
        return self.scaled(x, mean, std, self.weight[:, None, None], self.bias[:, None, None])

    def scaled(self, x: Tensor, mean: Tensor, std: Tensor, weight: Tensor | float, bias: Tensor | float) -> Tensor:
        """weight (x - mean) / std + bias, in the precision of x."""
        if self.is_clipped:
            low, high = (mean - CLIP * std).to(x.dtype), (mean + CLIP * std).to(x.dtype)
            x = torch.minimum(torch.maximum(x, low), high)
        gain = weight / std
        return torch.addcmul((bias - mean * gain).to(x.dtype), x, gain.to(x.dtype))


class Measured(nn.Module):
    """A network with such layers.

    Attributes:
        stride_px: sides of pictures must be divisible by it.
        margin_px: how far a pixel reaches, but through moments of the whole picture.
        beyond_px: how far pictures are to be mirrored below and at the right (see ``paint_tiles``).
    """

    stride_px = 4
    margin_px = 64
    beyond_px = 0

    def norms(self) -> list[InstanceNorm]:
        """The layers that depend on the whole picture."""
        return [module for module in self.modules() if isinstance(module, InstanceNorm)]

    @torch.no_grad()
    def measure(self, crops: Tensor) -> None:
        """Remember the moments of a picture from crops of it, (K, 3, h, w) in [0, 1]."""
        for norm in self.norms():
            norm.is_measuring = True
        try:
            self(crops)
        finally:
            for norm in self.norms():
                norm.is_measuring = False

    def forget(self) -> None:
        """Measure each picture for itself again."""
        for norm in self.norms():
            norm.moments = None
