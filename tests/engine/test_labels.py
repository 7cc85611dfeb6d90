"""Label maps pair the parts of two pictures."""

from __future__ import annotations

import pytest
import torch

from engine.core.errors import InputError
from engine.core.types import Mask, Picture
from engine.regions.labels import Color, pair_regions, split_labels

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def labels(*colors: Color) -> list[tuple[Color, Mask]]:
    return [(color, Mask(torch.full((2, 2), float(i)), str(i))) for i, color in enumerate(colors)]


def test_the_same_color_pairs() -> None:
    ours, theirs = labels(RED, GREEN), labels(BLUE, GREEN, RED)
    regions = pair_regions(ours, theirs, "style.png")
    assert [(r.content, r.style) for r in regions] == [(ours[0][1], theirs[2][1]), (ours[1][1], theirs[1][1])]


def test_nearly_the_same_color_pairs_too() -> None:
    ours, theirs = labels(RED), labels((250, 8, 3), GREEN)
    assert pair_regions(ours, theirs, "style.png")[0].style is theirs[0][1]


def test_a_color_without_a_partner_has_no_region() -> None:
    assert len(pair_regions(labels(RED, BLUE), labels(RED, GREEN), "style.png")) == 1


def test_maps_without_a_common_color_are_refused() -> None:
    with pytest.raises(InputError, match=r"no color in common.*style\.png"):
        pair_regions(labels(RED), labels(GREEN), "style.png")


def test_thin_but_real_regions_stay() -> None:
    """Five pixels of a lamp post are a region, one pixel of antialiasing is not."""
    rgb = torch.zeros(3, 100, 100)
    rgb[0, :, 40:45] = 1
    rgb[1, :, 70:71] = 1
    colors = [color for color, _ in split_labels(Picture(rgb), "map.png")]
    assert colors == [(0, 0, 0), RED]


def test_a_map_of_one_color_is_one_region() -> None:
    ((color, mask),) = split_labels(Picture(torch.ones(3, 5, 5)), "map.png")
    assert color == (255, 255, 255) and bool((mask.weight == 1).all())
