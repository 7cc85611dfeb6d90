"""Requests for the real engine: a picture that has something of everything, and a style."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from benchmarks.landscape import make_landscape
from gimp_plugin import wire

REAL_WORKER = "server.worker.process"


@lru_cache(maxsize=4)
def plane(side_px: int, seed: int) -> wire.Plane:
    """(side, side, 4) U8."""
    rgb = make_landscape(side_px, side_px, seed)[0].mul(255).round().byte()  # (3, H, W)
    rgba = rgb.new_full((side_px, side_px, 4), 255)
    rgba[..., :3] = rgb.permute(1, 2, 0)
    return wire.Plane("U8", tuple(rgba.shape), rgba.numpy().tobytes())


def request(side_px: int = 64, seed: int = 0, **settings: Any) -> wire.StylizeRequest:
    """A picture in the style of another."""
    style = wire.StyleEntry("style", picture=plane(min(side_px, 512), 100))
    return wire.StylizeRequest(plane(side_px, seed), (style,), **settings)
