"""Patches of feature maps, and where the most similar patch of another map is.

Two patches are as similar as their normalized cross-correlation: the inner product of the patches, all channels of all
k x k positions in one vector, each scaled to length 1. ``match_exactly`` compares all with all, as matrix products in
blocks that fit a memory budget; ``patchmatch`` is for maps that are too large for this. ``vote`` paints what
the matches say: the mean of all patches that cover a position.

Patches are whole: of a map of H x W positions there are (H - k) // stride + 1 by (W - k) // stride + 1, and a patch is
named by its top left position. Pad the maps (``F.pad``, mode "replicate", k // 2) where every position is to be the
center of one. Channels count as they are scaled: weigh layers or images against each other by scaling and concatenating
them.

Source: Li & Wand 2016 (normalized cross-correlation as matrix products).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.errors import InputError
from engine.core.shapes import check_shapes
from engine.core.types import Progress, silent

BUDGET_BYTES = 192 << 20
EPS = 1e-8


@dataclass(frozen=True, eq=False)
class Matches:
    """For every patch of a query map the patch of a source map that was found.

    Args:
        indices: (2, H', W') int64, row and column of the top left position in the source map.
        scores: (H', W') normalized cross-correlations, at most 1; penalties are not in them.
    """

    indices: Tensor
    scores: Tensor

    @property
    def energy(self) -> float:
        """Mean squared distance of the matched patches, each of length 1."""
        return float(2 - 2 * self.scores.mean())


@dataclass(frozen=True, eq=False)
class Preference:
    """Which patches of the source are for which patches of the query.

    Args:
        penalty: (P, h', w') taken from the score of a source patch in each of P parts; infinite = not allowed.
        part: (H', W') int64 in [0, P), the part that a query patch belongs to.

    Raises:
        InputError: a part allows no patch at all.
    """

    penalty: Tensor
    part: Tensor

    def __post_init__(self) -> None:
        check_shapes(penalty=(self.penalty, "P H W"), part=(self.part, "h w"))
        if not bool(torch.isfinite(self.penalty).flatten(1).any(1).all()):
            raise InputError("A part of the style has no patch: make its region larger.")


def grid_size(features: Tensor, size: int, stride: int = 1) -> tuple[int, int]:
    """How many patches a map (C, H, W) has, downwards and across.

    Raises:
        InputError: it is smaller than a patch.
    """
    height, width = features.shape[-2:]
    if min(height, width) < size:
        raise InputError(
            f"A picture has only {width} x {height} feature positions, fewer than a patch of {size} x {size}: "
            "use a larger picture."
        )
    return (height - size) // stride + 1, (width - size) // stride + 1


def lengths(features: Tensor, size: int, stride: int = 1) -> Tensor:
    """The lengths of all patches of (C, H, W) as vectors: (H', W')."""
    squares = features.square().sum(0)[None, None]
    return (F.avg_pool2d(squares, size, stride)[0, 0] * size**2).clamp_min(0).sqrt()


def match_exactly(
    query: Tensor,
    source: Tensor,
    *,
    size: int = 3,
    strides: tuple[int, int] = (1, 1),
    preference: Preference | None = None,
    budget_bytes: int = BUDGET_BYTES,
    is_half: bool = False,
    on_progress: Progress = silent,
) -> Matches:
    """The most similar source patch of every query patch, by comparing all with all.

    Args:
        query: (C, H, W).
        source: (C, h, w), on the same device.
        size: k, of k x k positions.
        strides: between query patches and between source patches, in positions; indices are in positions all the same.
        preference: which source patches are for which query patches; sizes as the grids with these strides.
        budget_bytes: for patches and products together.
        is_half: products in bfloat16: a third of the time where the processor has it, and scores only to within 0.01,
            so that another patch as good as the best may be taken for it.
        on_progress: told between two blocks.

    Returns:
        Matches of the query's grid; of equal patches the first.

    Raises:
        InputError: a map is smaller than a patch.
    """
    check_shapes(query=(query, "C H W"), source=(source, "C h w"))
    stride, source_stride = strides
    (height, width), (h, w) = grid_size(query, size, stride), grid_size(source, size, source_stride)
    n_query, n_source = _rows_at_once(query, size, width, (h, w), budget_bytes)
    best, scores = query.new_full((height, width), -torch.inf), query.new_zeros(height, width)
    flat = query.new_zeros(height, width, dtype=torch.int64)
    for first in range(0, h, n_source):
        rows = slice(first, min(h, first + n_source))
        candidates = unit_patches(source, size, source_stride, rows).to(torch.bfloat16 if is_half else query.dtype)
        for top in range(0, height, n_query):
            on_progress((first + n_source * top / height) / h, "")
            lines = slice(top, min(height, top + n_query))
            ours = unit_patches(query, size, stride, lines).T.to(candidates.dtype).contiguous()  # (n, C k k)
            penalties = None if preference is None else _penalties(preference, lines, rows)
            found_here = _best_of((ours @ candidates).to(query.dtype), penalties)
            value, score, at = (of_each.view(-1, width) for of_each in found_here)
            better = value > best[lines]
            for kept, found in ((best, value), (scores, score), (flat, at + first * w)):
                kept[lines] = torch.where(better, found, kept[lines])
    return Matches(torch.stack((flat // w, flat % w)) * source_stride, scores.clamp_max(1))


def _best_of(product: Tensor, penalties: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Of each row of products (n, m): the greatest after penalties, its product, and where it is; (n,) each."""
    value, at = (product if penalties is None else product - penalties).max(1)
    return value, product.gather(1, at[:, None])[:, 0], at


