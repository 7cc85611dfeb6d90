"""How long a request will take, roughly: so that a short one need not wait behind a long one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gimp_plugin.settings import DEFAULT_METHOD
from gimp_plugin.wire import MAX_HEADER_BYTES, SEGMENT_REQUEST, STYLE_REQUEST

SHORT_S, LONG_S = 12.0, 20.0
# Seconds a megapixel on two cores. Only the order of them counts: another computer is faster at all of them.
METHOD_S_PER_MPX: Mapping[str, float] = {
    DEFAULT_METHOD: 2.0,
    "johnson": 3.0,
    "ulyanov": 3.0,
    "msgnet": 6.0,
    "wct": 20.0,
}
QUALITY_S_PER_MPX: Mapping[str, float] = {"fast": 0.0, "better": 60.0, "best": 240.0}
USUAL_S_PER_MPX = 60.0  # what optimizes, or is not known here
FIXED_S: Mapping[str, float] = {SEGMENT_REQUEST: 3.0, STYLE_REQUEST: 0.5}


def expected_s(path: Path) -> float:
    """Seconds that a spooled request will take; 0 for one that will be refused at once.

    Args:
        path: its frame. Only the header is read.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, MAX_HEADER_BYTES)))
        info = header["__metadata__"]
        if info["impasto"] in FIXED_S:
            return FIXED_S[info["impasto"]]
        return _seconds(json.loads(info["meta"])["settings"], header["content"]["shape"])
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
        return 0.0


def _seconds(settings: Mapping[str, Any], shape: list[int]) -> float:
    height, width = int(shape[0]), int(shape[1])
    scale = min(1.0, int(settings.get("size_px") or max(height, width)) / max(height, width))
    megapixels = height * width * scale**2 / 1e6
    rate = METHOD_S_PER_MPX.get(settings["method"], USUAL_S_PER_MPX)
    rate += QUALITY_S_PER_MPX.get(settings.get("quality", "fast"), 0.0)
    seconds = megapixels * rate
    return seconds if math.isfinite(seconds) else 0.0
