"""What a style network is trained for: distances between feature maps, all relative, so that no weight needs tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.color.tone import luma
from engine.features import statistics
from engine.features.backbone import Backbone

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu3_4")
CONTENT_LAYER = "relu3_1"
SCALES = (1.0, 0.5, 0.25)
PATCH_STRIDES = {"relu2_1": (5, 3), "relu3_1": (3, 2)}  # of the result's and the style's patches
PATCH_SCALES = 2  # the finest ones: at the coarsest a patch is larger than a brush stroke
MOST_STRIPED = 0.3  # of ``worst_stripes``: 9 of 10 paintings and photos have less
WEAVE_WINDOW_PX, WEAVE_STEP_PX = 64, 32
WEAVE_PERIOD_PX = 4.2  # and finer; ``grid_peaks`` sees what is coarser
MOST_WOVEN = 2.0  # of ``fine_peaks``: paintings have some 2.4, of their own strokes
UNSEEN_POWER = 10.0  # of a window in which a color deviates by 1/500
WOVEN_SHARE = 0.01  # of the fine frequencies: what a few peaks with their flanks cover

Features = list[dict[str, Tensor]]


def pyramid(backbone: Backbone, rgb: Tensor, layers: tuple[str, ...] = STYLE_LAYERS) -> Features:
    """Features of (B, 3, H, W) at every scale, finest first."""
    return [backbone(rgb if s == 1 else _scaled(rgb, s), layers) for s in SCALES]


def _scaled(rgb: Tensor, factor: float) -> Tensor:
    return F.interpolate(rgb.float(), scale_factor=factor, mode="bilinear", antialias=True, align_corners=False)


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """(B, C, H, W) -> Gram matrices (B, C, C), mean over positions, and channel means (B, C); float32."""
    positions_first = features.permute(0, 2, 3, 1).flatten(1, 2)  # (B, H*W, C), a view of channels-last features
    products, mean = statistics.moments(positions_first.mT)
    return products, mean[..., 0]


def gram(features: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, C), mean over positions, float32."""
    return moments(features)[0]


@dataclass(frozen=True)
class LayerTarget:
    """What a style asks of one layer: Gram matrix (B, C, C), channel means and standard deviations (B, C)."""

    gram: Tensor
    mean: Tensor
    std: Tensor


Targets = list[dict[str, LayerTarget]]


def layer_target(features: Tensor) -> LayerTarget:
    """The statistics of (B, C, H, W) that the style terms compare; second moments are the Gram matrix's diagonal."""
    products, mean = moments(features)
    var = products.diagonal(dim1=1, dim2=2) - mean.square()
    return LayerTarget(products, mean, (var.clamp_min(0) + 1e-4).sqrt())


def style_targets(style: Features, sharing: int = 1) -> Targets:
    """The targets of style features; each is repeated for ``sharing`` contents."""

    def repeated(target: LayerTarget) -> LayerTarget:
        parts = (target.gram, target.mean, target.std)
        return LayerTarget(*(part.repeat_interleave(sharing, 0) for part in parts))

    return [{name: repeated(layer_target(features)) for name, features in level.items()} for level in style]


def gram_distance(result: LayerTarget, target: LayerTarget) -> Tensor:
    """Relative squared Gram distance per picture: (B,). 0 = same texture, about 1 = unrelated."""
    difference = (result.gram - target.gram).square().sum((1, 2))
    return difference / target.gram.square().sum((1, 2)).clamp_min(1e-8)


def moment_distance(result: LayerTarget, target: LayerTarget) -> Tensor:
    """Relative squared distance of channel means and standard deviations: (B,)."""
    distance = (result.mean - target.mean).square().sum(1) + (result.std - target.std).square().sum(1)
    return distance / (target.mean.square().sum(1) + target.std.square().sum(1)).clamp_min(1e-8)


def normalized(features: Tensor) -> Tensor:
    """Instance-normalized features, float32: what is where, without contrast and color."""
    return F.instance_norm(features.float(), eps=1e-3)


def content_distance(result: Tensor, content: Tensor) -> Tensor:
    """Mean squared difference of instance-normalized features per picture: (B,). Unrelated pictures have about 2."""
    return (normalized(result) - normalized(content)).square().mean((1, 2, 3))


def style_distance(result: Features, style: Targets) -> Tensor:
    """Mean over layers and scales of the relative squared Gram distance (the S of the quality bench): (B,)."""
    pairs = [(layer_target(r[k]), s[k]) for r, s in zip(result, style, strict=True) for k in STYLE_LAYERS]
    terms = [gram_distance(found, wanted) for found, wanted in pairs]
    return torch.stack(terms).mean(0)


