"""PatchMatch: good matches of patches in large maps, at a cost that grows with their number and not with its square.

It begins with the nearest in a few principal components, then matches spread to neighbors (what is good for a patch is
good, moved along, for the one beside it) and are bettered by a random search around them with a radius that halves.

Source: Barnes 2009, "PatchMatch". Departs: all patches propagate at once, over jumps of powers of two (jump flooding,
Rong & Tan 2006), instead of one after another in scan order; the start is a guess that is better than random.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.core.shapes import check_shapes
from engine.core.types import Progress, silent
from engine.matching.patches import BUDGET_BYTES, EPS, Matches, Preference, compress, grid_size, lengths, unit_patches

JUMPS = (8, 4, 2, 1)  # of the propagation, in patches
GUESS_CHANNELS, GUESS_COMPONENTS = 24, 64  # what is left of a map and of its patches for the first guess
GUESS_PRODUCTS = 1 << 25  # patches of larger maps are guessed from every n-th one
CHUNK = 16384  # candidates that are compared at a time


@dataclass(frozen=True)
class Search:
    """How long and how far to look.

    Args:
        n_rounds: of propagation and random search.
        radius: of the first random step, in positions, then halved down to 1; None = the whole source.
    """

    n_rounds: int = 2
    radius: int | None = None


def match_by_propagation(
    query: Tensor,
    source: Tensor,
    generator: torch.Generator,
    *,
    size: int = 3,
    start: Tensor | None = None,
    search: Search = Search(),
    preference: Preference | None = None,
    on_progress: Progress = silent,
) -> Matches:
    """A good source patch of every query patch: matches spread to neighbors, and are bettered by random search.

    Args:
        query: (C, H, W).
        source: (C, h, w), on the same device.
        generator: on the CPU; the same seed gives the same matches.
        size: k, of k x k positions.
        start: (2, H', W') int64 matches to begin with; None = ``guess``.
        search: how long and how far.
        preference: which source patches are for which query patches.
        on_progress: told before each round.

    Returns:
        Matches of the query's grid, with stride 1.

    Raises:
        InputError: a map is smaller than a patch.
    """
    check_shapes(query=(query, "C H W"), source=(source, "C h w"))
    height, width = grid_size(query, size)
    h, w = grid_size(source, size)
    field = _Field(query, source, size, preference)
    if preference is not None:  # something that is allowed, whatever comes after it
        flat = torch.isfinite(preference.penalty).flatten(1).int().argmax(1)[preference.part]
        field.offer(torch.stack((flat // w, flat % w)))
    field.offer(guess(query, source, size=size, preference=preference) if start is None else start)
    for n in range(search.n_rounds):
        on_progress(n / search.n_rounds, "")
        for jump in JUMPS:
            if jump < max(height, width):
                for down, right in ((jump, 0), (-jump, 0), (0, jump), (0, -jump)):
                    field.offer(_moved(field.indices, down, right))
        reach = max(h, w) if search.radius is None else search.radius
        while reach >= 1:
            step = torch.rand(2, height, width, generator=generator).to(query.device) * 2 - 1
            field.offer(field.indices + (step * reach).round().long())
            reach //= 2
    return Matches(field.indices, field.scores.clamp_max(1))


def guess(query: Tensor, source: Tensor, *, size: int = 3, preference: Preference | None = None) -> Tensor:
    """Matches to begin with: the nearest of all, or in large maps of every n-th, in a few principal components.

    Args:
        query: (C, H, W).
        source: (C, h, w).
        size: of a patch.
        preference: which source patches are for which query patches.

    Returns:
        (2, H', W') int64.
    """
    height, width = grid_size(query, size)
    h, w = grid_size(source, size)
    stride = 1
    while -(-height // stride) * -(-width // stride) * -(-h // stride) * -(-w // stride) > GUESS_PRODUCTS:
        stride += 1
    ours, theirs = (unit_patches(x, size, stride) for x in compress(query, source, GUESS_CHANNELS))
    ours, theirs = (x[:, 0] for x in compress(ours[:, None], theirs[:, None], GUESS_COMPONENTS))  # (components, n)
    n_rows = max(1, BUDGET_BYTES // 4 // theirs.shape[1])
    penalty = None if preference is None else preference.penalty[:, ::stride, ::stride].flatten(1)
    part = None if preference is None else preference.part[::stride, ::stride].flatten()
    flat = torch.empty(ours.shape[1], dtype=torch.int64, device=query.device)
    for first in range(0, len(flat), n_rows):
        block = slice(first, first + n_rows)
        products = ours[:, block].T @ theirs  # (n, m)
        flat[block] = (products if penalty is None or part is None else products - penalty[part[block]]).argmax(1)
    h, w = grid_size(source, size, stride)
    coarse = torch.stack((flat // w, flat % w)).view(2, *grid_size(query, size, stride)) * stride
    rows, columns = (torch.arange(n, device=query.device) for n in (height, width))
    near = (rows // stride).clamp_max(coarse.shape[1] - 1), (columns // stride).clamp_max(coarse.shape[2] - 1)
    found = coarse[:, near[0]][:, :, near[1]]
    found[0] += (rows - near[0] * stride)[:, None]
    found[1] += columns - near[1] * stride
    return found


def _moved(indices: Tensor, down: int, right: int) -> Tensor:
    """What a patch is offered by the one ``down`` and ``right`` of it: that one's match, moved back by as much."""
    height, width = indices.shape[1:]
    rows = (torch.arange(height, device=indices.device) + down).clamp(0, height - 1)
    columns = (torch.arange(width, device=indices.device) + right).clamp(0, width - 1)
    return indices[:, rows][:, :, columns] - indices.new_tensor([down, right])[:, None, None]


