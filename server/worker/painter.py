"""What the worker does with a job: read the request, ask the engine, write the result."""

from __future__ import annotations

import math
import mmap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from engine import __version__, methods
from engine.compute import malloc
from engine.compute.device import memory_errors
from engine.core.errors import Cancelled, SettingsError
from engine.core.progress import heeded
from engine.core.types import Picture, Progress
from engine.files import presets
from engine.pipeline.cache import PaintingCache
from engine.pipeline.digest import digest_of_bytes
from engine.pipeline.shelf import Shelf
from engine.pipeline.stylize import stylize
from engine.segmentation import segment
from gimp_plugin.settings import listed
from gimp_plugin.wire import (
    SEGMENT_REQUEST,
    STYLE_REQUEST,
    Plane,
    SegmentRequest,
    SegmentResult,
    StyleRequest,
    StylizeRequest,
    StylizeResult,
    WireError,
    kind_of,
)
from server.supervisor.spool import put_result
from server.worker import convert
from server.worker.loop import JobCancelled
from server.worker.style_saver import answer_style
from server.worker.terms import in_wire_terms


def catalog() -> dict[str, Any]:
    """What the engine can do, as /v1/catalog and `impasto catalog` tell it."""
    names = [preset.name for preset in presets.presets()]
    return {
        "version": __version__,
        "methods": [
            {
                "name": info.name,
                "title": info.title,
                "paper": info.paper,
                "kind": info.kind,
                "takes": list(info.takes),
                "presets": info.readable(names),
                "is_ready": info.is_ready,
                "options": [
                    {
                        **{"name": o.name, "default": o.default, "choices": list(o.choices), "meaning": o.meaning},
                        **{"low": finite(o.low), "high": finite(o.high), "names": o.names},
                    }
                    for o in info.options
                ],
            }
            for info in methods.catalog()
        ],
        "settings": listed(),
        "styles": [{"name": p.name, "title": p.title, "artist": p.artist, "year": p.year} for p in presets.presets()],
        "segment_models": list(segment.model_names()),
    }


def finite(limit: float) -> float | None:
    """A limit as JSON can say it; None = there is none."""
    return limit if math.isfinite(limit) else None


class Painter:
    """Paints jobs, and remembers the last paintings for requests that only want other colors or another edge.

    Args:
        cache: where they are kept.
        shelf: a folder where they outlive this process, if they are to and ``cache`` is not given.
    """

    def __init__(self, cache: PaintingCache | None = None, shelf: Path | None = None) -> None:
        self.cache = PaintingCache(shelf=None if shelf is None else Shelf(shelf)) if cache is None else cache

    def paint(self, request_path: Path, result_path: Path, on_progress: Callable[[float, str], None]) -> None:
        """Run one job from file to file.

        Raises:
            WireError: anything the user should know.
            JobCancelled: raised by ``on_progress``, passed on.
        """
        try:
            with in_wire_terms(), memory_errors("this picture"):
                view = mapped(request_path)
                kind = kind_of(view)
                if kind == SEGMENT_REQUEST:
                    put_result(result_path, find(SegmentRequest.unpack(view), on_progress).pack())
                elif kind == STYLE_REQUEST:
                    put_result(result_path, answer_style(StyleRequest.unpack(view)).pack())
                else:
                    put_result(result_path, answer(StylizeRequest.unpack(view), on_progress, self.cache).pack())
        except WireError as error:
            if error.code == "out_of_memory":
                self.cache.clear()  # the next try has that much more
            raise

    def rest(self) -> None:
        """Nothing has come for a while: what is free goes back to the system, what may be asked for again stays."""
        malloc.give_back()


def mapped(path: Path) -> memoryview:
    """A file's bytes, which stay on the disk until they are used."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))  # torch wants memory it could write to


def answer(
    request: StylizeRequest, on_progress: Callable[[float, str], None], cache: PaintingCache | None = None
) -> StylizeResult:
    """The engine's result for a request, its errors in the wire's terms."""
    with in_wire_terms(), memory_errors("this picture"), heeded(as_progress(on_progress)) as tell:
        began = time.perf_counter()
        content, mask = content_of(request.content, cache), convert.mask_of(request.mask)
        if cache is not None and mask is not None and request.mask is not None:
            cache.sources[mask.weight] = digest_of_bytes(request.mask.dtype, request.mask.data)
        entries = [convert.style_of(entry) for entry in request.styles]
        settings = convert.settings_of(request)
        series, regions = convert.series_of(request), convert.regions_of(request, entries[0])
        converted = time.perf_counter()
        done = stylize(
            content, entries, settings, mask=mask, regions=regions, on_progress=tell, cache=cache, series=series
        )
        painted = time.perf_counter()
        done.report["notes"] += convert.notes_on_codes(request.styles, entries)
        plane = convert.plane_of(done.picture, request.content)
        edge = None
        if done.mask is not None and request.mask is not None:
            edge = convert.weight_plane_of(done.mask.weight, request.mask.dtype)
        seconds = converted - began + time.perf_counter() - painted
        done.report["seconds"]["convert"] = round(seconds, 4)
        used = done.report["options"]  # a network is told by the name that was asked for, not by its path
        used |= {name: asked for name, asked in request.settings["options"].items() if isinstance(used.get(name), str)}
        return StylizeResult(plane, done.report, edge)


def content_of(plane: Plane, cache: PaintingCache | None) -> Picture:
    """A request's content, from the last request if it had the same."""
    if cache is None:
        return convert.picture_of(plane)
    return cache.content(plane.data, f"{plane.dtype} {plane.shape}", lambda: convert.picture_of(plane))


def find(request: SegmentRequest, on_progress: Callable[[float, str], None]) -> SegmentResult:
    """The object that a request means, its errors in the wire's terms."""
    with in_wire_terms(), memory_errors("finding an object in this picture"), heeded(as_progress(on_progress)) as tell:
        began = time.perf_counter()
        edge = cast(segment.Edge, request.edge)
        lasso = convert.mask_of(request.lasso)
        region = None if lasso is None else lasso.weight >= 0.5
        prompt = segment.Prompt(request.box, request.points, request.others, region)
        picture = convert.picture_of(request.content)
        if request.model not in segment.model_names():  # a path would let a request name files of this computer
            raise SettingsError(f"There is no model {request.model!r}; there is {', '.join(segment.model_names())}.")
        found = segment.find_object(picture, prompt, request.model, edge, tell)
        mask = convert.weight_plane_of(found.mask, request.content.dtype)
        report = {
            "model": found.model,
            "box": list(found.box),
            "area": round(found.area, 5),
            "quality": found.quality,
            "notes": list(found.notes),
            "seconds": round(time.perf_counter() - began, 4),
        }
        return SegmentResult(mask, report)


def as_progress(on_progress: Callable[[float, str], None]) -> Progress:
    """The worker's callback as the engine's: a job that is to stop leaves the engine as ``Cancelled``."""

    def tell(share: float, message: str) -> None:
        try:
            on_progress(share, message)
        except JobCancelled as outcome:
            raise Cancelled("Cancelled.") from outcome

    return tell
