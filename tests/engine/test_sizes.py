"""A picture may have any side: what limits it is how many pixels it has."""

from __future__ import annotations

import pytest
import torch

from engine import methods
from engine.core.limits import MAX_PIXELS
from engine.core.types import Mask, Picture, Settings, Style
from engine.pipeline.stylize import stylize
from gimp_plugin.wire import ITEM_BYTES, plane_bytes
from server.supervisor.app import MAX_BODY_BYTES, too_large

FAST = {
    "gatys": {"iterations": 2, "scales": 1},
    "cnnmrf": {"iterations": 2, "scales": 1},
    "analogy": {"iterations": 0},
}
READY = [info.name for info in methods.catalog() if info.is_ready]
TINY = [(1, 1), (3, 5), (500, 1), (1, 500)]  # (H, W)


def noise(height: int, width: int) -> Picture:
    return Picture(torch.rand(3, height, width, generator=torch.Generator().manual_seed(height)))


@pytest.mark.slow
@pytest.mark.parametrize("method", READY)
def test_every_method_paints_what_is_thinner_than_its_windows(method: str) -> None:
    style, options = noise(40, 48), FAST.get(method, {})
    for height, width in TINY:
        content = noise(height, width)
        for settings in (
            Settings(method=method, options=options),
            Settings(method=method, options=options, strength=0.5),
        ):
            painted = stylize(content, [Style("s", style)], settings).picture.rgb
            assert tuple(painted.shape) == (3, height, width) and bool(torch.isfinite(painted).all())


@pytest.mark.slow
@pytest.mark.parametrize("size", [(100, 10_000), (90, 8000), (2100, 70)])
@pytest.mark.parametrize(
    "change", [{}, {"color": "luminance"}, {"color": "match"}, {"photoreal": 1.0}, {"blend": "mrf"}]
)
def test_panoramas_are_painted_at_their_own_size(size: tuple[int, int], change: dict[str, object]) -> None:
    content, weight = noise(*size), torch.zeros(size)
    weight[: size[0] // 2, : size[1] // 2] = 1
    mask = Mask(weight) if change.get("blend") else None
    painted = stylize(content, [Style("s", noise(64, 64))], Settings(**change), mask=mask).picture.rgb  # type: ignore[arg-type]
    assert tuple(painted.shape) == (3, *size) and bool(torch.isfinite(painted).all())
    assert not torch.equal(painted, content.rgb)


@pytest.mark.parametrize("size", [(1, 64), (2000, 3)])
def test_a_style_may_be_as_thin(size: tuple[int, int], cat: Picture) -> None:
    assert stylize(cat, [Style("s", noise(*size))]).picture.size == cat.size


def test_100_megapixels_can_be_sent_in_8_and_16_bits_with_a_mask() -> None:
    for shape in ((10_000, 10_000), (1000, 100_000), (100_000_000, 1)):
        assert shape[0] * shape[1] <= MAX_PIXELS
        for dtype in ("U8", "U16", "F16"):
            assert plane_bytes(dtype, (*shape, 4)) + plane_bytes(dtype, shape) < MAX_BODY_BYTES
    assert MAX_PIXELS * 4 * ITEM_BYTES["F32"] < MAX_BODY_BYTES
    assert "3.2 GB" in too_large(3_200_000_000) and "2.1 GB" in too_large(3_200_000_000)
