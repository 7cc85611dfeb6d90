"""Made-up styles: in range, new each time, the same for the same seed, and of the kind they are called."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.train.pictures.textures import KINDS, palette, ranked, texture


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=list(KINDS))
def test_textures_are_pictures_that_depend_on_the_seed_alone(kind: int) -> None:
    first, again, other = (texture(np.random.default_rng(seed), 64, (0.5, 1.0), kind) for seed in (1, 1, 2))
    assert first.shape == (3, 64, 64)
    assert first.dtype == torch.float32
    assert float(first.min()) >= 0 and float(first.max()) <= 1
    assert torch.equal(first, again)
    assert float((first - other).abs().mean()) > 0.02
    assert float(first.std()) > 0.01


def test_an_engraving_is_ink_and_paper_and_marble_is_not() -> None:
    def plain(kind: str) -> float:
        """Share of the pixels that are as dark as the darkest or as light as the lightest."""
        gray = texture(np.random.default_rng(8), 128, (1.0, 1.0), list(KINDS).index(kind)).mean(0)
        low, high = gray.min(), gray.max()
        near = 0.02 * (high - low)
        return float(((gray < low + near) | (gray > high - near)).float().mean())

    assert plain("lines") > 0.6
    assert plain("marble") < 0.4


def test_a_palette_goes_from_dark_to_light() -> None:
    for seed in range(20):
        colors = palette(np.random.default_rng(seed))
        assert 3 <= len(colors) < 7
        assert (colors >= 0).all() and (colors <= 1).all()


def test_ranks_keep_the_order_and_are_even() -> None:
    values = np.array([[3.0, -1.0], [10.0, 4.0]], np.float32)
    assert ranked(values) == pytest.approx(np.array([[1 / 3, 0], [1, 2 / 3]]), rel=1e-6)
