"""PhotoWCT: edges stay where they are, labels keep the published guards, and a photo stays a photo."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.types import Mask, Picture, Region, Settings, Style
from engine.methods.photowct import WORK_PX
from engine.networks.decoders import LEVELS
from engine.networks.pairs import load_embedded
from engine.painters import multilevel
from engine.pipeline.stylize import stylize
from engine.regions.soft_parts import is_fit
from tests.engine.crosswise import crosswise


def photowct(**options: float | int) -> Settings:
    return Settings(method="photowct", options=options)


def gradients(rgb: Tensor) -> Tensor:
    """Horizontal and vertical differences of lightness, flattened."""
    gray = rgb.mean(0)
    return torch.cat([gray.diff(dim=0).flatten(), gray.diff(dim=1).flatten()])


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.abs(), b.abs()]))[0, 1])


@pytest.mark.parametrize("level", LEVELS[1:])
def test_unpooling_decoders_give_edges_back_better_than_plain_ones(level: int, cat: Picture, portrait: Picture) -> None:
    """After one pooling there is little to choose between them; the more poolings, the more it counts."""
    close = 0.02 if level == 2 else 0.0
    plain, unpooling = (load_embedded(is_unpooling=kind) for kind in (False, True))
    with torch.inference_mode():
        for picture in (cat, portrait):
            rgb = picture.rgb[None, :, :160, :240]
            kept = [
                correlation(gradients(pair.decode(pair.encode(rgb, level), level)[0]), gradients(rgb[0]))
                for pair in (plain, unpooling)
            ]
            assert kept[1] > min(0.9, kept[0] - close)


def test_unpooling_puts_each_value_where_the_pooling_found_it() -> None:
    x = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    small, where = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(small, where, 2)
    assert torch.equal(back[back != 0], x[back != 0])
    assert int((back != 0).sum()) == small.numel()


def test_a_photo_keeps_its_edges_and_takes_the_colors(cat: Picture, coffee: Picture) -> None:
    painted = stylize(cat, [Style("coffee", coffee)], photowct()).picture.rgb
    assert correlation(gradients(painted), gradients(cat.rgb)) > 0.8
    wanted = coffee.rgb.mean((1, 2))
    assert (painted.mean((1, 2)) - wanted).norm() < 0.5 * (cat.rgb.mean((1, 2)) - wanted).norm()


def test_smoothing_keeps_more_of_the_edges(cat: Picture, coffee: Picture) -> None:
    kept = [
        correlation(
            gradients(stylize(cat, [Style("c", coffee)], photowct(smoothing=s)).picture.rgb), gradients(cat.rgb)
        )
        for s in (0.0, 1.0)
    ]
    assert kept[0] < kept[1]


def test_the_published_guards() -> None:
    def area(n: int) -> Tensor:
        return torch.cat([torch.ones(n), torch.zeros(5000 - n)])

    assert is_fit(area(11), area(1000))
    assert not is_fit(area(10), area(11))
    assert not is_fit(area(11), area(10))
    assert is_fit(area(20), area(1999))
    assert not is_fit(area(20), area(2000))
    assert not is_fit(area(2000), area(20))
    assert is_fit(area(20), area(1000).repeat(1000))  # shares are compared: the style may be a large picture


def test_a_label_that_the_guards_refuse_stays_as_it_is(cat: Picture, coffee: Picture) -> None:
    left = torch.zeros(cat.size)
    left[:, :128] = 1
    speck = torch.zeros(coffee.size)
    speck[:3, :3] = 1  # 9 px
    regions = [Region(Mask(left), Mask(speck)), Region(Mask(1 - left), Mask(1 - speck))]
    painted = stylize(cat, [Style("c", coffee)], photowct(smoothing=0), regions=regions).picture.rgb
    moved = (painted - cat.rgb).abs().mean(0)
    assert float(moved[:, :100].mean()) < 0.4 * float(moved[:, 156:].mean())


def test_labels_of_a_large_style_are_painted(cat: Picture) -> None:
    """Its masks have more than a hundred times the pixels of the photo's."""
    photo = Picture(F.avg_pool2d(cat.rgb, 8))
    large = Picture(F.interpolate(cat.rgb[None].flip(1), (850, 1280))[0])
    regions = [Region(Mask(torch.ones(photo.size)), Mask(torch.ones(large.size)))]
    painted, whole = (
        stylize(photo, [Style("large", large)], photowct(smoothing=0), regions=r).picture.rgb for r in (regions, [])
    )
    torch.testing.assert_close(painted, whole)


def test_each_label_takes_its_own_colors(cat: Picture) -> None:
    style, regions = crosswise(cat.size, noise=0.1)
    painted = stylize(cat, [Style("halves", style)], photowct(smoothing=0), regions=regions).picture.rgb
    red_minus_blue = painted[0] - painted[2]
    assert float(red_minus_blue[:, :110].mean()) < -0.2
    assert float(red_minus_blue[:, 146:].mean()) > 0.2


@pytest.mark.slow
def test_large_photos_are_moved_at_a_bounded_size(
    cat: Picture, coffee: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    transfer = multilevel.transfer

    def spy(pair: object, job: multilevel.Job, **more: object) -> Tensor:
        seen.append(job.content.size)
        assert job.regions[0].content.weight.shape == job.content.size
        return transfer(pair, job, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("engine.methods.photowct.transfer", spy)
    large = Picture(F.interpolate(cat.rgb[None], (600, 900), mode="bilinear")[0])
    regions = [Region(Mask(torch.ones(600, 900)), Mask(torch.ones(coffee.size)))]
    painted = stylize(large, [Style("c", coffee)], photowct(depth=1), regions=regions).picture
    assert seen == [(512, WORK_PX)]
    assert painted.size == (600, 900)
