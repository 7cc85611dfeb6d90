"""Networks that paint one style each, in one pass.

``Painter`` is the compact kind that we train; ``PublishedPainter`` (in ``published.py``) that of the files of others.

Source: Johnson 2016 (an encoder to 1/4 resolution, five residual blocks, a decoder; batch normalization); Ulyanov 2017
(instance normalization kept at use). Departs, in what we train: the picture comes in folded to half resolution instead
of through a 9x9 convolution, which is most of the published network's time; its colors are carried to the style's in
closed form first, so that the network sees every photo in the same contrast; and a blurred copy of that reaches the
result directly, so that only strokes have to be learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.core.errors import SettingsError, WeightsError
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


class Painter(Measured):
    """One style: (B, 3, H, W) in [0, 1] with the style's colors -> painted, not clamped.

    Its layers are those that the any-style network has between photo and painting, so that it can start from there
    (``engine.train.folding``): what comes from a style there is fixed in the weights here.

    Args:
        kind: "johnson" or "ulyanov".
        quarter: channels at 1/4 resolution.
        eighth: channels at 1/8 resolution.
        n_blocks: residual blocks there.
        n_quarter_blocks: residual blocks at 1/4 resolution, on the way back.

    Attributes:
        colors: (12,) mean and covariance of the style's colors, which pictures are to have before they come in.
    """

    stride_px, beyond_px = 8, BEYOND_PX
    colors: Tensor

    def __init__(
        self,
        kind: str = "johnson",
        quarter: int = QUARTER_CHANNELS,
        eighth: int = EIGHTH_CHANNELS,
        n_blocks: int = N_BLOCKS,
        n_quarter_blocks: int = N_QUARTER_BLOCKS,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise SettingsError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
        self.kind, self.margin_px = kind, reach(n_blocks, n_quarter_blocks)
        self.register_buffer("colors", torch.zeros(RGB_MOMENTS))
        self.stem = conv(12, HALF_CHANNELS)
        self.quarter, self.quarter_block = conv(HALF_CHANNELS, quarter, stride=2), PlainBlock(quarter)
        self.eighth = conv(quarter, eighth, stride=2)
        self.color_eighth = nn.Sequential(conv(eighth, COLORING_CHANNELS, 1), conv(COLORING_CHANNELS, eighth, 1))
        self.color_quarter = nn.Sequential(conv(quarter, COLORING_CHANNELS, 1), conv(COLORING_CHANNELS, quarter, 1))
        self.blocks = nn.ModuleList(ResidualBlock(kind, eighth) for _ in range(n_blocks))
        self.up_quarter = conv(eighth, quarter, 1)
        self.quarter_blocks = nn.ModuleList(ResidualBlock(kind, quarter) for _ in range(n_quarter_blocks))
        self.up_half = shuffled_conv(quarter, PAINT_CHANNELS)
        self.mix_half, self.norm_half = conv(PAINT_CHANNELS, PAINT_CHANNELS), norm_of(kind, PAINT_CHANNELS)
        self.paint = shuffled_conv(PAINT_CHANNELS, 3, gain=0.1)

    def forward(self, rgb: Tensor) -> Tensor:
        half = act(self.stem(F.pixel_unshuffle(rgb * 4 - 2, 2)))  # (B, 24, H/2, W/2)
        quarter = self.quarter_block(self.quarter(half))  # (B, 64, H/4, W/4)
        x = self.color_eighth(self.eighth(act(quarter)))  # (B, 96, H/8, W/8)
        for block in self.blocks:
            x = block(x)
        x = act(doubled(self.up_quarter(x)) + self.color_quarter(quarter))  # (B, 64, H/4, W/4)
        for block in self.quarter_blocks:
            x = block(x)
        x = act(F.pixel_shuffle(self.up_half(x), 2))  # (B, 32, H/2, W/2)
        x = act(self.norm_half(self.mix_half(x)))
        return blurred(rgb) + F.pixel_shuffle(self.paint(x), 2)  # (B, 3, H, W)


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


def fill(network: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Load weights that must fit, and be numbers.

    Raises:
        WeightsError: a name is missing or too many, a shape differs, or a value is not a number.
    """
    wanted = network.state_dict()
    missing, odd = sorted(set(wanted) - set(state)), sorted(set(state) - set(wanted))
    if missing or odd:
        what = f"{missing[0]} is missing" if missing else f"{odd[0]} belongs to no layer"
        raise WeightsError(f"{name} does not fit this network: {what}.")
    for key, value in wanted.items():
        if state[key].shape != value.shape:
            raise WeightsError(f"{name}: {key} has the shape {tuple(state[key].shape)}, not {tuple(value.shape)}.")
        if not bool(torch.isfinite(state[key]).all()):
            raise WeightsError(f"{name} holds values that are not numbers: the file is damaged.")
    network.load_state_dict({key: v.float() if v.is_floating_point() else v for key, v in state.items()})
    network.requires_grad_(False).eval()
