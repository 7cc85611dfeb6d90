"""At every precision of the wire, what is not painted comes back to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gimp_plugin.wire import Plane, StyleEntry, StylizeRequest
from server.worker.painter import answer

HEIGHT, WIDTH = 48, 80
TYPES: dict[str, Any] = {"U8": np.uint8, "U16": np.uint16, "F16": np.float16, "F32": np.float32}
STYLE = Plane("U8", (64, 64, 4), bytearray(range(256)) * 64)


def pixels_of(dtype: str) -> np.ndarray:
    """Every value that there is, for integers; for floats those of a wide gamut, tiny ones and both zeros."""
    n = HEIGHT * WIDTH * 4
    if dtype.startswith("U"):
        values = np.arange(n, dtype=np.int64) * 7919 % (np.iinfo(TYPES[dtype]).max + 1)
    else:
        values = np.random.default_rng(0).uniform(-0.6, 2.2, n)
        values[::97], values[1::97], values[2::97] = -0.0, 0.0, 6e-8
    pixels = values.astype(TYPES[dtype]).reshape(HEIGHT, WIDTH, 4)
    pixels[..., 3] = np.iinfo(TYPES[dtype]).max if dtype.startswith("U") else 1
    return pixels


def painted(pixels: np.ndarray, dtype: str, mask: np.ndarray | None = None, **settings: Any) -> np.ndarray:
    request = StylizeRequest(
        Plane(dtype, pixels.shape, bytearray(pixels.tobytes())),
        (StyleEntry("s", picture=STYLE),),
        None if mask is None else Plane("U8", mask.shape, bytearray(mask.tobytes())),
        **settings,
    )
    result = answer(request, lambda _share, _text: None)
    return np.frombuffer(result.picture.data, TYPES[dtype]).reshape(pixels.shape)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("color", ["style", "luminance"])
def test_strength_0_is_the_source(dtype: str, color: str) -> None:
    pixels = pixels_of(dtype)
    pixels[5:9, :, 3] = 0
    result = painted(pixels, dtype, strength=0.0, color=color, photoreal=0.5)
    assert result.tobytes() == pixels.tobytes()


@pytest.mark.parametrize("dtype", TYPES)
def test_outside_the_mask_is_the_source(dtype: str) -> None:
    pixels, mask = pixels_of(dtype), np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:30, 20:50] = 255
    result = painted(pixels, dtype, mask, strength=0.7)
    assert result[mask == 0].tobytes() == pixels[mask == 0].tobytes()
    assert result[mask > 0].tobytes() != pixels[mask > 0].tobytes()


@pytest.mark.parametrize("dtype", ["F16", "F32"])
def test_between_the_two_the_source_keeps_its_range(dtype: str) -> None:
    pixels = pixels_of(dtype)
    full, half = painted(pixels, dtype), painted(pixels, dtype, strength=0.5)
    expected = (pixels.astype(float) + full.astype(float)) / 2
    np.testing.assert_allclose(half[..., :3].astype(float), expected[..., :3], atol=2e-3)
    assert half.max() > 1.05 and half.min() < 0
