"""Outside the mask nothing moves, to the bit."""

from __future__ import annotations

import pytest
import torch

from engine.core.errors import InputError
from engine.core.types import Mask, Picture
from engine.pipeline.composite import mask_box, paint_over


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def composite(painted: torch.Tensor, content: Picture, mask: Mask | None) -> torch.Tensor:
    """The painting over a copy of the content."""
    canvas = content.rgb.clone()
    paint_over(canvas, painted, content.alpha, mask)
    return canvas


def bits(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous().view(torch.int32)


def test_pixels_outside_the_mask_do_not_move() -> None:
    """Floats beyond [0, 1] too: a float layer has them, and 0 * painted must not touch them, even where it is NaN."""
    content = noise(3, 40, 50) * 3 - 1
    painted = noise(3, 40, 50, seed=1)
    mask = noise(40, 50, seed=2) - 0.5
    mask = mask.clamp_min(0) * 2
    painted[:, mask <= 0] = torch.nan
    result = composite(painted, Picture(content), Mask(mask))
    outside = mask <= 0
    assert int(outside.sum()) > 500
    assert torch.equal(bits(result[:, outside]), bits(content[:, outside]))
    eight = [(x[:, outside] * 255).round() for x in (result, content)]
    assert torch.equal(*eight)


def test_strips_are_blended_as_the_whole_is() -> None:
    """Strips wholly outside, wholly inside and in between; a canvas that is part of a larger picture."""
    whole, painted, alpha = noise(3, 400, 60), noise(3, 300, 40, seed=1), noise(300, 40, seed=2)
    canvas = whole[:, 50:350, 10:50]
    content = canvas.clone()
    weight = ((torch.arange(300.0)[:, None].expand(300, 40) - 100) / 60).clamp(-0.1, 1.1)
    alpha[alpha < 0.2] = 0
    paint_over(canvas, painted, alpha, Mask(weight))
    share = weight.clamp(0, 1)
    expected = torch.where(alpha > 0, content * (1 - share) + painted * share, content)
    torch.testing.assert_close(canvas, expected)
    is_kept = (weight <= 0) | (alpha == 0)
    assert torch.equal(bits(canvas[:, is_kept]), bits(content[:, is_kept]))
    assert torch.equal(bits(canvas[:, (weight >= 1) & ~is_kept]), bits(painted[:, (weight >= 1) & ~is_kept]))
    assert torch.equal(whole[:, :50], noise(3, 400, 60)[:, :50])


def test_full_mask_gives_the_painting_to_the_bit() -> None:
    content, painted = noise(3, 20, 20), noise(3, 20, 20, seed=1)
    result = composite(painted, Picture(content), Mask(torch.ones(20, 20)))
    assert torch.equal(bits(result), bits(painted))
    assert torch.equal(composite(painted, Picture(content), None), painted)


def test_soft_mask_blends() -> None:
    content, painted = torch.zeros(3, 4, 4), torch.ones(3, 4, 4)
    weight = torch.linspace(0, 1, 16).view(4, 4)
    torch.testing.assert_close(composite(painted, Picture(content), Mask(weight)), weight.expand(3, 4, 4))


def test_what_nobody_sees_is_left_alone() -> None:
    content, painted = noise(3, 10, 10), noise(3, 10, 10, seed=1)
    alpha = torch.ones(10, 10)
    alpha[:, :5] = 0
    for mask in (None, Mask(torch.ones(10, 10))):
        result = composite(painted, Picture(content, alpha), mask)
        assert torch.equal(result[:, :, :5], content[:, :, :5])
        assert torch.equal(result[:, :, 5:], painted[:, :, 5:])


def test_nothing_is_written_into_the_inputs() -> None:
    content, painted = noise(3, 10, 10), noise(3, 10, 10, seed=1)
    before = content.clone(), painted.clone()
    composite(painted, Picture(content), None).zero_()
    composite(painted, Picture(content), Mask(noise(10, 10))).zero_()
    assert torch.equal(content, before[0]) and torch.equal(painted, before[1])


def test_sizes_must_match() -> None:
    with pytest.raises(InputError, match="mask must have the shape"):
        composite(noise(3, 8, 8), Picture(noise(3, 8, 8)), Mask(noise(8, 9)))


@pytest.mark.parametrize(
    ("selection", "pad", "multiple", "expected"),
    [
        ((30, 40, 50, 70), 0, 1, (30, 40, 20, 30)),
        ((30, 40, 50, 70), 5, 1, (25, 35, 30, 40)),
        ((30, 40, 50, 70), 5, 8, (25, 35, 32, 40)),
        ((0, 0, 3, 3), 5, 8, (0, 0, 8, 8)),
        ((97, 117, 100, 120), 5, 8, (92, 112, 8, 8)),
        ((0, 0, 100, 120), 5, 64, (0, 0, 100, 120)),  # no room: all there is
        ((10, 10, 90, 11), 0, 64, (0, 10, 100, 64)),
    ],
)
def test_the_box_is_the_padded_selection(
    selection: tuple[int, int, int, int], pad: int, multiple: int, expected: tuple[int, int, int, int]
) -> None:
    top, left, bottom, right = selection
    weight = torch.zeros(100, 120)
    weight[top:bottom, left:right] = 0.01
    assert mask_box(weight, pad, multiple) == expected


def test_any_box_holds_the_selection_and_lies_inside() -> None:
    generator = torch.Generator().manual_seed(3)
    for _ in range(200):
        height, width = (int(n) for n in torch.randint(1, 60, (2,), generator=generator))
        weight = (torch.rand(height, width, generator=generator) > 0.97).float()
        weight[height // 2, width // 2] = 1
        top, left, h, w = mask_box(weight, 7, 8)
        assert top >= 0 and left >= 0 and top + h <= height and left + w <= width
        assert float(weight[top : top + h, left : left + w].sum()) == float(weight.sum())
        assert h % 8 == 0 or h == height
        assert w % 8 == 0 or w == width


def test_an_empty_selection_is_refused() -> None:
    with pytest.raises(InputError, match="selects nothing"):
        mask_box(torch.zeros(5, 5), 1, 1)
