"""A worker without torch, for tests of everything around it: the real loop, and a painter that obeys the style's name.

``invert`` (default) inverts the colors; ``sleep SECONDS`` reports progress meanwhile; ``deaf SECONDS`` does not look at
its progress callback; ``crash`` kills the process; ``fault`` raises; ``full`` finds no room on the disk.
"""

from __future__ import annotations

import errno
import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gimp_plugin.wire import (
    SEGMENT_REQUEST,
    STYLE_REQUEST,
    Plane,
    SegmentRequest,
    SegmentResult,
    StyleRequest,
    StyleResult,
    StylizeRequest,
    StylizeResult,
    kind_of,
)
from server.supervisor.spool import disk_error, put_result
from server.worker.loop import Worker
from server.worker.process import claim_stdout

PRESETS = ("invert", "any", "preset", "same", "starry-night")
CATALOG = {
    **{"version": "0", "methods": [{"name": "anystyle"}], "styles": [{"name": name} for name in PRESETS]},
    "segment_models": [],
}


def paint(request_path: Path, result_path: Path, on_progress: Callable[[float, str], None]) -> None:
    """Do what the first style's name says."""
    with request_path.open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if kind_of(view) == STYLE_REQUEST:
        put_result(result_path, looked_at(StyleRequest.unpack(view)).pack())
        return
    if kind_of(view) == SEGMENT_REQUEST:
        put_result(result_path, left_half(SegmentRequest.unpack(view)).pack())
        return
    request = StylizeRequest.unpack(view)
    what, _, amount = request.styles[0].name.partition(" ")
    end = time.monotonic() + float(amount or 0)
    while what == "sleep" and time.monotonic() < end:
        on_progress(1 - (end - time.monotonic()) / float(amount), "Sleeping")
        time.sleep(0.02)
    if what == "deaf":
        time.sleep(float(amount))
    if what == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "fault":
        raise ZeroDivisionError(f"secret {request_path}")
    if what == "full":
        raise disk_error(OSError(errno.ENOSPC, "full"))
    content = request.content
    data = content.data if what == "same" else bytes(content.data).translate(bytes(range(255, -1, -1)))
    report: dict[str, Any] = {"method": what}
    if (selection := request.mask) is not None and selection.dtype == "U8":
        share = sum(bytes(selection.data)) / 255 / len(selection.data)
        report["notes"] = [f"about {share:.0%} of it is selected"]
    if len(request.styles) > 1:
        report["notes"] = [f"mixed of {', '.join(f'{style.name} {style.weight:g}' for style in request.styles)}"]
    put_result(result_path, StylizeResult(Plane(content.dtype, content.shape, data), report).pack())


def left_half(request: SegmentRequest) -> SegmentResult:
    """Whatever is clicked."""
    height, width = request.content.height, request.content.width
    row = b"\xff" * (width // 2) + b"\0" * (width - width // 2)
    report = {"model": "half", "box": [0, 0, width // 2, height], "area": 0.5, "quality": None, "seconds": 0.0}
    return SegmentResult(Plane("U8", (height, width), row * height), report)


def looked_at(request: StyleRequest) -> StyleResult:
    """Its first pixel as code, swatch and thumbnail."""
    pixel = bytes(request.content.data[:3])
    code = Plane("F32", (1, 3), struct.pack("<3f", *pixel))
    swatch = Plane("U8", (1, 1, 3), pixel)
    return StyleResult(code, {"title": request.title, "network": "fake:" + "0" * 16}, swatch, swatch)


if __name__ == "__main__":
    Worker(sys.stdin, claim_stdout()).run(paint, CATALOG)
