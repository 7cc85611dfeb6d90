"""The any-style network: one forward pass paints any content in any style.

A content picture is first recolored to the style by a closed-form transport of its color moments. Of that picture
only a coarse version reaches the result directly; every detail is painted from features at 1/4 and 1/8
resolution, which are whitened and colored with the style's (second order) and pass residual blocks modulated by a
style code (first order). A skip of fine photo detail would be a shortcut that leaves nothing to paint.

Statistics over the whole picture are passed around explicitly (``Statistics``): measured once on a few evenly
spread crops, then frozen, they make every tile of a large picture see the same normalization.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.models import shipped
from engine.networks.moments import (
    EPS,
    RGB_MOMENTS,
    Statistics,
    covariance,
    inverse_root,
    mean_std,
    rgb_moments,
    transport_colors,
)

HALF_CHANNELS = 24
QUARTER_CHANNELS = 64
EIGHTH_CHANNELS = 96
PAINT_CHANNELS = 32
COLORING_CHANNELS = 32
LATENT_SIZE = 192
N_BLOCKS, N_QUARTER_BLOCKS = 6, 6
STRIDE_PX = 8  # sides of pictures must be divisible by it
Window = tuple[slice, slice]  # rows and columns

MARGIN_PX = 80  # what lies farther away moves a pixel by less than 1/255, but through the statistics (not at all: 184)
BLOCK_REACH_PX, HALF_REACH_PX = 8, 8  # how far a block at 1/4 of the size sees, and all that is after the last
BEYOND_PX = 32  # how far pictures are mirrored below and at the right: with less a frame shows there, more is the same
COLORING_SIZE = COLORING_CHANNELS + COLORING_CHANNELS**2
CODE_SIZE = RGB_MOMENTS + 2 * COLORING_SIZE + LATENT_SIZE
N_MOMENTS = (
    2 * (HALF_CHANNELS + QUARTER_CHANNELS + EIGHTH_CHANNELS) + COLORING_CHANNELS * (COLORING_CHANNELS + 1) + RGB_MOMENTS
)  # of a style, from which its latent comes
LATENT_REACH = 4.0  # deviations that a style can be off at most
GLAZE = 0.11  # share of the recolored picture in the painting: takes a twelfth off the content distance, no stroke
LATENT_UNIT = 0.2  # deviation of the latent, and with it what a step of Adam moves of what it modulates


def conv(n_in: int, n_out: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution that sees a mirrored picture beyond the border, so that no frame appears there."""
    return nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, padding_mode="reflect" if kernel > 1 else "zeros")


def shuffled_conv(n_in: int, n_out: int, gain: float = 1.0) -> nn.Conv2d:
    """A convolution to be followed by ``pixel_shuffle(.., 2)``, its four phases equal at first (ICNR).

    Phases that start apart leave a grid that training never quite removes. Source: Aitken 2017.
    """
    layer = conv(n_in, 4 * n_out)
    with torch.no_grad():
        layer.weight.copy_(gain * layer.weight[::4].repeat_interleave(4, 0))
        layer.bias = nn.Parameter(torch.zeros(4 * n_out))
    return layer


class Modulation(nn.Module):
    """Instance normalization whose scale and shift come from the style's latent."""

    def __init__(self, name: str, n_channels: int) -> None:
        super().__init__()
        self.name = name
        self.affine = nn.Linear(LATENT_SIZE, 2 * n_channels)
        nn.init.normal_(self.affine.weight, std=0.02)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, latent: Tensor, statistics: Statistics) -> Tensor:
        mean, std = statistics.get(self.name, lambda: mean_std(x, is_joint=statistics.is_joint))
        scale, shift = self.affine(latent)[:, :, None, None].float().chunk(2, 1)  # (B, C, 1, 1)
        gain = (1 + scale) / std
        return torch.addcmul((shift - mean * gain).to(x.dtype), x, gain.to(x.dtype))


