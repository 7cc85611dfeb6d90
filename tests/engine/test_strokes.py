"""Better and best: real strokes, in their place, and nothing where there is nothing to lay."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from engine.compute.resize import rescale
from engine.core.errors import Cancelled, SettingsError
from engine.core.method import Job
from engine.core.types import Mask, Picture, Region, Settings, Style
from engine.descent.descend import descend_in_bands, join_bands, split_in_bands
from engine.descent.start import start_of
from engine.features import backbones
from engine.features.backbones import load_backbone
from engine.files.presets import load_preset
from engine.matching.coherence import agreeing, coherent
from engine.painters import strokes
from engine.painters.strokes import StrokeFeatures, at_work_size, refine
from engine.pipeline.stylize import stylize

BETTER = Settings(quality="better")


@pytest.fixture(scope="module")
def small(cat: Picture) -> Picture:
    """(3, 85, 128), the cat."""
    return Picture(rescale(cat.rgb, 0.5))


@pytest.fixture(scope="module")
def style(coffee: Picture) -> Style:
    return Style("coffee", coffee)


@pytest.fixture(scope="module")
def better(small: Picture, style: Style) -> torch.Tensor:
    """(3, 85, 128), the cat in the style of coffee."""
    return stylize(small, [style], BETTER).picture.rgb


def distance(result: torch.Tensor, style: torch.Tensor) -> float:
    """1 - cosine from each place's deep features to the nearest of the style's, by brute force; two layers."""
    backbone, terms = load_backbone("deep"), []
    for layer in ("relu3_1", "relu4_1"):
        ours, theirs = (
            F.normalize(backbone(rgb[None], [layer])[layer][0].flatten(1), dim=0) for rgb in (result, style)
        )
        terms.append(1 - float((ours.T @ theirs).amax(1).mean()))
    return sum(terms) / 2


def moved(result: torch.Tensor, content: torch.Tensor) -> float:
    """Content distance as the quality bench defines it, on the embedded features."""
    ours, theirs = (
        F.instance_norm(load_backbone("embedded")(rgb[None], ["relu3_1"])["relu3_1"]) for rgb in (result, content)
    )
    return float((ours - theirs).square().mean())


def found(job: Job, rgb: torch.Tensor) -> list[torch.Tensor]:
    """By style (4, h, w): row, column, choice and nearness of the places that (3, H, W) is matched with."""
    features = StrokeFeatures(at_work_size(job), load_backbone("deep"))
    with torch.no_grad():
        seen = features.see(rgb[None])
        return features.match(seen, seen, features.styles(1.0), features.layers, 0.0)


def test_strokes_come_nearer_to_the_style_and_the_picture_stays(
    small: Picture, coffee: Picture, style: Style, better: torch.Tensor
) -> None:
    """Nearer to the style, as large as it is looked at, than the photo in its colors."""
    start, seen = start_of(Job(small, [style], BETTER))[0], rescale(coffee.rgb, 0.5)
    assert distance(better, seen) < 0.95 * distance(start, seen)
    assert moved(better, small.rgb) <= 0.95


def test_the_same_job_gives_the_same_strokes(small: Picture, style: Style, better: torch.Tensor) -> None:
    assert torch.equal(stylize(small, [style], BETTER).picture.rgb, better)


def test_pieces_of_the_style_itself_fall_into_their_places(coffee: Picture) -> None:
    """A painting that is the style finds each place where it is: what is laid is the style again."""
    job = Job(coffee, [Style("coffee", Picture(coffee.rgb))], Settings(style_size_px=256))
    places = found(job, coffee.rgb)
    rows, columns = torch.meshgrid(torch.arange(42.0), torch.arange(64.0), indexing="ij")
    assert float(((places[0][0] == rows) & (places[0][1] == columns)).float().mean()) > 0.99
    features = StrokeFeatures(at_work_size(job), load_backbone("deep"))
    laid = features.lay(coffee.rgb[None], places, 1.0)[0]
    assert (laid - coffee.rgb).abs().mean() < 0.02


def test_a_region_gets_strokes_of_its_own_part(cat: Picture) -> None:
    left = (torch.arange(256) < 128).float().expand(170, 256)
    picture = torch.rand(3, 128, 192, generator=torch.Generator().manual_seed(0))
    half = (torch.arange(192) < 96).float().expand(128, 192)
    pairs = [Region(Mask(left), Mask(half)), Region(Mask(1 - left), Mask(1 - half))]
    columns = found(Job(cat, [Style("halves", Picture(picture))], BETTER, regions=pairs), cat.rgb)[0][1]
    assert bool((columns[:, :32] < 32).all()) and bool((columns[:, 32:] >= 32).all())


def test_a_region_of_one_pixel_gets_that_and_nothing_hidden(cat: Picture, coffee: Picture) -> None:
    left = (torch.arange(256) < 128).float().expand(170, 256)
    speck, alpha = torch.zeros(2, *coffee.size)
    speck[101, 61], alpha[:, :100] = 1, 1
    job = Job(cat, [Style("coffee", Picture(coffee.rgb, alpha))], BETTER, regions=[Region(Mask(left), Mask(speck))])
    rows, columns, *_ = found(job, cat.rgb)[0]
    for places, expected in ((rows, 101 / 4), (columns, 61 / 4)):
        assert float((places[:, :32] - expected).abs().max()) < 2
    assert float(columns.max()) <= 100 / 4


def test_what_is_transparent_in_a_style_is_not_laid(cat: Picture, coffee: Picture) -> None:
    alpha = torch.ones(coffee.size)
    alpha[:, 100:] = 0
    columns = found(Job(cat, [Style("coffee", Picture(coffee.rgb, alpha))], BETTER), cat.rgb)[0][1]
    assert float(columns.max()) <= 100 / 4


def test_calm_places_take_what_is_calm_in_the_style(portrait: Picture) -> None:
    """A style of an even half and a rough one of the same mean: the even half of a picture stays even."""
    rough = 0.5 + 0.4 * torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0)).round().sub(0.5)
    rough[:, :, :64] = 0.5
    photo = portrait.rgb[:, 32:160, 64:192].clone()
    photo[:, :, :64] = 0.5
    result = stylize(Picture(photo), [Style("halves", Picture(rough))], BETTER).picture.rgb
    even, busy = (
        float((part[..., 1:] - part[..., :-1]).abs().mean()) for part in (result[..., 4:48], result[..., 80:])
    )
    assert even < 0.2 * busy


def test_a_preset_is_painted_fast_and_it_is_said(small: Picture) -> None:
    fast, better = (stylize(small, [load_preset("great-wave")], settings) for settings in (Settings(), BETTER))
    assert torch.equal(fast.picture.rgb, better.picture.rgb)
    assert better.report["quality"] == "fast"
    assert any("style picture" in note for note in better.report["notes"])


def test_no_strength_no_strokes(cat: Picture, style: Style) -> None:
    result = stylize(cat, [style], Settings(quality="better", strength=0)).picture.rgb
    assert torch.equal(result, cat.rgb)


def test_strokes_are_laid_whoever_loaded_the_feature_network_first(portrait: Picture, style: Style) -> None:
    """Choosing a strength loads it where no gradients are kept; the descent needs them."""
    backbones._kept.cache_clear()
    small = Picture(portrait.rgb[:, 64:144, 64:144].contiguous())
    settings = Settings(quality="better", auto_strength=True)
    assert stylize(small, [style], settings).report["quality"] == "better"


def test_pixels_outside_the_mask_do_not_move(small: Picture, style: Style, disc: Mask) -> None:
    mask = Mask(rescale(disc.weight[None], 0.5)[0].clamp(0, 1))
    result = stylize(small, [style], BETTER, mask=mask).picture.rgb
    outside = mask.weight == 0
    assert torch.equal(result[:, outside], small.rgb[:, outside])
    assert float((result - small.rgb)[:, mask.weight == 1].abs().mean()) > 0.03


def test_two_styles_both_give_strokes(cat: Picture, coffee: Picture, portrait: Picture) -> None:
    job = Job(cat, [Style("a", coffee), Style("b", portrait)], BETTER)
    mine = torch.stack([place[2] for place in found(job, cat.rgb)])  # (2, h, w)
    assert torch.equal(mine.sum(0), torch.ones_like(mine[0]))
    assert all(0.1 < float(share) < 0.9 for share in mine.mean((1, 2)))


def test_it_can_be_stopped_on_the_way(small: Picture, style: Style) -> None:
    seen: list[float] = []

    def stop(share: float, _message: str) -> None:
        seen.append(share)
        if share > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        stylize(small, [style], BETTER, on_progress=stop)
    assert seen == sorted(seen) and len(seen) > 4


def test_a_large_picture_keeps_its_size_and_bounds_the_work(style: Style, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strokes, "WORK_PX", 96)
    painted = torch.rand(3, 200, 300, generator=torch.Generator().manual_seed(0))
    job = Job(Picture(painted), [style], BETTER)
    assert at_work_size(job).content.size == (64, 96)
    assert refine(job, painted).shape == (3, 200, 300)


@pytest.mark.slow
def test_best_comes_nearer_than_better(small: Picture, coffee: Picture, style: Style, better: torch.Tensor) -> None:
    best, seen = stylize(small, [style], Settings(quality="best")).picture.rgb, rescale(coffee.rgb, 0.5)
    assert distance(best, seen) < distance(better, seen)
    assert moved(best, small.rgb) <= 0.95


def test_a_quality_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="quality must be one of fast, better, best"):
        Settings(quality="superb")  # type: ignore[arg-type]


def test_a_picture_is_the_sum_of_its_bands(coffee: Picture) -> None:
    bands = split_in_bands(coffee.rgb[None], 6)
    assert [band.shape[3] for band in bands] == [256, 128, 64, 32, 16]
    assert float((join_bands(bands)[0] - coffee.rgb).abs().max()) < 1e-5


def test_a_descent_in_bands_finds_the_nearest_picture() -> None:
    """The closed form of squared distances is the wanted picture; broad and fine changes both arrive."""
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    wanted = (0.4 + 0.1 * ((rows + columns) % 2)).expand(1, 3, 32, 32)
    start = torch.full((1, 3, 32, 32), 0.2)
    result = descend_in_bands(start, lambda rgb: (rgb - wanted).square().mean(), 60, lambda _s, _m: None)
    assert float((result - wanted).abs().max()) < 0.02
    assert torch.equal(start, torch.full((1, 3, 32, 32), 0.2))


def test_a_photo_is_its_own_likeness_whatever_its_contrast() -> None:
    """Self-similarity asks how places compare, not what they are: features of another length change nothing."""
    seen = {"relu4_1": torch.rand(1, 8, 6, 6, generator=torch.Generator().manual_seed(0))}
    alike = strokes.similarity(seen)
    torch.testing.assert_close(alike, strokes.similarity({"relu4_1": 3 * seen["relu4_1"]}))
    torch.testing.assert_close(alike.sum(0), torch.ones(36))
    assert float(alike.diagonal().abs().max()) < 1e-6
    assert float((alike - strokes.similarity({"relu4_1": seen["relu4_1"].flip(3)})).abs().sum(0).mean()) > 0.1


def test_an_even_place_is_not_woven_from_one_piece() -> None:
    """All cells look alike and took the same one: they spread over the style, but not into what is not theirs."""
    keys = torch.ones(4, 12, 12) + 1e-3 * torch.rand(4, 12, 12, generator=torch.Generator().manual_seed(0))
    place = torch.stack([torch.full((8, 8), 3.0), torch.full((8, 8), 3.0), torch.full((8, 8), 0.999)])
    allowed = torch.zeros(1, 12, 12, dtype=torch.bool)
    allowed[:, :, :9] = True
    rows, columns, _ = coherent(place, torch.ones(4, 8, 8), keys, allowed, torch.zeros(8, 8, dtype=torch.int64))
    repeated = (rows[:, 1:] == rows[:, :-1]) & (columns[:, 1:] == columns[:, :-1])
    assert float(repeated.float().mean()) < 0.1
    assert float(columns.max()) < 9
    assert float(agreeing(rows, columns, rows, columns).mean()) > 1
