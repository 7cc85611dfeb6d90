"""The Markov random field of a style: every patch of a picture's features should be one that the style has.

With the nearest patches of the style held fixed, the sum over all patches i of |Psi_i(x) - Psi_NN(i)|^2 is, but for a
constant, the squared distance of each position to the mean of the patches that cover it, counted by their number. So
the loss is exact and costs no more than a squared difference of two maps; only the matching deals with patches.

Source: Li & Wand 2016, "Combining Markov Random Fields and Convolutional Neural Networks for Image Synthesis", eq. 2
and 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.errors import InputError
from engine.core.types import Progress, silent
from engine.matching.patches import EPS, Preference, grid_size, match_exactly, vote

SIZE = 3  # of a patch, in positions


@dataclass(frozen=True, eq=False)
class Target:
    """What the patches that were found say of a feature map.

    Args:
        mean: (C, H, W) of the patches that cover a position.
        counts: (H, W) how many these are.
        spread: how far they are from their means, in sum: the part of the loss that no picture can avoid.
    """

    mean: Tensor
    counts: Tensor
    spread: Tensor

    def distance(self, features: Tensor) -> Tensor:
        """Sum over all patches of the squared distance to the patch that was found for it: a scalar.

        Args:
            features: (C, H, W); gradients flow through.
        """
        return ((features - self.mean).square().sum(0) * self.counts).sum() + self.spread

    @property
    def energy(self) -> Tensor:
        """What the distance is measured against: the squared length of all means, as often as they count."""
        return (self.mean.square().sum(0) * self.counts).sum().clamp_min(EPS)


@dataclass(frozen=True, eq=False)
class Source:
    """One copy of a style.

    Args:
        features: layer -> (C, h, w).
        allowed: layer -> (P, h, w) bool, which positions feed each of P parts of the picture; a patch belongs where its
            center does.
    """

    features: Mapping[str, Tensor]
    allowed: Mapping[str, Tensor]

    def penalty(self, layer: str, stride: int) -> Tensor:
        """(P, h', w') for ``Preference``; for positions that a stride steps over, the patch before them counts."""
        inner = self.allowed[layer][:, SIZE // 2 : -(SIZE // 2), SIZE // 2 : -(SIZE // 2)]
        near = F.max_pool2d(inner.float(), stride, ceil_mode=True) > 0
        return torch.where(near, 0.0, torch.inf)


@dataclass(frozen=True, eq=False)
class Found:
    """The nearest patches of a style, among all its copies, for the patches of a picture.

    Args:
        sources: the copies.
        indices: a copy's matches, (2, H', W'), whether they are the best or not.
        shares: (H', W') of each copy: 1 where its match is the best of all, else 0.
        stride: between patches of the picture.
    """

    sources: Sequence[Source]
    indices: Sequence[Tensor]
    shares: Sequence[Tensor]
    stride: int

    def target(self, layer: str, factor: int, size: tuple[int, int]) -> Target:
        """What these patches say of a layer that is ``factor`` times as fine as the one that was matched.

        Args:
            layer: name of features that the sources have.
            factor: 1 for the layer that was matched.
            size: (H, W) of the picture's features there.
        """
        total: Tensor | float = 0.0
        counts = self.shares[0].new_zeros(size)
        for source, indices, share in zip(self.sources, self.indices, self.shares, strict=True):
            features = source.features[layer]
            both = torch.cat([features, features.square().sum(0, keepdim=True)])  # (C + 1, h, w)
            mean, weights = vote(
                both,
                indices * factor,
                SIZE * factor,
                size,
                stride=self.stride * factor,
                weight=share,
                window=None if factor == 1 else faded_window(factor).to(both),
            )
            total, counts = total + mean * weights, counts + weights
        total = torch.as_tensor(total)
        mean = total[:-1] / counts.clamp_min(EPS)
        spread = (total[-1] - counts * mean.square().sum(0)).sum().clamp_min(0)
        return Target(mean, counts, spread)


def faded_window(factor: int) -> Tensor:
    """(3 f, 3 f): 1 in the middle, fading over the f positions that patches with a stride of 2 share; otherwise their
    borders would show as a grid."""
    ramp = ((torch.arange(SIZE * factor) + 0.5) / factor).clamp_max(1)
    side = torch.minimum(ramp, ramp.flip(0))
    return side[:, None] * side


def find(
    features: Tensor,
    sources: Sequence[Source],
    layer: str,
    part: Tensor,
    *,
    strides: tuple[int, int] = (1, 1),
    is_half: bool = False,
    on_progress: Progress = silent,
) -> Found:
    """Look up the nearest patch of the style for every patch of the picture, among all copies.

    Args:
        features: (C, H, W) of the picture.
        sources: copies of the style, all with the same number of parts.
        layer: whose features these are.
        part: (H, W) int64, the part that a position belongs to.
        strides: between patches of the picture and of the style.
        is_half: match in bfloat16.
        on_progress: told between blocks.

    Raises:
        InputError: a map is smaller than a patch, or a part has nothing in any copy.
    """
    rows, columns = grid_size(features, SIZE, strides[0])
    centers = part[SIZE // 2 :: strides[0], SIZE // 2 :: strides[0]][:rows, :columns]
    found, all_scores = [], []
    for source in sources:
        penalty = source.penalty(layer, strides[1])
        able = torch.isfinite(penalty).flatten(1).any(1)  # (P,)
        penalty[~able] = 0  # compared all the same, and never taken
        matches = match_exactly(
            features,
            source.features[layer],
            size=SIZE,
            strides=strides,
            preference=Preference(penalty, centers) if bool((penalty > 0).any()) else None,
            is_half=is_half,
            on_progress=on_progress,
        )
        found.append(matches.indices)
        all_scores.append(matches.scores.masked_fill(~able[centers], -torch.inf))
    scores = torch.stack(all_scores)  # (n, H', W')
    best, which = scores.max(0)
    if bool(best.isneginf().any()):
        raise InputError("Nothing of the style is visible in a region: give it at least one pixel.")
    shares = [(which == n).to(features.dtype) for n in range(len(found))]
    return Found(sources, found, shares, strides[0])
