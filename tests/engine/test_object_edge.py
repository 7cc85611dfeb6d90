"""The edge of an object is found inside a band, and nothing moves outside of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from benchmarks.blend import feathered, seam_ratio
from benchmarks.scenes import Scene, foliage, scenes, strands
from engine import methods
from engine.core.types import BlendMode, Mask, Picture, Settings, Style
from engine.edges import object_edge
from engine.edges.object_edge import Boundary, Labels, refine
from engine.files.presets import load_preset
from engine.pipeline.cache import PaintingCache
from engine.pipeline.stylize import stylize
from tests.engine.test_methods import quick


def bits(x: Tensor) -> Tensor:
    return x.contiguous().view(torch.int32)


def disc(radius: float, softness: float = 0.0, size: int = 96) -> Tensor:
    """(size, size): 1 inside, with an edge of a width."""
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    distance = radius - ((y - size / 2) ** 2 + (x - size / 2) ** 2).sqrt()
    return (distance > 0).float() if softness == 0 else (distance / softness + 0.5).clamp(0, 1)


def red_on_blue(alpha: Tensor, seed: int = 0) -> Tensor:
    """An object of one color before another, with camera noise: (3, H, W)."""
    red, blue = torch.tensor([0.7, 0.25, 0.2]), torch.tensor([0.2, 0.3, 0.6])
    rgb = red[:, None, None] * alpha + blue[:, None, None] * (1 - alpha)
    return (rgb + 0.02 * torch.randn(rgb.shape, generator=torch.Generator().manual_seed(seed))).clamp(0, 1)


def overlap(a: Tensor, b: Tensor) -> float:
    """Intersection over union of what is above one half."""
    a, b = a >= 0.5, b >= 0.5
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("drawn", [27.0, 33.0], ids=["too small", "too large"])
def test_the_objects_own_edge_is_found(drawn: float) -> None:
    truth = disc(30)
    given = disc(drawn)
    found = refine(red_on_blue(truth), given)
    assert overlap(given, truth) < 0.85
    assert overlap(found.weight, truth) > 0.985
    far = torch.from_numpy(np.abs(ndimage.gaussian_filter(truth.numpy(), 2) - 0.5) > 0.49)
    assert float((found.weight - truth)[far].abs().max()) < 0.02  # clear outside and inside, no veil


@pytest.mark.parametrize("scene", [foliage(3), strands(4), strands(5)], ids=lambda scene: scene.name)
def test_hair_and_leaves_come_out_of_a_rough_mask(scene: Scene) -> None:
    """Beside the drawn truth: at most 45 % of the rough mask's error stays in the band."""
    assert scene.alpha is not None
    found = refine(scene.content, scene.mask)
    before, after = ((x - scene.alpha).abs()[found.band].mean() for x in (scene.mask, found.weight))
    assert after < 0.45 * before


@pytest.mark.parametrize("softness", [0.0, 6.0, 40.0])
def test_outside_the_band_the_mask_stays_to_the_bit(softness: float) -> None:
    given = disc(30, softness)
    found = refine(red_on_blue(disc(28)), given)
    outside = ~found.band
    assert bool(found.band.any()) and bool(outside.any())
    assert torch.equal(bits(found.weight[outside]), bits(given[outside]))


def test_the_band_is_narrow_and_lies_along_the_edge() -> None:
    given = disc(60, size=192)
    found = refine(red_on_blue(disc(62, size=192)), given)
    y, x = torch.meshgrid(torch.arange(192.0) - 96, torch.arange(192.0) - 96, indexing="ij")
    from_edge = ((y**2 + x**2).sqrt() - 60).abs()
    radius_px = object_edge.band_radius_px(given)
    assert radius_px == pytest.approx(object_edge.BAND_SHARE * math.sqrt(math.pi) * 60, abs=1)
    assert float(from_edge[found.band].max()) < radius_px + 1
    assert float(from_edge[~found.band].min()) > radius_px - 2


def test_a_thin_thing_does_not_vanish_in_its_own_band() -> None:
    given = torch.zeros(64, 96)
    given[28:36, 8:88] = 1
    found = refine(red_on_blue(given), given)
    assert overlap(found.weight, given) > 0.95


