"""Painting by optimization: it reaches the style, coarse to fine, and can be stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.core.errors import InputError, SettingsError
from engine.core.types import Mask, Picture, Region, Settings, Style, silent
from engine.descent.descend import descend, shared_out, sizes_from_coarse
from engine.features.backbones import load_backbone
from engine.features.statistics import STATISTICS
from engine.files.presets import load_preset, presets
from engine.methods.gatys import SHARES
from engine.pipeline.stylize import stylize
from engine.train.losses.objective import gram
from tests.engine.crosswise import crosswise


@pytest.fixture
def cat(cat: Picture) -> Picture:
    """The cat, small: (3, 85, 128)."""
    return Picture(torch.nn.functional.avg_pool2d(cat.rgb, 2))


@pytest.fixture
def coffee(coffee: Picture) -> Picture:
    """The coffee, small: (3, 85, 128)."""
    return Picture(torch.nn.functional.avg_pool2d(coffee.rgb, 2))


def settings(**options: str | int) -> Settings:
    return Settings(method="gatys", options={"iterations": 30, "scales": 2} | options)


def style_distance(result: Picture, style: Picture) -> float:
    """Relative squared Gram distance on the embedded network: an oracle of its own."""
    backbone = load_backbone("embedded")
    layers = ("relu1_1", "relu2_1", "relu3_1")
    with torch.inference_mode():
        ours, theirs = (backbone(p.rgb[None], layers) for p in (result, style))
        terms = [(gram(ours[k]) - gram(theirs[k])).square().sum() / gram(theirs[k]).square().sum() for k in layers]
    return float(torch.stack(terms).mean())


@pytest.mark.slow
@pytest.mark.parametrize("statistic", STATISTICS)
def test_every_statistic_brings_the_picture_nearer_to_the_style(statistic: str, cat: Picture, coffee: Picture) -> None:
    painted = stylize(cat, [Style("coffee", coffee)], settings(statistic=statistic)).picture
    assert style_distance(painted, coffee) < 0.6 * style_distance(cat, coffee)


@pytest.mark.slow
def test_two_hundred_iterations_close_nine_tenths(cat: Picture, coffee: Picture) -> None:
    painted = stylize(cat, [Style("coffee", coffee)], settings(iterations=200, scales=3)).picture
    assert style_distance(painted, coffee) < 0.1 * style_distance(cat, coffee)


@pytest.mark.slow
def test_adam_works_too(cat: Picture, coffee: Picture) -> None:
    painted = stylize(cat, [Style("coffee", coffee)], settings(optimizer="adam", iterations=60)).picture
    assert style_distance(painted, coffee) < 0.5 * style_distance(cat, coffee)


@pytest.mark.slow
def test_less_strength_stays_nearer_to_the_photo(cat: Picture, coffee: Picture) -> None:
    moved = [
        float((stylize(cat, [Style("c", coffee)], strong).picture.rgb - cat.rgb).abs().mean())
        for strong in (Settings(method="gatys", strength=s, options={"iterations": 30}) for s in (0.2, 1))
    ]
    assert moved[0] < moved[1]


@pytest.mark.slow
def test_each_region_takes_its_own_part_of_the_style(cat: Picture) -> None:
    style, regions = crosswise(cat.size)
    painted = stylize(cat, [Style("halves", style)], settings(iterations=60), regions=regions).picture.rgb
    red_minus_blue = painted[0] - painted[2]
    assert float(red_minus_blue[:, :50].mean()) < -0.2
    assert float(red_minus_blue[:, 78:].mean()) > 0.2


@pytest.mark.slow
def test_what_no_region_covers_takes_the_whole_style_and_regions_only_what_is_visible(cat: Picture) -> None:
    """A style of a green, a red and a blue third; the blue one is transparent, the region has it and the red one."""
    rgb, alpha = torch.zeros(3, 48, 96), torch.ones(48, 96)
    rgb[1, :, :32], rgb[0, :, 32:64], rgb[2, :, 64:], alpha[:, 64:] = 0.9, 0.9, 0.9, 0
    left, right = torch.zeros(cat.size), torch.zeros(48, 96)
    left[:, :64], right[:, 32:] = 1, 1
    regions = [Region(Mask(left), Mask(right))]
    painted = stylize(cat, [Style("s", Picture(rgb, alpha))], settings(), regions=regions).picture.rgb
    inside, rest = painted[:, :, :50].mean((1, 2)), painted[:, :, 78:].mean((1, 2))
    assert inside[0] > 0.5 and inside[1:].max() < 0.25  # red alone
    assert rest[:2].min() > 0.25 and rest[2] < 0.2  # red and green


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_region_outside_the_selection_is_passed_over(statistic: str, cat: Picture, coffee: Picture) -> None:
    speck, selection = torch.zeros(cat.size), torch.zeros(cat.size)
    speck[80:, 120:], selection[:10, :10] = 1, 1
    regions = [Region(Mask(speck), Mask(torch.ones(coffee.size)))]
    setting = settings(iterations=2, statistic=statistic)
    painted = stylize(cat, [Style("c", coffee)], setting, mask=Mask(selection), regions=regions).picture.rgb
    assert bool(torch.isfinite(painted).all())


def test_pixels_may_lie_in_memory_in_any_order(cat: Picture, coffee: Picture) -> None:
    turned = Picture(cat.rgb.permute(1, 2, 0).contiguous().permute(2, 0, 1))
    a, b = (stylize(photo, [Style("c", coffee)], settings(iterations=3)).picture.rgb for photo in (cat, turned))
    assert float((a - b).abs().mean()) < 1e-3


@pytest.mark.parametrize("method", ["gatys", "cnnmrf"])
def test_a_network_without_the_layers_that_are_needed_is_told(
    method: str, tmp_path: Path, cat: Picture, coffee: Picture
) -> None:
    first = {"features.0.weight": torch.ones(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}
    save_file(first, tmp_path / "vgg19_conv1_1.safetensors")
    setting = Settings(method, backbone=str(tmp_path / "vgg19_conv1_1.safetensors"))
    with pytest.raises(SettingsError, match=r"no relu3_\d; it goes up to relu1_1"):
        stylize(cat, [Style("c", coffee)], setting)


def test_a_preset_has_no_picture_to_optimize_for(cat: Picture) -> None:
    with pytest.raises(InputError, match="needs a style picture"):
        stylize(cat, [load_preset(presets()[0].name)], settings())


def test_unknown_options_are_told(cat: Picture, coffee: Picture) -> None:
    for options, sentence in (
        ({"statistic": "wavelet"}, "statistic must be one of gram"),
        ({"iterations": "many"}, "iterations must be a whole number"),
        ({"iterations": 0}, "iterations must be from 1 to 5000"),
        ({"brush": 3}, "no option 'brush'; its options are statistic"),
        ({"pooling": "average"}, "no average pooling"),
    ):
        with pytest.raises(SettingsError, match=sentence):
            stylize(cat, [Style("coffee", coffee)], Settings(method="gatys", options=options))


def test_descent_finds_a_known_minimum() -> None:
    wanted = torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    for optimizer in ("lbfgs", "adam"):
        found = descend(torch.full_like(wanted, 0.5), lambda x: (x - wanted).square().sum(), 80, optimizer, silent)
        assert float((found - wanted).abs().max()) < 0.02, optimizer


def test_sizes_double_up_to_the_picture() -> None:
    assert sizes_from_coarse((600, 900), 3) == [(150, 225), (300, 450), (600, 900)]
    assert sizes_from_coarse((100, 900), 3) == [(100, 900)]
    assert [sum(shared_out(200, n, SHARES)) for n in (1, 2, 3)] == [200, 200, 200]
