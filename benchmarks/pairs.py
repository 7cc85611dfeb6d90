"""Content and style pictures to measure on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from engine.errors import InputError
from engine.files import READABLE_SUFFIXES, read_picture


@dataclass(frozen=True, eq=False)
class Pair:
    """A content and a style, (1, 3, H, W) each, and their names."""

    name: str
    content: Tensor
    style: Tensor


def draw_pairs(photos: Path, art: Path, n_pairs: int, size_px: int, seed: int) -> Iterator[Pair]:
    """Pairs out of two folders, the same for the same seed; every picture is used before one is used again.

    Args:
        photos, art: folders of pictures.
        n_pairs: how many.
        size_px: longest side of both.
        seed: of the order.

    Raises:
        InputError: a folder holds no picture.
    """
    order = random.Random(seed)  # noqa: S311  (an order, no secret)
    contents, styles = (_shuffled(folder, order) for folder in (photos, art))
    for i in range(n_pairs):
        content, style = contents[i % len(contents)], styles[i % len(styles)]
        yield Pair(f"{content.stem} / {style.stem}", load_sized(content, size_px), load_sized(style, size_px))


def load_sized(path: Path, size_px: int) -> Tensor:
    """A picture with its longest side at ``size_px``: (1, 3, H, W)."""
    rgb = read_picture(path).rgb[None]
    factor = size_px / max(rgb.shape[2:])
    size = [max(1, round(side * factor)) for side in rgb.shape[2:]]
    return F.interpolate(rgb, size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def _shuffled(folder: Path, order: random.Random) -> list[Path]:
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in READABLE_SUFFIXES)
    if not paths:
        raise InputError(f"There is no picture in {folder}.")
    order.shuffle(paths)
    return paths
