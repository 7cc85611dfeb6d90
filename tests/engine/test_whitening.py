"""Whitening and coloring: exact moments, in closed form, with soft weights, and where little can be measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.core.errors import InputError
from engine.features.whitening import MAX_GAIN, Affine, Moments, blend, measure, power, recoloring, spread


def features_like(seed: int, n_channels: int, side: int, *, decay: float = 1.0) -> Tensor:
    """Correlated features whose variances fall off from one direction to the next: (C, side, side) float64."""
    generator = torch.Generator().manual_seed(seed)
    mixing, _ = torch.linalg.qr(torch.randn(n_channels, n_channels, generator=generator, dtype=torch.float64))
    scales = decay ** torch.arange(n_channels, dtype=torch.float64)
    source = torch.randn(n_channels, side * side, generator=generator, dtype=torch.float64)
    offset = torch.randn(n_channels, 1, generator=generator, dtype=torch.float64)
    return (mixing @ (scales[:, None] * source) + 3 * offset).reshape(n_channels, side, side)


def cov_of(features: Tensor, weight: Tensor | None = None) -> np.ndarray:
    """NumPy's covariance, as an oracle."""
    weights = None if weight is None else weight.flatten().numpy()
    return np.cov(features.flatten(1).double().numpy(), aweights=weights, ddof=0)


def relative(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def test_moments_are_those_of_numpy_with_and_without_weights() -> None:
    features = features_like(0, 7, 40)
    soft = torch.rand(40, 40, generator=torch.Generator().manual_seed(1)).double()
    for weight in (None, soft):
        found = measure(features, weight).moments()
        average = np.average(features.flatten(1).numpy(), 1, None if weight is None else weight.flatten().numpy())
        assert np.allclose(found.mean.numpy(), average, rtol=1e-10)
        assert relative(found.cov.numpy(), cov_of(features, weight)) < 1e-10


def test_sums_of_tiles_are_those_of_the_whole() -> None:
    features = features_like(2, 5, 32)
    whole = measure(features).moments()
    tiles = measure(features[:, :10]) + measure(features[:, 10:, :7]) + measure(features[:, 10:, 7:])
    assert torch.allclose(tiles.moments().mean, whole.mean, rtol=1e-12)
    assert torch.allclose(tiles.moments().cov, whole.cov, rtol=1e-10)


@pytest.mark.parametrize("n_channels", [3, 24, 96])
def test_recolored_features_have_the_covariance_and_the_mean_of_the_style(n_channels: int) -> None:
    content, style = features_like(3, n_channels, 64, decay=0.97), features_like(4, n_channels, 48, decay=0.95)
    recolored = recoloring(measure(content).moments(), measure(style).moments())(content.float())
    assert relative(cov_of(recolored), cov_of(style)) < 1e-3
    wanted = style.flatten(1).mean(1)
    assert float((recolored.flatten(1).double().mean(1) - wanted).norm() / wanted.norm()) < 1e-3


def test_the_map_is_the_papers_by_its_own_formula() -> None:
    content, style = features_like(5, 4, 30), features_like(6, 4, 30)
    d_c, e_c = np.linalg.eigh(cov_of(content))
    d_s, e_s = np.linalg.eigh(cov_of(style))
    matrix = e_s @ np.diag(d_s**0.5) @ e_s.T @ e_c @ np.diag(d_c**-0.5) @ e_c.T
    found = recoloring(measure(content).moments(), measure(style).moments())
    assert relative(found.matrix.numpy(), matrix) < 1e-8


def test_its_own_style_changes_nothing() -> None:
    features = features_like(7, 12, 40)
    own = measure(features).moments()
    assert torch.allclose(recoloring(own, own)(features), features, atol=1e-6)


def test_directions_without_variance_are_neither_divided_by_nor_painted() -> None:
    content = features_like(8, 6, 40)
    content[3] = content[2]  # rank 5
    style = features_like(9, 6, 40)
    recolored = recoloring(measure(content).moments(), measure(style).moments())(content)
    assert torch.isfinite(recolored).all()
    assert np.linalg.norm(cov_of(recolored)) <= np.linalg.norm(cov_of(style)) * 1.001
    assert torch.equal(power(torch.zeros(4, 4, dtype=torch.float64), -0.5), torch.zeros(4, 4, dtype=torch.float64))


def test_a_part_smaller_than_its_channels_takes_means_and_deviations_only() -> None:
    content, style = features_like(10, 24, 4), features_like(11, 24, 40)  # 16 positions, 24 channels
    found = recoloring(measure(content).moments(), measure(style).moments())
    assert torch.equal(found.matrix, torch.diag(found.matrix.diagonal()))
    recolored = found(content).flatten(1)
    wanted = style.flatten(1)
    assert torch.allclose(recolored.mean(1), wanted.mean(1), rtol=1e-6)
    ratio = recolored.std(1, correction=0) / wanted.std(1, correction=0)
    assert float((ratio - 1).abs().median()) < 1e-6
    assert float(found.matrix.max()) <= MAX_GAIN


def test_a_single_position_becomes_the_mean_of_the_style() -> None:
    one, style = features_like(12, 24, 1), features_like(13, 24, 40)
    recolored = recoloring(measure(one).moments(), measure(style).moments())(one)
    assert torch.allclose(recolored.flatten(), style.flatten(1).mean(1), rtol=1e-9)


def test_soft_weights_count_positions_by_their_effective_number() -> None:
    features = features_like(14, 3, 10)
    weight = torch.zeros(10, 10)
    weight[0, 0], weight[0, 1:5] = 1.0, 0.001
    assert measure(features, weight).moments().count == pytest.approx(1.008, abs=1e-3)
    with pytest.raises(InputError, match="covers nothing"):
        measure(features, torch.zeros(10, 10)).moments()


def test_blends_and_strength_are_linear_in_the_recolored_features() -> None:
    content = features_like(15, 5, 20)
    own = measure(content).moments()
    maps = [recoloring(own, measure(features_like(seed, 5, 20)).moments()) for seed in (16, 17)]
    mixed = blend(maps, [3.0, 1.0])(content)
    assert torch.allclose(mixed, 0.75 * maps[0](content) + 0.25 * maps[1](content))
    assert torch.allclose(maps[0].faded(0.6)(content), 0.6 * maps[0](content) + 0.4 * content)
    assert torch.equal(maps[0].faded(0.0)(content), content)


def test_each_map_acts_where_its_weight_is_and_nothing_moves_where_none_is() -> None:
    features = torch.ones(2, 4, 6)
    double, minus = (Affine(k * torch.eye(2).double(), torch.zeros(2).double()) for k in (2.0, -1.0))
    left, right = torch.zeros(4, 6), torch.zeros(4, 6)
    left[:, :2], right[:, 2:4] = 1.0, 0.5
    left[:, 2] = 0.5
    found = spread([double, minus], [left, right], features)
    assert found[0, 0].tolist() == [2.0, 2.0, 0.5, -1.0, 1.0, 1.0]


def test_moments_know_whether_they_are_enough() -> None:
    cov = torch.eye(4, dtype=torch.float64)
    assert not Moments(cov[0], cov, 4.0).is_full
    assert Moments(cov[0], cov, 5.0).is_full
