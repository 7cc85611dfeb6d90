"""Only what came back otherwise than it was sent is written: the rest keeps the layer's own bits."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gimp_plugin.wire.changes import changes
from gimp_plugin.wire.frames import Plane


def plane(pixels: np.ndarray) -> Plane:
    dtype = {"u1": "U8", "f4": "F32"}[pixels.dtype.str[1:]]
    height, width, channels = pixels.shape
    return Plane(dtype, (height, width, channels), memoryview(pixels.tobytes()))


def write(sent: np.ndarray, received: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a layer that holds other pixels than were sent holds afterwards, and where it was written."""
    layer, is_written = np.zeros_like(sent), np.zeros(sent.shape[:2], bool)
    for change in changes(plane(sent), plane(received)):
        box = np.s_[change.y : change.y + change.height, change.x : change.x + change.width]
        layer[box] = np.frombuffer(change.data, sent.dtype).reshape(layer[box].shape)
        assert not is_written[box].any()
        is_written[box] = True
    return layer, is_written


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 1.0])
def test_every_pixel_that_differs_is_written_and_no_row_that_does_not(dtype: type, share: float) -> None:
    numbers = np.random.default_rng(3)
    for _ in range(40):
        size = numbers.integers(1, 14, 2)
        sent = (numbers.random((*size, 4)) * 200 + 1).astype(dtype)
        differs = numbers.random(size) < share
        received = np.where(differs[..., None], sent + 1, sent).astype(dtype)
        layer, is_written = write(sent, received)
        assert is_written[differs].all() and np.array_equal(layer[is_written], received[is_written])
        assert not is_written[~differs.any(axis=1)].any()


def test_a_painted_rectangle_is_written_and_nothing_around_it() -> None:
    sent = np.full((9, 12, 4), 7, np.uint8)
    received = sent.copy()
    received[2:5, 3:8, 1] = 8
    _layer, is_written = write(sent, received)
    expected = np.zeros((9, 12), bool)
    expected[2:5, 3:8] = True
    np.testing.assert_array_equal(is_written, expected)


def test_the_bits_count_and_not_the_numbers() -> None:
    """A NaN that comes back is the same; minus zero for zero is not."""
    sent = np.zeros((1, 2, 4), np.float32)
    sent[0, 0] = np.nan
    assert not list(changes(plane(sent), plane(sent)))
    received = sent.copy()
    received[0, 1, 0] = -0.0
    ((change),) = changes(plane(sent), plane(received))
    assert (change.x, change.width) == (1, 1)


def test_twelve_megapixels_are_compared_in_no_time() -> None:
    sent = np.random.default_rng(0).integers(0, 255, (3000, 4000, 4), np.uint8)
    one, other = plane(sent), plane(255 - sent)
    for received in (one, other):
        started = time.monotonic()
        assert len(list(changes(one, received))) == (received is other)
        assert time.monotonic() - started < 1.0