def test_a_wide_soft_edge_meets_the_mask_again_at_the_bands_rim() -> None:
    """No step there: neighbors across the rim differ by no more than the ramps inside."""
    given = disc(60, 60, size=192)
    found = refine(red_on_blue(disc(60, size=192)), given)
    for axis in (0, 1):
        at_rim = found.band.diff(dim=axis) != 0
        assert float(found.weight.diff(dim=axis)[at_rim].abs().max()) < 0.12


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_mask_without_an_edge_comes_back(value: float) -> None:
    given = torch.full((20, 30), value)
    found = refine(torch.rand(3, 20, 30), given)
    assert torch.equal(found.weight, given) and not bool(found.band.any())


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (1, 40), (5, 7)])
def test_tiny_pictures_have_edges_too(size: tuple[int, int]) -> None:
    given = torch.zeros(size)
    given.view(-1)[: given.numel() // 2] = 1
    weight = refine(torch.rand(3, *size, generator=torch.Generator().manual_seed(0)), given).weight
    assert weight.shape == given.shape and bool(((weight >= 0) & (weight <= 1)).all())


def test_it_is_deterministic_and_writes_nothing() -> None:
    scene = strands()
    before = scene.content.clone(), scene.mask.clone()
    first, second = refine(scene.content, scene.mask), refine(scene.content, scene.mask)
    assert torch.equal(bits(first.weight), bits(second.weight))
    assert torch.equal(before[0], scene.content) and torch.equal(before[1], scene.mask)


def test_a_large_picture_gets_the_same_edge_as_a_small_one() -> None:
    """There the cut is made on the reduced picture; the alpha still follows every strand."""
    scene = strands()
    assert scene.alpha is not None

    def large(x: Tensor) -> Tensor:
        return F.interpolate(x[None], scale_factor=6, mode="bilinear", align_corners=False)[0]

    mask, alpha = (large(x[None])[0] for x in (scene.mask, scene.alpha))
    mask = (mask > 0.5).float()
    found = refine(large(scene.content), mask)
    assert object_edge.band_radius_px(mask) > 2 * object_edge.COARSE_BAND
    before, after = ((x - alpha).abs()[found.band].mean() for x in (mask, found.weight))
    assert after < 0.5 * before


@pytest.mark.parametrize("factor", [1, 2, 3, 5])
def test_tiles_leave_no_seam(factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same alpha as from one tile."""
    height, width = 61, 83
    generator = torch.Generator().manual_seed(factor)
    small = (-(-height // factor), -(-width // factor))
    labels = Labels(
        inside=(torch.rand(small, generator=generator) > 0.5).float(),
        distance=torch.rand(small, generator=generator) * 1.8 - 0.9,
        content=torch.rand(3, *small, generator=generator),
        factor=factor,
        radius=4.0,
    )
    content, weight = torch.rand(3, height, width, generator=generator), torch.rand(height, width, generator=generator)

    def alpha(tile_px: int) -> Boundary:
        monkeypatch.setattr(object_edge, "TILE_PX", tile_px)
        return object_edge.matte(content, weight, labels)

    whole, tiled = alpha(1000), alpha(16)
    assert bool(whole.band.all()) and torch.equal(whole.band, tiled.band)
    torch.testing.assert_close(whole.weight, tiled.weight, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["great-wave", "composition-vi"])
@pytest.mark.parametrize("scene", scenes(), ids=lambda scene: scene.name)
def test_no_seam_is_seen_where_the_mask_ended_nor_where_the_band_does(scene: Scene, preset: str) -> None:
    """Beside the change that photo and painting have there themselves.

    Where both are smooth (the cat on the paper of the Great Wave) any change counts for much: there at least less of it
    than a careful hand's feather leaves.
    """
    painted = stylize(Picture(scene.content), [load_preset(preset)], Settings(composite=False)).picture.rgb
    found = refine(scene.content, scene.mask)
    ratio = seam_ratio(scene.content, painted, found.weight, scene.mask, found)
    by_hand = seam_ratio(scene.content, painted, feathered(scene.mask), scene.mask, found)
    assert max(ratio["rim"], ratio["band"]) <= 1.2, ratio
    assert ratio["edge"] <= max(1.2, by_hand["edge"]), (ratio, by_hand)
    assert seam_ratio(scene.content, painted, scene.mask, scene.mask, found)["edge"] > 1.5


@pytest.mark.slow
@pytest.mark.parametrize("name", [info.name for info in methods.catalog() if info.is_ready])
def test_nothing_leaks_for_any_method(name: str, cat: Picture, coffee: Picture, disc: Mask) -> None:
    """Zero, to the bit, where mask and band end; of floats beyond [0, 1] too."""
    content = Picture(cat.rgb * 1.3 - 0.1)
    cache = PaintingCache()
    for blend in get_args(BlendMode):
        settings = replace(quick(name), blend=blend)
        done = stylize(content, [Style("coffee", coffee)], settings, mask=disc, cache=cache)
        band = refine(content.rgb.clamp(0, 1), disc.weight).band if blend == "mrf" else torch.zeros(cat.size).bool()
        outside = (disc.weight <= 0) & ~band
        assert torch.equal(bits(done.picture.rgb[:, outside]), bits(content.rgb[:, outside]))
        assert (done.picture.rgb - content.rgb)[:, disc.weight == 1].abs().mean() > 0.01


def test_the_default_blends_by_the_mask_as_it_is(cat: Picture, coffee: Picture, disc: Mask) -> None:
    """A soft mask that somebody gave is not changed unless he asks for it."""
    done = stylize(cat, [Style("coffee", coffee)], mask=disc)
    assert done.mask is None and done.report["blend"] == "feather"
    hard = stylize(cat, [Style("coffee", coffee)], Settings(blend="hard"), mask=disc)
    assert hard.mask is not None
    assert torch.equal(hard.mask.weight, (disc.weight >= 0.5).float())


@pytest.mark.parametrize("blend", ["hard", "mrf"])
def test_a_host_with_layer_masks_gets_the_mask_that_blends(
    blend: Any, cat: Picture, coffee: Picture, disc: Mask
) -> None:
    """Painting and mask, blended by the host, are the picture that the engine would have blended."""
    styles, cache = [Style("coffee", coffee)], PaintingCache()
    apart = stylize(cat, styles, Settings(blend=blend, composite=False), mask=disc, cache=cache)
    assert apart.mask is not None
    expected = cat.rgb.lerp(apart.picture.rgb, apart.mask.weight)
    whole = Mask(disc.weight.clone())
    whole.weight[0, 0] = whole.weight[-1, -1] = 1e-6  # so that everything is computed, as for the host
    together = stylize(cat, styles, Settings(blend=blend), mask=whole)
    assert float((together.picture.rgb - expected)[:, 20:-20, 20:-20].abs().max()) < 0.02
