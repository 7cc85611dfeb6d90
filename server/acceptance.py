"""What of a request can be judged before a job is taken: its form, and what it asks for, by the engine's catalog.

The supervisor has no engine, but its worker told it what there is. A request that passes here may still fail on its
pixels, which only the worker looks at.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gimp_plugin.wire import SEGMENT_REQUEST, SegmentRequest, StylizeRequest, WireError, kind_of

LIGHTEST, HEAVIEST = 1e-6, 1e6  # shares of styles; as engine.types.WEIGHTS (a test compares them)
MAX_NAMES = 12  # that a message lists


def check_spooled(path: Path, catalog: Mapping[str, Any] | None) -> None:
    """Judge a request that lies in a file; its planes stay on the disk.

    Args:
        path: of the frame.
        catalog: what the worker said; None = it is still starting, then only the form is judged.

    Raises:
        WireError: "bad_request", or "unprocessable" where the form is right.
        OSError: the file cannot be read.
    """
    problem: WireError | None = None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        try:
            check_frame(memoryview(mapped), catalog)
        except WireError as error:  # whose traceback holds planes, with which the file cannot be closed
            problem = WireError(error.code, error.message)
    if problem is not None:
        raise problem


def check_frame(frame: memoryview, catalog: Mapping[str, Any] | None) -> None:
    """The same of a frame in memory.

    Raises:
        WireError: as ``check_spooled``.
    """
    if kind_of(frame) == SEGMENT_REQUEST:
        SegmentRequest.unpack(frame)
    else:
        check_request(StylizeRequest.unpack(frame), catalog)


def check_request(request: StylizeRequest, catalog: Mapping[str, Any] | None) -> None:
    """Judge what a request asks for.

    Raises:
        WireError: there is no such method, style or option, or a value is not allowed.
    """
    for style in request.styles:
        _require(
            LIGHTEST <= style.weight <= HEAVIEST,
            f"A style weight must be above 0, from {LIGHTEST:g} to {HEAVIEST:g}, not {style.weight:g}.",
        )
    if catalog is None:
        return
    methods = {method["name"]: method for method in catalog["methods"]}
    _require(
        request.method in methods, f"There is no method {_quoted(request.method)}; the methods are {_listed(methods)}."
    )
    presets = {preset["name"] for preset in catalog["styles"]}
    for style in request.styles:
        _require(
            style.preset is None or style.preset in presets,
            f"There is no style preset {_quoted(style.preset)}; the catalog lists them.",
        )
    declared = methods[request.method].get("options")
    if declared is not None:
        _check_options(request, {option["name"]: option for option in declared})


def _check_options(request: StylizeRequest, declared: Mapping[str, Mapping[str, Any]]) -> None:
    for name, value in request.options.items():
        _require(
            name in declared,
            f"The method {request.method} has no option {_quoted(name)}; "
            + (f"its options are {_listed(declared)}." if declared else "it has none."),
        )
        option = declared[name]
        if isinstance(option["default"], str):
            _check_word(name, value, option)
        else:
            _check_number(name, value, option)


def _check_word(name: str, value: str | int | float, option: Mapping[str, Any]) -> None:
    choices, text = option["choices"], str(value)
    _require(not choices or value in choices, f"{name} must be one of {', '.join(choices)}, not {_quoted(value)}.")
    _require(text.isprintable(), f"{name} holds characters that no name has.")
    is_file = option.get("names") and value != option["default"] and any(sign in text for sign in "/\\:")
    _require(not is_file, f"The option {name} names a file: use the command line without --engine.")


def _check_number(name: str, value: str | int | float, option: Mapping[str, Any]) -> None:
    is_whole = isinstance(option["default"], int)
    kind = "whole number" if is_whole else "number"
    try:
        number = float(value)
    except (ValueError, OverflowError):
        number = math.nan
    is_right = math.isfinite(number) and (not is_whole or number == int(number))
    _require(is_right, f"{name} must be a {kind}, not {_quoted(value)}.")
    low, high = option.get("low"), option.get("high")
    is_within = (low is None or number >= low) and (high is None or number <= high)
    if not is_within:
        least, most = ("any" if end is None else f"{end:g}" for end in (low, high))
        raise WireError("unprocessable", f"{name} must be from {least} to {most}, not {number:g}.")


def _require(condition: object, message: str) -> None:
    if not condition:
        raise WireError("unprocessable", message)


def _listed(names: Mapping[str, Any]) -> str:
    some = list(names)[:MAX_NAMES]
    return ", ".join(some) + (" and others" if len(names) > len(some) else "")


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