def style_loss(result: Features, style: Targets) -> Tensor:
    """The training form of the style distance: (B,).

    The root of the mean Gram distance, so that a style with a weak Gram matrix does not drown the batch, while each
    layer pulls by what it lacks: with a root per layer those that are nearly matched pull the most. Channel moments
    beside it, a root for each, because their gradient is steadier early on.
    """
    grams, moments_off = [], []
    for r, s in zip(result, style, strict=True):
        for k in STYLE_LAYERS:
            found = layer_target(r[k])
            grams.append(gram_distance(found, s[k]))
            moments_off.append((moment_distance(found, s[k]) + 1e-4).sqrt())
    return ((torch.stack(grams).mean(0) + 1e-4).sqrt() + torch.stack(moments_off).mean(0)) / 2


def patch_loss(result: Features, style: Features, sharing: int = 1) -> Tensor:
    """1 - mean best normalized cross-correlation of the result's 3x3 patches with the style's: (B,).

    Second moments are met by the right colors and contrasts in any order; only patches ask for strokes. Source: Li &
    Wand 2016 (their distance, with cosines, so that it has a scale of its own).

    Args:
        result: features of B pictures at every scale.
        style: features of B / sharing pictures.
        sharing: results that share one style.
    """
    terms = []
    for ours, theirs in list(zip(result, style, strict=True))[:PATCH_SCALES]:
        for layer, (stride, style_stride) in PATCH_STRIDES.items():
            wanted = _patches(theirs[layer], style_stride).repeat_interleave(sharing, 0)  # (B, M, 9 C)
            best = (_patches(ours[layer], stride) @ wanted.transpose(1, 2)).amax(2)  # (B, N)
            terms.append(1 - best.float().mean(1))
    return torch.stack(terms).mean(0)


def _patches(features: Tensor, stride: int) -> Tensor:
    """Normalized 3x3 patches of (B, C, H, W): (B, N, 9 C)."""
    return F.normalize(F.unfold(features, 3, stride=stride).transpose(1, 2), dim=2, eps=1e-6)


def total_variation(rgb: Tensor) -> Tensor:
    """Mean absolute difference of neighbors per picture: (B,)."""
    dy = (rgb[:, :, 1:] - rgb[:, :, :-1]).abs().mean((1, 2, 3))
    dx = (rgb[:, :, :, 1:] - rgb[:, :, :, :-1]).abs().mean((1, 2, 3))
    return dx + dy


