"""The demo's sample: a photo that comes with scikit-image, and the outline of the object in it.

The photo is "Coffee" by Pikolo Espresso Bar / Rachel Michetti, given to the public domain (CC0).
"""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFilter

Point = tuple[float, float]

OVERSAMPLING = 4
SOFTNESS_PX = 1.2

# Fitted to points set by hand along the edges: center x, y, semi-axes, turn in radians.
SAUCER = (276.8, 220.2, 200.8, 168.3, 0.111)
CUP_RIM = (290.5, 111.5, 117.1, 94.0, 0.124)
SPOON_HANDLE = ((398, 72), (406, 66), (419, 67), (425, 75), (423, 95), (414, 125), (400, 150))


def load_photo() -> Image.Image:
    """The sample photo, RGB, 600 x 400."""
    from skimage import data  # noqa: PLC0415  (the demo's own extra)

    return Image.fromarray(data.coffee())


def draw_mask(size: tuple[int, int]) -> Image.Image:
    """The cup with its saucer and spoon as a soft selection.

    Args:
        size: width, height of the photo in pixels.

    Returns:
        8-bit gray, 255 = selected.
    """
    mask = Image.new("L", (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING))
    pen = ImageDraw.Draw(mask)
    for outline in (_ellipse(*SAUCER), _ellipse(*CUP_RIM), SPOON_HANDLE):
        pen.polygon([(x * OVERSAMPLING, y * OVERSAMPLING) for x, y in outline], fill=255)
    return mask.resize(size, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(SOFTNESS_PX))


def _ellipse(x: float, y: float, a: float, b: float, turn: float) -> list[Point]:
    angles = [2 * math.pi * i / 360 for i in range(360)]
    cos, sin = math.cos(turn), math.sin(turn)
    return [
        (x + a * math.cos(t) * cos - b * math.sin(t) * sin, y + a * math.cos(t) * sin + b * math.sin(t) * cos)
        for t in angles
    ]
