"""Large pictures in overlapping tiles that agree to the bit where they meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.device import memory_errors
from engine.core.errors import ResourceError

MIN_TILE_PX = 256


@dataclass(frozen=True)
class Tile:
    """A rectangle to keep, and the larger one around it to compute, in pixels of the whole picture."""

    top: int
    left: int
    bottom: int
    right: int
    outer_top: int
    outer_left: int
    outer_bottom: int
    outer_right: int

    @property
    def kept(self) -> tuple[slice, slice]:
        """Rows and columns of what is to be kept, in what is computed."""
        return (
            slice(self.top - self.outer_top, self.bottom - self.outer_top),
            slice(self.left - self.outer_left, self.right - self.outer_left),
        )

    def cut(self, computed: Tensor) -> Tensor:
        """What is to be kept of (B, C, H, W), the computed part."""
        rows, columns = self.kept
        return computed[:, :, rows, columns]


def lay_tiles(height: int, width: int, tile_px: int, margin_px: int, stride_px: int, beyond_px: int = 0) -> list[Tile]:
    """Cover a picture with as few tiles of at most ``tile_px`` as do, about equal in size, whose computed part reaches
    ``margin_px`` farther, but not out of the picture by more than ``beyond_px`` below and at the right; each begins at
    a multiple of the stride."""
    tiles = []
    for top, bottom in _spans(height, tile_px, stride_px):
        for left, right in _spans(width, tile_px, stride_px):
            outer = (
                max(0, top - margin_px),
                max(0, left - margin_px),
                min(height + beyond_px, bottom + margin_px),
                min(width + beyond_px, right + margin_px),
            )
            tiles.append(Tile(top, left, bottom, right, *outer))
    return tiles


def _spans(length: int, tile_px: int, stride_px: int) -> Iterator[tuple[int, int]]:
    n_tiles = -(-length // tile_px)
    span = -(-length // (n_tiles * stride_px)) * stride_px
    for start in range(0, length, span):
        yield start, min(length, start + span)


def pad_to_multiple(rgb: Tensor, stride_px: int) -> Tensor:
    """(B, C, H, W), ``mirrored`` until the stride divides H and W."""
    return mirrored(rgb, -rgb.shape[2] % stride_px, -rgb.shape[3] % stride_px)


def mirrored(rgb: Tensor, down: int, right: int) -> Tensor:
    """(B, C, H, W) with so many mirrored rows added below and columns at the right.

    Mirrored, or repeated where the picture is too small to mirror.
    """
    if not (down or right):
        return rgb
    can_mirror = down < rgb.shape[2] and right < rgb.shape[3]
    return F.pad(rgb, (0, right, 0, down), mode="reflect" if can_mirror else "replicate")


def paint_tiles(
    rgb: Tensor,
    paint: Callable[[Tensor, Tile], Tensor],
    *,
    tile_px: int,
    margin_px: int,
    stride_px: int,
    beyond_px: int = 0,
    prepare: Callable[[int], None] = lambda _tile_px: None,
    on_tile: Callable[[int, int], None] = lambda _done, _total: None,
) -> Tensor:
    """Paint a picture tile by tile.

    A tile's place is a multiple of the stride, so its pixels have the same phase in the network as in the whole
    picture; with a margin of at least the receptive field the result does not depend on the tiles at all. When
    memory runs out the tiles are halved, down to ``MIN_TILE_PX``.

    Args:
        rgb: (1, 3, H, W).
        paint: (1, 3, h, w) with h and w multiples of the stride, and its tile -> what the tile keeps of it.
        tile_px: side of what a tile keeps; a multiple of the stride.
        margin_px: what is computed beyond it; a multiple of the stride.
        stride_px: the network's total stride.
        beyond_px: how far the picture is mirrored below and at the right; a multiple of the stride, at most the margin.
            Convolutions with a stride end before the last pixel but begin with the first, so that what a network
            mirrors by itself does not fit at these two borders: a frame can be seen there.
        prepare: called with the tiles' side before the first of them, and again once they were halved: to measure what
            all of them must know, for what was measured in one that failed is half done.
        on_tile: called with tiles done and tiles in all, before each.

    Returns:
        (1, 3, H, W) float32 on the CPU.

    Raises:
        ResourceError: not enough memory even for the smallest tile.
    """
    height, width = (-(-side // stride_px) * stride_px for side in rgb.shape[2:])
    result = torch.empty(rgb.shape, dtype=torch.float32)

    def all_tiles(tile_px: int) -> Tensor:
        prepare(tile_px)
        tiles = lay_tiles(height, width, tile_px, margin_px, stride_px, beyond_px)
        for n_done, tile in enumerate(tiles):
            on_tile(n_done, len(tiles))
            kept = result[:, :, tile.top : tile.bottom, tile.left : tile.right]
            kept.copy_(paint(_around(rgb, tile), tile)[:, :, : kept.shape[2], : kept.shape[3]])
        return result

    return halving(tile_px, stride_px, all_tiles)


def halving(tile_px: int, stride_px: int, paint: Callable[[int], Tensor]) -> Tensor:
    """What is painted in tiles of a side. When memory runs out, all is painted again in tiles of half the side.

    Args:
        tile_px: the side to begin with.
        stride_px: what sides are multiples of.
        paint: the side -> the whole result.

    Raises:
        ResourceError: not enough memory even for the smallest tile.
    """
    while True:
        try:
            with memory_errors("this picture"):
                return paint(tile_px)
        except ResourceError:
            tile_px = tile_px // 2 // stride_px * stride_px
            if tile_px < MIN_TILE_PX:
                raise


def _around(rgb: Tensor, tile: Tile) -> Tensor:
    """What is computed of a picture for a tile; mirrored where the picture ends."""
    height, width = rgb.shape[2:]
    inside = rgb[:, :, tile.outer_top : tile.outer_bottom, tile.outer_left : tile.outer_right]
    return mirrored(inside, max(0, tile.outer_bottom - height), max(0, tile.outer_right - width))


def spread_crops(rgb: Tensor, crop_px: int, n_crops: int) -> Tensor:
    """Evenly spread crops of a picture, at its own resolution, as a batch.

    Args:
        rgb: (1, C, H, W) with both sides at least ``crop_px``.
        crop_px: side of each crop.
        n_crops: about how many; a grid of the picture's proportions is laid, of one row or column in the middle.

    Returns:
        (K, C, crop_px, crop_px).
    """
    height, width = rgb.shape[2:]
    n_down = max(1, round((n_crops * height / width) ** 0.5))
    n_across = max(1, round(n_crops / n_down))
    tops, lefts = _spread(height - crop_px, n_down), _spread(width - crop_px, n_across)
    crops = [rgb[:, :, top : top + crop_px, left : left + crop_px] for top in tops for left in lefts]
    return torch.cat(crops)


def _spread(last: int, n: int) -> list[int]:
    """n places from 0 to the last; one is in the middle."""
    places: list[int] = torch.linspace(0, last, n).round().int().tolist()
    return places if n > 1 else [last // 2]


def crops_of(rgbs: list[Tensor], side_px: int, stride_px: int, n_crops: int) -> Tensor:
    """Crops of all pictures as one batch, as many of each.

    Args:
        rgbs: (1, 3, h, w) each, no side below ``stride_px``.
        side_px: of a crop, at most; a smaller picture makes all of them smaller.
        stride_px: what divides it.
        n_crops: about how many in all.

    Returns:
        (K, 3, side, side).
    """
    smallest = min(min(rgb.shape[2:]) for rgb in rgbs)
    side = min(side_px, smallest // stride_px * stride_px)
    each = max(1, round(n_crops / len(rgbs)))
    return torch.cat([spread_crops(rgb, side, each) for rgb in rgbs])