class _Field:
    """The best matches so far.

    Args:
        query: (C, H, W).
        source: (C, h, w).
        size: of a patch.
        preference: which source patches are for which query patches.
    """

    def __init__(self, query: Tensor, source: Tensor, size: int, preference: Preference | None) -> None:
        self.size, self.preference = size, preference
        self.width, self.source_width = query.shape[2], source.shape[2]
        self.grid, self.source_grid = grid_size(query, size), grid_size(source, size)
        self.query = query.flatten(1).T.contiguous()  # (H W, C): a position's channels side by side
        self.source = source.flatten(1).T.contiguous()  # (h w, C)
        self.lengths = lengths(query, size).flatten(), lengths(source, size)
        self.indices = torch.zeros(2, *self.grid, dtype=torch.int64, device=query.device)
        self.scores = query.new_zeros(self.grid)
        self.wished = query.new_full(self.grid, -torch.inf)  # scores less penalties

    def offer(self, indices: Tensor) -> None:
        """Take each of (2, H', W') that is better than what is there; what lies outside the source is moved to its
        border."""
        rows, columns = (x.clamp(0, n - 1) for x, n in zip(indices, self.source_grid, strict=True))
        is_new = (rows != self.indices[0]) | (columns != self.indices[1]) | self.wished.isneginf()
        for patches in is_new.flatten().nonzero()[:, 0].split(CHUNK):
            self._try(patches, rows.flatten()[patches], columns.flatten()[patches])

    def _try(self, patches: Tensor, rows: Tensor, columns: Tensor) -> None:
        """Compare candidates with what some patches (n,) of the grid have."""
        starts = patches // self.grid[1] * self.width + patches % self.grid[1]
        source_starts = rows * self.source_width + columns
        total = self.query.new_zeros(len(patches))
        for down in range(self.size):
            for right in range(self.size):
                ours = self.query.index_select(0, starts + (down * self.width + right))  # (n, C)
                theirs = self.source.index_select(0, source_starts + (down * self.source_width + right))
                total += ours.mul_(theirs).sum(1)
        scores = total / (self.lengths[0][patches] * self.lengths[1][rows, columns]).clamp_min(EPS)
        wished = scores
        if self.preference is not None:
            wished = scores - self.preference.penalty[self.preference.part.flatten()[patches], rows, columns]
        better = wished > self.wished.flatten()[patches]
        won = patches[better]
        self.wished.view(-1)[won], self.scores.view(-1)[won] = wished[better], scores[better]
        self.indices.view(2, -1)[:, won] = torch.stack((rows, columns))[:, better]
