"""Pictures, masks and maps at another size: the engine's one place for it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def scaled_size(size: Sequence[int], factor: float, min_px: int = 1) -> tuple[int, int]:
    """(H, W) times a factor, rounded, no side below ``min_px``."""
    height, width = (max(min_px, round(side * factor)) for side in size)
    return height, width


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """(C, H, W) or (B, C, H, W) at another size, without aliasing."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    batch = x if x.dim() == 4 else x[None]
    found = F.interpolate(batch, tuple(size), mode="bilinear", antialias=True, align_corners=False)
    return found if x.dim() == 4 else found[0]


def rescale(x: Tensor, factor: float, min_px: int = 1) -> Tensor:
    """(C, H, W) or (B, C, H, W) at a factor of its size, no side below ``min_px``."""
    return resize(x, scaled_size(x.shape[-2:], factor, min_px))


def enlarge_smoothly(x: Tensor, size: Sequence[int]) -> Tensor:
    """(C, H, W) or (B, C, H, W) enlarged bicubically; values may overshoot."""
    batch = x if x.dim() == 4 else x[None]
    found = F.interpolate(batch, tuple(size), mode="bicubic", align_corners=False)
    return found if x.dim() == 4 else found[0]


def resize_weight(weight: Tensor, size: Sequence[int]) -> Tensor:
    """(H, W) at another size: each new pixel the mean over its area."""
    return F.interpolate(weight[None, None], tuple(size), mode="area")[0, 0]


def pad_sides(rgb: Tensor, min_px: int) -> Tensor:
    """(B, C, H, W) with its last row and column repeated until no side is shorter."""
    down, right = (max(0, min_px - side) for side in rgb.shape[2:])
    return F.pad(rgb, (0, right, 0, down), mode="replicate")