class StyledBlock(nn.Module):
    """Residual block: two modulated convolutions. It begins as the identity: a deeper network as the one it grew from.

    Source: Goyal 2017 (the last normalization of a residual block begins with a gain of 0).
    """

    def __init__(self, name: str, n_channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(n_channels, n_channels), conv(n_channels, n_channels)
        self.mod1, self.mod2 = Modulation(f"{name}.1", n_channels), Modulation(f"{name}.2", n_channels)
        nn.init.zeros_(self.mod2.affine.weight)
        nn.init.constant_(self.mod2.affine.bias[:n_channels], -1)

    def forward(self, x: Tensor, latent: Tensor, statistics: Statistics) -> Tensor:
        y = _act(self.mod1(self.conv1(x), latent, statistics))
        return x + self.mod2(self.conv2(y), latent, statistics)


class PlainBlock(nn.Module):
    """Residual block without normalization, for the encoders; it begins as the identity."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(n_channels, n_channels), conv(n_channels, n_channels)
        nn.init.zeros_(self.conv2.weight)
        self.conv2.bias = nn.Parameter(torch.zeros(n_channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(_act(self.conv1(_act(x))))


class Encoder(nn.Module):
    """RGB (B, 3, H, W), H and W divisible by 8 -> features at 1/2, 1/4 and 1/8 resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(12, HALF_CHANNELS)
        self.quarter = conv(HALF_CHANNELS, QUARTER_CHANNELS, stride=2)
        self.quarter_block = PlainBlock(QUARTER_CHANNELS)
        self.eighth = conv(QUARTER_CHANNELS, EIGHTH_CHANNELS, stride=2)

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = _act(self.stem(F.pixel_unshuffle(rgb * 4 - 2, 2)))  # (B, 24, H/2, W/2)
        quarter = self.quarter_block(self.quarter(half))  # (B, 64, H/4, W/4)
        return half, quarter, self.eighth(_act(quarter))  # (B, 96, H/8, W/8)


class Coloring(nn.Module):
    """Whitens features in a compressed space and colors them with a style's: WCT with learned directions."""

    def __init__(self, name: str, n_channels: int) -> None:
        super().__init__()
        self.name = name
        self.compress = conv(n_channels, COLORING_CHANNELS, 1)
        self.expand = conv(COLORING_CHANNELS, n_channels, 1)

    def describe(self, features: Tensor, weight: Tensor | None) -> Tensor:
        """What a style's features ask for: (B, COLORING_SIZE), mean and root of the covariance."""
        mean, cov = covariance(self.compress(features), weight)
        root, _ = inverse_root(cov)
        return torch.cat([mean.flatten(1), root.flatten(1)], 1)

    def forward(self, features: Tensor, code: Tensor, statistics: Statistics) -> Tensor:
        small = self.compress(features)

        def measure() -> tuple[Tensor, ...]:
            own_mean, cov = covariance(statistics.joined(small))
            return own_mean, inverse_root(cov)[1]

        own_mean, whitening = statistics.get(self.name, measure)
        mean, root = code.split([COLORING_CHANNELS, COLORING_CHANNELS**2], 1)
        matrix = root.reshape(-1, COLORING_CHANNELS, COLORING_CHANNELS) @ whitening  # (B, 32, 32)
        offset = mean[:, :, None] - matrix @ own_mean
        colored = matrix.to(small.dtype) @ small.flatten(2) + offset.to(small.dtype)  # (B, 32, H*W)
        return self.expand(colored.reshape(small.shape))


class StyleEncoder(nn.Module):
    """What the latent is read from: an encoder that has learned with the content's up to some step, and stands still.

    A latent that is learned can die, and did: what all styles have in common drowned what tells them apart, until it
    was the same for every style. This one cannot: it is principal components of moments, which nothing moves any more.
    """

    mean: Tensor
    basis: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.project_quarter = conv(QUARTER_CHANNELS, COLORING_CHANNELS, 1)
        self.project_eighth = conv(EIGHTH_CHANNELS, COLORING_CHANNELS, 1)
        self.register_buffer("mean", torch.zeros(N_MOMENTS))
        self.register_buffer("basis", torch.zeros(LATENT_SIZE, N_MOMENTS))
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, rgb: Tensor, weight: Tensor | None = None) -> Tensor:
        """The moments of style pictures: (B, N_MOMENTS), each relative to the size of its features."""
        with torch.autocast(rgb.device.type, enabled=False):
            half, quarter, eighth = self.encoder(rgb.float())
            roots = [
                _unit_root(covariance(project(features), weight)[1])
                for project, features in ((self.project_quarter, quarter), (self.project_eighth, eighth))
            ]  # (B, 32 * 33 / 2)
            levels = [_unit_moments(features, weight) for features in (half, quarter, eighth)]
            return torch.cat([*levels, *roots, rgb_moments(rgb, weight)], 1)

    def latent(self, moments: Tensor) -> Tensor:
        """(B, N_MOMENTS) -> (B, LATENT_SIZE)."""
        with torch.autocast(moments.device.type, enabled=False):
            components = (moments - self.mean) @ self.basis.T
        return LATENT_UNIT * LATENT_REACH * torch.tanh(components / LATENT_REACH)

    @torch.no_grad()
    def learn(self, network: AnyStyle, moments_of: Callable[[StyleEncoder], Tensor]) -> None:
        """Take over what a network's encoder has learned, and find the components.

        Args:
            network: whose content encoder and directions are copied.
            moments_of: (N, N_MOMENTS) of as many styles as can be had, N > LATENT_SIZE, seen by this encoder.
        """
        for ours, theirs in (
            (self.encoder, network.content),
            (self.project_quarter, network.color_quarter.compress),
            (self.project_eighth, network.color_eighth.compress),
        ):
            ours.load_state_dict(theirs.state_dict())
        moments = moments_of(self)
        mean, std = moments.mean(0), moments.std(0) + 1e-4
        _, size, directions = torch.linalg.svd((moments - mean) / std, full_matrices=False)
        # Roots of the deviations: whitened, the last components would be as loud as the first, and they are noise.
        deviation = size[:LATENT_SIZE] / len(moments) ** 0.5
        loudness = deviation.sqrt() / deviation.mean().sqrt()
        self.mean.copy_(mean)
        self.basis.copy_(directions[:LATENT_SIZE] / std * (loudness / deviation)[:, None])


