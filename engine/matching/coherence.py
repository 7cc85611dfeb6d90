"""Matches that hang together: strokes are longer than the cells that are matched."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

N_ROUNDS = 8
WORTH = 0.06  # of an agreeing neighbor, in correlation
BLOCK, SLACK = 8, 0.1  # cells; what a repeated match may lose of correlation to be one no more
SHIFTS = ((1, 0), (-1, 0), (0, 1), (0, -1))


def coherent(place: Tensor, query: Tensor, keys: Tensor, allowed: Tensor, part: Tensor) -> Tensor:
    """Matches that go on where their neighbors' do, wherever what is found there is nearly as near.

    Strokes are longer than a cell. Iterated conditional modes (Besag 1986): each place tries the four places that its
    neighbors' matches lead to.

    Args:
        place: (3, h, w): row, column, nearness.
        query, keys: (C, h, w), (C, H, W), what was compared.
        allowed: (P, H, W) bool, what feeds each part.
        part: (h, w) int64.
    """
    query, keys = F.normalize(query, dim=0), F.normalize(keys, dim=0)
    height, width = keys.shape[1:]
    rows, columns, score = place
    down, right = torch.meshgrid(*(torch.arange(n, device=rows.device) for n in rows.shape), indexing="ij")

    def tried(r: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r, c = r.clamp(0, height - 1), c.clamp(0, width - 1)
        near = (query * keys[:, r.long(), c.long()]).sum(0)
        return r, c, near.masked_fill(~allowed[part, r.long(), c.long()], -torch.inf)

    # An even place, all of one match, can only swap it for another: blocks of the style break the tie.
    corner = down // BLOCK * BLOCK, right // BLOCK * BLOCK
    r, c, near = tried(rows[corner] + down % BLOCK, columns[corner] + right % BLOCK)
    better = (agreeing(rows, columns, rows, columns) < 0) & (score - near < SLACK)
    rows, columns, score = torch.where(better, torch.stack([r, c, near]), torch.stack([rows, columns, score]))
    for _ in range(N_ROUNDS):
        for parity in (0, 1):  # neighbors never move together
            for shift in SHIFTS:
                r, c = (torch.roll(x, shift, (0, 1)) + off for x, off in zip((rows, columns), shift, strict=True))
                r, c, near = tried(r, c)
                gain = near - score
                gain += WORTH * (agreeing(r, c, rows, columns) - agreeing(rows, columns, rows, columns))
                better = ((down + right) % 2 == parity) & (gain > 0)
                rows, columns, score = torch.where(
                    better, torch.stack([r, c, near]), torch.stack([rows, columns, score])
                )
    return torch.stack([rows, columns, score])


def agreeing(r: Tensor, c: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(h, w), how many of the four neighbors' matches lie beside each place's (r, c) as they lie beside it, less those
    that are the same: one piece, again and again, is a weave."""
    total = torch.zeros_like(r)
    for down, right in SHIFTS:
        off_r, off_c = r - torch.roll(rows, (down, right), (0, 1)), c - torch.roll(columns, (down, right), (0, 1))
        total += ((off_r == down) & (off_c == right)).to(r) - ((off_r == 0) & (off_c == 0)).to(r)
    return total
