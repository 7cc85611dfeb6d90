"""Pictures in which it is known what belongs to the object: outlines drawn by hand in sample photos, and cut-outs of
these photos laid on other ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from skimage import data

SUPERSAMPLING = 4

# Corners (x, y) in pixels of the photo, or the box of an ellipse as two corners.
SAUCER = (
    (180, 71), (198, 51), (234, 27), (276, 18), (318, 21), (360, 36), (390, 60), (399, 71), (414, 66), (424, 73),
    (420, 90), (418, 107), (435, 123), (456, 150), (471, 186), (479, 225), (474, 258), (456, 294), (426, 330),
    (384, 363), (336, 383), (288, 389), (240, 385), (192, 371), (150, 345), (117, 312), (93, 276), (81, 240),
    (78, 204), (89, 162), (111, 123), (144, 90),
)  # fmt: skip
ROCKET = (
    (322, 128), (331, 138), (335, 154), (335, 237), (333, 320), (333, 358), (331, 406), (314, 406), (312, 358),
    (311, 320), (311, 237), (310, 183), (312, 154), (314, 138),
)  # fmt: skip
SHUTTLE = (
    (406, 0), (422, 0), (432, 20), (436, 45), (443, 40), (452, 50), (455, 65), (455, 195), (456, 270), (472, 281),
    (420, 290), (369, 281), (378, 271), (368, 266), (382, 226), (355, 220), (358, 205), (378, 179), (379, 113),
    (381, 56), (387, 41), (394, 49), (397, 20),
)  # fmt: skip
NAME_TAG = ((279, 340), (329, 346), (326, 378), (281, 372))
ASTRONAUT = (
    (236, 15), (266, 25), (292, 44), (302, 77), (300, 105), (287, 128), (270, 136), (258, 172), (287, 197), (303, 225),
    (304, 240), (328, 243), (348, 266), (354, 307), (365, 343), (384, 345), (410, 343), (440, 351), (471, 374),
    (489, 404), (497, 440), (504, 456), (511, 470), (511, 511), (26, 511), (20, 476), (23, 435), (18, 404), (23, 358),
    (26, 328), (38, 287), (51, 261), (77, 233), (112, 205), (112, 189), (123, 179), (128, 159), (148, 149), (179, 149),
    (183, 133), (171, 128), (160, 107), (153, 77), (159, 54), (184, 38), (205, 20),
)  # fmt: skip
PATCH = ((133, 348), (208, 423))
LEFT_EYE, RIGHT_EYE = ((135, 86), (207, 147)), ((295, 110), (342, 164))


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and its object.

    Args:
        rgb: (H, W, 3) bytes.
        mask: (H, W) in [0, 1].
    """

    name: str
    rgb: np.ndarray
    mask: np.ndarray

    def loose_box(self, looseness: float = 0.1) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) around the object, each side moved outward by a share of its length."""
        rows, columns = np.flatnonzero((self.mask > 0.5).any(1)), np.flatnonzero((self.mask > 0.5).any(0))
        height, width = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
        up, left = round(looseness * height), round(looseness * width)
        return (
            max(0, int(columns[0]) - left),
            max(0, int(rows[0]) - up),
            min(self.rgb.shape[1], int(columns[-1]) + 1 + left),
            min(self.rgb.shape[0], int(rows[-1]) + 1 + up),
        )


def iou(found: np.ndarray, true: np.ndarray) -> float:
    """Intersection over union of two masks cut at one half."""
    a, b = found >= 0.5, true >= 0.5
    return float((a & b).sum() / max(1, (a | b).sum()))


def outline(size: tuple[int, int], corners: tuple[tuple[int, int], ...]) -> np.ndarray:
    """(H, W) in [0, 1]: a polygon, or the ellipse in a box of two corners, with an anti-aliased edge."""
    height, width = size
    image = Image.new("L", (width * SUPERSAMPLING, height * SUPERSAMPLING))
    points = [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in corners]
    draw = ImageDraw.Draw(image)
    if len(points) == 2:
        draw.ellipse([*points[0], *points[1]], fill=255)
    else:
        draw.polygon(points, fill=255)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float32) / 255


def photos() -> Iterator[Scene]:
    """Sample photos with an object in each."""
    for name, rgb, corners in (
        ("saucer", data.coffee(), SAUCER),
        ("rocket", data.rocket(), ROCKET),
        ("shuttle", data.astronaut(), SHUTTLE),
        ("name tag", data.astronaut(), NAME_TAG),
        ("patch", data.astronaut(), PATCH),
        ("astronaut", data.astronaut(), ASTRONAUT),
        ("left eye", data.chelsea(), LEFT_EYE),
        ("right eye", data.chelsea(), RIGHT_EYE),
    ):
        yield Scene(name, rgb, outline(rgb.shape[:2], corners))


def composites() -> Iterator[Scene]:
    """Cut-outs of photos, and silhouettes filled with them, on other photos; exact masks."""
    grass, brick, gravel = (np.repeat(texture()[..., None], 3, 2) for texture in (data.grass, data.brick, data.gravel))
    chelsea, coffee, rocket, astronaut = data.chelsea(), data.coffee(), data.rocket(), data.astronaut()
    horse = (~data.horse()).astype(np.float32)
    person, cup = outline((512, 512), ASTRONAUT), outline((400, 600), SAUCER)
    tinted = {name: _tinted(texture, tint) for name, texture, tint in (
        ("meadow", grass, (0.55, 0.85, 0.3)), ("wall", brick, (1.0, 0.62, 0.5)), ("beach", gravel, (1.0, 0.9, 0.7)),
    )}  # fmt: skip
    yield _laid("saucer on a meadow", coffee, cup, tinted["meadow"], 0.7)
    yield _laid("saucer on a beach", coffee, cup, tinted["beach"], 0.6)
    yield _laid("saucer in the sky", coffee, cup, rocket, 0.55)
    yield _laid("saucer on a cat", coffee, cup, chelsea, 0.5)
    yield _laid("astronaut at a wall", astronaut, person, tinted["wall"], 0.8, at=(0.5, 1.0))
    yield _laid("astronaut on a meadow", astronaut, person, tinted["meadow"], 0.7, at=(0.4, 1.0))
    yield _laid("astronaut at night", astronaut, person, rocket, 0.75, at=(0.5, 1.0))
    yield _laid("horse of fur on a meadow", chelsea, horse, tinted["meadow"], 0.75)
    yield _laid("horse of fur at a wall", chelsea, horse, tinted["wall"], 0.75)
    yield _laid("horse of brick on gravel", tinted["wall"], horse, gravel, 0.7)
    yield _laid("horse of gravel in the sky", gravel, horse, rocket, 0.6)
    yield _laid("horse of grass on coffee", tinted["meadow"], horse, coffee, 0.6)
    yield _laid("eye on a beach", chelsea, outline((300, 451), LEFT_EYE), tinted["beach"], 0.5)
    yield _laid("rocket over the grass", rocket, outline((427, 640), ROCKET), tinted["meadow"], 0.8)
    yield _laid("rocket at a wall", rocket, outline((427, 640), ROCKET), tinted["wall"], 0.8)


def _tinted(texture: np.ndarray, tint: tuple[float, float, float]) -> np.ndarray:
    return (texture * np.array(tint)).astype(np.uint8)


def _laid(
    name: str,
    source: np.ndarray,
    mask: np.ndarray,
    ground: np.ndarray,
    share: float,
    at: tuple[float, float] = (0.5, 0.5),
) -> Scene:
    """An object of a photo on another one.

    Args:
        source: (H, W, 3), scaled to the mask's size.
        mask: (H, W).
        ground: (H', W', 3).
        share: of the ground's height or width, whichever the object fills first.
        at: where it lies in the room that is left, (across, down).
    """
    rows, columns = np.flatnonzero((mask > 0).any(1)), np.flatnonzero((mask > 0).any(0))
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    filling = Image.fromarray(source).resize((mask.shape[1], mask.shape[0]), Image.Resampling.BILINEAR).crop(box)
    shape = Image.fromarray((mask * 255).astype(np.uint8)).crop(box)
    height, width = ground.shape[:2]
    scale = share * min(height / shape.height, width / shape.width)
    size = (round(shape.width * scale), round(shape.height * scale))
    filling, shape = (image.resize(size, Image.Resampling.LANCZOS) for image in (filling, shape))
    left, top = round(at[0] * (width - size[0])), round(at[1] * (height - size[1]))
    whole = Image.new("L", (width, height))
    whole.paste(shape, (left, top))
    soft = whole.filter(ImageFilter.GaussianBlur(0.7))  # no lens draws an edge harder than that
    picture = Image.fromarray(ground)
    front = picture.copy()
    front.paste(filling, (left, top))
    picture.paste(front, (0, 0), soft)
    return Scene(name, np.asarray(picture), np.asarray(soft, np.float32) / 255)
