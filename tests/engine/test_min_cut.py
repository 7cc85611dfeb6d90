"""The cut is the best of all labelings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from engine.edges.min_cut import min_cut


@pytest.mark.parametrize("seed", range(20))
def test_no_labeling_costs_less(seed: int) -> None:
    """Brute force over all labels of nine nodes."""
    rng = np.random.default_rng(seed)
    pairs = [pair for pair in itertools.combinations(range(9), 2) if rng.random() < 0.4]
    heads, tails = np.array(pairs, np.int32).T
    gain, costs = rng.normal(0, 2, 9), rng.exponential(1.0, len(pairs))

    def cost(labels: np.ndarray) -> float:
        return float(-gain[labels].sum() + costs[labels[heads] != labels[tails]].sum())

    best = min(cost(np.array(labels)) for labels in itertools.product((False, True), repeat=9))
    assert cost(min_cut(gain, heads, tails, costs)) == pytest.approx(best, abs=0.02)  # capacities have 3 digits


def test_nodes_alone_take_what_gains() -> None:
    nobody = np.zeros(0, np.int32)
    labels = min_cut(np.array([1.0, -1.0, 3e9, -3e9]), nobody, nobody, np.zeros(0))
    np.testing.assert_array_equal(labels, [True, False, True, False])


def test_a_strong_bond_outweighs_a_weak_wish() -> None:
    heads, tails = np.array([0], np.int32), np.array([1], np.int32)
    assert min_cut(np.array([2.0, -1.0]), heads, tails, np.array([10.0])).tolist() == [True, True]
    assert min_cut(np.array([2.0, -1.0]), heads, tails, np.array([0.5])).tolist() == [True, False]
