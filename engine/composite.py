"""The painted part back into the picture, by a soft mask; outside nothing moves, to the bit."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.errors import InputError
from engine.shapes import check_shapes
from engine.types import Mask, Picture


def composite(painted: Tensor, content: Picture, mask: Mask | None) -> Tensor:
    """Blend a painting into the content.

    Args:
        painted: (3, H, W), same size as the content.
        content: what shows where the mask is 0 and where the content is fully transparent: there its values are
            copied, not computed, so that they stay equal to the bit at every precision.
        mask: (H, W), 1 = painted; None = painted everywhere.

    Returns:
        (3, H, W), a new tensor.

    Raises:
        InputError: the sizes differ.
    """
    weight = None if mask is None else mask.weight
    check_shapes(
        painted=(painted, "3 H W"),
        content=(content.rgb, "3 H W"),
        mask=(weight, "H W"),
        alpha=(content.alpha, "H W"),
    )
    kept = _kept(content, weight)
    if weight is None:
        result = painted.clone()
    else:
        result = torch.lerp(content.rgb, painted, weight.clamp(0, 1))
        result = torch.where(weight >= 1, painted, result)
    return result if kept is None else torch.where(kept, content.rgb, result)


def _kept(content: Picture, weight: Tensor | None) -> Tensor | None:
    """(H, W): pixels that the painting must not touch."""
    unselected = None if weight is None else weight <= 0
    unseen = None if content.alpha is None else content.alpha <= 0
    if unselected is None or unseen is None:
        return unseen if unselected is None else unselected
    return unselected | unseen


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
