"""What a request must be before it is queued, judged by its header alone: nothing is accepted that must fail later.

The wire knows types and ranges; the worker has told which methods, options and presets there are. What only pixels can
tell (an empty mask, say) is left to the worker, and all of the catalog's part while no worker has told its catalog.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gimp_plugin.settings import brief, fault, option_of
from gimp_plugin.wire import (
    SEGMENT_REQUEST,
    STYLE_REQUEST,
    Buffer,
    SegmentRequest,
    StyleRequest,
    StylizeRequest,
    WireError,
    kind_of,
    outline_frame,
)

Catalog = Mapping[str, Any]
CheckHead = Callable[[Buffer, int], object]

MODELS_FOLDER = "models_folder"  # of the catalog, for the supervisor alone
NETWORK = "model"  # the option by which methods take a trained network
SUFFIXES = (".safetensors", ".pth", ".pt", ".model", ".onnx")  # of all kinds of networks
WORD = re.compile(r"[^\\/:\0-\x1f\x7f]*")
MIN_BOX_PX = 8  # as in engine/segmentation/prompt.py


def refuse(sentence: str) -> WireError:
    """A request that is well formed and cannot be done."""
    return WireError("unprocessable", sentence)


def checker(catalog: Catalog | None) -> CheckHead:
    """What judges a frame's header: see ``spool.receive``."""
    return lambda head, total_bytes: check(head, total_bytes, catalog)


def check(head: Buffer, total_bytes: int, catalog: Catalog | None) -> StylizeRequest | SegmentRequest | StyleRequest:
    """Refuse a request that is no frame ("bad_request"), or that no worker could do ("unprocessable").

    Args:
        head: the frame's first bytes, its header complete.
        total_bytes: of the whole frame.
        catalog: what the worker told; None = not yet.

    Returns:
        The request, its planes without pixels.

    Raises:
        WireError: it is refused.
    """
    kind = kind_of(head)
    if kind not in ("request", SEGMENT_REQUEST, STYLE_REQUEST):
        raise WireError("bad_request", f"The engine takes requests, not a {brief(kind)}.")
    outline_frame(kind, head, total_bytes)
    try:
        if kind == SEGMENT_REQUEST:
            found = SegmentRequest.outline(head, total_bytes)
            _check_segment(found, catalog or {})
            return found
        if kind == STYLE_REQUEST:
            return StyleRequest.outline(head, total_bytes)
        request = StylizeRequest.outline(head, total_bytes)
        _check_stylize(request, catalog or {})
        return request
    except WireError as error:
        raise refuse(error.message) if error.code == "bad_request" else error from error


def _check_segment(request: SegmentRequest, catalog: Catalog) -> None:
    models = catalog.get("segment_models")
    if models is not None and request.model not in models:
        raise refuse(f"There is no model {brief(request.model)}; there is {', '.join(models)}.")
    height, width = request.content.shape[:2]
    for x, y in (*request.points, *request.others):
        if not (0 <= x < width and 0 <= y < height):
            raise refuse(f"The point {x},{y} lies outside the picture of {width} x {height} pixels.")
    if request.box is not None:
        x0, y0, x1, y1 = request.box
        if min(width, x1) - max(0, x0) < MIN_BOX_PX or min(height, y1) - max(0, y0) < MIN_BOX_PX:
            raise refuse(
                f"The box {x0},{y0},{x1},{y1} leaves less than {MIN_BOX_PX} x {MIN_BOX_PX} pixels of the picture of "
                f"{width} x {height}: draw it around the object, as left, top, right, bottom."
            )


def _check_stylize(request: StylizeRequest, catalog: Catalog) -> None:
    settings = request.settings
    refuse_files(settings["options"])
    is_one_picture = len(request.styles) == 1 and request.styles[0].picture is not None
    if (settings["auto_regions"] or request.labels is not None) and not is_one_picture:
        raise refuse("Regions need exactly one style, and that a picture: a preset has no regions.")
    if "styles" in catalog:
        presets = [style["name"] for style in catalog["styles"]]
        for style in request.styles:
            if style.preset is not None and style.preset not in presets:
                raise refuse(f"There is no style preset {brief(style.preset)}. {_hint(style.preset, presets)}")
    if "methods" in catalog:
        methods = {method["name"]: method for method in catalog["methods"]}
        if settings["method"] not in methods:
            raise refuse(
                f"There is no method {brief(settings['method'])}; the methods are {', '.join(sorted(methods))}."
            )
        _check_method(request, methods[settings["method"]], catalog)


def _check_method(request: StylizeRequest, method: Catalog, catalog: Catalog) -> None:
    takes, name, options = method.get("takes", ()), request.settings["method"], request.settings["options"]
    if "blend" in takes and "presets" not in takes and any(style.picture is None for style in request.styles):
        raise refuse(f"The method {name} needs a style picture, and a preset is none: choose Any style.")
    if "options" in method:
        known = {option["name"]: option_of(option) for option in method["options"]}
        for option, value in options.items():
            if option not in known:
                have = f"its options are {', '.join(known)}" if known else "it has none"
                raise refuse(f"The method {name} has no option {brief(option)}; {have}.")
            if wrong := fault(known[option], value):
                raise refuse(f"{option} {wrong}.")
    network = str(options.get(NETWORK, ""))
    if not network and not method.get("is_ready", True):
        raise refuse(
            f"The method {name} needs a trained network: name one of the models folder with the option "
            f"{NETWORK}, or choose another method (`impasto models list` and `impasto train --help` tell more)."
        )
    folder = catalog.get(MODELS_FOLDER)
    if network and folder is not None and network not in _defaults(method):
        find_network(network, Path(folder))


def refuse_files(options: Mapping[str, str | int | float]) -> None:
    """Refuse an option that names a file by its path: no request may open one.

    Raises:
        WireError: one does.
    """
    for name, value in options.items():
        is_word = not isinstance(value, str) or (WORD.fullmatch(value) and not value.startswith((".", "~")))
        if not is_word or (name == "pair" and value):
            raise refuse(f"The option {brief(name)} names a file: use the command line without --engine.")


def find_network(name: str, folder: Path) -> Path:
    """The network, or the folder of a pair, that a request names.

    Args:
        name: as it lies in the models folder, with or without its suffix.
        folder: the models folder.

    Raises:
        WireError: there is none.
    """
    here = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
    for suffix in ("", *SUFFIXES):
        path = here.get(f"{name}{suffix}")
        if path is not None and (path.is_dir() or path.suffix in SUFFIXES):
            return path
    have = sorted(path.stem for path in here.values() if path.suffix in SUFFIXES)
    there = f"it has {', '.join(have)}" if have else "it is empty"
    raise refuse(f"There is no network {brief(name)} in the engine's models folder ({there}).")


def _defaults(method: Catalog) -> list[str]:
    return [option["default"] for option in method.get("options", ()) if option["name"] == NETWORK]


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name[:100], known, n=3, cutoff=0.55)
    return f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(sorted(known))}."
