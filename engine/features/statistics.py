"""What of a feature map makes its style: statistics over positions, and how far two pictures are apart in them.

Gatys' Gram matrix and its relatives. Every distance is relative to the style's own size, 0 = the same statistics and
about 1 = unrelated, so that layers, networks and pictures need no weights of their own.

Sources: Gatys 2016 (Gram matrix); Li 2017, "Demystifying neural style transfer" (maximum mean discrepancy with linear,
polynomial and Gaussian kernels; moments as in batch normalization); Gretton 2012 (the MMD). Wasserstein: the closed
form between Gaussians.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

N_SAMPLES = 1024  # positions that the kernels without a closed form compare, all with all
EPS = 1e-8


class _Moments(torch.autograd.Function):
    """Second and first moments, with one product for the gradients of both.

    Torch's own gradient of a product with itself is two products and a sum over the largest tensors of an iteration,
    in a layout that the convolutions before it may not have; this one keeps the layout of channels-last features.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, share: Tensor | None) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(values, share)
        ctx.set_materialize_grads(False)
        wide = torch.promote_types(values.dtype, torch.float32)
        weighted = values if share is None else values * share.to(values.dtype)
        ones = values.new_ones(*values.shape[:-2], values.shape[-1], 1)  # a sum as a product is several times as fast
        n = values.shape[-1] if share is None else 1
        return (weighted @ values.mT).to(wide) / n, (weighted @ ones).to(wide) / n

    @staticmethod
    def backward(ctx: Any, of_products: Tensor | None, of_mean: Tensor | None) -> tuple[Tensor | None, None]:
        values, share = ctx.saved_tensors
        n = values.shape[-1] if share is None else 1
        grad = None  # (..., N, C)
        if of_products is not None:
            grad = values.mT @ ((of_products + of_products.mT) / n).to(values.dtype)
        if of_mean is not None:
            each = (of_mean.mT / n).to(values.dtype)
            grad = each.expand(values.mT.shape) if grad is None else grad.add_(each)
        if grad is None:
            return None, None
        return (grad if share is None else grad * share[:, None].to(grad.dtype)).mT, None


