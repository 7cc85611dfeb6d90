"""Grain: where nothing is, unseen, the same wherever a tile begins."""

from __future__ import annotations

import pytest
import torch

from engine.color.grain import DEVIATION, PERIOD_PX, evenness, grained, pattern
from engine.core.types import Picture


def test_an_even_picture_gets_all_of_it_and_a_photo_next_to_none(cat: Picture) -> None:
    even = torch.full((1, 3, 512, 512), 0.5)
    grain = grained(even) - even
    assert float(grain.std()) == pytest.approx(DEVIATION, rel=0.01)
    assert float(grain.abs().max()) < 10 / 255
    assert float(grain.mean()) == pytest.approx(0, abs=1e-5)
    photo = cat.rgb[None]
    assert float((grained(photo) - photo).abs().mean()) < 0.3 / 255


def test_none_comes_near_an_edge() -> None:
    step = (torch.arange(128) >= 64).float().expand(1, 3, 128, 128)
    share = evenness(step)[0, 0]
    assert share[:, 62:66].max() == 0 and share[:, :48].min() == 1 and share[:, 80:].min() == 1


@pytest.mark.parametrize(("top", "left"), [(8, 0), (64, 504), (264, 120)])
def test_a_tile_gets_the_grain_of_its_place(top: int, left: int) -> None:
    whole = torch.full((1, 3, 600, 700), 0.02)
    whole[..., 300:, 350:] = torch.rand(1, 3, 300, 350, generator=torch.Generator().manual_seed(0))
    tile = grained(whole[..., top : top + 240, left : left + 160], top, left)
    inner = (slice(None), slice(None), slice(16, -16), slice(16, -16))
    torch.testing.assert_close(tile[inner], grained(whole)[..., top : top + 240, left : left + 160][inner])


def test_it_repeats_without_a_seam() -> None:
    grain = pattern()
    assert grain.shape == (PERIOD_PX, PERIOD_PX)
    inside = (grain[1:] - grain[:-1]).square().mean()
    across = (grain[0] - grain[-1]).square().mean()
    assert float(across) == pytest.approx(float(inside), rel=0.3)


def test_sides_need_no_multiple_of_anything() -> None:
    assert grained(torch.zeros(2, 3, 67, 301)).shape == (2, 3, 67, 301)


def test_a_painting_leaves_it_usable_for_a_training() -> None:
    pattern.cache_clear()
    rgb = torch.full((1, 3, 64, 64), 0.5, requires_grad=True)
    with torch.inference_mode():
        grained(torch.zeros(1, 3, 64, 64))
    grained(rgb).square().sum().backward()
    assert rgb.grad is not None and torch.isfinite(rgb.grad).all()