class AnyStyle(nn.Module):
    """The whole network. ``encode_style`` once per style, then ``forward`` per picture or tile."""

    def __init__(self) -> None:
        super().__init__()
        self.content = Encoder()
        self.style = StyleEncoder()
        self.color_eighth = Coloring("eighth.coloring", EIGHTH_CHANNELS)
        self.color_quarter = Coloring("quarter.coloring", QUARTER_CHANNELS)
        self.blocks = nn.ModuleList(StyledBlock(f"eighth.{i}", EIGHTH_CHANNELS) for i in range(N_BLOCKS))
        self.up_quarter = conv(EIGHTH_CHANNELS, QUARTER_CHANNELS, 1)
        self.quarter_blocks = nn.ModuleList(
            StyledBlock(f"quarter.{i}", QUARTER_CHANNELS) for i in range(N_QUARTER_BLOCKS)
        )
        self.up_half = shuffled_conv(QUARTER_CHANNELS, PAINT_CHANNELS)
        self.mix_half = conv(PAINT_CHANNELS, PAINT_CHANNELS)
        self.mod_half = Modulation("half.mix", PAINT_CHANNELS)
        self.paint = shuffled_conv(PAINT_CHANNELS, 3, gain=0.1)

    def encode_style(self, rgb: Tensor, weight: Tensor | None = None) -> Tensor:
        """What makes a style: codes (B, CODE_SIZE) of pictures (B, 3, H, W), H and W divisible by 8.

        Args:
            rgb: the style pictures.
            weight: (B, 1, H, W): which part of each counts; None = all of it.
        """
        _, quarter, eighth = self.content(rgb)
        colors = rgb_moments(rgb, weight)
        colorings = [self.color_quarter.describe(quarter, weight), self.color_eighth.describe(eighth, weight)]
        latent = self.style.latent(self.style(rgb, weight))
        return torch.cat([colors, *colorings, latent.float()], 1)

    def forward(
        self, rgb: Tensor, code: Tensor, statistics: Statistics | None = None, kept: Window | None = None
    ) -> Tensor:
        """Paint pictures.

        Args:
            rgb: (B, 3, H, W), H and W divisible by 8.
            code: (B or 1, CODE_SIZE) their styles.
            statistics: what is known of the whole picture, if this is a tile of it.
            kept: what is wanted, begin and end divisible by 8; the rest is computed only as far as that needs it.

        Returns:
            (B, 3, h, w), what is wanted (None = all), not clamped.
        """
        statistics = Statistics() if statistics is None else statistics
        height, width = rgb.shape[2:]
        kept = (slice(0, height), slice(0, width)) if kept is None else kept
        reaches_px = [HALF_REACH_PX + BLOCK_REACH_PX * n_left for n_left in range(len(self.quarter_blocks), -1, -1)]
        near, *nearer = (_widened(kept, reach_px, height, width) for reach_px in reaches_px)
        colors, code_quarter, code_eighth, latent = code.split(
            [RGB_MOMENTS, COLORING_SIZE, COLORING_SIZE, LATENT_SIZE], 1
        )
        (own_colors,) = statistics.get("rgb", lambda: (rgb_moments(statistics.joined(rgb)),))
        base = transport_colors(rgb, own_colors, colors)
        _, quarter, eighth = self.content(base)
        x = self.color_eighth(eighth, code_eighth, statistics)  # (B, 96, H/8, W/8)
        for block in self.blocks:
            x = block(x, latent, statistics)
        skip = self.color_quarter(_cut(quarter, near, 4), code_quarter, statistics)
        x = _act(_cut(_doubled(self.up_quarter(x)), near, 4) + skip)  # (B, 64, h/4, w/4), as of here of what is near
        for block, needed in zip(self.quarter_blocks, nearer, strict=True):
            x = _cut(block(x, latent, statistics), _within(needed, near), 4)
            near = needed
        x = _act(F.pixel_shuffle(self.up_half(x), 2))  # (B, 32, h/2, w/2)
        x = _act(self.mod_half(self.mix_half(x), latent, statistics))
        base = _cut(base, near)
        coarse = F.interpolate(F.avg_pool2d(base, 8), scale_factor=8.0, mode="bilinear", align_corners=False)
        painted = torch.lerp(coarse + F.pixel_shuffle(self.paint(x), 2), base, GLAZE)
        return _cut(painted, _within(kept, near))


