"""How good a stylization is, in figures: is the style there, is the content still there, is it free of a grid.

All on VGG-19's layers up to conv3_4 in the original (Caffe) scale; every distance is relative, so the scale cancels.
Pictures are (1, 3, H, W) in [0, 1], sides of at least 256 pixels. Definitions that the literature leaves open are fixed
here and said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.color.tone import luma
from engine.features.backbone import Backbone

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu3_4")
SCALES = (1.0, 0.5, 0.25)
CONTENT_LAYER = "relu3_1"
PATCH_LAYERS = ("relu2_1", "relu3_1")

Grams = list[dict[str, Tensor]]
Moments = list[dict[str, tuple[Tensor, Tensor]]]


@dataclass(frozen=True, eq=False)
class Looks:
    """What the figures need to know of a picture; computed once and used for every comparison with it."""

    grams: Grams
    moments: Moments
    features: dict[str, Tensor]


@torch.inference_mode()
def look(backbone: Backbone, rgb: Tensor) -> Looks:
    """Features at full size, Gram matrices, means and covariances at every scale."""
    grams, moments, features = [], [], {}
    for scale in SCALES:
        size = [max(16, round(side * scale)) for side in rgb.shape[2:]]
        smaller = rgb if scale == 1 else F.interpolate(rgb, size, mode="bilinear", antialias=True, align_corners=False)
        seen = backbone(smaller, STYLE_LAYERS)
        grams.append({name: gram(x) for name, x in seen.items()})
        moments.append({name: mean_and_covariance(x[0].flatten(1)) for name, x in seen.items()})
        if scale == 1:
            features = {name: seen[name] for name in {*PATCH_LAYERS, CONTENT_LAYER}}
    return Looks(grams, moments, features)


def gram(features: Tensor) -> Tensor:
    """(1, C, H, W) -> (C, C), mean over positions."""
    flat = features[0].flatten(1)  # (C, H*W)
    return flat @ flat.T / flat.shape[1]


def mean_and_covariance(samples: Tensor) -> tuple[Tensor, Tensor]:
    """(C, N) -> (C,) and (C, C), float64."""
    wide = samples.double()
    mean = wide.mean(1)
    centered = wide - mean[:, None]
    return mean, centered @ centered.T / wide.shape[1]


def moments_distance(result: Looks, style: Looks) -> float:
    """Mean over layers and scales of (|mu - mu_s|^2 + |sigma - sigma_s|^2) / (|mu_s|^2 + |sigma_s|^2) (AdaIN's)."""
    terms = []
    for ours, theirs in zip(result.moments, style.moments, strict=True):
        for k in STYLE_LAYERS:
            (mean, cov), (mean_s, cov_s) = ours[k], theirs[k]
            std, std_s = cov.diagonal().sqrt(), cov_s.diagonal().sqrt()
            off = (mean - mean_s).square().sum() + (std - std_s).square().sum()
            terms.append(float(off / (mean_s.square().sum() + std_s.square().sum())))
    return sum(terms) / len(terms)


def wasserstein_distance(result: Looks, style: Looks) -> float:
    """Mean over layers and scales of the squared Wasserstein-2 distance of Gaussians over the style's second moment."""
    terms = []
    for ours, theirs in zip(result.moments, style.moments, strict=True):
        for k in STYLE_LAYERS:
            mean_s, cov_s = theirs[k]
            terms.append(frechet(ours[k], theirs[k]) / float(mean_s.square().sum() + cov_s.trace()))
    return sum(terms) / len(terms)


def frechet(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> float:
    """|mu_a - mu_b|^2 + tr(A + B - 2 (A B)^1/2): the Fréchet distance of two Gaussians, squared."""
    (mean_a, cov_a), (mean_b, cov_b) = a, b
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    return float((mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross)


def style_distance(result: Looks, style: Looks) -> float:
    """S: mean over layers and scales of |G - G_style|^2 / |G_style|^2. 0 = the same texture."""
    terms = [
        float((ours[k] - theirs[k]).square().sum() / theirs[k].square().sum())
        for ours, theirs in zip(result.grams, style.grams, strict=True)
        for k in STYLE_LAYERS
    ]
    return sum(terms) / len(terms)


def style_closed(result: Looks, content: Looks, style: Looks) -> float:
    """Share of the style distance between content and style that the result has closed: 1 - S(result) / S(content)."""
    return 1 - style_distance(result, style) / style_distance(content, style)


def content_distance(result: Looks, content: Looks) -> float:
    """Mean square difference of instance-normalized relu3_1. 0 = everything in its place; unrelated pictures: 2."""
    ours, theirs = (F.instance_norm(x.features[CONTENT_LAYER]) for x in (result, content))
    return float((ours - theirs).square().mean())


@torch.inference_mode()
def patch_distance(result: Looks, style: Looks, n_patches: int = 4096) -> float:
    """1 - mean best normalized cross-correlation of the result's patches with the style's.

    3x3 patches, stride 2, cosine without subtraction of the mean, as in Li & Wand 2016; mean over relu2_1 and relu3_1.
    It sees brush strokes, which figures of the Gram kind average away.

    Args:
        result, style: the two pictures.
        n_patches: of the result, evenly spread, are looked up (all would change the third decimal); of the style, all.
    """
    distances = []
    for layer in PATCH_LAYERS:
        ours, theirs = (_patches(x.features[layer]) for x in (result, style))  # (N, D), (M, D)
        ours = ours[:: max(1, len(ours) // n_patches)]
        best = torch.cat([(part @ theirs.T).amax(1) for part in ours.split(1024)])  # (n,)
        distances.append(1 - float(best.mean()))
    return sum(distances) / len(distances)


def _patches(features: Tensor) -> Tensor:
    """3x3 patches with stride 2 of (1, C, H, W), normalized: (N, 9 C)."""
    return F.normalize(F.unfold(features, 3, stride=2)[0].T, dim=1)


def grid_peak(rgb: Tensor) -> float:
    """How far periods of 4 and 8 pixels stick out of the spectrum: the footprint of up-sampling. 1 = not at all.

    Amplitudes of luma's spectrum along rows and along columns (Hann window), mean over all lines; the amplitude at a
    period of 4 and of 8 pixels over the median of its surroundings (4 to 12 bins away); mean of the four ratios.
    """
    light = luma(rgb[0])[0]  # (H, W)
    ratios = [*_line_peaks(light), *_line_peaks(light.T)]
    return sum(ratios) / len(ratios)


def _line_peaks(lines: Tensor) -> list[float]:
    n = lines.shape[1] // 8 * 8
    lines = lines[:, :n] - lines[:, :n].mean(1, keepdim=True)
    amplitude = torch.fft.rfft(lines * torch.hann_window(n).to(lines)).abs().mean(0)  # (n/2 + 1,)
    peaks = (n // 8, n // 4)
    return [
        float(amplitude[at] / torch.cat((amplitude[at - 12 : at - 3], amplitude[at + 4 : at + 13])).median())
        for at in peaks
    ]


def turned(rgb: Tensor) -> Tensor:
    """(1, 3, H, W) turned by two degrees, enlarged by 4 % and moved by a few pixels: what a camera's shake does."""
    angle = math.radians(2)
    matrix = rgb.new_tensor(
        [
            [math.cos(angle) / 1.04, -math.sin(angle) / 1.04, 0.011],
            [math.sin(angle) / 1.04, math.cos(angle) / 1.04, -0.017],
        ]
    )
    grid = F.affine_grid(matrix[None], list(rgb.shape), align_corners=False)
    return F.grid_sample(rgb, grid, mode="bicubic", padding_mode="reflection", align_corners=False).clamp(0, 1)


def warp_error(paint: Callable[[Tensor], Tensor], content: Tensor, painted: Tensor) -> float:
    """Whether the same thing is painted alike in the next picture: mean |paint(warp(x)) - warp(paint(x))|, inside."""
    difference = (paint(turned(content)) - turned(painted)).abs()
    edge = 24
    return float(difference[:, :, edge:-edge, edge:-edge].mean())
