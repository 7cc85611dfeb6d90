"""Networks that paint one style each, in one pass.

``Painter`` is the compact kind that we train; ``PublishedPainter`` (in ``published.py``) that of the files of others.

Source: Johnson 2016 (an encoder to 1/4 resolution, five residual blocks, a decoder; batch normalization); Ulyanov 2017
(instance normalization kept at use). Departs, in what we train: the picture comes in folded to half resolution instead
of through a 9x9 convolution, which is most of the published network's time; its colors are carried to the style's in
closed form first, so that the network sees every photo in the same contrast; and a blurred copy of that reaches the
result directly, so that only strokes have to be learned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.core.errors import SettingsError, WeightsError
from engine.models.state_dicts import fill
from engine.networks.anystyle_network import (
    BEYOND_PX,
    COLORING_CHANNELS,
    EIGHTH_CHANNELS,
    HALF_CHANNELS,
    N_BLOCKS,
    N_QUARTER_BLOCKS,
    PAINT_CHANNELS,
    QUARTER_CHANNELS,
    PlainBlock,
    conv,
    shuffled_conv,
)
from engine.networks.measured import InstanceNorm, Measured
from engine.networks.moments import RGB_MOMENTS

OfChannels = Callable[[int], nn.Module]
"""Makes a layer for so many channels."""

KINDS = ("johnson", "ulyanov")
MAX_WIDTH, MAX_BLOCKS = 256, 16
BLUR_PX = 8
BATCH_CLIP = 3.0  # deviations; tighter than for a picture's own, because a photo may be far from all of the training


class ClippedNorm(nn.BatchNorm2d):
    """Batch normalization whose result stays within a few deviations of its shift.

    Departs from Johnson 2016: features have long tails, and where a photo has what no photo of the training had, they
    would paint a burst of grid.
    """

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        middle, reach = self.bias[:, None, None].to(y.dtype), BATCH_CLIP * self.weight.abs()[:, None, None].to(y.dtype)
        return torch.minimum(torch.maximum(y, middle - reach), middle + reach)


def norm_of(kind: str, n_channels: int) -> nn.Module:
    """Johnson's normalization, whose moments are the training's, or Ulyanov's, whose moments are the picture's."""
    return ClippedNorm(n_channels) if kind == "johnson" else InstanceNorm(n_channels, is_clipped=True)


def act(x: Tensor) -> Tensor:
    """A leaky ReLU: plain ones die in the first steps."""
    return F.leaky_relu(x, 0.2)


def doubled(x: Tensor) -> Tensor:
    """(B, C, H, W) at twice the size, smooth: no checkerboard can come of it."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def blurred(rgb: Tensor) -> Tensor:
    """(B, 3, H, W) without what is finer than 8 pixels."""
    return F.interpolate(F.avg_pool2d(rgb, BLUR_PX), scale_factor=float(BLUR_PX), mode="bilinear", align_corners=False)


