"""Real photos, as the engine takes them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from skimage import data
from torch.nn import functional as F

from engine.compute import precision
from engine.core.types import Mask, Picture


def as_picture(pixels: np.ndarray, longest_px: int) -> Picture:
    """An (H, W, 3) byte array as a Picture of a given longest side."""
    rgb = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()[None] / 255
    size = [round(side * longest_px / max(rgb.shape[2:])) for side in rgb.shape[2:]]
    return Picture(F.interpolate(rgb, size, mode="bilinear", antialias=True)[0])


@pytest.fixture(scope="session")
def cat() -> Picture:
    """A cat: (3, 170, 256)."""
    return as_picture(data.chelsea(), 256)


@pytest.fixture(scope="session")
def portrait() -> Picture:
    """An astronaut: (3, 256, 256)."""
    return as_picture(data.astronaut(), 256)


@pytest.fixture(scope="session")
def coffee() -> Picture:
    """A cup of coffee, warm and smooth: (3, 171, 256)."""
    return as_picture(data.coffee(), 256)


@pytest.fixture(scope="session")
def disc() -> Mask:
    """A soft disc for the cat: 1 inside, 0 outside, a ramp of 12 px."""
    y, x = torch.meshgrid(torch.arange(170.0), torch.arange(256.0), indexing="ij")
    distance = ((y - 85) ** 2 + (x - 128) ** 2).sqrt()
    return Mask(((66 - distance) / 12).clamp(0, 1), "disc")


@pytest.fixture(scope="session", autouse=True)
def usual_arithmetic() -> Iterator[None]:
    """float32 on every computer: promises about single values must not depend on which arithmetic is fastest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "recall", lambda: precision.USUAL)
        yield
