"""The guided filter is what its paper says, and smoothing gives the photo's edges back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.errors import Cancelled, SettingsError
from engine.core.types import Picture
from engine.edges.smoothing import SOLVE_PX, apply_affine, box_mean, fit_affine, guided_filter, smooth_photoreal


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def windows(height: int, width: int, radius: int) -> list[list[tuple[slice, slice]]]:
    """The clipped window of every pixel."""
    return [
        [(slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1)) for x in range(width)]
        for y in range(height)
    ]


def brute_force(guide: np.ndarray, target: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """Ridge regression in every window by numpy's solver, coefficients averaged: He 2013, eq. 14, 15, 16."""
    _, height, width = guide.shape
    around = windows(height, width, radius)
    coefficients = np.zeros((height, width, 4, len(target)))
    for y in range(height):
        for x in range(width):
            rows, columns = around[y][x]
            colors = guide[:, rows, columns].reshape(3, -1)
            values = target[:, rows, columns].reshape(len(target), -1)
            centered = colors - colors.mean(1, keepdims=True)
            n = colors.shape[1]
            a = np.linalg.solve(centered @ centered.T / n + eps * np.eye(3), centered @ values.T / n)  # (3, C)
            b = values.mean(1) - a.T @ colors.mean(1)
            coefficients[y, x] = np.vstack([a, b])
    result = np.zeros(target.shape)
    for y in range(height):
        for x in range(width):
            rows, columns = around[y][x]
            mean = coefficients[rows, columns].mean((0, 1))  # (4, C)
            result[:, y, x] = mean[:3].T @ guide[:, y, x] + mean[3]
    return result


@pytest.mark.parametrize(("radius", "eps"), [(1, 1e-2), (3, 1e-3), (40, 1e-4)])
def test_guided_filter_is_the_regression_in_every_window(radius: int, eps: float) -> None:
    guide, target = noise(3, 13, 17), noise(2, 13, 17, seed=1)
    expected = brute_force(guide.double().numpy(), target.double().numpy(), radius, eps)
    np.testing.assert_allclose(guided_filter(guide, target, radius, eps).numpy(), expected, atol=2e-5)


def test_box_mean_counts_what_a_window_has() -> None:
    x = noise(2, 9, 7).double()
    expected = torch.tensor(
        [[[float(plane[rows, columns].mean()) for rows, columns in row] for row in windows(9, 7, 2)] for plane in x]
    )
    torch.testing.assert_close(box_mean(x, 2).float(), expected)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    guide, target = noise(3, 60, 20), noise(1, 60, 20, seed=1)
    whole = guided_filter(guide, target, 4, 1e-3)
    monkeypatch.setattr("engine.edges.smoothing.BLOCK_PIXELS", 20 * 7)
    torch.testing.assert_close(guided_filter(guide, target, 4, 1e-3), whole, atol=1e-6, rtol=0)


def test_constant_target_stays_constant(cat: Picture) -> None:
    flat = torch.full((1, *cat.size), 0.37)
    assert float((guided_filter(cat.rgb, flat, 8, 1e-3) - 0.37).abs().max()) < 1e-6


def test_affine_target_comes_through(cat: Picture) -> None:
    """What is an affine function of the guide's colors is what the filter keeps, up to the ridge."""
    mix = torch.tensor([[0.2, 0.5, 0.1]])
    target = torch.einsum("kc,chw->khw", mix, cat.rgb) + 0.1
    assert float((guided_filter(cat.rgb, target, 16, 1e-7) - target).abs().max()) < 2e-3


def test_enlarged_coefficients_are_interpolates() -> None:
    """Rows enlarged a few at a time are those of the whole plane enlarged at once."""
    guide = noise(3, 97, 64)
    affine = fit_affine(noise(3, 12, 8), noise(3, 12, 8, seed=1), 2, 1e-2)
    slope = F.interpolate(affine.slope, (97, 64), mode="bilinear", align_corners=False)
    offset = F.interpolate(affine.offset[None], (97, 64), mode="bilinear", align_corners=False)[0]
    expected = (slope * guide).sum(1) + offset
    torch.testing.assert_close(apply_affine(affine, guide), expected, atol=1e-5, rtol=0)


def edges(rgb: Tensor) -> np.ndarray:
    """Gradient magnitude of luma."""
    dy, dx = np.gradient(rgb.mean(0).numpy())
    return np.hypot(dy, dx)


def brushed(rgb: Tensor) -> Tensor:
    """A crude painting: other colors, blurred edges, strokes."""
    blurred = F.avg_pool2d(rgb.flip(0)[None], 9, stride=1, padding=4, count_include_pad=False)[0]
    return (blurred + 0.25 * (noise(*rgb.shape) - 0.5)).clamp(0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("enlarged", [1, 3])
def test_the_contents_edges_come_back(cat: Picture, enlarged: int) -> None:
    """At the solving size and, with enlarged coefficients, beyond."""
    content = F.interpolate(cat.rgb[None], scale_factor=enlarged, mode="bicubic")[0].clamp(0, 1)
    assert enlarged == 1 or max(content.shape) > SOLVE_PX
    painted = brushed(content)
    smooth = smooth_photoreal(painted, content, 1.0)
    correlation = [np.corrcoef(edges(x).ravel(), edges(content).ravel())[0, 1] for x in (painted, smooth)]
    assert correlation[0] < 0.6 and correlation[1] > 0.9
    pulled = [float((F.avg_pool2d((x - painted)[None], 32)).abs().mean()) for x in (content, smooth)]
    assert pulled[1] < 0.5 * pulled[0]  # while its colors stay the painting's


@pytest.mark.slow
def test_the_fast_path_is_near_the_exact_filter(cat: Picture) -> None:
    content = F.interpolate(cat.rgb[None], scale_factor=3, mode="bicubic")[0].clamp(0, 1)
    painted = brushed(content)
    exact = guided_filter(content, painted, round(35 * max(content.shape) / 512), 1e-3).clamp(0, 1)
    assert float((smooth_photoreal(painted, content, 1.0) - exact).abs().mean()) < 0.01


def test_amount_blends(cat: Picture) -> None:
    painted = brushed(cat.rgb)
    full = smooth_photoreal(painted, cat.rgb, 1.0)
    assert torch.equal(smooth_photoreal(painted, cat.rgb, 0.0), painted)
    torch.testing.assert_close(smooth_photoreal(painted, cat.rgb, 0.25), 0.75 * painted + 0.25 * full)
    assert float(full.min()) >= 0 and float(full.max()) <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 2)])
def test_tiny_pictures_are_smoothed_too(size: tuple[int, int]) -> None:
    result = smooth_photoreal(noise(3, *size), noise(3, *size, seed=1), 1.0)
    assert bool(torch.isfinite(result).all())


def test_progress_rises_and_can_stop(cat: Picture) -> None:
    shares: list[float] = []
    smooth_photoreal(brushed(cat.rgb), cat.rgb, 1.0, lambda share, _text: shares.append(share))
    assert len(shares) >= 4 and shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1

    def stop(share: float, _text: str) -> None:
        if share > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        smooth_photoreal(brushed(cat.rgb), cat.rgb, 1.0, stop)


@pytest.mark.parametrize(("radius", "eps"), [(0, 1e-3), (3, 0.0), (3, float("nan"))])
def test_impossible_settings_are_refused(radius: int, eps: float) -> None:
    with pytest.raises(SettingsError, match="radius of 1 or more and eps above 0"):
        guided_filter(noise(3, 8, 8), noise(1, 8, 8), radius, eps)
