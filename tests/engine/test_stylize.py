"""The pipeline's promises: masks, colors, strength, regions, tiles, cancellation, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import color
from torch.nn import functional as F

from engine import methods
from engine.core.errors import Cancelled, InputError, SettingsError
from engine.core.types import Mask, Picture, Region, Settings, Style
from engine.files.presets import load_preset, presets
from engine.pipeline import crop
from engine.pipeline.stylize import stylize

READY = [info for info in methods.catalog() if info.is_ready]


def lab(rgb: torch.Tensor) -> np.ndarray:
    """CIELAB of 8-bit pixels, by scikit-image: (H, W, 3)."""
    return np.asarray(color.rgb2lab(rgb.mul(255).round().byte().permute(1, 2, 0).numpy()))


@pytest.fixture(scope="module")
def style(coffee: Picture) -> Style:
    return Style("coffee", coffee)


@pytest.mark.parametrize("preset", ["great-wave", "composition-vi"])
def test_luminance_mode_keeps_the_chroma(portrait: Picture, preset: str) -> None:
    result = stylize(portrait, [load_preset(preset)], Settings(color="luminance")).picture
    difference = lab(result.rgb)[..., 1:] - lab(portrait.rgb)[..., 1:]
    assert np.sqrt((difference**2).sum(-1)).mean() <= 1.0
    assert np.abs(lab(result.rgb)[..., 0] - lab(portrait.rgb)[..., 0]).mean() > 2  # and something was painted


def test_match_mode_comes_nearer_to_the_colors_of_the_content(cat: Picture) -> None:
    def color_gap(mode: str) -> float:
        result = stylize(cat, [load_preset("great-wave")], Settings(color=mode)).picture  # type: ignore[arg-type]
        means = (result.rgb.mean((1, 2)) - cat.rgb.mean((1, 2))).abs().max()
        stds = (result.rgb.std((1, 2)) - cat.rgb.std((1, 2))).abs().max()
        return float(means + stds)

    assert color_gap("match") < 0.25 * color_gap("style")


def test_soft_mask_values_blend(cat: Picture, style: Style, disc: Mask) -> None:
    full = stylize(cat, [style], Settings(composite=False), mask=disc).picture.rgb
    blended = stylize(cat, [style], mask=Mask(disc.weight.clone())).picture.rgb
    box = slice(80, 90)  # the crop of a masked run sees other statistics, so compare where it sees all but nothing else
    ratio = (blended - cat.rgb)[:, box].abs().mean() / (full - cat.rgb)[:, box].abs().mean()
    assert 0.3 < ratio < 1.1


def test_more_strength_moves_farther(cat: Picture, style: Style) -> None:
    moved = [
        float((stylize(cat, [style], Settings(strength=s)).picture.rgb - cat.rgb).abs().mean())
        for s in (0.0, 0.25, 0.5, 1.0)
    ]
    assert moved[0] == 0
    assert moved == sorted(moved)
    assert moved[2] > 1.05 * moved[1]


def test_alpha_comes_back_and_hidden_colors_do_not_count(cat: Picture, style: Style) -> None:
    alpha = torch.ones(cat.size)
    alpha[:, :100] = 0
    red = cat.rgb.clone()
    red[:, :, :100] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    result = stylize(Picture(red, alpha), [style]).picture
    assert result.alpha is not None
    assert torch.equal(result.alpha, alpha)
    green = cat.rgb.clone()
    green[:, :, :100] = torch.tensor([0.0, 1.0, 0.0])[:, None, None]
    other = stylize(Picture(green, alpha), [style]).picture
    assert torch.equal(result.rgb[:, :, 100:], other.rgb[:, :, 100:])
    assert torch.equal(result.rgb[:, :, :100], red[:, :, :100])


def test_a_half_transparent_pixel_is_painted_wholly(cat: Picture, style: Style, disc: Mask) -> None:
    """Its alpha is kept: a fringe of the old colors would show through once it is laid over something."""
    alpha = torch.full(cat.size, 0.5)
    alpha[:20] = 0
    content = Picture(cat.rgb, alpha)
    half = stylize(content, [style]).picture.rgb
    bare = stylize(content, [style], Settings(composite=False)).picture.rgb
    assert torch.equal(half[:, 20:], bare[:, 20:]) and torch.equal(half[:, :20], cat.rgb[:, :20])
    masked = stylize(content, [style], mask=disc).picture.rgb
    opaque = stylize(Picture(cat.rgb, (alpha > 0).float()), [style], mask=disc).picture.rgb
    within = (disc.weight > 0) & (alpha > 0)
    torch.testing.assert_close(masked[:, within], opaque[:, within], atol=0.02, rtol=0)
    assert torch.equal(masked[:, ~within], cat.rgb[:, ~within])


def test_two_styles_blend_between_the_two(cat: Picture, style: Style) -> None:
    wave = load_preset("great-wave")
    a, b = (stylize(cat, [s]).picture.rgb.mean((1, 2)) for s in (style, wave))
    mixed = stylize(cat, [Style("c", style.picture, weight=1), Style("w", code=wave.code, weight=1)]).picture.rgb
    middle = mixed.mean((1, 2))
    assert (middle - (a + b) / 2).abs().max() < 0.6 * (a - b).abs().max()


def test_each_region_takes_its_own_part_of_the_style(cat: Picture) -> None:
    half_red_half_blue = torch.zeros(3, 128, 128)
    half_red_half_blue[0, :, :64] = 1
    half_red_half_blue[2, :, 64:] = 1
    left, right = torch.zeros(2, 128, 128)
    left[:, :64] = 1
    right[:, 64:] = 1
    content_left = torch.zeros(cat.size)
    content_left[:, :128] = 1
    regions = [
        Region(Mask(content_left), Mask(left)),
        Region(Mask(1 - content_left), Mask(right)),
    ]
    result = stylize(cat, [Style("flag", Picture(half_red_half_blue))], regions=regions).picture.rgb
    assert result[0, :, :110].mean() > result[2, :, :110].mean() + 0.3
    assert result[2, :, 146:].mean() > result[0, :, 146:].mean() + 0.3


def test_photoreal_smoothing_brings_edges_of_the_photo_back(portrait: Picture) -> None:
    def edge_correlation(rgb: torch.Tensor) -> float:
        def edges(x: torch.Tensor) -> torch.Tensor:
            return (x.mean(0)[1:, :-1] - x.mean(0)[:-1, :-1]).flatten()

        return float(torch.corrcoef(torch.stack([edges(rgb), edges(portrait.rgb)]))[0, 1])

    plain = stylize(portrait, [load_preset("composition-vi")]).picture.rgb
    smooth = stylize(portrait, [load_preset("composition-vi")], Settings(photoreal=1.0)).picture.rgb
    assert edge_correlation(smooth) > edge_correlation(plain)


def test_a_smaller_computing_size_still_returns_the_full_size(cat: Picture, style: Style) -> None:
    done = stylize(cat, [style], Settings(size_px=128))
    assert done.picture.rgb.shape == cat.rgb.shape
    assert done.report["notes"] == ["computed at 128 x 85 pixels"]


@pytest.mark.parametrize("method", READY, ids=lambda info: info.name)
def test_no_strength_gives_a_copy_that_the_caller_may_write_to(method: methods.MethodInfo, cat: Picture) -> None:
    photo = Picture(cat.rgb[:, :64, :64].clone())
    done = stylize(photo, [Style("cat", cat)], Settings(method.name, strength=0)).picture.rgb
    torch.testing.assert_close(done, photo.rgb)
    assert done.data_ptr() != photo.rgb.data_ptr()


@pytest.mark.slow
@pytest.mark.parametrize("method", READY, ids=lambda info: info.name)
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (12, 40), (17, 31), (64, 64)])
def test_tiny_and_thin_pictures_can_be_painted(size: tuple[int, int], method: methods.MethodInfo, cat: Picture) -> None:
    rgb = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    options = {option.name: 2 for option in method.options if option.name == "iterations"}
    settings = Settings(method.name, options=options, style_size_px=96)
    painted = stylize(Picture(rgb), [Style("cat", cat)], settings).picture.rgb
    assert painted.shape == rgb.shape
    assert bool(torch.isfinite(painted).all())


def test_cancelling_stops_between_two_layers(cat: Picture, style: Style) -> None:
    calls = []

    def on_progress(share: float, message: str) -> None:
        calls.append(share)
        if len(calls) == 5:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        stylize(cat, [style], on_progress=on_progress)
    assert len(calls) == 5


def test_progress_grows_from_start_to_end(cat: Picture, style: Style) -> None:
    shares: list[float] = []
    stylize(cat, [style], Settings(photoreal=1), on_progress=lambda share, _message: shares.append(share))
    assert len(shares) > 10
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_empty_mask_is_refused_with_what_to_do(cat: Picture, style: Style) -> None:
    with pytest.raises(InputError, match="selects nothing"):
        stylize(cat, [style], mask=Mask(torch.zeros(cat.size)))


def test_a_mask_of_another_size_is_refused_with_both_sizes(cat: Picture, style: Style) -> None:
    with pytest.raises(InputError, match="10 x 20 pixels, the picture 256 x 170"):
        stylize(cat, [style], mask=Mask(torch.ones(20, 10)))


def test_no_style_is_refused(cat: Picture) -> None:
    with pytest.raises(InputError, match="at least one style"):
        stylize(cat, [])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(cat: Picture, style: Style, bad: float) -> None:
    rgb = cat.rgb.clone()
    rgb[0, 3, 3] = bad
    with pytest.raises(InputError, match="not numbers"):
        stylize(Picture(rgb), [style])


@pytest.mark.parametrize("method", READY, ids=lambda info: info.name)
def test_a_style_that_shows_nothing_is_refused(method: methods.MethodInfo, cat: Picture, coffee: Picture) -> None:
    """Its hidden colors must not be painted with."""
    nothing = Style("coffee", Picture(coffee.rgb, torch.zeros(coffee.size)))
    with pytest.raises(InputError, match="'coffee' is transparent all over"):
        stylize(cat, [nothing], Settings(method.name))


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="great-wave"):
        load_preset("great-waves")


@pytest.mark.parametrize("kwargs", [{"strength": 1.5}, {"photoreal": -1}, {"color": "sepia"}, {"device": "tpu"}])
def test_settings_out_of_range_are_refused(kwargs: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(kwargs))):
        Settings(**kwargs)  # type: ignore[arg-type]


def test_only_the_surroundings_of_a_selection_are_computed(style: Style, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = F.interpolate(torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(1)), (600, 600))[0]
    weight = torch.zeros(600, 600)
    weight[200:240, 300:350] = 1
    report = stylize(Picture(rgb), [style], mask=Mask(weight)).report
    assert max(report["size"]) <= 50 + 2 * crop.PAD_PX + 16


def test_a_style_size_that_changes_nothing_is_told(cat: Picture, coffee: Picture) -> None:
    settings = Settings(style_size_px=300)
    preset = load_preset(presets()[0].name)
    assert "style size" in " ".join(stylize(cat, [preset], settings).report["notes"])
    assert stylize(cat, [Style("coffee", coffee)], settings).report["notes"] == []
