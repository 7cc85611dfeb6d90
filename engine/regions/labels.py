"""Label maps: pictures in which a color means a region; the same color in two maps pairs their regions."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.errors import InputError
from engine.core.types import Mask, Picture, Region

Color = tuple[int, int, int]

MIN_SHARE = 5e-4  # a color on fewer of the pixels is impure (a JPEG's edge), not a label
SAME_COLOR = 48  # colors whose largest channel difference (of 255) is below this are one label
MAX_LABELS = 32
MIN_INSIDE = 0.2  # share of a region that touches no other; of an antialiased edge it is next to nothing


def split_labels(picture: Picture, name: str) -> list[tuple[Color, Mask]]:
    """The regions of a label map, largest first.

    Maps are often impure: antialiased, or saved as JPEG. Colors that are frequent, far from each other and more than
    an edge wide are the labels; every other pixel goes to the nearest of them.

    Args:
        picture: the map.
        name: of the file, for messages.

    Raises:
        InputError: more than ``MAX_LABELS`` colors, so it is a photo rather than a label map.
    """
    pixels = (picture.rgb * 255).round().long().clamp(0, 255).flatten(1)  # (3, H*W)
    packed = (pixels[0] << 16) | (pixels[1] << 8) | pixels[2]
    values, inverse, counts = torch.unique(packed, return_inverse=True, return_counts=True)
    colors = torch.stack((values >> 16, (values >> 8) & 255, values & 255), 1)  # (K, 3)
    chosen = _frequent(colors, counts, MIN_SHARE * packed.numel())
    if len(chosen) > MAX_LABELS:
        raise InputError(
            f"{name} has more than {MAX_LABELS} colors: it is no label map. Paint each region in one flat color."
        )
    label = _nearest(colors, colors[chosen])[inverse].view(picture.size)  # (H, W)
    legend = colors[[i for n, i in enumerate(chosen) if _has_inside(label == n)] or chosen]  # (L, 3)
    label = _nearest(colors, legend)[inverse].view(picture.size)
    return [
        (_color(color), Mask((label == i).float(), f"{name} #{color[0]:02x}{color[1]:02x}{color[2]:02x}"))
        for i, color in enumerate(legend.tolist())
    ]


def _frequent(colors: Tensor, counts: Tensor, min_count: float) -> list[int]:
    """Indices of the label colors, most frequent first; at most one more than allowed."""
    chosen: list[int] = []
    for i in counts.argsort(descending=True, stable=True).tolist():
        if chosen and (counts[i] < min_count or len(chosen) > MAX_LABELS):
            break
        if all(int((colors[i] - colors[j]).abs().max()) >= SAME_COLOR for j in chosen):
            chosen.append(i)
    return chosen


def _nearest(colors: Tensor, legend: Tensor) -> Tensor:
    """Index of the legend color (L, 3) nearest to each of (K, 3): (K,)."""
    return (colors[:, None] - legend[None]).square().sum(2).argmin(1)


def _has_inside(region: Tensor) -> bool:
    """Whether (H, W) is more than the fringe between two others: a good part of it is surrounded by itself."""
    outside = F.pad((~region).float()[None, None], (1, 1, 1, 1))
    surrounded = F.max_pool2d(outside, 3, stride=1)[0, 0] == 0
    return int(surrounded.sum()) >= MIN_INSIDE * int(region.sum())


def pair_regions(content: list[tuple[Color, Mask]], style: list[tuple[Color, Mask]], where: Path | str) -> list[Region]:
    """Regions of the same color, paired; a color that the style's map lacks stays without a region of its own.

    Args:
        content, style: as ``split_labels`` returns them.
        where: the style's map, for messages.

    Raises:
        InputError: the two maps have no color in common.
    """
    regions = [
        Region(mask, other)
        for color, mask in content
        for near, other in [min(style, key=lambda entry: _difference(color, entry[0]))]
        if _difference(color, near) < SAME_COLOR
    ]
    if not regions:
        raise InputError(
            f"The two label maps have no color in common; paint what belongs together in the same color in {where}."
        )
    return regions


def _difference(a: Color, b: Color) -> int:
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


def _color(values: list[int]) -> Color:
    red, green, blue = values
    return red, green, blue
