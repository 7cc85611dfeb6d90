"""What photorealistic style transfer is measured by: are the photo's edges kept, and are its colors the style's?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn import functional as F

from engine.color.tone import luma

ENERGY_EPS = 1e-7
N_DIRECTIONS, N_COLORS = 32, 20_000


def edge_ssim(result: Tensor, content: Tensor) -> float:
    """Structural similarity of the gradient magnitudes of luma: 1 = the photo's edges.

    Args:
        result, content: (3, H, W), [0, 1].
    """
    ours, theirs = (gradient_magnitude(x) for x in (result, content))
    return float(structural_similarity(ours, theirs, data_range=max(float(ours.max()), float(theirs.max()), 1e-6)))


def gradient_magnitude(rgb: Tensor) -> np.ndarray:
    """(H, W), by central differences."""
    down, right = np.gradient(luma(rgb.double())[0].numpy())
    return np.hypot(down, right)


def matting_energy(result: Tensor, content: Tensor) -> float:
    """Mean squared residual of the best affine function of the content's colors in every 3 x 3 window, x 1e4.

    Args:
        result, content: (3, H, W), [0, 1].
    """
    guide = content.double()
    mean = _window_mean(guide)
    cov = _window_mean(guide[:, None] * guide[None]) - mean[:, None] * mean[None]  # (3, 3, h, w)
    ridge = torch.eye(3, dtype=torch.float64) * ENERGY_EPS / 9
    inverse = torch.linalg.inv(cov.permute(2, 3, 0, 1) + ridge)  # (h, w, 3, 3)
    residuals = []
    for plane in result.double():
        mean_p = _window_mean(plane)
        with_guide = (_window_mean(guide * plane) - mean * mean_p).permute(1, 2, 0)[..., None]  # (h, w, 3, 1)
        explained = (with_guide.mT @ inverse @ with_guide)[..., 0, 0]
        residuals.append((_window_mean(plane * plane) - mean_p**2 - explained).mean())
    return float(torch.stack(residuals).mean()) * 1e4


def color_distance(result: Tensor, style: Tensor, regions: Sequence[tuple[Tensor, Tensor]], seed: int = 0) -> float:
    """Sliced 1-Wasserstein distance between colors, region by region, averaged by the regions' areas.

    Args:
        result: (3, H, W).
        style: (3, H', W').
        regions: pairs of (H, W) and (H', W') bool masks.
        seed: of the directions.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = F.normalize(torch.randn(N_DIRECTIONS, 3, generator=generator), dim=1)
    levels = (torch.arange(512) + 0.5) / 512
    total, area = 0.0, 0
    for ours, theirs in regions:
        sides = []
        for rgb, where in ((result, ours), (style, theirs)):
            colors = rgb[:, where]
            chosen = torch.randperm(colors.shape[1], generator=generator)[:N_COLORS]
            sides.append(torch.quantile(directions @ colors[:, chosen], levels, dim=1))
        total += float((sides[0] - sides[1]).abs().mean()) * int(ours.sum())
        area += int(ours.sum())
    return total / max(area, 1)


def _window_mean(x: Tensor) -> Tensor:
    height, width = x.shape[-2] - 2, x.shape[-1] - 2
    return torch.stack([x[..., i : i + height, j : j + width] for i in range(3) for j in range(3)]).mean(0)