def grid_energy(rgb: Tensor, period: int = 8) -> Tensor:
    """How much of the detail repeats every 8 pixels, the footprint of up-sampling, per picture: (B,). 0 = none.

    Detail is what a blur of one period takes away. Cut into blocks of 8x8, its mean block shows a pattern that stands
    still, the unevenness of its energy over a block one that changes its sign.

    Args:
        rgb: (B, 3, H, W), H and W divisible by ``period``.
        period: pixels.
    """
    n, channels, height, width = rgb.shape
    smooth = F.avg_pool2d(F.pad(rgb, (period // 2,) * 4, mode="reflect"), period + 1, 1)
    blocks = (rgb - smooth).reshape(n, channels, height // period, period, width // period, period)
    energy = blocks.square().mean((1, 2, 4))  # (B, 8, 8)
    mean_energy = energy.mean((1, 2)) + 1e-5
    standing = blocks.mean((2, 4)).square().mean((1, 2, 3)) / mean_energy
    return standing + (energy / mean_energy[:, None, None] - 1).square().mean((1, 2))


def grid_peaks(rgb: Tensor) -> Tensor:
    """How far periods of 4 and 8 pixels stick out of the spectrum of rows and columns, per picture: (B,). 0 = none.

    ``grid_energy`` sees a grid that is strong somewhere; the spectrum sees a faint one that is everywhere.

    Args:
        rgb: (B, 3, H, W), H and W divisible by 8 and at least 112, so that both peaks have surroundings.
    """
    light = luma(rgb.float())[:, 0]
    terms = []
    for lines in (light, light.transpose(1, 2)):
        n = lines.shape[2]
        flat = (lines - lines.mean(2, keepdim=True)) * torch.hann_window(n, device=rgb.device)
        amplitude = torch.fft.rfft(flat).abs().mean(1)  # (B, n / 2 + 1)
        for peak in (n // 8, n // 4):
            around = torch.cat([amplitude[:, peak - 12 : peak - 3], amplitude[:, peak + 4 : peak + 13]], 1)
            terms.append((amplitude[:, peak] / (around.mean(1) + 1e-4) - 1.1).clamp_min(0))
    return torch.stack(terms).mean(0)


def weave(rgb: Tensor, *sources: Tensor) -> Tensor:
    """How far fine patterns stand out that no source has, per picture: (B,). 0 = none do.

    A weave or hatching of 2 to 4 pixels is too faint to cost anything else: networks trained on a VGG's first layers
    without this term laid one over all that is flat, as a canvas that the painting did not have.

    Args:
        rgb: (B, 3, H, W).
        sources: (B, 3, h, w) each: what a painting may have its patterns from.
    """
    with torch.no_grad():
        allowed = torch.stack([fine_peaks(source) for source in sources]).amax(0).clamp_min(MOST_WOVEN)
    excess = (fine_peaks(rgb) / allowed).log().clamp_min(0)  # (B, N)
    return excess.topk(round(WOVEN_SHARE * excess.shape[1]), 1).values.mean(1)


def fine_peaks(rgb: Tensor) -> Tensor:
    """How far fine frequencies of red, green and blue stand out: (B, 3, H, W) -> (B, 3 N). 1 = not at all.

    The mean power spectrum of windows of 64 pixels, which count alike however little is in them, for it is in flat
    places that a pattern is seen; of each frequency, smoothed a little, over the mean of all directions that are as
    fine. Each color by itself: yellow hatching on blue has no lightness.

    Args:
        rgb: H and W at least 64.
    """
    n = WEAVE_WINDOW_PX
    hann = torch.hann_window(n, device=rgb.device)
    planes = rgb.float().flatten(0, 1)[:, None]  # (3 B, 1, H, W)
    windows = F.unfold(planes, n, stride=WEAVE_STEP_PX).transpose(1, 2).reshape(len(planes), -1, n, n)
    power = torch.fft.fft2((windows - windows.mean((2, 3), keepdim=True)) * torch.outer(hann, hann)).abs().square()
    spectrum = (power / (power.sum((2, 3), keepdim=True) + UNSEEN_POWER)).mean(1, keepdim=True)  # (3 B, 1, 64, 64)
    smooth = F.avg_pool2d(F.pad(spectrum, (1,) * 4, mode="circular"), 3, 1).flatten(1)  # (3 B, 64 * 64)
    frequency = torch.fft.fftfreq(n, device=rgb.device).abs()
    fineness = torch.hypot(frequency[:, None], frequency[None]).mul(n).round().long().flatten()
    members = F.one_hot(fineness).float()  # (64 * 64, M)
    around = (smooth @ members / members.sum(0))[:, fineness]
    is_fine = (torch.maximum(frequency[:, None], frequency[None]) > 1 / WEAVE_PERIOD_PX).flatten()
    return (smooth / (around + 1e-12))[:, is_fine].reshape(len(rgb), -1)


def striped_spots(rgb: Tensor) -> Tensor:
    """How far the worst spot of fine colored stripes exceeds that of any picture, per picture: (B,). 0 = none.

    ``grid_peaks`` sees what is everywhere; a spot of 30 pixels is nothing in a spectrum, and yet what the eye goes to.

    Args:
        rgb: (B, 3, H, W), values 0..1.
    """
    return (worst_stripes(rgb) - MOST_STRIPED).clamp_min(0)


def worst_stripes(rgb: Tensor) -> Tensor:
    """Strength of the strongest spot of colored stripes of 2 to 4 pixels a period: (B, 3, H, W) -> (B,).

    Root of the mean square of second differences over 12x12 pixels, of red against blue and of green against both,
    along rows and columns. Photos and paintings hardly have color detail that fine.
    """
    red, green, blue = rgb.float().unbind(1)
    opponent = torch.stack([red - blue, green - (red + blue) / 2], 1)  # (B, 2, H, W)
    worst = []
    for lines in (opponent, opponent.transpose(2, 3)):
        for lag in (1, 2):
            bend = lines[:, :, 2 * lag :] - 2 * lines[:, :, lag:-lag] + lines[:, :, : -2 * lag]
            worst.append(F.avg_pool2d(bend.square(), 12, 4).amax((1, 2, 3)))
    return (torch.stack(worst).amax(0) + 1e-6).sqrt()


def picture_distance(rgb: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of pixels and of their differences to neighbors, per picture: (B,)."""
    error = rgb - wanted
    return error.abs().mean((1, 2, 3)) + total_variation(error)


def out_of_range(rgb: Tensor) -> Tensor:
    """How far values leave [0, 1], mean square per picture: (B,). Clamping them would lose color."""
    return (rgb - rgb.clamp(0, 1)).square().mean((1, 2, 3))


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The scalar loss: sum over terms of weight times batch mean."""
    return torch.stack([weights[name] * value.mean() for name, value in terms.items()]).sum()