class ResidualBlock(nn.Module):
    """Two convolutions, each normalized, beside a way around them."""

    def __init__(self, kind: str, n_channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(n_channels, n_channels), conv(n_channels, n_channels)
        self.norm1, self.norm2 = norm_of(kind, n_channels), norm_of(kind, n_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = act(self.norm1(self.conv1(x)))
        added: Tensor = x + self.norm2(self.conv2(y))
        return added


class Folded(Measured):
    """What our compact networks share: the way in, of a folded picture, and the way out.

    Their layers are those that the any-style network has between photo and painting, so that they can start from there
    (``engine.train.folding``).

    Args:
        widths: channels at 1/4 and at 1/8 resolution.
        counts: residual blocks at 1/8 resolution, and at 1/4 on the way back.
    """

    stride_px, beyond_px = 8, BEYOND_PX
    norm_half: nn.Module

    def __init__(self, widths: tuple[int, int], counts: tuple[int, int]) -> None:
        super().__init__()
        self.margin_px = reach(*counts)
        quarter, eighth = widths
        self.stem = conv(12, HALF_CHANNELS)
        self.quarter, self.quarter_block = conv(HALF_CHANNELS, quarter, stride=2), PlainBlock(quarter)
        self.eighth = conv(quarter, eighth, stride=2)

    def add_way_out(
        self, widths: tuple[int, int], counts: tuple[int, int], block: OfChannels, norm: OfChannels
    ) -> None:
        """Add the layers that paint; arguments as above, and what makes a residual block and a normalization."""
        quarter, eighth = widths
        self.blocks = nn.ModuleList(block(eighth) for _ in range(counts[0]))
        self.up_quarter = conv(eighth, quarter, 1)
        self.quarter_blocks = nn.ModuleList(block(quarter) for _ in range(counts[1]))
        self.up_half = shuffled_conv(quarter, PAINT_CHANNELS)
        self.mix_half, self.norm_half = conv(PAINT_CHANNELS, PAINT_CHANNELS), norm(PAINT_CHANNELS)
        self.paint = shuffled_conv(PAINT_CHANNELS, 3, gain=0.1)

    def encode(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Features at 1/4 and 1/8 resolution."""
        half = act(self.stem(F.pixel_unshuffle(rgb * 4 - 2, 2)))  # (B, 24, H/2, W/2)
        quarter = self.quarter_block(self.quarter(half))  # (B, 64, H/4, W/4)
        return quarter, self.eighth(act(quarter))  # (B, 96, H/8, W/8)

    def enlarge(self, x: Tensor, *said: Tensor) -> Tensor:
        """Colored features at 1/8 resolution through their blocks, to 1/4; ``said``: what these hear of a style."""
        for block in self.blocks:
            x = block(x, *said)
        return doubled(self.up_quarter(x))  # (B, 64, H/4, W/4)

    def finish(self, x: Tensor, rgb: Tensor, *said: Tensor) -> Tensor:
        """Features at 1/4 resolution and the picture that came in -> painted, not clamped."""
        for block in self.quarter_blocks:
            x = block(x, *said)
        x = act(F.pixel_shuffle(self.up_half(x), 2))  # (B, 32, H/2, W/2)
        x = act(self.norm_half(self.mix_half(x), *said))
        return blurred(rgb) + F.pixel_shuffle(self.paint(x), 2)  # (B, 3, H, W)


class Painter(Folded):
    """One style: (B, 3, H, W) in [0, 1] with the style's colors -> painted, not clamped.

    What comes from a style in the any-style network is fixed in the weights here.

    Args:
        kind: "johnson" or "ulyanov".
        quarter: channels at 1/4 resolution.
        eighth: channels at 1/8 resolution.
        n_blocks: residual blocks there.
        n_quarter_blocks: residual blocks at 1/4 resolution, on the way back.

    Attributes:
        colors: (12,) mean and covariance of the style's colors, which pictures are to have before they come in.
    """

    colors: Tensor

    def __init__(
        self,
        kind: str = "johnson",
        quarter: int = QUARTER_CHANNELS,
        eighth: int = EIGHTH_CHANNELS,
        n_blocks: int = N_BLOCKS,
        n_quarter_blocks: int = N_QUARTER_BLOCKS,
    ) -> None:
        if kind not in KINDS:
            raise SettingsError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
        widths, counts = (quarter, eighth), (n_blocks, n_quarter_blocks)
        super().__init__(widths, counts)
        self.kind = kind
        self.register_buffer("colors", torch.zeros(RGB_MOMENTS))
        self.color_eighth = nn.Sequential(conv(eighth, COLORING_CHANNELS, 1), conv(COLORING_CHANNELS, eighth, 1))
        self.color_quarter = nn.Sequential(conv(quarter, COLORING_CHANNELS, 1), conv(COLORING_CHANNELS, quarter, 1))
        self.add_way_out(widths, counts, partial(ResidualBlock, kind), partial(norm_of, kind))

    def forward(self, rgb: Tensor) -> Tensor:
        quarter, eighth = self.encode(rgb)
        x = self.enlarge(self.color_eighth(eighth))
        return self.finish(act(x + self.color_quarter(quarter)), rgb)


def build_painter(state: Mapping[str, Tensor], name: str) -> Painter:
    """The compact painter that weights belong to: kind, channels and blocks are read off them.

    Raises:
        WeightsError: they are of another network, or not numbers.
    """
    kind = "johnson" if "norm_half.running_mean" in state else "ulyanov"
    counts = [count_blocks(state, part) for part in ("blocks", "quarter_blocks")]
    widths = [state[key].shape[0] for key in ("quarter.bias", "eighth.bias") if key in state and state[key].dim() == 1]
    if len(widths) != 2 or not all(1 <= width <= MAX_WIDTH for width in widths) or not are_possible(counts):
        raise WeightsError(f"{name} holds no network of one style.")
    network = Painter(kind, *widths, *counts)
    fill(network, state, name)
    return network


def reach(n_blocks: int, n_quarter_blocks: int) -> int:
    """How far a pixel reaches, in pixels, through residual blocks at 1/8 and 1/4 resolution and what is around them."""
    return 40 + 16 * n_blocks + 8 * n_quarter_blocks


def count_blocks(state: Mapping[str, Tensor], part: str) -> int:
    """How many residual blocks weights have in one part of a network."""
    return sum(key.startswith(f"{part}.") and key.endswith(".conv1.weight") for key in state)


def are_possible(counts: Sequence[int]) -> bool:
    """Whether a network may have so many residual blocks in its parts."""
    return all(1 <= count <= MAX_BLOCKS for count in counts)
