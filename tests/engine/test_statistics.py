"""The style statistics against direct sums, known closed forms and finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.features.statistics import STATISTICS, Discrepancy, Samples, Wasserstein, gaussian, polynomial, samples_of


def features(seed: int, n_channels: int = 5, n: int = 40) -> Tensor:
    return torch.rand(n_channels, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def discrepancy(x: Tensor, y: Tensor, kernel: Callable[[np.ndarray, np.ndarray], float]) -> float:
    """The MMD as a double sum over all pairs of columns."""

    def mean(a: Tensor, b: Tensor) -> float:
        return float(np.mean([[kernel(p, q) for q in b.T.numpy()] for p in a.T.numpy()]))

    return mean(x, x) - 2 * mean(x, y) + mean(y, y)


def test_the_gram_loss_is_the_mmd_of_the_quadratic_kernel() -> None:
    x, y = features(0), features(1, n=27)
    gram = STATISTICS["gram"]
    wanted = gram.describe(Samples(y))
    found = float(gram.distance(Samples(x), wanted)) * float(wanted.square().sum())
    assert found == pytest.approx(discrepancy(x, y, lambda p, q: float(p @ q) ** 2), rel=1e-9)


def test_the_linear_statistic_is_the_mmd_of_the_linear_kernel() -> None:
    x, y = features(2), features(3, n=27)
    linear = STATISTICS["linear"]
    wanted = linear.describe(Samples(y))
    found = float(linear.distance(Samples(x), wanted)) * float(wanted.square().sum())
    assert found == pytest.approx(discrepancy(x, y, lambda p, q: float(p @ q)), rel=1e-9)


def test_the_polynomial_kernel_equals_a_double_sum() -> None:
    x, y = features(4), features(5, n=27)
    offset = float((y.mean(1) ** 2).sum()) / 5
    expected = discrepancy(x, y, lambda p, q: (float(p @ q) / 5 + offset) ** 2)
    scale = np.mean([[(float(p @ q) / 5 + offset) ** 2 for q in y.T.numpy()] for p in y.T.numpy()])
    found = float(Discrepancy(polynomial).distance(Samples(x), y))
    assert float(Discrepancy(polynomial).distance(Samples(y), y)) == pytest.approx(0, abs=1e-12)
    assert found == pytest.approx(expected / scale, rel=1e-9)


def test_the_gaussian_kernel_equals_a_double_sum() -> None:
    x, y = features(6), features(7, n=27)
    points = y.T.numpy()
    width = np.mean([[((p - q) ** 2).sum() for q in points] for p in points])

    def kernel(p: np.ndarray, q: np.ndarray) -> float:
        return float(np.exp(-((p - q) ** 2).sum() / (2 * width)))

    scale = np.mean([[kernel(p, q) for q in points] for p in points])
    found = float(Discrepancy(gaussian).distance(Samples(x), y))
    assert found == pytest.approx(discrepancy(x, y, kernel) / scale, rel=1e-6)


def test_moments_are_means_and_deviations() -> None:
    x = features(8)
    found = STATISTICS["moments"].describe(Samples(x)).numpy()
    np.testing.assert_allclose(found[:, 0], x.numpy().mean(1))
    np.testing.assert_allclose(found[:, 1], x.numpy().std(1), rtol=1e-6)


def test_the_wasserstein_distance_has_its_closed_form_for_commuting_covariances() -> None:
    """For diagonal covariances it is the squared distance of means and of deviations."""
    signs = torch.tensor([[a, b, c] for a in (-1.0, 1) for b in (-1, 1) for c in (-1, 1)], dtype=torch.float64).T
    spread_x, spread_y = (torch.tensor(v, dtype=torch.float64)[:, None] for v in ([1.0, 2, 3], [2.0, 0.5, 3]))
    mean_x, mean_y = (torch.tensor(v, dtype=torch.float64)[:, None] for v in ([0.0, 1, 2], [1.0, 1, 0]))
    x, y = Samples(signs * spread_x + mean_x), Samples(signs * spread_y + mean_y)
    expected = float((mean_x - mean_y).square().sum() + (spread_x - spread_y).square().sum())
    scale = float(mean_y.square().sum() + spread_y.square().sum())
    found = float(Wasserstein().distance(x, Wasserstein().describe(y)))
    assert found == pytest.approx(expected / scale, abs=1e-5)


@pytest.mark.parametrize("name", STATISTICS)
def test_a_picture_has_its_own_style(name: str) -> None:
    x = Samples(features(9))
    statistic = STATISTICS[name]
    assert abs(float(statistic.distance(x, statistic.describe(x)))) < 1e-4
    assert float(statistic.distance(Samples(features(10) * 3), statistic.describe(x))) > 0.1


@pytest.mark.parametrize("name", STATISTICS)
def test_gradients_are_right(name: str) -> None:
    x, y = features(11, 3, 7).requires_grad_(True), features(12, 3, 9)
    statistic = STATISTICS[name]
    wanted = statistic.describe(Samples(y))
    assert torch.autograd.gradcheck(lambda values: statistic.distance(Samples(values), wanted), (x,), rtol=1e-3)


@pytest.mark.parametrize("name", ["gram", "linear", "moments", "wasserstein"])
def test_weights_count_positions_like_copies_of_them(name: str) -> None:
    x = features(13, 4, 6)
    copies = torch.tensor([1, 3, 0, 2, 1, 1])
    weighted = Samples(x, copies.double() / copies.sum())
    repeated = Samples(x.repeat_interleave(copies, 1))
    statistic = STATISTICS[name]
    torch.testing.assert_close(statistic.describe(weighted), statistic.describe(repeated), atol=1e-7, rtol=1e-6)


def test_a_mask_selects_the_positions_it_covers() -> None:
    maps = torch.rand(1, 3, 4, 8, generator=torch.Generator().manual_seed(14))
    left = torch.zeros(8, 16)
    left[:, :8] = 1
    torch.testing.assert_close(samples_of(maps, left).mean, maps[0, :, :, :4].flatten(1).mean(1, keepdim=True))


def test_what_a_mask_leaves_out_is_never_drawn() -> None:
    values = torch.arange(100.0)[None]
    share = torch.zeros(100)
    share[20:30] = 0.1
    drawn = Samples(values, share, seed=3).drawn()
    assert drawn.min() >= 20 and drawn.max() < 30
    torch.testing.assert_close(drawn, Samples(values, share, seed=3).drawn(), rtol=0, atol=0)