def _rows_at_once(
    query: Tensor, size: int, width: int, source_grid: tuple[int, int], budget_bytes: int
) -> tuple[int, int]:
    """Rows of query patches and of source patches in a block: patches and products get a third of the bytes each."""
    h, w = source_grid
    bytes_per_patch = query.shape[0] * size**2 * query.element_size()
    n_source = max(1, budget_bytes // 3 // bytes_per_patch // w)
    bytes_per_query = max(bytes_per_patch, min(n_source, h) * w * query.element_size())
    return max(1, budget_bytes // 3 // bytes_per_query // width), n_source


def unit_patches(features: Tensor, size: int, stride: int = 1, rows: slice = slice(None)) -> Tensor:
    """Patches of (C, H, W) as columns of length 1, row by row: (C k k, n); what has no length stays 0.

    Args:
        features: the map.
        size: of a patch.
        stride: between patches.
        rows: of the grid of patches.
    """
    first, end, _ = rows.indices(grid_size(features, size, stride)[0])
    lines = features[:, first * stride : (end - 1) * stride + size]
    columns = F.unfold(lines[None], size, stride=stride)[0]
    return columns / lengths(lines, size, stride).flatten().clamp_min(EPS)


def _penalties(preference: Preference, lines: slice, rows: slice) -> Tensor:
    """(n, m), of blocks of query and source patches."""
    return preference.penalty[:, rows].flatten(1)[preference.part[lines].flatten()]


def vote(
    values: Tensor,
    indices: Tensor,
    size: int,
    out_size: Sequence[int],
    *,
    stride: int = 1,
    weight: Tensor | None = None,
    window: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Paint the matched patches over each other.

    Args:
        values: (C, h, w), what the source has: features, or pixels.
        indices: (2, H', W') of ``Matches``.
        size: of a patch.
        out_size: (H, W) of the query map.
        stride: between query patches.
        weight: (H', W') how much a patch counts; None = all alike.
        window: (k, k) how much each position of a patch counts; None = all alike.

    Returns:
        (C, H, W), the weighted mean of the patches over each position, and (H, W), the sum of their weights; 0 where
        there is none.
    """
    rows, columns = indices
    counted = values.new_ones(rows.shape) if weight is None else weight
    total, weights = values.new_zeros(values.shape[0], *out_size), values.new_zeros(tuple(out_size))
    down_to, right_to = stride * (rows.shape[0] - 1) + 1, stride * (rows.shape[1] - 1) + 1
    for down in range(size):
        for right in range(size):
            there = (slice(down, down + down_to, stride), slice(right, right + right_to, stride))
            share = counted if window is None else counted * window[down, right]
            total[:, there[0], there[1]] += values[:, rows + down, columns + right] * share
            weights[there] += share
    return total / weights.clamp_min(EPS), weights


def compress(query: Tensor, source: Tensor, n_channels: int) -> tuple[Tensor, Tensor]:
    """Both maps in fewer channels that keep their inner products as well as so few can (principal components of both,
    means not subtracted): cheaper to compare.

    Args:
        query: (C, H, W).
        source: (C, h, w).
        n_channels: wanted; maps that have no more come back as they are.
    """
    if query.shape[0] <= n_channels:
        return query, source
    ours, theirs = query.flatten(1).double(), source.flatten(1).double()
    products = ours @ ours.T / ours.shape[1] + theirs @ theirs.T / theirs.shape[1]
    basis = torch.linalg.eigh(products)[1][:, -n_channels:].to(query.dtype)  # (C, n)
    return torch.einsum("ck,chw->khw", basis, query), torch.einsum("ck,chw->khw", basis, source)