def _widened(window: Window, reach_px: int, height: int, width: int) -> Window:
    """The window and what lies around it, as far as the picture goes."""
    rows, columns = window
    return (
        slice(max(0, rows.start - reach_px), min(height, rows.stop + reach_px)),
        slice(max(0, columns.start - reach_px), min(width, columns.stop + reach_px)),
    )


def _within(window: Window, outer: Window) -> Window:
    """The window as it lies in what has been cut out."""
    rows, columns = (slice(s.start - o.start, s.stop - o.start) for s, o in zip(window, outer, strict=True))
    return rows, columns


def _cut(x: Tensor, window: Window, scale: int = 1) -> Tensor:
    """The window, in pixels of the picture, of (B, C, H / scale, W / scale)."""
    rows, columns = (slice(s.start // scale, s.stop // scale) for s in window)
    return x[:, :, rows, columns]


def _unit_moments(features: Tensor, weight: Tensor | None) -> Tensor:
    """Means and logarithms of deviations, both in units of the features' root mean square: (B, 2 C)."""
    mean, std = mean_std(features, weight)  # (B, C, 1, 1)
    size = (mean.square() + std.square()).mean(1, keepdim=True).sqrt()
    return torch.cat([mean / size, (std / size + 1e-3).log()], 1).flatten(1)


def _unit_root(cov: Tensor) -> Tensor:
    """The root of (B, C, C) covariances, in units of the mean deviation: its upper triangle, (B, C * (C + 1) / 2)."""
    n = cov.shape[1]
    size = cov.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + EPS
    rows, columns = torch.triu_indices(n, n, device=cov.device)
    return inverse_root(cov / size)[0][:, rows, columns]


def _act(x: Tensor) -> Tensor:
    """A leaky ReLU: plain ones die in the first steps, when the colors that paint adds to are already nearly right."""
    return F.leaky_relu(x, 0.2)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def load_anystyle() -> AnyStyle:
    """The any-style network that ships.

    Raises:
        WeightsError: missing or damaged.
    """
    net = AnyStyle()
    shipped.fill(net, "anystyle")
    return net.requires_grad_(False).eval()
