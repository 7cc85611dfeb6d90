"""What a style network is trained for: every distance against a direct computation, every flaw found where it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.color.tone import luma
from engine.core.types import Picture
from engine.train.losses import objective


def test_the_gram_distance_is_zero_for_itself_and_one_for_nothing() -> None:
    features = torch.rand(2, 5, 9, 9, generator=torch.Generator().manual_seed(0))
    target = objective.layer_target(features)
    assert objective.gram_distance(target, target).abs().max() < 1e-8
    nothing = objective.layer_target(torch.zeros_like(features))
    torch.testing.assert_close(objective.gram_distance(nothing, target), torch.ones(2))


def test_the_gram_distance_equals_a_direct_sum() -> None:
    generator = torch.Generator().manual_seed(1)
    a, b = torch.rand(1, 4, 3, 5, generator=generator), torch.rand(1, 4, 7, 2, generator=generator)
    g_a, g_b = np.zeros((4, 4)), np.zeros((4, 4))
    for g, f in ((g_a, a), (g_b, b)):
        for i in range(4):
            for j in range(4):
                g[i, j] = float((f[0, i] * f[0, j]).mean())
    expected = ((g_a - g_b) ** 2).sum() / (g_b**2).sum()
    assert float(objective.gram_distance(objective.layer_target(a), objective.layer_target(b))) == pytest.approx(
        expected, rel=1e-5
    )


def test_every_layer_pulls_by_what_it_lacks_in_the_style_distance() -> None:
    """A Gram matrix that is nearly matched pulls less than one that is far off; with a root per layer it pulls more."""
    rng = torch.Generator().manual_seed(0)
    style = [{k: torch.rand(1, 8, 16, 16, generator=rng) for k in objective.STYLE_LAYERS} for _ in objective.SCALES]
    target = objective.style_targets(style)
    sizes = {k: 1.02 if k == "relu1_1" else 1.4 for k in objective.STYLE_LAYERS}  # of features, times the style's
    grams = [(size**2 - 1) ** 2 for size in sizes.values()]
    means = [((size - 1) ** 2 + 1e-4) ** 0.5 for size in sizes.values()]
    gains = {k: torch.tensor(size, requires_grad=True) for k, size in sizes.items()}
    result = [{k: gains[k] * x for k, x in level.items()} for level in style]
    loss = objective.style_loss(result, target)
    assert float(loss.detach()) == pytest.approx(((np.mean(grams) + 1e-4) ** 0.5 + np.mean(means)) / 2, rel=1e-3)
    (2 * loss - torch.stack([((gain - 1).square() + 1e-4).sqrt() for gain in gains.values()]).mean()).sum().backward()
    by_gram = {k: float(gain.grad) for k, gain in gains.items() if gain.grad is not None}
    assert 0 < by_gram["relu1_1"] < 0.1 * by_gram["relu3_4"]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_of_gram_and_mean_are_the_finite_differences(layout: torch.memory_format) -> None:
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    features = features.contiguous(memory_format=layout).requires_grad_(True)
    assert torch.autograd.gradcheck(objective.moments, (features,))
    products, mean = objective.moments(features)
    torch.testing.assert_close(products, torch.einsum("bihw,bjhw->bij", features, features) / 20)
    torch.testing.assert_close(mean, features.mean((2, 3)))


def test_content_distance_ignores_brightness_and_contrast_but_not_place() -> None:
    features = torch.rand(1, 6, 12, 12, generator=torch.Generator().manual_seed(2))
    assert float(objective.content_distance(3 * features + 2, features)) < 1e-2
    assert float(objective.content_distance(features.flip(3), features)) > 1


def test_the_patch_loss_equals_a_direct_search() -> None:
    generator = torch.Generator().manual_seed(3)
    sizes = {"relu2_1": 11, "relu3_1": 7}
    ours, theirs = (
        [{name: torch.randn(1, 2, n, n, generator=generator) for name, n in sizes.items()} for _ in range(2)]
        for _ in range(2)
    )

    def patches(features: torch.Tensor, stride: int) -> list[np.ndarray]:
        x = features[0].numpy()
        starts = range(0, x.shape[1] - 2, stride)
        return [x[:, i : i + 3, j : j + 3].ravel() for i in starts for j in starts]

    expected = []
    for a, b in zip(ours, theirs, strict=True):
        for name, (stride, style_stride) in {"relu2_1": (5, 3), "relu3_1": (3, 2)}.items():
            wanted = patches(b[name], style_stride)
            best = [
                max(p @ q / np.linalg.norm(p) / np.linalg.norm(q) for q in wanted) for p in patches(a[name], stride)
            ]
            expected.append(1 - np.mean(best))
    assert float(objective.patch_loss(ours, theirs)) == pytest.approx(np.mean(expected), abs=1e-5)


def test_a_grid_is_found_and_a_photo_has_none(portrait: Picture) -> None:
    photo = portrait.rgb[None, :, :160, :160]
    y, x = torch.meshgrid(torch.arange(160), torch.arange(160), indexing="ij")
    lines = 0.04 * ((x % 8 == 0) | (y % 4 == 0)).float()
    dots = (
        0.1 * ((x % 8 == 3) & (y % 8 == 5)).float() * torch.randn(160, 160, generator=torch.Generator().manual_seed(5))
    )
    none = float(objective.grid_energy(photo))
    assert none < 0.1
    assert float(objective.grid_peaks(photo)) < 0.1
    assert float(objective.grid_peaks(photo + lines)) > 0.5
    assert float(objective.grid_energy(photo + lines)) > 5 * none
    assert float(objective.grid_energy(photo + dots)) > 5 * none


@pytest.mark.parametrize("period", [2, 4])
@pytest.mark.parametrize("is_turned", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("channels", [(1.0, 0.0, -1.0), (-0.5, 1.0, -0.5)], ids=["red-blue", "green-both"])
def test_a_spot_of_colored_stripes_is_found_wherever_it_is(
    period: int, is_turned: bool, channels: tuple[float, float, float], portrait: Picture
) -> None:
    photo = torch.nn.functional.avg_pool2d(portrait.rgb[None], 3, 1)  # whose flag has the finest stripes of all photos
    phase = torch.arange(30) % period < period // 2
    stripes = 0.2 * torch.where(phase, 1.0, -1.0).expand(30, 30)
    spotted = photo.clone()
    spot = stripes if is_turned else stripes.T
    spotted[0, :, 120:150, 61:91] += torch.tensor(channels)[:, None, None] * spot
    assert float(objective.worst_stripes(photo)) < 0.3 and float(objective.striped_spots(photo)) == 0
    assert float(objective.worst_stripes(spotted)) > 0.6
    gray = photo.clone()
    gray[0, :, 120:150, 61:91] += spot  # strokes of a pen, whose color is the same
    assert float(objective.worst_stripes(gray)) == pytest.approx(float(objective.worst_stripes(photo)), abs=1e-5)


def woven(rgb: torch.Tensor, size: float = 0.02) -> torch.Tensor:
    """With a weave of 2.4 pixels a period laid over it, as feature networks like it best."""
    y, x = torch.meshgrid(torch.arange(rgb.shape[2]), torch.arange(rgb.shape[3]), indexing="ij")
    return rgb + size * torch.cos(2 * torch.pi * 0.3 * (x + y))


def test_a_faint_weave_is_found_and_a_photo_has_none(portrait: Picture) -> None:
    photo = portrait.rgb[None]
    assert float(objective.weave(photo, photo.flip(3))) < 0.1
    assert float(objective.weave(woven(photo, 0.01), photo)) > 0.5
    assert float(objective.weave(woven(photo), photo)) > float(objective.weave(woven(photo, 0.01), photo))


def test_a_pattern_that_a_source_has_may_be_painted(portrait: Picture, coffee: Picture) -> None:
    photo, style = portrait.rgb[None], woven(coffee.rgb[None])
    assert float(objective.weave(woven(photo), photo, style)) < 0.25 * float(objective.weave(woven(photo), photo))


def test_hatching_that_has_no_lightness_is_found_too(portrait: Picture) -> None:
    photo = portrait.rgb[None]
    blue = torch.tensor([-0.114, -0.114, 0.886])[:, None, None]
    hatched = photo + blue * (woven(torch.zeros_like(photo)))
    torch.testing.assert_close(luma(hatched), luma(photo), atol=1e-4, rtol=0)
    assert float(objective.weave(hatched, photo)) > 0.5


def test_fine_peaks_are_those_of_a_direct_transform() -> None:
    rgb = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(6))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)
    far = [min(i, 64 - i) for i in range(64)]
    expected = []
    for plane in rgb[0].double().numpy():
        power = np.abs(np.fft.fft2((plane - plane.mean()) * np.outer(hann, hann))) ** 2
        smooth = np.mean([np.roll(power, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)], 0)
        fineness = np.array([[round(np.hypot(far[u], far[v])) for v in range(64)] for u in range(64)])
        for u in range(64):
            for v in range(64):
                if max(far[u], far[v]) > 64 / 4.2:
                    expected.append(smooth[u, v] / smooth[fineness == fineness[u, v]].mean())
    np.testing.assert_allclose(objective.fine_peaks(rgb)[0].numpy(), expected, rtol=2e-3)
