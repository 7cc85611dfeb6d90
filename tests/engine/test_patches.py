"""Patches: exact matches against a direct loop, PatchMatch against the exact ones, voting against a direct sum."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.errors import InputError
from engine.core.types import Picture
from engine.features.backbones import load_backbone
from engine.matching import patchmatch
from engine.matching.patches import Preference, compress, lengths, match_exactly, vote
from engine.matching.patchmatch import Search, match_by_propagation


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_maps(channels: int = 5) -> tuple[Tensor, Tensor]:
    """A query of 11 x 13 and a source of 9 x 14 positions."""
    both = torch.randn(channels, 11 * 13 + 9 * 14, generator=generator())
    return both[:, : 11 * 13].view(-1, 11, 13), both[:, 11 * 13 :].view(-1, 9, 14)


def direct(query: Tensor, source: Tensor, size: int, stride: int = 1, source_stride: int = 1) -> np.ndarray:
    """Normalized cross-correlations, patch by patch: {H', W', h', w'}."""
    q, s = query.double().numpy(), source.double().numpy()

    def patches(x: np.ndarray, step: int) -> tuple[list[np.ndarray], tuple[int, int]]:
        ys, xs = range(0, x.shape[1] - size + 1, step), range(0, x.shape[2] - size + 1, step)
        cut = [x[:, i : i + size, j : j + size].ravel() for i, j in itertools.product(ys, xs)]
        return [c / np.sqrt((c * c).sum()) for c in cut], (len(ys), len(xs))

    ours, grid = patches(q, stride)
    theirs, source_grid = patches(s, source_stride)
    return np.array([[float(np.dot(a, b)) for b in theirs] for a in ours]).reshape(*grid, *source_grid)


@pytest.mark.parametrize(("size", "stride", "source_stride"), [(3, 1, 1), (3, 2, 1), (5, 1, 2), (1, 3, 1)])
@pytest.mark.parametrize("budget_bytes", [1, 20_000, 1 << 28])
def test_exact_matches_are_those_of_a_direct_loop(
    size: int, stride: int, source_stride: int, budget_bytes: int
) -> None:
    query, source = random_maps()
    wanted = direct(query, source, size, stride, source_stride)
    found = match_exactly(query, source, size=size, strides=(stride, source_stride), budget_bytes=budget_bytes)
    best = wanted.reshape(*wanted.shape[:2], -1).argmax(-1)
    rows, columns = np.unravel_index(best, wanted.shape[2:])
    assert np.array_equal(found.indices.numpy(), np.stack((rows, columns)) * source_stride)
    assert np.allclose(found.scores.numpy(), wanted.max((2, 3)), atol=1e-5)


def test_exact_matches_keep_to_the_parts_that_they_are_given() -> None:
    query, source = random_maps()
    allowed = torch.rand(2, 7, 12, generator=generator(1)) < 0.3
    part = torch.arange(9 * 11).view(9, 11) % 2
    preference = Preference(torch.where(allowed, 0.0, torch.inf), part)
    wanted = torch.from_numpy(direct(query, source, 3)).flatten(2)  # (H', W', h' w')
    best = wanted.masked_fill(~allowed.flatten(1)[part], -9).argmax(2)
    for found in (
        match_exactly(query, source, preference=preference, budget_bytes=20_000),
        match_by_propagation(query, source, generator(), preference=preference, search=Search(4)),
    ):
        rows, columns = found.indices
        assert bool(allowed[part, rows, columns].all())
        assert float((rows * 12 + columns == best).float().mean()) > 0.99


def test_a_penalty_is_weighed_against_the_score_and_not_counted_in_it() -> None:
    query, source = random_maps()
    penalty = torch.rand(1, 7, 12, generator=generator(2))
    found = match_exactly(query, source, preference=Preference(penalty, torch.zeros(9, 11, dtype=torch.long)))
    wanted = torch.from_numpy(direct(query, source, 3)).flatten(2)
    best = (wanted - penalty.flatten()).argmax(2)
    assert torch.equal(found.indices[0] * 12 + found.indices[1], best)
    assert torch.allclose(found.scores.double(), wanted.gather(2, best[..., None])[..., 0], atol=1e-5)


@pytest.fixture(scope="module")
def real_maps(cat: Picture, portrait: Picture) -> tuple[Tensor, Tensor]:
    """64 x 64 positions of features of two photos that have little in common."""
    pictures = [F.interpolate(p.rgb[None], (256, 256), mode="bilinear", antialias=True) for p in (cat, portrait)]
    with torch.no_grad():
        query, source = (load_backbone("embedded")(p, ["relu3_1"])["relu3_1"][0] for p in pictures)
    assert query.shape[1:] == source.shape[1:] == (64, 64)
    return query, source


@pytest.mark.slow
def test_propagation_comes_within_three_percent_of_the_exact_energy(real_maps: tuple[Tensor, Tensor]) -> None:
    exact = match_exactly(*real_maps).energy
    for seed in range(2):
        found = match_by_propagation(*real_maps, generator(seed)).energy
        assert exact - 1e-6 <= found <= 1.03 * exact


@pytest.mark.slow
def test_where_only_some_patches_are_compared_first_propagation_finds_the_others(
    real_maps: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patchmatch, "GUESS_PRODUCTS", 1 << 20)  # every second patch of both
    found = match_by_propagation(*real_maps, generator(), search=Search(4))
    assert found.energy <= 1.06 * match_exactly(*real_maps).energy


@pytest.mark.slow
def test_products_in_bfloat16_lose_little(real_maps: tuple[Tensor, Tensor]) -> None:
    exact = match_exactly(*real_maps)
    found = match_exactly(*real_maps, is_half=True)
    rows, columns = found.indices
    ours, theirs = (F.unfold(x[None], 3)[0] for x in real_maps)
    chosen = theirs[:, (rows * 62 + columns).flatten()]
    scores = F.cosine_similarity(ours, chosen, dim=0).view(62, 62)
    assert float((exact.scores - scores).max()) < 0.01
    assert float((found.scores - scores).abs().max()) < 0.01


def test_propagation_is_the_same_for_the_same_seed_and_never_worse_than_its_start() -> None:
    query, source = random_maps()
    corner = torch.zeros(2, 9, 11, dtype=torch.long)
    first, again, other = (
        match_by_propagation(query, source, generator(s), start=corner, search=Search(1)) for s in (3, 3, 4)
    )
    assert torch.equal(first.indices, again.indices)
    assert not torch.equal(first.indices, other.indices)
    exact = match_exactly(query, source)
    kept = match_by_propagation(query, source, generator(), start=exact.indices, search=Search(1))
    assert torch.equal(kept.indices, exact.indices)


def test_a_map_finds_itself() -> None:
    query, _ = random_maps()
    found = match_exactly(query, query)
    assert torch.equal(found.indices, torch.stack(torch.meshgrid(torch.arange(9), torch.arange(11), indexing="ij")))
    assert torch.allclose(found.scores, torch.ones(9, 11), atol=1e-5)
    painted, weights = vote(query, found.indices, 3, (11, 13))
    assert torch.allclose(painted, query, atol=1e-6)
    assert (weights[0, 0], weights[5, 5]) == (1, 9)


@pytest.mark.parametrize("stride", [1, 2])
def test_votes_are_the_weighted_mean_of_the_patches_over_a_position(stride: int) -> None:
    values = torch.randn(2, 6, 7, generator=generator())
    grid = ((8 - 3) // stride + 1, (9 - 3) // stride + 1)
    indices = torch.stack([torch.randint(0, n, grid, generator=generator(n)) for n in (4, 5)])
    weight, window = torch.rand(grid, generator=generator(9)), torch.rand(3, 3, generator=generator(8))
    total, counts = torch.zeros(2, 8, 9), torch.zeros(8, 9)
    for i, j, y, x in itertools.product(range(grid[0]), range(grid[1]), range(3), range(3)):
        row, column = (int(n) for n in indices[:, i, j])
        share = weight[i, j] * window[y, x]
        total[:, i * stride + y, j * stride + x] += share * values[:, row + y, column + x]
        counts[i * stride + y, j * stride + x] += share
    painted, weights = vote(values, indices, 3, (8, 9), stride=stride, weight=weight, window=window)
    assert torch.allclose(weights, counts, atol=1e-6)
    assert torch.allclose(painted, torch.where(counts > 0, total / counts.clamp_min(1e-8), 0), atol=1e-5)


def test_flat_maps_match_somewhere_and_stay_finite() -> None:
    query, source = random_maps()
    for nothing in (torch.zeros_like(source), torch.ones_like(source)):
        for found in (match_exactly(query, nothing), match_by_propagation(query, nothing, generator())):
            assert bool(torch.isfinite(found.scores).all())
    assert float(lengths(torch.zeros(1, 3, 3), 3)) == 0


def test_compressed_maps_keep_their_products() -> None:
    mix = torch.randn(12, 4, generator=generator())
    query, source = (torch.einsum("ck,khw->chw", mix, x) for x in random_maps(4))
    ours, theirs = compress(query, source, 4)
    assert ours.shape[0] == 4
    wanted = query.flatten(1).T @ source.flatten(1)
    assert torch.allclose(ours.flatten(1).T @ theirs.flatten(1), wanted, atol=1e-3)
    assert compress(query, source, 12)[0] is query


def test_maps_smaller_than_a_patch_and_empty_parts_are_told() -> None:
    query, source = random_maps()
    with pytest.raises(InputError, match="2 x 9 feature positions, fewer than a patch of 3 x 3"):
        match_exactly(query, source[:, :, :2])
    with pytest.raises(InputError, match="fewer than a patch"):
        match_by_propagation(query[:, :1], source, generator())
    with pytest.raises(InputError, match="no patch: make its region larger"):
        Preference(torch.full((1, 7, 12), torch.inf), torch.zeros(9, 11, dtype=torch.long))
