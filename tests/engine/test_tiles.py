"""Tiles: they cover, they agree, and they get smaller when memory runs out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from engine.compute.tiles import Tile, lay_tiles, paint_tiles, spread_crops
from engine.core.errors import ResourceError


def blur(rgb: torch.Tensor) -> torch.Tensor:
    """A box blur of radius 8 with mirrored borders: receptive field 8."""
    return F.avg_pool2d(F.pad(rgb, (8, 8, 8, 8), mode="reflect"), 17, 1)


def blur_tile(rgb: torch.Tensor, tile: Tile) -> torch.Tensor:
    return tile.cut(blur(rgb))


@pytest.mark.parametrize("size", [(64, 64), (65, 130), (200, 71), (72, 136)])
def test_tiles_cover_every_pixel_once(size: tuple[int, int]) -> None:
    count = torch.zeros(size)
    tiles = lay_tiles(*size, tile_px=64, margin_px=8, stride_px=8)
    for t in tiles:
        count[t.top : t.bottom, t.left : t.right] += 1
        assert t.bottom - t.top <= 64 and t.right - t.left <= 64
        assert t.top % 8 == t.left % 8 == t.outer_top % 8 == t.outer_left % 8 == 0
    assert (count == 1).all()
    assert len(tiles) == -(-size[0] // 64) * -(-size[1] // 64)


def test_tiles_are_about_equal() -> None:
    """A narrow last one would be computed with margins wider than itself."""
    widths = [t.right - t.left for t in lay_tiles(64, 136, tile_px=64, margin_px=8, stride_px=8)]
    assert widths == [48, 48, 40]


def test_tiled_equals_whole_when_the_margin_holds_the_receptive_field() -> None:
    rgb = torch.rand(1, 3, 200, 136, generator=torch.Generator().manual_seed(0))
    tiled = paint_tiles(rgb, blur_tile, tile_px=64, margin_px=16, stride_px=8)
    torch.testing.assert_close(tiled, blur(rgb))


def test_a_margin_below_the_receptive_field_shows() -> None:
    rgb = torch.rand(1, 3, 192, 128, generator=torch.Generator().manual_seed(0))
    tiled = paint_tiles(rgb, blur_tile, tile_px=64, margin_px=0, stride_px=8)
    assert (tiled - blur(rgb)).abs().max() > 0.01


@pytest.mark.parametrize("size", [(200, 136), (203, 141)])
@pytest.mark.parametrize("tile_px", [64, 256])
def test_a_picture_is_mirrored_beyond_its_lower_and_right_borders(size: tuple[int, int], tile_px: int) -> None:
    """As if it were larger by so much and cut, without a copy of all of it."""

    def to_the_end(rgb: torch.Tensor) -> torch.Tensor:
        """A blur that takes what is beyond the border for black: it sees where the picture ends."""
        return F.avg_pool2d(rgb, 17, 1, 8)

    def paint(rgb: torch.Tensor, tile: Tile) -> torch.Tensor:
        return tile.cut(to_the_end(rgb))

    rgb = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    wider = F.pad(rgb, (0, -size[1] % 8 + 16, 0, -size[0] % 8 + 16), mode="reflect")
    expected = to_the_end(wider)[:, :, : size[0], : size[1]]
    found = paint_tiles(rgb, paint, tile_px=tile_px, margin_px=16, stride_px=8, beyond_px=16)
    torch.testing.assert_close(found, expected)
    assert (paint_tiles(rgb, paint, tile_px=tile_px, margin_px=16, stride_px=8) - expected).abs().max() > 0.1


def test_tiles_are_halved_when_memory_runs_out() -> None:
    seen = []

    def paint(rgb: torch.Tensor, tile: Tile) -> torch.Tensor:
        seen.append(tuple(rgb.shape[2:]))
        if rgb.shape[2] > 600:
            raise ResourceError("too large")
        return tile.cut(rgb)

    rgb = torch.rand(1, 3, 1000, 1000)
    assert torch.equal(paint_tiles(rgb, paint, tile_px=1024, margin_px=0, stride_px=8), rgb)
    assert seen[0] == (1000, 1000)
    assert max(max(size) for size in seen[1:]) <= 600


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA"), MemoryError(), RuntimeError("can't allocate memory")]
)
def test_what_tiles_must_know_is_prepared_anew_for_smaller_ones(error: Exception) -> None:
    """However memory runs out: while painting, or preparing."""
    seen = []

    def prepare(tile_px: int) -> None:
        seen.append(f"for {tile_px}")
        if tile_px == 512:
            raise error

    def paint(rgb: torch.Tensor, tile: Tile) -> torch.Tensor:
        seen.append(str(rgb.shape[2]))
        if rgb.shape[2] > 600:
            raise error
        return tile.cut(rgb)

    rgb = torch.rand(1, 3, 700, 200)
    assert torch.equal(paint_tiles(rgb, paint, tile_px=1024, margin_px=0, stride_px=8, prepare=prepare), rgb)
    assert seen == ["for 1024", "704", "for 512", "for 256", "240", "240", "224"]


def test_the_smallest_tile_that_does_not_fit_is_an_error() -> None:
    def paint(_rgb: torch.Tensor, _tile: Tile) -> torch.Tensor:
        raise ResourceError("never enough")

    with pytest.raises(ResourceError, match="never enough"):
        paint_tiles(torch.rand(1, 3, 600, 600), paint, tile_px=512, margin_px=0, stride_px=8)


def test_crops_reach_all_four_corners() -> None:
    rgb = torch.zeros(1, 1, 500, 700)
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        rgb[(0, 0, *corner)] = 1
    assert spread_crops(rgb, 100, 12).sum() == 4


def test_a_single_crop_is_the_middle() -> None:
    rgb = torch.zeros(1, 1, 500, 700)
    rgb[:, :, 200:300, 300:400] = 1
    assert bool((spread_crops(rgb, 100, 1) == 1).all())
