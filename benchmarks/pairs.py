"""Content and style pictures to measure on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from engine.core.errors import InputError
from engine.files import READABLE_SUFFIXES, read_picture
from engine.train.pictures.folders import is_held_out
from engine.train.pictures.textures import KINDS, texture

OWN_STYLE_PX = 384
WHOLE = slice(None)
OWN_PHOTOS = (
    ("astronaut", WHOLE, WHOLE),
    ("chelsea", WHOLE, WHOLE),
    ("coffee", WHOLE, WHOLE),
    ("rocket", WHOLE, WHOLE),
    ("astronaut", slice(0, 300), slice(60, 380)),
    ("rocket", slice(127, None), slice(0, 400)),
    ("coffee", WHOLE, slice(90, 490)),
)  # names of skimage.data, and which part: 7 do not divide the number of styles, so that pairs differ


@dataclass(frozen=True, eq=False)
class Pair:
    """A content and a style, (1, 3, H, W) each, and their names."""

    name: str
    content: Tensor
    style: Tensor


def draw_pairs(
    photos: Path | None, art: Path | None, n_pairs: int, size_px: int, seed: int, held_out: int = 0, least_px: int = 0
) -> Iterator[Pair]:
    """Pairs out of two folders, the same for the same seed; every picture is used before one is used again.

    Args:
        photos, art: folders of pictures; None = our own: scikit-image's photos, made-up styles.
        n_pairs: how many.
        size_px: longest side of both.
        seed: of the order.
        held_out: only styles that a training with the same number left out (``data.is_held_out``); 0 = all.
        least_px: only styles whose longest side has so many pixels: enlarged ones are blurred.

    Raises:
        InputError: no picture of a folder is left.
    """
    order = random.Random(seed)  # noqa: S311  (an order, no secret)
    contents = _own_photos() if photos is None else _shuffled(photos, order)
    styles = _own_styles() if art is None else _shuffled(art, order, held_out, least_px)
    for i in range(n_pairs):
        content, style = contents[i % len(contents)], styles[i % len(styles)]
        yield Pair(f"{content.name} / {style.name}", _sized(content.load(), size_px), _sized(style.load(), size_px))


def load_sized(path: Path, size_px: int) -> Tensor:
    """A picture with its longest side at ``size_px``: (1, 3, H, W)."""
    return _sized(read_picture(path).rgb[None], size_px)


def _sized(rgb: Tensor, size_px: int) -> Tensor:
    factor = size_px / max(rgb.shape[2:])
    size = [max(1, round(side * factor)) for side in rgb.shape[2:]]
    return F.interpolate(rgb, size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


@dataclass(frozen=True)
class _Source:
    """A picture that is loaded when its turn comes: (1, 3, H, W)."""

    name: str
    load: Callable[[], Tensor]


def _shuffled(folder: Path, order: random.Random, held_out: int = 0, least_px: int = 0) -> list[_Source]:
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in READABLE_SUFFIXES)
    paths = [p for p in paths if not held_out or is_held_out(p.name, held_out)]
    paths = [p for p in paths if not least_px or _longest(p) >= least_px]
    if not paths:
        raise InputError(f"There is no picture in {folder}, or none that is to be measured on.")
    order.shuffle(paths)
    return [_Source(path.stem, partial(_read, path)) for path in paths]


def _longest(path: Path) -> int:
    with Image.open(path) as file:  # its header alone
        return max(file.size)


def _read(path: Path) -> Tensor:
    return read_picture(path).rgb[None]


def _own_photos() -> list[_Source]:
    """Photos that come with scikit-image (public domain or CC0), some in parts."""
    from skimage import data  # noqa: PLC0415  (the demo's own extra)

    def part_of(name: str, rows: slice, columns: slice) -> Tensor:
        pixels = np.ascontiguousarray(getattr(data, name)()[rows, columns])
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255

    return [_Source(f"{name} {i}", partial(part_of, name, *part)) for i, (name, *part) in enumerate(OWN_PHOTOS)]


def _own_styles() -> list[_Source]:
    """Made-up textures, eight of each kind."""

    def make(kind: int, seed: int) -> Tensor:
        return texture(np.random.default_rng(1000 + seed), OWN_STYLE_PX, (0.7, 1.5), kind)[None]

    numbers = range(8 * len(KINDS))
    return [_Source(f"{list(KINDS)[i % len(KINDS)]} {i}", partial(make, i % len(KINDS), i)) for i in numbers]
