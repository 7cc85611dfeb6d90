"""Whitening and coloring: the affine map that gives features the mean and the covariance of others.

    f_cs = E_s D_s^1/2 E_s^T  .  E_c D_c^-1/2 E_c^T (f_c - mu_c) + mu_s          cov = E D E^T

Source: Li 2017, "Universal Style Transfer via Feature Transforms", section 3.2. Departs: everything is weighted by soft
masks; a part with fewer positions than channels, whose covariance says nothing, gets means and deviations only.

All in float64: eigenvalues of feature covariances span more than float32 holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.compute.resize import resize_weight
from engine.core.errors import InputError
from engine.core.shapes import check_shapes

CUT = 1e-5  # eigenvalues below this share of the largest are noise: neither divided by nor painted
MAX_GAIN = 8.0  # of a single channel, where a part is too small for a covariance
BLOCK = 1 << 16  # positions held in float64 at a time


@dataclass(frozen=True, eq=False)
class Sums:
    """What is added up over positions; sums of tiles add up to those of the whole.

    Args:
        weight: sum of weights.
        squares: sum of squared weights.
        first: (C,) float64, weighted sum of features.
        second: (C, C) float64, weighted sum of their products.
    """

    weight: float
    squares: float
    first: Tensor
    second: Tensor

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.weight + other.weight,
            self.squares + other.squares,
            self.first + other.first,
            self.second + other.second,
        )

    def moments(self) -> Moments:
        """Mean and covariance.

        Raises:
            InputError: nothing was counted.
        """
        if not self.weight > 0:
            raise InputError("A region covers nothing: give every region at least one pixel of content and of style.")
        mean = self.first / self.weight
        cov = self.second / self.weight - mean[:, None] * mean
        return Moments(mean, (cov + cov.T) / 2, self.weight**2 / self.squares)


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean (C,) and covariance (C, C), float64, of about ``count`` positions."""

    mean: Tensor
    cov: Tensor
    count: float

    @property
    def is_full(self) -> bool:
        """Whether there were more positions than channels."""
        return self.count > len(self.mean)


def measure(features: Tensor, weight: Tensor | None = None) -> Sums:
    """Add up features.

    Args:
        features: (C, H, W).
        weight: (H, W), >= 0; None = all alike.
    """
    check_shapes(features=(features, "C H W"), weight=(weight, "H W"))
    flat = features.flatten(1)  # (C, N)
    shares = None if weight is None else weight.flatten().double()
    first = features.new_zeros(len(flat), dtype=torch.float64)
    second = features.new_zeros(len(flat), len(flat), dtype=torch.float64)
    for start in range(0, flat.shape[1], BLOCK):
        block = flat[:, start : start + BLOCK].double()
        weighted = block if shares is None else block * shares[start : start + BLOCK]
        first += weighted.sum(1)
        second += weighted @ block.T
    if shares is None:
        return Sums(flat.shape[1], flat.shape[1], first, second)
    return Sums(float(shares.sum()), float(shares.square().sum()), first, second)


@dataclass(frozen=True, eq=False)
class Affine:
    """f -> matrix f + offset, float64.

    Args:
        matrix: (C, C).
        offset: (C,).
    """

    matrix: Tensor
    offset: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Map (C, H, W)."""
        flat = features.flatten(1)
        return torch.addmm(self.offset.to(flat)[:, None], self.matrix.to(flat), flat).reshape(features.shape)

    def faded(self, share: float) -> Affine:
        """The map of which only a share acts: share f_cs + (1 - share) f (the paper's alpha)."""
        eye = torch.eye(len(self.offset), dtype=self.matrix.dtype, device=self.matrix.device)
        return Affine(torch.lerp(eye, self.matrix, share), self.offset * share)


def blend(maps: Sequence[Affine], shares: Sequence[float]) -> Affine:
    """The weighted mean of maps: several styles at once (Li 2017, section 4.2)."""
    total = sum(shares)
    matrix = torch.stack([m.matrix * (share / total) for m, share in zip(maps, shares, strict=True)]).sum(0)
    offset = torch.stack([m.offset * (share / total) for m, share in zip(maps, shares, strict=True)]).sum(0)
    return Affine(matrix, offset)


def recoloring(content: Moments, style: Moments) -> Affine:
    """The map that gives features with the content's moments those of the style."""
    if content.is_full and style.is_full:
        matrix = power(style.cov, 0.5) @ power(content.cov, -0.5)
    else:
        own, wanted = (m.cov.diagonal().clamp_min(0).sqrt() for m in (content, style))
        floor = CUT**0.5 * own.amax().clamp_min(1e-12)
        matrix = torch.diag((wanted / own.clamp_min(floor)).clamp_max(MAX_GAIN))
    return Affine(matrix, style.mean - matrix @ content.mean)


def power(cov: Tensor, exponent: float) -> Tensor:
    """A power of a covariance matrix on the directions whose variance is not noise: (C, C) float64."""
    values, vectors = torch.linalg.eigh(cov)
    kept = values > CUT * values[-1].clamp_min(1e-300)
    scaled = torch.where(kept, values.clamp_min(1e-300).pow(exponent), 0.0)
    return (vectors * scaled) @ vectors.T


def spread(maps: Sequence[Affine], weights: Sequence[Tensor | None], features: Tensor) -> Tensor:
    """Map features by several maps, each where its weight is; weights need not sum to 1.

    Args:
        maps: one a part of the picture.
        weights: (h, w) at any resolution, one a map; None = everywhere.
        features: (C, H, W).

    Returns:
        (C, H, W).
    """
    if len(maps) == 1:
        return maps[0](features)
    result, total = torch.zeros_like(features), features.new_zeros(features.shape[1:])
    for one, weight in zip(maps, weights, strict=True):
        share = torch.ones_like(total) if weight is None else at_size(weight, features.shape[1:]).to(features)
        if bool((share > 0).any()):
            result += one(features) * share
            total += share
    return torch.where(total > 0, result / total.clamp_min(1e-6), features)


def at_size(weight: Tensor, size: Sequence[int]) -> Tensor:
    """A mask (h, w) at a feature map's size, each value the mean of what it covers."""
    if tuple(weight.shape) == tuple(size):
        return weight
    return resize_weight(weight, tuple(size))
