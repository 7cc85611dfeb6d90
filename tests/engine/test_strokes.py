"""The quality ladder's promises: real strokes, in their place, and nothing where there is nothing to lay."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from engine.core.errors import Cancelled, SettingsError
from engine.core.method import Job
from engine.core.types import Mask, Picture, Region, Settings, Style
from engine.descent.descend import descend_in_bands
from engine.features import backbones
from engine.features.backbones import load_backbone
from engine.files.presets import load_preset
from engine.painters import strokes
from engine.painters.strokes import StrokeFeatures, at_work_size, refine
from engine.pipeline.stylize import stylize

BETTER = Settings(quality="better")


@pytest.fixture(scope="module")
def style(coffee: Picture) -> Style:
    return Style("coffee", coffee)


@pytest.fixture(scope="module")
def better(cat: Picture, style: Style) -> torch.Tensor:
    """(3, 170, 256), the cat in the style of coffee."""
    return stylize(cat, [style], BETTER).picture.rgb


def distances(result: torch.Tensor, content: torch.Tensor, style: torch.Tensor) -> tuple[float, float]:
    """Patch and content distance as the quality bench defines them, on the embedded features; by brute force."""
    backbone = load_backbone("embedded")
    seen = [backbone(rgb[None], ("relu2_1", "relu3_1")) for rgb in (result, content, style)]
    terms = []
    for layer in ("relu2_1", "relu3_1"):
        ours, theirs = (F.normalize(F.unfold(seen[i][layer], 3, stride=2)[0].T, dim=1) for i in (0, 2))
        terms.append(1 - float((ours @ theirs.T).amax(1).mean()))
    moved = (F.instance_norm(seen[0]["relu3_1"]) - F.instance_norm(seen[1]["relu3_1"])).square().mean()
    return sum(terms) / 2, float(moved)


def test_strokes_come_nearer_to_the_style_and_the_picture_stays(
    cat: Picture, coffee: Picture, style: Style, better: torch.Tensor
) -> None:
    fast = stylize(cat, [style]).picture.rgb
    (patch_fast, _), (patch, content) = (distances(rgb, cat.rgb, coffee.rgb) for rgb in (fast, better))
    assert patch < 0.93 * patch_fast
    assert content <= 0.95


def test_the_same_job_gives_the_same_strokes(cat: Picture, style: Style, better: torch.Tensor) -> None:
    assert torch.equal(stylize(cat, [style], BETTER).picture.rgb, better)


def test_pieces_of_the_style_itself_fall_into_their_places(coffee: Picture) -> None:
    """A painting that is the style finds each patch where it is: what is laid is the style again."""
    job = at_work_size(Job(coffee, [Style("coffee", Picture(coffee.rgb))], Settings(style_size_px=256)))
    look = StrokeFeatures(job, load_backbone("embedded"))
    with torch.no_grad():
        target = look.targets(job.content.rgb[None], 1.0)
        laid = look.lay(job.content.rgb[None], target.places)[0]
    rows = target.places[0, 0, 10:-10, 10:-10]
    expected = torch.arange(target.places.shape[2])[10:-10, None] * 3.0  # the query's stride
    assert (rows - expected).abs().median() <= 1  # the style's patches have a stride of 2
    assert (laid - coffee.rgb).abs().mean() < 0.03


def test_a_region_gets_strokes_of_its_own_part(cat: Picture) -> None:
    left = (torch.arange(256) < 128).float().expand(170, 256)
    noise = 0.3 * torch.rand(1, 128, 192, generator=torch.Generator().manual_seed(0))
    picture = torch.cat([noise, noise * 0, noise * 0]) + torch.tensor([0.5, 0.1, 0.1])[:, None, None]
    picture[:, :, 96:] = picture[[2, 1, 0]][:, :, 96:]  # red at the left, blue at the right
    half = (torch.arange(192) < 96).float().expand(128, 192)
    pairs = [Region(Mask(left), Mask(half)), Region(Mask(1 - left), Mask(1 - half))]
    job = at_work_size(Job(cat, [Style("halves", Picture(picture))], BETTER, regions=pairs))
    look = StrokeFeatures(job, load_backbone("embedded"))
    with torch.no_grad():
        columns = look.targets(cat.rgb[None], 1.0).places[0, 1]  # (H', W')
    middle = look.styles(1.0)[0]["relu2_1"].shape[3] / 2
    assert bool((columns[:, :18] <= middle).all()) and bool((columns[:, -18:] >= middle - 3).all())


def test_a_region_of_one_pixel_gets_that_and_nothing_hidden(cat: Picture, coffee: Picture) -> None:
    """No patch of the style is covered by one half."""
    left = (torch.arange(256) < 128).float().expand(170, 256)
    speck, alpha = torch.zeros(2, *coffee.size)
    speck[101, 61], alpha[:, :100] = 1, 1
    job = Job(cat, [Style("coffee", Picture(coffee.rgb, alpha))], BETTER, regions=[Region(Mask(left), Mask(speck))])
    look = StrokeFeatures(at_work_size(job), load_backbone("embedded"))
    with torch.no_grad():
        rows, columns = look.targets(cat.rgb[None], 1.0).places[0, :2]
    per_px = look.styles(1.0)[0]["relu2_1"].shape[3] / 256
    for found, place in ((rows, 101), (columns, 61)):
        assert float((found[:, :18] / per_px - place).abs().max()) < 6
    assert float(columns.max()) < 100 * per_px


def test_what_is_transparent_in_a_style_is_not_laid(cat: Picture, coffee: Picture) -> None:
    alpha = torch.ones(coffee.size)
    alpha[:, 100:] = 0
    job = at_work_size(Job(cat, [Style("coffee", Picture(coffee.rgb, alpha))], BETTER))
    look = StrokeFeatures(job, load_backbone("embedded"))
    with torch.no_grad():
        columns = look.targets(cat.rgb[None], 1.0).places[0, 1]
    assert float(columns.max()) <= look.styles(1.0)[0]["relu2_1"].shape[3] * 100 / 256


def test_a_preset_is_painted_fast_and_it_is_said(cat: Picture) -> None:
    fast, better = (stylize(cat, [load_preset("great-wave")], settings) for settings in (Settings(), BETTER))
    assert torch.equal(fast.picture.rgb, better.picture.rgb)
    assert better.report["quality"] == "fast"
    assert any("style picture" in note for note in better.report["notes"])


def test_no_strength_no_strokes(cat: Picture, style: Style) -> None:
    result = stylize(cat, [style], Settings(quality="better", strength=0)).picture.rgb
    assert torch.equal(result, cat.rgb)


def test_strokes_are_laid_whoever_loaded_the_feature_network_first(portrait: Picture, style: Style) -> None:
    """Choosing a strength loads it where no gradients are kept; the descent needs them."""
    backbones._kept.cache_clear()
    small = Picture(portrait.rgb[:, 64:192, 64:192].contiguous())
    settings = Settings(quality="better", auto_strength=True)
    assert stylize(small, [style], settings).report["quality"] == "better"


def test_pixels_outside_the_mask_do_not_move(cat: Picture, style: Style, disc: Mask) -> None:
    result = stylize(cat, [style], BETTER, mask=disc).picture.rgb
    outside = disc.weight == 0
    assert torch.equal(result[:, outside], cat.rgb[:, outside])
    assert float((result - cat.rgb)[:, disc.weight == 1].abs().mean()) > 0.03


def test_two_styles_both_give_strokes(cat: Picture, coffee: Picture, portrait: Picture) -> None:
    job = at_work_size(Job(cat, [Style("a", coffee), Style("b", portrait)], BETTER))
    with torch.no_grad():
        mine = StrokeFeatures(job, load_backbone("embedded")).targets(cat.rgb[None], 1.0).places[:, 2]  # (2, H', W')
    assert torch.equal(mine.sum(0), torch.ones_like(mine[0]))
    assert all(0.1 < float(share) < 0.9 for share in mine.mean((1, 2)))


def test_it_can_be_stopped_on_the_way(cat: Picture, style: Style) -> None:
    seen: list[float] = []

    def stop(share: float, _message: str) -> None:
        seen.append(share)
        if share > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        stylize(cat, [style], BETTER, on_progress=stop)
    assert seen == sorted(seen) and len(seen) > 4


def test_a_large_picture_keeps_its_size_and_bounds_the_work(style: Style, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strokes, "WORK_PX", 128)
    painted = torch.rand(3, 200, 300, generator=torch.Generator().manual_seed(0))
    job = Job(Picture(painted), [style], BETTER)
    assert at_work_size(job).content.size == (85, 128)
    assert refine(job, painted).shape == (3, 200, 300)


@pytest.mark.slow
def test_best_goes_on_from_better(cat: Picture, coffee: Picture, style: Style, better: torch.Tensor) -> None:
    small, fine = Picture(cat.rgb[:, :128, 64:192].contiguous()), Style("coffee", coffee)
    ladder = [stylize(small, [fine], Settings(quality=q)).picture.rgb for q in ("fast", "better", "best")]  # type: ignore[arg-type]
    figures = [distances(rgb, small.rgb, coffee.rgb) for rgb in ladder]
    assert figures[0][0] > figures[1][0] > figures[2][0]
    assert figures[2][1] <= 0.95


def test_a_quality_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="quality must be one of fast, better, best"):
        Settings(quality="superb")  # type: ignore[arg-type]


@pytest.mark.parametrize("finest", [1, 4])
def test_a_descent_in_bands_changes_nothing_finer_than_wanted(finest: int) -> None:
    """The closed form: the nearest picture of a checkerboard of single pixels is the checkerboard, or its mean."""
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    wanted = (0.3 + 0.4 * ((rows + columns) % 2)).expand(1, 3, 32, 32)
    start = torch.full((1, 3, 32, 32), 0.2)
    found = descend_in_bands(start, lambda rgb: (rgb - wanted).square().mean(), 30, finest, lambda _s, _m: None)
    expected = wanted if finest == 1 else torch.full_like(wanted, 0.5)
    assert float((found - expected).abs().max()) < 0.02


def test_a_spot_that_a_descent_hides_is_seen_and_the_descent_made_again(
    cat: Picture, coffee: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen with a misty style: noise in one place, which widened the deviations that normalize all the rest."""
    job = at_work_size(Job(cat, [Style("coffee", Picture(coffee.rgb))], Settings(quality="better")))
    look, losses = StrokeFeatures(job, load_backbone("embedded")), []
    start = job.content.rgb[None] * 0.1 + 0.45
    spotted = start.clone()
    noise = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)).round()
    spotted[0, :, 60:92, 60:92] = noise

    def descend(picture: torch.Tensor, loss: Callable[[torch.Tensor], torch.Tensor], *_: object) -> torch.Tensor:
        losses.append(float(loss(spotted)))
        return spotted if len(losses) == 1 else picture

    monkeypatch.setattr(strokes, "descend_in_bands", descend)
    round_ = strokes.Round(8, laid=0.0)
    assert torch.equal(strokes.go_round(look, start, round_, lambda _share, _text: None), start)
    assert len(losses) == 2 and losses[1] > losses[0] + 0.1  # the second time a spot is dear
    losses[:] = []
    spotted = start + 0.05 * noise.mean()
    assert torch.equal(strokes.go_round(look, start, round_, lambda _share, _text: None), spotted)
    assert len(losses) == 1
