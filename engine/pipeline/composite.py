"""The painted part back into the picture, by a soft mask; outside nothing moves, to the bit."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.core.errors import InputError
from engine.core.shapes import check_shapes
from engine.core.types import Mask

ROWS = 64


def paint_over(
    canvas: Tensor, painted: Tensor, alpha: Tensor | None, mask: Mask | None, out: Tensor | None = None
) -> None:
    """Blend a painting into a picture, in its place.

    In strips that stay in the processor's cache; most of them are wholly inside the mask, or outside. Where nothing of
    the painting is to be seen, values are copied, not computed, so that they stay equal to the bit at every precision.

    Args:
        canvas: (3, H, W), what shows where the mask is 0.
        painted: (3, H, W), same size.
        alpha: (H, W) of the canvas; where it is 0 nothing of the painting comes in. None = opaque.
        mask: (H, W), 1 = painted; None = painted everywhere.
        out: (3, H, W), what is written to: the canvas, if None, or the painting, which leaves the canvas as it is.

    Raises:
        InputError: the sizes differ.
    """
    result = canvas if out is None else out
    weight = None if mask is None else mask.weight
    check_shapes(painted=(painted, "3 H W"), content=(canvas, "3 H W"), mask=(weight, "H W"), alpha=(alpha, "H W"))
    for top in range(0, canvas.shape[1], ROWS):
        rows = slice(top, top + ROWS)
        below, strip = canvas[:, rows], painted[:, rows]
        if weight is not None:
            share = weight[rows]
            least, most = (float(extreme) for extreme in torch.aminmax(share))
            if most <= 0:
                if out is not None:
                    out[:, rows].copy_(below)
                continue
            if not least >= 1:
                blended = torch.lerp(below, strip, share.clamp(0, 1))
                strip = torch.where(share <= 0, below, torch.where(share >= 1, strip, blended))
        if alpha is not None:
            strip = torch.where(alpha[rows] <= 0, below, strip)
        result[:, rows].copy_(strip)


def mask_box(weight: Tensor, pad_px: int, multiple: int) -> tuple[int, int, int, int]:
    """The part of a picture to compute for a selection: its bounding box with surroundings.

    Args:
        weight: (H, W); above 0 = selected.
        pad_px: surroundings on each side.
        multiple: the box's sides are grown to multiples of this where the picture has room for it.

    Returns:
        top, left, height, width; inside the picture.

    Raises:
        InputError: nothing is selected.
    """
    check_shapes(weight=(weight, "H W"))
    selected = weight > 0
    rows, columns = selected.any(1).nonzero(), selected.any(0).nonzero()
    if len(rows) == 0:
        raise InputError("The mask selects nothing: paint some of it white.")
    top, height = _span(int(rows[0]), int(rows[-1]) + 1, weight.shape[0], pad_px, multiple)
    left, width = _span(int(columns[0]), int(columns[-1]) + 1, weight.shape[1], pad_px, multiple)
    return top, left, height, width


def _span(first: int, end: int, length: int, pad_px: int, multiple: int) -> tuple[int, int]:
    """Start and length of a padded stretch whose length is a multiple, or all there is."""
    first, end = max(0, first - pad_px), min(length, end + pad_px)
    wanted = min(length, -(-(end - first) // multiple) * multiple)
    first = min(first, length - wanted)
    return first, wanted
