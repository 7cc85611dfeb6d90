"""What the worker makes of a request, with the real engine: the mask that blends, and paintings that are at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.core.errors import ResourceError
from engine.pipeline.cache import PaintingCache
from gimp_plugin.wire import Plane, StyleEntry, StylizeRequest, StylizeResult, WireError
from server.worker import convert, painter
from server.worker.painter import Painter, answer

HEIGHT, WIDTH = 72, 96
SCALE = {"U8": 255, "U16": 65535, "F16": 1, "F32": 1}
NUMPY: dict[str, Any] = {"U8": np.uint8, "U16": np.uint16, "F16": np.float16, "F32": np.float32}


def plane_of(values: np.ndarray, dtype: str) -> Plane:
    """Values in [0, 1] as a plane."""
    data = np.rint(values * SCALE[dtype]) if SCALE[dtype] > 1 else values
    return Plane(dtype, values.shape, bytearray(data.astype(NUMPY[dtype]).tobytes()))


def values_of(plane: Plane) -> np.ndarray:
    return np.frombuffer(plane.data, NUMPY[plane.dtype]).reshape(plane.shape) / SCALE[plane.dtype]


def a_request(dtype: str = "U8", **more: Any) -> StylizeRequest:
    """A bright disc on a dark ground, selected a little too large and softly."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(y - HEIGHT / 2, x - WIDTH / 2)
    pixels = np.ones((HEIGHT, WIDTH, 4))
    pixels[..., :3] = np.where(distance[..., None] < 20, (0.9, 0.8, 0.3), (0.1, 0.2, 0.4))
    mask = np.clip((24 - distance) / 4, 0, 1)
    return StylizeRequest(
        plane_of(pixels, dtype), (StyleEntry("wave", preset="great-wave"),), plane_of(mask, dtype), **more
    )


def quiet(_share: float, _message: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize("dtype", sorted(SCALE))
def test_the_mask_that_blends_comes_back_in_the_type_of_the_one_that_was_sent(dtype: str) -> None:
    request = a_request(dtype, blend="hard", composite=False)
    result = answer(request, quiet)
    assert request.mask is not None and result.mask is not None
    assert (result.mask.dtype, result.mask.shape) == (dtype, request.mask.shape)
    np.testing.assert_array_equal(values_of(result.mask), values_of(request.mask) >= 0.5)


def test_without_another_edge_there_is_no_mask_to_send_back() -> None:
    assert answer(a_request(), quiet).mask is None


def test_the_objects_edge_is_found_and_composited() -> None:
    request = a_request(blend="mrf")
    painted = values_of(answer(request, quiet).picture)
    content = values_of(request.content)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(y - HEIGHT / 2, x - WIDTH / 2)
    moved = np.abs(painted - content).max(-1)
    assert moved[distance > 32].max() == 0
    assert moved[(distance > 22.5)].max() < 0.02  # selected, but not of the disc
    assert moved[distance < 17].mean() > 0.05


def painted_by(one: Painter, request: StylizeRequest, folder: Path) -> StylizeResult:
    """From file to file, as the worker does it."""
    (folder / "request").write_bytes(b"".join(request.pack()))
    (folder / "result").unlink(missing_ok=True)
    one.paint(folder / "request", folder / "result", quiet)
    return StylizeResult.unpack((folder / "result").read_bytes())


def test_a_worker_does_not_paint_the_same_picture_twice(tmp_path: Path) -> None:
    """And what it sends for another color mode is what a fresh one sends, to the bit."""
    one = Painter()
    assert not painted_by(one, a_request(), tmp_path).report["reused"]
    for more in (
        {},
        {"color": "luminance"},
        {"color": "match", "color_map": "histogram"},
        {"blend": "mrf"},
        {"strength": 0.5},
    ):
        again, fresh = (painted_by(who, a_request(**more), tmp_path) for who in (one, Painter()))
        assert again.report["reused"] and not fresh.report["reused"]
        assert bytes(again.picture.data) == bytes(fresh.picture.data)
    assert not painted_by(one, a_request(style_size_px=300), tmp_path).report["reused"]


def test_a_picture_that_differs_by_one_step_of_one_value_is_painted_anew(tmp_path: Path) -> None:
    one, request = Painter(), a_request()
    painted_by(one, request, tmp_path)
    data = bytearray(request.content.data)
    data[0] ^= 1
    other = replace(request, content=replace(request.content, data=memoryview(data)))
    assert not painted_by(one, other, tmp_path).report["reused"]
    assert painted_by(one, other, tmp_path).report["reused"]


def test_when_memory_is_short_the_paintings_at_hand_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PaintingCache()
    one = Painter(cache)
    painted_by(one, a_request(), tmp_path)
    assert len(cache) == 1

    def too_much(*_args: Any, **_more: Any) -> None:
        raise ResourceError("There is not enough memory for this picture.")

    monkeypatch.setattr(painter, "stylize", too_much)
    with pytest.raises(WireError, match="not enough memory"):
        painted_by(one, a_request(seed=1), tmp_path)
    assert len(cache) == 0


def test_every_setting_of_a_request_reaches_the_engine() -> None:
    request = a_request(color="match", color_map="cholesky", blend="mrf", composite=False, photoreal=0.5, seed=3)
    settings = convert.settings_of(request)
    for name in ("color", "color_map", "blend", "composite", "photoreal", "seed", "method", "strength"):
        assert getattr(settings, name) == request.settings[name]
