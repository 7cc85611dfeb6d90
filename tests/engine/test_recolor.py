"""Color modes keep what they promise, by oracles of other libraries and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab
from skimage.exposure import match_histograms as match_histograms_of_skimage
from torch import Tensor

from engine.color import lightness
from engine.color.lightness import keep_chroma
from engine.color.recolor import (
    color_moments,
    color_transport,
    lab_to_rgb,
    linear_to_srgb,
    match_histograms,
    recolor,
    rgb_to_lab,
    srgb_to_linear,
)
from engine.core.errors import InputError, SettingsError
from engine.core.types import Picture

MAPS = ("transport", "cholesky", "symmetric")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def eight_bits(rgb: Tensor) -> np.ndarray:
    """What a file keeps of a picture: (H, W, 3) in [0, 1]."""
    return ((rgb * 255).round() / 255).permute(1, 2, 0).double().numpy()


def chroma_error(result: Tensor, content: Tensor) -> float:
    """Mean ΔE of a*, b* by scikit-image."""
    ours, theirs = rgb2lab(eight_bits(result)), rgb2lab(content.permute(1, 2, 0).double().numpy())
    return float(np.hypot(*(ours - theirs)[..., 1:].transpose(2, 0, 1)).mean())


def test_lab_is_that_of_scikit_image() -> None:
    rgb = noise(3, 40, 50)
    expected = rgb2lab(rgb.permute(1, 2, 0).double().numpy())
    # scikit-image's white point is rounded to five digits, ours is the matrix's own: 0.005 apart
    np.testing.assert_allclose(rgb_to_lab(rgb).permute(1, 2, 0).numpy(), expected, atol=0.01)


def test_lab_of_known_colors() -> None:
    """Values of Bruce Lindbloom's calculator (sRGB, D65, no adaptation)."""
    red_green_blue = torch.eye(3)  # columns are colors
    expected = torch.tensor([[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]).T
    torch.testing.assert_close(rgb_to_lab(red_green_blue), expected, atol=0.03, rtol=0)


def test_grays_have_no_chroma() -> None:
    gray = torch.linspace(0, 1, 256).expand(3, 256)
    assert float(rgb_to_lab(gray)[1:].abs().max()) < 1e-4


def test_lab_and_encoding_come_back() -> None:
    rgb = noise(3, 30, 30)
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(rgb)), rgb, atol=2e-5, rtol=0)
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(rgb)), rgb, atol=1e-6, rtol=0)


@pytest.mark.parametrize("encoded, light", [(0.0, 0.0), (0.04045, 0.0031308), (0.5, 0.21404114), (1.0, 1.0)])
def test_encoding_follows_the_standard(encoded: float, light: float) -> None:
    """IEC 61966-2-1."""
    assert float(srgb_to_linear(torch.tensor(encoded))) == pytest.approx(light, abs=1e-6)


def test_moments_are_numpys() -> None:
    rgb, weight = noise(3, 61, 37), noise(61, 37, seed=1)
    mean, cov = color_moments(rgb, weight)
    pixels, shares = rgb.flatten(1).double().numpy(), weight.flatten().double().numpy()
    np.testing.assert_allclose(mean.numpy(), np.average(pixels, axis=1, weights=shares), rtol=1e-6)
    np.testing.assert_allclose(cov.numpy(), np.cov(pixels, aweights=shares, bias=True), rtol=1e-5)