def moments(values: Tensor, share: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Means of products and of values over positions; in float32 at least.

    Args:
        values: (..., C, N) features; fastest if they are channels-last, that is a view of (..., N, C).
        share: (N,) how much each position counts; None = 1 / N. No gradient flows to it.

    Returns:
        (..., C, C) and (..., C, 1).
    """
    found: tuple[Tensor, Tensor] = _Moments.apply(values, share)
    return found


class Statistic(Protocol):
    """One way to say what a style is.

    Attributes:
        takes_half: bfloat16 features are precise enough for it.
    """

    takes_half: bool

    def describe(self, samples: Samples) -> Tensor:
        """What is remembered of a style at one layer."""

    def distance(self, samples: Samples, wanted: Tensor) -> Tensor:
        """How far features are from it: a scalar that gradients flow through."""


@dataclass(frozen=True)
class Samples:
    """Features at positions.

    Args:
        values: (C, N) features.
        share: (N,) how much each position counts, summing to 1; None = all alike.
        seed: of the choice of positions where not all are compared.
    """

    values: Tensor
    share: Tensor | None = None
    seed: int = 0

    @property
    def mean(self) -> Tensor:
        """(C, 1)."""
        if self.share is None:
            return self.values.mean(1, keepdim=True)
        return self.values @ self.share[:, None]

    def products(self, values: Tensor) -> Tensor:
        """(C, C) mean over positions of ``values values^T``."""
        return moments(values, self.share)[0]

    def drawn(self) -> Tensor:
        """(C, n) features at random positions, drawn by their shares; the same ones for the same seed."""
        n = self.values.shape[1]
        generator = torch.Generator().manual_seed(self.seed)
        if self.share is None:
            chosen = torch.randperm(n, generator=generator)[:N_SAMPLES]
        else:
            chosen = torch.multinomial(self.share.detach().cpu(), N_SAMPLES, replacement=True, generator=generator)
        return self.values[:, chosen.to(self.values.device)]


def samples_of(features: Tensor, weight: Tensor | None = None, seed: int = 0) -> Samples:
    """The positions of a feature map.

    Args:
        features: (1, C, H, W).
        weight: (h, w) of the picture, any size, >= 0; None = all alike.
        seed: see ``Samples``.
    """
    values = features[0].permute(1, 2, 0).flatten(0, 1).T  # (C, N), a view of channels-last features
    if weight is None:
        return Samples(values, None, seed)
    small = F.interpolate(weight[None, None], features.shape[2:], mode="area").flatten()  # (N,)
    return Samples(values, small / small.sum().clamp_min(EPS), seed)


class Gram:
    """Second moments of features, means not subtracted: which go together. The quadratic kernel's MMD."""

    takes_half = True

    def describe(self, samples: Samples) -> Tensor:
        """(C, C)."""
        return samples.products(samples.values)

    def distance(self, samples: Samples, wanted: Tensor) -> Tensor:
        return relative(samples.products(samples.values), wanted)


class Linear:
    """Means of features: the linear kernel's MMD."""

    takes_half = False

    def describe(self, samples: Samples) -> Tensor:
        """(C, 1)."""
        return samples.mean

    def distance(self, samples: Samples, wanted: Tensor) -> Tensor:
        return relative(samples.mean, wanted)


class Moments:
    """Means and standard deviations of features, as batch normalization keeps them."""

    takes_half = False

    def describe(self, samples: Samples) -> Tensor:
        """(C, 2)."""
        second = samples.values.square()
        second_mean = second.mean(1, keepdim=True) if samples.share is None else second @ samples.share[:, None]
        variance = (second_mean - samples.mean.square()).clamp_min(0)
        return torch.cat([samples.mean, (variance + EPS).sqrt()], 1)

    def distance(self, samples: Samples, wanted: Tensor) -> Tensor:
        return relative(self.describe(samples), wanted)


class Wasserstein:
    """Means and covariances, compared by what it costs to move one Gaussian onto the other."""

    takes_half = False

    def describe(self, samples: Samples) -> Tensor:
        """(C, C + 1): mean, and root of the covariance."""
        values, vectors = torch.linalg.eigh(self._covariance(samples).double())
        root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
        return torch.cat([samples.mean, root.to(samples.values.dtype)], 1)

    def distance(self, samples: Samples, wanted: Tensor) -> Tensor:
        mean, root = wanted[:, :1], wanted[:, 1:]
        own = self._covariance(samples)
        traces = own.trace() + root.square().sum()
        crossed = torch.linalg.eigvalsh((root @ own @ root).double())
        floor = 1e-6 * traces.detach().double()  # the root's slope is infinite at 0
        common = (crossed.clamp_min(0) + floor.square()).sqrt().sum().to(own.dtype)
        moved = (samples.mean - mean).square().sum() + traces - 2 * common
        return moved.clamp_min(0) / (mean.square().sum() + root.square().sum()).clamp_min(EPS)

    @staticmethod
    def _covariance(samples: Samples) -> Tensor:
        return samples.products(samples.values - samples.mean)


Kernel = Callable[[Tensor, Tensor], Tensor]
"""(C, n) and (C, m) features -> (n, m) similarities."""


class Discrepancy:
    """The maximum mean discrepancy with any kernel, over all pairs of drawn positions.

    Args:
        kernel: made from the style's features, since its width may depend on them.
    """

    takes_half = False

    def __init__(self, kernel: Callable[[Tensor], Kernel]) -> None:
        self.kernel = kernel

    def describe(self, samples: Samples) -> Tensor:
        """(C, n): the drawn features themselves."""
        return samples.drawn()

    def distance(self, samples: Samples, wanted: Tensor) -> Tensor:
        kernel = self.kernel(wanted)
        ours = samples.drawn()
        own_pairs = kernel(wanted, wanted).mean()
        return (kernel(ours, ours).mean() - 2 * kernel(ours, wanted).mean() + own_pairs) / own_pairs.clamp_min(EPS)


def polynomial(wanted: Tensor) -> Kernel:
    """(x^T y / C + c)^2 with c the mean similarity of the style's own features: first and second moments together."""
    n_channels = wanted.shape[0]
    offset = (wanted.mean(1).square().sum() / n_channels).detach()
    return lambda x, y: (x.T @ y / n_channels + offset).square()


def gaussian(wanted: Tensor) -> Kernel:
    """exp(-|x - y|^2 / (2 s^2)) with s^2 the mean squared distance of the style's own pairs (Li 2017)."""
    width = squared_distances(wanted, wanted).mean().clamp_min(EPS).detach()
    return lambda x, y: (-squared_distances(x, y) / (2 * width)).exp()


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(C, n) and (C, m) -> (n, m)."""
    norms = x.square().sum(0)[:, None] + y.square().sum(0)[None]
    return (norms - 2 * x.T @ y).clamp_min(0)


def relative(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared distance in units of what is wanted."""
    return (found - wanted).square().sum() / wanted.square().sum().clamp_min(EPS)


STATISTICS: dict[str, Statistic] = {
    "gram": Gram(),
    "linear": Linear(),
    "polynomial": Discrepancy(polynomial),
    "gaussian": Discrepancy(gaussian),
    "moments": Moments(),
    "wasserstein": Wasserstein(),
}
"""By the name that users choose it with."""
