"""Samples of a series: exactly what the engine would have kept of the whole pictures."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.pipeline.series import sample as sample_in_engine
from gimp_plugin.wire.frames import Plane
from gimp_plugin.wire.samples import sample, series_of
from server.worker.convert import picture_of

SIZES = [(300, 900), (801, 1000), (256, 769), (255, 2000), (768, 768), (3, 5)]


@pytest.mark.parametrize("dtype", ["U8", "F32"])
@pytest.mark.parametrize("size", SIZES)
def test_the_engine_keeps_the_same_of_a_sample_as_of_the_picture(size: tuple[int, int], dtype: str) -> None:
    values = np.random.default_rng(0).random((*size, 4))
    pixels = (values * 255).astype(np.uint8) if dtype == "U8" else values.astype(np.float32)
    plane = Plane(dtype, (*size, 4), bytearray(pixels.tobytes()))
    sent = sample(plane)
    whole, part = (sample_in_engine(picture_of(x)).rgb for x in (plane, replace(sent, data=bytearray(sent.data))))
    assert torch.equal(whole, part)


def test_a_large_picture_is_sent_in_a_small_part() -> None:
    plane = Plane("U8", (3000, 4000, 4), bytes(48_000_000))
    assert len(sample(plane).data) == 768 * 768 * 4


@pytest.mark.parametrize("n", [1, 2, 16, 17, 40, 300])
def test_of_many_pictures_some_stand_for_all(n: int) -> None:
    planes = [Plane("U8", (1, 1, 4), number.to_bytes(4)) for number in range(n)]
    chosen = [int.from_bytes(plane.data) for plane in series_of(planes)]
    assert len(chosen) == min(n, 16) == len(set(chosen))
    assert chosen == sorted(chosen) and chosen[0] == 0 and chosen[-1] == n - 1
    steps = [b - a for a, b in itertools.pairwise(chosen)]
    assert max(steps, default=0) - min(steps, default=0) <= 1