def test_moments_ignore_what_has_no_weight() -> None:
    rgb = noise(3, 20, 20)
    weight = torch.zeros(20, 20)
    weight[:, :7] = 1
    for got, expected in zip(color_moments(rgb, weight), color_moments(rgb[:, :, :7].contiguous()), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("color_map", MAPS)
def test_recolored_style_has_the_contents_moments(color_map: str, portrait: Picture, coffee: Picture) -> None:
    result = recolor(portrait.rgb, coffee.rgb, map=color_map)
    mean, cov = color_moments(result)
    expected_mean, expected_cov = color_moments(coffee.rgb)
    assert float((cov - expected_cov).abs().max()) < 1e-3 * float(expected_cov.abs().max())
    assert float((mean - expected_mean).abs().max()) < 1e-5


@pytest.mark.parametrize("color_map", MAPS)
def test_only_what_has_weight_is_matched(color_map: str, portrait: Picture, coffee: Picture) -> None:
    ours, theirs = noise(*portrait.size, seed=2), noise(*coffee.size, seed=3)
    result = recolor(portrait.rgb, coffee.rgb, ours, theirs, map=color_map)
    got, expected = color_moments(result, ours), color_moments(coffee.rgb, theirs)
    assert float((got[1] - expected[1]).abs().max()) < 1e-3 * float(expected[1].abs().max())


def test_maps_are_their_closed_forms() -> None:
    """Diagonal covariances: all three scale each axis by a ratio of standard deviations."""
    mean_s, mean_c = torch.tensor([0.2, 0.5, 0.7]), torch.tensor([0.4, 0.3, 0.6])
    cov_s, cov_c = torch.diag(torch.tensor([0.04, 0.01, 0.09])), torch.diag(torch.tensor([0.01, 0.04, 0.01]))
    for color_map in MAPS:
        A, b = color_transport(mean_s, cov_s, mean_c, cov_c, color_map)
        torch.testing.assert_close(A, torch.diag(torch.tensor([0.5, 2.0, 1 / 3])).double(), rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(A @ mean_s.double() + b, mean_c.double())


def test_transport_moves_colors_least_and_cholesky_is_triangular() -> None:
    """Monge's map is the symmetric positive one; its cost is the Bures distance, and no other map is below it."""
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(2, 3, 3)) * 0.3
    cov_s, cov_c = (torch.from_numpy(root @ root.T + 0.01 * np.eye(3)) for root in roots)
    zero = torch.zeros(3, dtype=torch.float64)

    def cost(A: Tensor) -> float:
        moved = torch.eye(3, dtype=torch.float64) - A
        return float(torch.trace(moved @ cov_s @ moved.T))

    maps = {color_map: color_transport(zero, cov_s, zero, cov_c, color_map)[0] for color_map in MAPS}
    torch.testing.assert_close(maps["transport"], maps["transport"].T)
    assert float(torch.linalg.eigvalsh(maps["transport"]).min()) > 0
    # tr (Σs^½ Σc Σs^½)^½ = sum of the roots of the eigenvalues of Σs Σc
    shared = np.sqrt(np.linalg.eigvals(cov_s.numpy() @ cov_c.numpy()).real).sum()
    bures = float(torch.trace(cov_s) + torch.trace(cov_c)) - 2 * shared
    assert cost(maps["transport"]) == pytest.approx(bures, rel=1e-6)
    assert cost(maps["transport"]) < min(cost(maps["symmetric"]), cost(maps["cholesky"]))
    assert float(maps["cholesky"].triu(1).abs().max()) < 1e-9


@pytest.mark.parametrize("color_map", MAPS)
def test_rounding_noise_of_a_gray_style_does_not_become_color(color_map: str, coffee: Picture) -> None:
    """A gray scan would turn into confetti."""
    gray = noise(1, 64, 64).expand(3, 64, 64) + (noise(3, 64, 64, seed=4) - 0.5) / 255 * 0.5
    A, b = color_transport(*color_moments(gray), *color_moments(coffee.rgb), color_map)
    axis = torch.ones(3, dtype=torch.float64) / math.sqrt(3)
    across = torch.eye(3, dtype=torch.float64) - torch.outer(axis, axis)
    assert float((A @ across).abs().max()) < 0.01
    assert bool(torch.isfinite(A).all() and torch.isfinite(b).all())


@pytest.mark.parametrize("color_map", [*MAPS, "histogram"])
def test_flat_pictures_become_the_contents_mean(color_map: str, coffee: Picture) -> None:
    flat = torch.full((3, 8, 8), 0.3)
    mean, _ = color_moments(coffee.rgb)
    torch.testing.assert_close(recolor(flat, coffee.rgb, map=color_map).mean((1, 2)).double(), mean, atol=1e-5, rtol=0)
    onto_flat = recolor(coffee.rgb, flat, map=color_map)
    assert float((onto_flat - 0.3).abs().max()) < 1e-3


def test_unknown_map_is_refused(coffee: Picture) -> None:
    with pytest.raises(SettingsError, match=r"transport, cholesky, symmetric or histogram, not 'sepia'"):
        recolor(coffee.rgb, coffee.rgb, map="sepia")  # type: ignore[arg-type]


def test_histograms_become_the_contents(portrait: Picture, coffee: Picture) -> None:
    """By NumPy's quantiles of what has weight, and by scikit-image's exact matching of sorted values.

    A little noise first: the portrait's black is one value, which no map can spread over several.
    """
    rgb = portrait.rgb + 0.02 * noise(*portrait.rgb.shape, seed=7)
    ours = (noise(*portrait.size, seed=6) > 0.5).float()
    result = recolor(rgb, coffee.rgb, ours, map="histogram")
    shares = np.linspace(0.01, 0.99, 99)
    for matched, wanted in zip(result, coffee.rgb, strict=True):
        got = np.quantile(matched[ours > 0].numpy(), shares)
        np.testing.assert_allclose(got, np.quantile(wanted.numpy(), shares), atol=2e-3)
    plain = match_histograms(rgb, coffee.rgb).permute(1, 2, 0).numpy()
    theirs = match_histograms_of_skimage(
        rgb.permute(1, 2, 0).numpy(), coffee.rgb.permute(1, 2, 0).numpy(), channel_axis=2
    )
    assert np.abs(plain - theirs).mean() < 2e-3


def test_histogram_matching_keeps_the_order_of_values_and_nearly_the_covariance(
    portrait: Picture, coffee: Picture
) -> None:
    result = match_histograms(portrait.rgb, coffee.rgb)
    order = portrait.rgb[0].flatten().argsort()
    assert float(result[0].flatten()[order].diff().min()) >= -1e-6
    got, wanted = color_moments(recolor(portrait.rgb, coffee.rgb, map="histogram"))[1], color_moments(coffee.rgb)[1]
    assert float((got - wanted).abs().max()) < 0.1 * float(wanted.abs().max())


def test_histogram_map_does_not_color_the_rounding_noise_of_a_gray_style(coffee: Picture) -> None:
    """Pixels of the same gray must stay alike in hue: each channel is a curve of the gray."""
    gray = noise(1, 64, 64).expand(3, 64, 64)
    noisy = gray + (noise(3, 64, 64, seed=4) - 0.5) / 255 * 0.5
    clean, rough = (recolor(x.contiguous(), coffee.rgb, map="histogram") for x in (gray, noisy))
    assert float((clean - rough).abs().mean()) < 2e-3


@pytest.mark.parametrize("kind", ["photo", "noise", "black and white", "flat"])
def test_luminance_keeps_the_contents_chroma(kind: str, portrait: Picture, coffee: Picture) -> None:
    content = coffee.rgb
    painted = {
        "photo": torch.nn.functional.interpolate(portrait.rgb[None], coffee.size)[0],
        "noise": noise(*content.shape),
        "black and white": (noise(*content.shape) > 0.5).float(),
        "flat": torch.full_like(content, 0.8),
    }[kind]
    result = keep_chroma(painted, content)
    assert float(result.min()) >= 0 and float(result.max()) <= 1
    assert chroma_error(result, content) <= 1.0


def test_luminance_keeps_the_chroma_of_the_most_saturated_contents() -> None:
    """Half of the colors of the cube's surface and lightness noise: nearly every pixel is out of gamut at first."""
    content = noise(3, 60, 60)
    content[0] = (content[0] > 0.5).float()
    assert chroma_error(keep_chroma(noise(3, 60, 60, seed=5), content), content) <= 1.0


def test_luminance_is_painted_with_the_contents_mean_and_contrast(portrait: Picture) -> None:
    """A gray content has room on both sides: there the match is exact."""
    content = (0.3 + 0.4 * noise(1, *portrait.size)).expand(3, -1, -1).contiguous()
    result = rgb2lab(keep_chroma(portrait.rgb, content).permute(1, 2, 0).double().numpy())[..., 0]
    wanted = rgb2lab(content.permute(1, 2, 0).double().numpy())[..., 0]
    painted = rgb2lab(portrait.rgb.permute(1, 2, 0).double().numpy())[..., 0]
    assert result.mean() == pytest.approx(wanted.mean(), abs=0.1)
    assert result.std() == pytest.approx(wanted.std(), rel=0.01)
    assert np.corrcoef(result.ravel(), painted.ravel())[0, 1] > 0.999


def test_luminance_statistics_are_those_of_the_selection(portrait: Picture) -> None:
    content = (0.3 + 0.4 * noise(1, *portrait.size)).expand(3, -1, -1).contiguous()
    weight = torch.zeros(portrait.size)
    weight[60:180, 60:180] = 1
    result = rgb_to_lab(keep_chroma(portrait.rgb, content, weight))[0][weight > 0]
    wanted = rgb_to_lab(content)[0][weight > 0]
    assert float(result.mean()) == pytest.approx(float(wanted.mean()), abs=0.1)
    assert float(result.std()) == pytest.approx(float(wanted.std()), rel=0.01)


def test_a_photo_painted_with_its_own_lightness_is_the_photo(coffee: Picture) -> None:
    result = keep_chroma(coffee.rgb, coffee.rgb)
    torch.testing.assert_close(result, coffee.rgb.clamp(0, 1), rtol=0, atol=2e-4)


def test_spread_out_pixels_tell_the_lightness_of_a_large_picture(
    coffee: Picture, portrait: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted = torch.nn.functional.interpolate(portrait.rgb[None], coffee.size)[0]
    whole = keep_chroma(painted, coffee.rgb)
    monkeypatch.setattr(lightness, "ENOUGH_PIXELS", painted[0].numel() // 10)  # every third row and column
    sampled = keep_chroma(painted, coffee.rgb)
    assert not torch.equal(sampled, whole)
    assert float((sampled - whole).abs().mean()) < 1 / 255
    dot = torch.zeros(coffee.size)
    dot[1, 1] = 1  # a selection between the pixels that are looked at
    of_dot = keep_chroma(painted, coffee.rgb, dot)
    monkeypatch.undo()
    torch.testing.assert_close(of_dot, keep_chroma(painted, coffee.rgb, dot))


def test_luminance_does_not_depend_on_where_chunks_end(
    coffee: Picture, portrait: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted = torch.nn.functional.interpolate(portrait.rgb[None], coffee.size)[0]
    whole = keep_chroma(painted, coffee.rgb)
    monkeypatch.setattr(lightness, "CHUNK_PIXELS", 1000)
    torch.testing.assert_close(keep_chroma(painted, coffee.rgb), whole, rtol=0, atol=1e-4)


def test_sizes_that_differ_are_refused(coffee: Picture) -> None:
    with pytest.raises(InputError, match="content must have the shape"):
        keep_chroma(coffee.rgb, coffee.rgb[:, 1:])


@pytest.mark.parametrize("place", [(slice(40, 80), slice(40, 90)), (slice(3, 4), slice(5, 6))])
def test_a_flat_selection_has_no_variance_whatever_is_around_it(place: tuple[slice, slice]) -> None:
    rgb, weight = noise(3, 96, 120), torch.zeros(96, 120)
    color = torch.tensor([0.9, 0.1, 0.8])
    rgb[(slice(None), *place)], weight[place] = color[:, None, None], 1
    mean, cov = color_moments(rgb, weight)
    torch.testing.assert_close(mean.float(), color)
    assert float(cov.abs().max()) < 1e-9
