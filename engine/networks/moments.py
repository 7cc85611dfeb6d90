"""Moments of features and colors: what a picture's style is in numbers, and how one picture gets those of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

RGB_MOMENTS = 3 + 9  # mean and covariance
EPS = 1e-5


@dataclass
class Statistics:
    """Moments over a whole picture, by the name of the place that uses them; measured where not known yet.

    Args:
        is_joint: the batch is one picture in several crops: measure over all of them together.
        table: name -> tensors.
    """

    is_joint: bool = False
    table: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)

    def get(self, name: str, measure: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """The moments called ``name``."""
        if name not in self.table:
            self.table[name] = measure()
        return self.table[name]

    def joined(self, features: Tensor) -> Tensor:
        """The features whose moments count: (B, C, H, W), or (1, C, B*H, W) if the batch is one picture."""
        if not self.is_joint:
            return features
        return features.transpose(0, 1).flatten(1, 2)[None]  # (1, C, B*H, W)


def mean_std(features: Tensor, weight: Tensor | None = None, *, is_joint: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over positions: (B, C, H, W) -> two (B, C, 1, 1), float32.

    Args:
        features: (B, C, H, W).
        weight: (B, 1, H', W') share of each position, at any resolution; None = all alike.
        is_joint: over the whole batch, whose pictures are parts of one: two (1, C, 1, 1).
    """
    wide = features.float()
    if weight is None:  # two passes of sums: var_mean is several times slower on a CPU
        mean = wide.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        var = (wide - mean).square().mean((2, 3), keepdim=True)
    else:
        share = _shares(weight, features)
        mean = (wide * share).sum((2, 3), keepdim=True)
        var = ((wide - mean).square() * share).sum((2, 3), keepdim=True)
    if is_joint:  # pooled, not joined to one picture before: four times as fast
        own, mean = mean, mean.mean(0, keepdim=True)
        var = (var + (own - mean).square()).mean(0, keepdim=True)
    return mean, (var + EPS).sqrt()


def covariance(features: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean (B, C, 1) and covariance (B, C, C) over positions, float32; ``weight`` as in ``mean_std``."""
    with torch.autocast(features.device.type, enabled=False):  # bfloat16 products make it indefinite
        flat = features.float().flatten(2)  # (B, C, H*W)
        if weight is None:
            mean = flat.mean(2, keepdim=True)
            centered = flat - mean
            return mean, centered @ centered.transpose(1, 2) / flat.shape[2]
        share = _shares(weight, features).flatten(2)  # (B, 1, H*W)
        mean = (flat * share).sum(2, keepdim=True)
        centered = flat - mean
        return mean, (centered * share) @ centered.transpose(1, 2)


def _shares(weight: Tensor, features: Tensor) -> Tensor:
    """Weights at the features' resolution, summing to 1: (B, 1, H, W)."""
    small = F.interpolate(weight.float(), features.shape[-2:], mode="area") + 1e-6
    return small / small.sum((2, 3), keepdim=True)


def inverse_root(cov: Tensor, n_steps: int = 6) -> tuple[Tensor, Tensor]:
    """Square root and inverse square root of (B, C, C) covariances by coupled Newton-Schulz iterations.

    No eigenvectors, so gradients stay finite where eigenvalues meet. The covariance is loaded with a hundredth of
    its mean variance: directions the picture does not have are damped, not amplified.
    """
    n = cov.shape[-1]
    eye = torch.eye(n, dtype=cov.dtype, device=cov.device)
    trace = cov.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]  # (B, 1, 1)
    loaded = cov + (1e-2 / n * trace + EPS) * eye
    scale = loaded.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
    y, z = loaded / scale, eye.expand_as(cov)
    with torch.autocast(cov.device.type, enabled=False):
        for _ in range(n_steps):
            t = 0.5 * (3 * eye - z @ y)
            y, z = y @ t, t @ z
    return y * scale.sqrt(), z / scale.sqrt()


def rgb_moments(rgb: Tensor, weight: Tensor | None = None) -> Tensor:
    """(B, 3, H, W) -> (B, 12): mean and covariance of the colors; ``weight`` as in ``mean_std``."""
    mean, cov = covariance(rgb, weight)
    return torch.cat([mean.flatten(1), cov.flatten(1)], 1)


def transport_colors(rgb: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Map colors so that moments ``source`` become ``target`` (both (B, 12)) by the optimal-transport map."""
    with torch.no_grad():
        cov_s = source[:, 3:].reshape(-1, 3, 3).double()
        cov_t = target[:, 3:].reshape(-1, 3, 3).double()
        eye = torch.eye(3, dtype=torch.float64, device=rgb.device)
        cov_s, cov_t = cov_s + 1e-4 * eye, cov_t + 1e-4 * eye
        root = _root(cov_s)
        inverse = torch.linalg.inv(root)
        matrix = inverse @ _root(root @ cov_t @ root) @ inverse  # (B, 3, 3)
        offset = target[:, :3, None].double() - matrix @ source[:, :3, None].double()
        matrix, offset = matrix.to(rgb.dtype), offset.to(rgb.dtype)
    with torch.autocast(rgb.device.type, enabled=False):  # 8 bits of mantissa would band skies
        flat = matrix @ rgb.flatten(2) + offset  # (B, 3, H*W)
    return flat.reshape(rgb.shape)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(1e-8).sqrt()[:, None] @ vectors.transpose(1, 2)
