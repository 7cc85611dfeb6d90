"""Which position of one picture corresponds to which of another: fields of matches between feature maps of different
domains (a photo and a painting), and their way from coarse maps to finer ones.

A field is (2, H, W) int64: for each position of one map, row and column in the other.

Source: Liao 2017, "Visual Attribute Transfer through Deep Image Analogy". Departs: channels are standardized in each
picture before they are compared, so that what all positions of a painting have in common (its palette, its texture)
does not count; the place in the picture may count as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.types import Progress, silent
from engine.matching.patches import EPS, Preference, compress, vote
from engine.matching.patchmatch import Search, match_by_propagation

RESPONSE_SLOPE, RESPONSE_THRESHOLD = 300.0, 0.05  # of the response map (Liao 2017, eq. 7)


@dataclass(frozen=True)
class Comparison:
    """How positions are compared.

    Args:
        size: of a patch, odd; each position is the center of one.
        n_channels: what features are compressed to.
        place: share of the place in the picture, beside what is there, [0, 1).
        search: how long and how far.
    """

    size: int
    n_channels: int
    place: float
    search: Search


def aligned(features: Tensor) -> Tensor:
    """(C, H, W), each channel with mean 0 and deviation 1, then each position of length 1."""
    flat = features.flatten(1)
    deviation = flat.std(1, correction=0)
    scale = torch.where(deviation > 1e-4 * deviation.max().clamp_min(EPS), 1 / deviation.clamp_min(EPS), 0)
    return F.normalize((features - flat.mean(1)[:, None, None]) * scale[:, None, None], dim=0)


def response(features: Tensor) -> Tensor:
    """Where a feature map says something: (C, H, W) -> (H, W), near 1 where its squared length is above a twentieth of
    the range, near 0 below."""
    squares = features.square().sum(0)
    low, high = squares.min(), squares.max()
    return torch.sigmoid(RESPONSE_SLOPE * ((squares - low) / (high - low).clamp_min(EPS) - RESPONSE_THRESHOLD))


def places(size: Sequence[int], device: torch.device) -> Tensor:
    """(4, H, W) of length 1: their inner products fall from 1 for the same place to -1 for the opposite corner."""
    height, width = size
    angles = [(torch.arange(n, device=device) + 0.5) / n * math.pi for n in (height, width)]
    down, right = angles[0][:, None].expand(height, width), angles[1][None].expand(height, width)
    return torch.stack([down.cos(), down.sin(), right.cos(), right.sin()]) / math.sqrt(2)


def correspond(
    query: Tensor,
    source: Tensor,
    generator: torch.Generator,
    comparison: Comparison,
    *,
    start: Tensor | None = None,
    preference: Preference | None = None,
    on_progress: Progress = silent,
) -> Tensor:
    """The field from each position of one map to the other.

    Args:
        query: (C, H, W), aligned.
        source: (C, h, w), aligned.
        generator: of the random search.
        comparison: how.
        start: the field to begin with; None = a guess.
        preference: which source positions are for which query positions.
        on_progress: told before each round.

    Returns:
        (2, H, W).
    """
    size, place = comparison.size, comparison.place
    ours, theirs = compress(query, source, comparison.n_channels)
    if place > 0:
        ours, theirs = (
            torch.cat([math.sqrt(1 - place) * x, math.sqrt(place) * places(x.shape[1:], x.device)])
            for x in (ours, theirs)
        )
    ours, theirs = (F.pad(x[None], (size // 2,) * 4, mode="replicate")[0] for x in (ours, theirs))
    matches = match_by_propagation(
        ours,
        theirs,
        generator,
        size=size,
        start=start,
        search=comparison.search,
        preference=preference,
        on_progress=on_progress,
    )
    return matches.indices


def warped(values: Tensor, field: Tensor, size: int) -> Tensor:
    """What a field brings of (C, h, w): the mean of the patches that cover each position, (C, H, W)."""
    radius = size // 2
    height, width = field.shape[1:]
    padded = F.pad(values[None], (radius,) * 4, mode="replicate")[0]
    painted, _ = vote(padded, field, size, (height + 2 * radius, width + 2 * radius))
    return painted[:, radius : radius + height, radius : radius + width]


def enlarged(field: Tensor, source: Sequence[int], size: Sequence[int], new_source: Sequence[int]) -> Tensor:
    """A field for finer maps: positions inside a coarse one keep their place in it.

    Args:
        field: (2, h, w).
        source: (H, W) of the map that it points into.
        size: (H, W) of the finer query map.
        new_source: (H, W) of the finer source map.

    Returns:
        (2, *size).
    """
    at = [(torch.arange(n, device=field.device) + 0.5) * old / n for n, old in zip(size, field.shape[1:], strict=True)]
    cells = [x.long() for x in at]
    rows, columns = field[:, cells[0]][:, :, cells[1]]
    inside = (at[0] - cells[0])[:, None], (at[1] - cells[1])[None]
    fine = [
        ((old + offset) * (new / n)).long().clamp(0, new - 1)
        for old, offset, n, new in zip((rows, columns), inside, source, new_source, strict=True)
    ]
    return torch.stack(fine)
