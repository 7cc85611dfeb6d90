"""Objects with difficult edges: hair, glass, foliage, fur; photos of scikit-image and drawn ones with a known alpha.

Their masks are rough, as a hand draws them: that is what an edge has to be found from.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from skimage import data
from torch import Tensor

SHARPER = 4  # drawn scenes are drawn this much larger and averaged: their alpha is exact to 1/16
HULL_PX = 6  # blur that turns a drawn alpha into the rough outline of a hand
Point = tuple[float, float]
Outline = list[Point]

HEAD: Outline = [
    (150, 88), (158, 55), (185, 26), (225, 12), (265, 22), (295, 50), (303, 90), (290, 122), (274, 134), (266, 160),
    (254, 176), (226, 188), (196, 180), (182, 150), (174, 124), (155, 108),
]  # fmt: skip
HELMET: Outline = [
    (276, 511), (278, 450), (295, 402), (335, 362), (385, 345), (440, 352), (478, 388), (494, 440), (496, 511),
]  # fmt: skip
SPOON: Outline = [
    (395, 72), (406, 63), (426, 68), (424, 84), (410, 140), (388, 218), (410, 262), (402, 306), (362, 330), (328, 312),
    (323, 272), (352, 238), (376, 212), (394, 180), (404, 140), (402, 100),
]  # fmt: skip
CAT: Outline = [
    (40, 26), (44, -9), (396, -9), (384, 40), (356, 66), (372, 108), (352, 178), (318, 208), (322, 240), (318, 276),
    (300, 309), (40, 309), (18, 240), (16, 170), (44, 120), (26, 80),
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and a rough mask of an object in it.

    Args:
        name: for tables and sheets.
        content: (3, H, W).
        mask: (H, W) of 0 and 1.
        alpha: (H, W), the truth, where the scene was drawn.
        view: what of it to look at: left, top, right, bottom.
    """

    name: str
    content: Tensor
    mask: Tensor
    alpha: Tensor | None
    view: tuple[int, int, int, int]


def scenes() -> list[Scene]:
    """All of them."""
    return [
        _photo("hair", data.astronaut(), HEAD, (140, 0, 316, 132)),
        _photo("glass", data.astronaut(), HELMET, (270, 336, 446, 468)),
        _photo("metal", data.coffee(), SPOON, (300, 50, 476, 182)),
        _photo("fur", data.chelsea(), CAT, (240, 0, 416, 132)),
        foliage(),
        strands(),
    ]


def _photo(name: str, pixels: np.ndarray, outline: Outline, view: tuple[int, int, int, int]) -> Scene:
    content = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
    return Scene(name, content, _filled(outline, (pixels.shape[1], pixels.shape[0])), None, view)


def _filled(outline: Outline, size: tuple[int, int]) -> Tensor:
    picture = Image.new("L", size)
    ImageDraw.Draw(picture).polygon(outline, fill=255)
    return torch.from_numpy(np.asarray(picture).copy()).float() / 255


def foliage(seed: int = 0) -> Scene:
    """Leaves on twigs before a sky; the mask is their rough hull."""
    rng = np.random.default_rng(seed)

    def draw(alpha: ImageDraw.ImageDraw, color: ImageDraw.ImageDraw) -> None:
        for _ in range(900):
            angle, far = rng.uniform(-math.pi, 0), 95 * rng.uniform(0, 1) ** 0.7
            at = (160 + 1.35 * far * math.cos(angle), 240 + 1.7 * far * math.sin(angle))
            leaf = _leaf(at, rng.uniform(0, math.tau), rng.uniform(9, 20))
            shade = rng.uniform(0.45, 1.2)
            alpha.polygon(leaf, fill=255)
            color.polygon(leaf, fill=tuple(int(shade * c) for c in (78, 122, 42)))

    return _drawn("foliage", draw, _sky(rng), rng, (60, 40, 236, 172))


def strands(seed: int = 1) -> Scene:
    """Hair of a drawn head, in curls and single strands."""
    rng = np.random.default_rng(seed)

    def draw(alpha: ImageDraw.ImageDraw, color: ImageDraw.ImageDraw) -> None:
        for pen, fill in ((alpha, 255), (color, (88, 52, 30))):
            pen.ellipse(_scaled([(95, 90), (225, 260)]), fill=fill)
        steps = np.linspace(0, 1, 14)
        for _ in range(420):
            start, bend = rng.uniform(math.pi * 0.9, math.pi * 2.1), rng.normal(0, 0.35)
            length = 62 + abs(rng.normal(0, 11))
            turns, ways = start + bend * steps**2, length * steps
            curve = list(zip(160 + np.cos(turns) * (ways + 8), 160 + np.sin(turns) * ways * 1.25, strict=True))
            width = int(rng.integers(2, 7))
            shade = rng.uniform(0.7, 1.5)
            alpha.line(_scaled(curve), fill=255, width=width)
            color.line(_scaled(curve), fill=tuple(int(shade * c) for c in (98, 60, 34)), width=width)

    return _drawn("strands", draw, _sky(rng), rng, (70, 60, 246, 192))


Draw = Callable[[ImageDraw.ImageDraw, ImageDraw.ImageDraw], None]


def _drawn(name: str, draw: Draw, back: Tensor, rng: np.random.Generator, view: tuple[int, int, int, int]) -> Scene:
    """A scene from what draws an object's alpha and its colors, with camera noise."""
    height, width = back.shape[1:]
    large = (width * SHARPER, height * SHARPER)
    alpha, color = Image.new("L", large), Image.new("RGB", large, (78, 90, 40))
    draw(ImageDraw.Draw(alpha), ImageDraw.Draw(color))
    covered = torch.from_numpy(np.asarray(alpha.reduce(SHARPER)).copy()).float() / 255
    # where an object covers a part of a pixel, its own color is the mean over that part
    held = Image.composite(color, Image.new("RGB", large), alpha).reduce(SHARPER)
    premultiplied = torch.from_numpy(np.asarray(held).copy()).permute(2, 0, 1).float() / 255
    content = premultiplied + (1 - covered) * back
    noise = torch.from_numpy(rng.normal(0, 0.012, content.shape)).float()
    hull = alpha.reduce(SHARPER).filter(ImageFilter.GaussianBlur(HULL_PX)).point(lambda v: 255 if v > 80 else 0)
    mask = torch.from_numpy(np.asarray(hull).copy()).float() / 255
    return Scene(name, (content + noise).clamp(0, 1), mask, covered, view)


def _sky(rng: np.random.Generator) -> Tensor:
    """A graded sky with soft clouds: (3, 280, 320)."""
    y = torch.linspace(0, 1, 280)[:, None].expand(280, 320)
    sky = torch.stack((0.45 + 0.4 * y, 0.62 + 0.25 * y, 0.88 + 0.04 * y))
    clouds = torch.from_numpy(rng.random((1, 1, 7, 8))).float()
    cover = torch.nn.functional.interpolate(clouds, (280, 320), mode="bicubic")[0, 0].clamp(0, 1) ** 2
    return sky + (0.96 - sky) * cover * 0.7


def _leaf(at: Point, angle: float, length: float) -> list[Point]:
    side = [(t * length, math.sin(math.pi * t**0.8) * length * 0.2) for t in np.linspace(0, 1, 9)]
    outline = side + [(x, -y) for x, y in side[::-1]]
    c, s = math.cos(angle), math.sin(angle)
    return _scaled([(at[0] + c * x - s * y, at[1] + s * x + c * y) for x, y in outline])


def _scaled(points: Outline) -> Outline:
    return [(x * SHARPER, y * SHARPER) for x, y in points]
