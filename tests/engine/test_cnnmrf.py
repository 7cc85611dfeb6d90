"""CNNMRF: matches are those of a direct search, the loss is the sum over patches, the result is made of the style."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.errors import InputError, SettingsError
from engine.core.types import Mask, Picture, Region, Settings, Style
from engine.features.backbones import load_backbone
from engine.files.presets import load_preset, presets
from engine.matching.markov import SIZE, Source, Target, find
from engine.methods.cnnmrf import copies, turned
from engine.pipeline.stylize import stylize
from tests.engine.crosswise import crosswise


def settings(**more: object) -> Settings:
    options = {"iterations": 12, "scales": 1, "copies": 0} | dict(more.pop("options", {}))  # type: ignore[call-overload]
    return Settings(method="cnnmrf", options=options, **more)  # type: ignore[arg-type]


def small(picture: Picture) -> Picture:
    return Picture(F.avg_pool2d(picture.rgb, 2))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def patch(x: Tensor, row: int, column: int) -> Tensor:
    return x[:, row : row + SIZE, column : column + SIZE]


def everywhere(*maps: Tensor) -> list[Source]:
    return [Source({"relu3_1": x}, {"relu3_1": torch.ones(1, *x.shape[1:], dtype=torch.bool)}) for x in maps]


@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (2, 2)])
def test_matches_among_all_copies_are_those_of_a_direct_search(strides: tuple[int, int]) -> None:
    features, styles = random(4, 9, 10), [random(4, 7, 9, seed=1), random(4, 8, 6, seed=2)]
    found = find(features, everywhere(*styles), "relu3_1", torch.zeros(9, 10, dtype=torch.long), strides=strides)
    for i, j in itertools.product(*(range(n) for n in found.shares[0].shape)):
        ours = patch(features, i * strides[0], j * strides[0]).flatten()
        scores = {
            (n, row, column): float(F.cosine_similarity(ours, patch(style, row, column).flatten(), dim=0))
            for n, style in enumerate(styles)
            for row in range(0, style.shape[1] - 2, strides[1])
            for column in range(0, style.shape[2] - 2, strides[1])
        }
        n, row, column = max(scores, key=lambda key: scores[key])
        assert [float(share[i, j]) for share in found.shares] == [float(n == k) for k in range(2)]
        assert found.indices[n][:, i, j].tolist() == [row, column]


@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("place", [(1, 1), (2, 3), (4, 6), (5, 7)])
def test_a_part_of_one_position_is_found_at_every_stride(strides: tuple[int, int], place: tuple[int, int]) -> None:
    allowed = torch.zeros(2, 7, 9, dtype=torch.bool)
    allowed[0], allowed[1, place[0], place[1]] = True, True
    source = Source({"relu3_1": random(4, 7, 9)}, {"relu3_1": allowed})
    found = find(random(4, 9, 10), [source], "relu3_1", torch.ones(9, 10, dtype=torch.long), strides=strides)
    corners = torch.tensor(place)[:, None, None] - SIZE // 2 - found.indices[0]
    assert int(corners.min()) >= 0 and int(corners.max()) < strides[1]


@pytest.mark.parametrize("stride", [1, 2])
def test_the_loss_is_the_sum_of_squared_distances_over_patches_and_its_gradient_is_right(stride: int) -> None:
    features, style = random(3, 7, 8), random(3, 6, 5, seed=1)
    found = find(features, everywhere(style), "relu3_1", torch.zeros(7, 8, dtype=torch.long), strides=(stride, 1))
    target = found.target("relu3_1", 1, (7, 8))
    other = random(3, 7, 8, seed=3).requires_grad_(True)
    direct = torch.zeros((), dtype=torch.float64)
    for i, j in itertools.product(*(range(n) for n in found.shares[0].shape)):
        row, column = (int(n) for n in found.indices[0][:, i, j])
        direct = direct + (patch(other, i * stride, j * stride) - patch(style, row, column)).square().sum()
    assert torch.allclose(target.distance(other), direct, rtol=1e-10)
    assert torch.autograd.gradcheck(target.distance, (other,))
    assert torch.allclose(torch.autograd.grad(direct, other)[0], torch.autograd.grad(target.distance(other), other)[0])


def test_a_finer_layer_is_painted_with_the_patches_under_those_that_were_matched() -> None:
    coarse, fine = random(2, 6, 7), random(3, 12, 14, seed=1)
    source = Source({"relu3_1": coarse, "relu2_1": fine}, {"relu3_1": torch.ones(1, 6, 7, dtype=torch.bool)})
    found = find(coarse, [source], "relu3_1", torch.zeros(6, 7, dtype=torch.long))
    target: Target = found.target("relu2_1", 2, (12, 14))
    assert torch.allclose(target.mean, fine) and float(target.spread) < 1e-9


def test_copies_are_turned_by_their_angle_and_scaled() -> None:
    assert len(copies(0)) == 1 and len(copies(2)) == 9
    bar = torch.zeros(1, 1, 61, 101)
    bar[..., 30, 50:90] = 1
    angle = copies(1)[1][0]
    y, x = torch.meshgrid(torch.arange(61.0) - 30, torch.arange(101.0) - 50, indexing="ij")
    weights = turned(bar, angle)[0, 0]
    found = torch.atan2((weights * y).sum(), (weights * x).sum())
    assert abs(abs(float(found)) - 3.14159 / 24) < 0.01


def patch_distance(result: Picture, style: Picture) -> float:
    """1 - mean best cosine of 3 x 3 patches at relu3_1: an oracle of its own."""
    with torch.inference_mode():
        maps = [load_backbone("embedded")(p.rgb[None], ["relu3_1"])["relu3_1"] for p in (result, style)]
        ours, theirs = (F.normalize(F.unfold(x, 3)[0], dim=0) for x in maps)
        return 1 - float((ours.T @ theirs).amax(1).mean())


@pytest.mark.slow
def test_the_result_is_made_of_the_styles_patches(cat: Picture, coffee: Picture) -> None:
    painted = stylize(small(cat), [Style("coffee", small(coffee))], settings(options={"iterations": 36})).picture
    assert patch_distance(painted, small(coffee)) < 0.7 * patch_distance(small(cat), small(coffee))


def test_less_strength_stays_nearer_to_the_photo(cat: Picture, coffee: Picture) -> None:
    results = [stylize(small(cat), [Style("c", small(coffee))], settings(strength=s)).picture for s in (0.0, 0.3, 1.0)]
    moved = [float((result.rgb - small(cat).rgb).abs().mean()) for result in results]
    assert moved[0] == 0 < moved[1] < moved[2]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cnnmrf", "analogy"])
def test_each_region_takes_its_own_part_of_the_style(method: str, cat: Picture) -> None:
    style, regions = crosswise((85, 128))
    options = {"iterations": 6}
    painted = stylize(small(cat), [Style("halves", style)], Settings(method, options=options), regions=regions).picture
    red_minus_blue = painted.rgb[0] - painted.rgb[2]
    assert float(red_minus_blue[:, :50].mean()) < -0.2
    assert float(red_minus_blue[:, 78:].mean()) > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cnnmrf", "analogy"])
@pytest.mark.parametrize("size", [(1, 1), (2, 90), (5, 7)])
def test_pictures_smaller_than_a_patch_are_painted_all_the_same(
    method: str, size: tuple[int, int], cat: Picture
) -> None:
    tiny = Picture(torch.rand(3, *size, generator=torch.Generator().manual_seed(0)))
    photo = Picture(F.avg_pool2d(cat.rgb, 4))
    options = {"iterations": 3}
    for content, style in ((photo, tiny), (tiny, photo), (photo, Picture(torch.full((3, 40, 30), 0.5)))):
        painted = stylize(content, [Style("s", style)], Settings(method, options=options)).picture
        assert painted.size == content.size
        assert bool(torch.isfinite(painted.rgb).all())


@pytest.mark.parametrize("method", ["cnnmrf", "analogy"])
def test_a_region_of_one_pixel_is_painted_and_an_empty_one_told(method: str, cat: Picture, coffee: Picture) -> None:
    photo, style = Picture(F.avg_pool2d(cat.rgb, 4)), Picture(F.avg_pool2d(coffee.rgb, 4))
    dot, style_dot, nothing = torch.zeros(photo.size), torch.zeros(style.size), torch.zeros(style.size)
    dot[20, 30] = style_dot[0, 0] = 1
    setting = Settings(method, options={"iterations": 3})
    for regions in ([Region(Mask(dot), Mask(style_dot))], [Region(Mask(0 * dot), Mask(style_dot))]):
        painted = stylize(photo, [Style("s", style)], setting, regions=regions).picture
        assert bool(torch.isfinite(painted.rgb).all())
    with pytest.raises(InputError, match="at least one pixel"):
        stylize(photo, [Style("s", style)], setting, regions=[Region(Mask(dot), Mask(nothing))])
    with pytest.raises(InputError, match="must have the same size"):
        stylize(photo, [Style("s", style)], setting, regions=[Region(Mask(dot), Mask(torch.ones(5, 5)))])


@pytest.mark.parametrize("method", ["cnnmrf", "analogy"])
def test_what_cannot_be_is_told(method: str, cat: Picture, coffee: Picture) -> None:
    with pytest.raises(InputError, match="needs a style picture"):
        stylize(small(cat), [load_preset(presets()[0].name)], Settings(method))
    with pytest.raises(SettingsError, match="iterations must be from"):
        stylize(small(cat), [Style("c", coffee)], Settings(method, options={"iterations": 100_000}))


@pytest.mark.parametrize("method", ["cnnmrf", "analogy"])
def test_it_runs_on_vgg19s_features(method: str, shared_data: Path, cat: Picture, coffee: Picture) -> None:
    backbone = str(shared_data / "features" / "vgg19_conv1_1_to_conv3_4.safetensors")
    setting = Settings(method, options={"iterations": 3}, backbone=backbone)
    photo = Picture(F.avg_pool2d(cat.rgb, 4))
    painted = stylize(photo, [Style("coffee", small(coffee))], setting).picture
    assert bool(torch.isfinite(painted.rgb).all())
    assert float((painted.rgb - photo.rgb).abs().mean()) > 0.02
