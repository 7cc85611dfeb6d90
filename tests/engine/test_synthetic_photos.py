"""Things before even backgrounds: pieces of the photo as it was, and nothing at all around them."""

from __future__ import annotations

import numpy as np
import torch

from engine.core.types import Picture
from engine.train.pictures.synthetic_photos import before_plain


def test_pieces_of_the_photo_stand_before_nothing(portrait: Picture) -> None:
    photo = portrait.rgb
    shares = []
    for seed in range(12):
        cut = before_plain(np.random.default_rng(seed), photo)
        assert cut.shape == photo.shape and cut.dtype == torch.float32
        assert float(cut.min()) >= 0 and float(cut.max()) <= 1
        is_kept = (cut == photo).all(0)  # (256, 256)
        shares.append(float(is_kept.float().mean()))
        bend = (cut[:, 2:] - 2 * cut[:, 1:-1] + cut[:, :-2]).abs().amax(0)  # (254, 256)
        is_even = (bend < 1e-3) & ~is_kept[1:-1]
        assert float((is_even | is_kept[1:-1]).float().mean()) > 0.95  # but for their edges
    assert 0.1 < np.mean(shares) < 0.8


def test_the_seed_alone_decides(portrait: Picture) -> None:
    first, again, other = (before_plain(np.random.default_rng(seed), portrait.rgb) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
