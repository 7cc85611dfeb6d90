"""The contract for painting a picture: what is asked and what comes back. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gimp_plugin import settings
from gimp_plugin.settings import Setting, brief
from gimp_plugin.wire.frames import Plane, require
from gimp_plugin.wire.request import Request, Result, is_alike
from gimp_plugin.wire.style_file import SavedStyle, check_code, is_network

MAX_STYLES, MAX_SERIES = 8, 16
MAX_OPTIONS, MAX_OPTION_CHARACTERS = 32, 1024
MIN_WEIGHT, MAX_WEIGHT = 1e-6, 1e6  # beyond these a share is nothing, or everything, to single precision
MAX_OPTION_NUMBER = 1e15
_MAPS = ("mask", "labels", "style_labels")  # planes that a request may have
_TYPES: Mapping[str, tuple[type, ...]] = {
    **{"number": (int, float), "whole": (int,), "switch": (bool,), "options": (dict,)},
}


@dataclass(frozen=True)
class StyleEntry:
    """One style of a request: a shipped preset by name, or a picture. Exactly one of the two.

    A saved style is a picture with its code. The engine takes the code where it can use it, else the picture.

    Args:
        name: what the user sees; names the new layer.
        weight: share in a blend, ``MIN_WEIGHT`` to ``MAX_WEIGHT``; shares need not sum to 1.
        preset: name from the engine's catalog.
        picture: (H, W, 4) R'G'B'A pixels.
        code: (1, N) floats, what a network said of the picture; None = nothing is known.
        network: which network that was (``style_file.NETWORK``); "" without a code.
    """

    name: str
    weight: float = 1.0
    preset: str | None = None
    picture: Plane | None = None
    code: Plane | None = None
    network: str = ""

    def __post_init__(self) -> None:
        require(isinstance(self.name, str), "A style needs a name.")
        require((self.preset is None) != (self.picture is None), "A style is either a preset or a picture.")
        require(isinstance(self.preset, str | None), "A preset is a name.")
        require(
            _is_number(self.weight) and MIN_WEIGHT <= self.weight <= MAX_WEIGHT,
            f"A style weight must be from {MIN_WEIGHT:g} to {MAX_WEIGHT:g}, not {brief(self.weight)}.",
        )
        _require_rgba(self.picture, "style picture")
        require(self.code is None or self.picture is not None, "The code of a style needs the style's picture.")
        if self.code is not None:
            check_code(self.code)
        is_named = self.network == "" if self.code is None else is_network(self.network)
        require(is_named, "The code of a style and the name of its network belong together.")

    @classmethod
    def of_saved(cls, style: SavedStyle, weight: float = 1.0) -> StyleEntry:
        """A style out of a file."""
        return cls(style.title, weight, None, style.rgba(), style.code, style.network)


@dataclass(frozen=True)
class StylizeResult(Result):
    """What comes back: the picture, and a report for the log and the layer's parasite.

    Args:
        picture: (H, W, 4) R'G'B'A in the content's dtype.
        report: JSON values: "seconds" (per stage), "device", "strength", "method", "peak_bytes", "notes".
        mask: (H, W), by which to blend, where the request asked for another edge than its mask has; else None.
    """

    picture: Plane
    report: dict[str, Any]
    mask: Plane | None = None
    kind: ClassVar = "result"
    planes: ClassVar = ("picture", "mask")


@dataclass(frozen=True, init=False)
class StylizeRequest(Request[StylizeResult]):
    """A whole job. Everything that the engine needs, nothing that names a file or an address.

    Args:
        content: (H, W, 4) R'G'B'A pixels; the result has the same shape and dtype.
        styles: one to ``MAX_STYLES`` styles, blended by weight.
        mask: (H, W); 0 = not selected. None = the whole picture.
        labels: (H, W, 4), a label map of the content: the same color in it and in the style's pairs their regions.
            What is transparent in it belongs to no region.
        style_labels: (h, w, 4) of the one style, which has to be a picture; of any size.
        series: pictures (h, w, 4) that are to look alike, at most ``MAX_SERIES``, or their ``samples.sample``; the same
            for each of them. Of more pictures than that some are enough. Empty = it stands alone.
        settings: by the engine's names: see ``gimp_plugin.settings``. "style_size_px" and "size_px" None = the
            method's own, the picture's own; "options" are of the method.
        more: the same, which win over ``settings``.

    Raises:
        WireError: a value is out of range or of the wrong shape.
    """

    content: Plane
    styles: tuple[StyleEntry, ...]
    mask: Plane | None
    labels: Plane | None
    style_labels: Plane | None
    series: tuple[Plane, ...]
    settings: Mapping[str, Any]
    kind: ClassVar = "request"
    result: ClassVar = StylizeResult

    def __init__(
        self,
        content: Plane,
        styles: tuple[StyleEntry, ...],
        mask: Plane | None = None,
        *,
        labels: Plane | None = None,
        style_labels: Plane | None = None,
        series: tuple[Plane, ...] = (),
        settings: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        parts = {"content": content, "styles": styles, "mask": mask, "labels": labels, "style_labels": style_labels}
        for name, value in {**parts, "series": series, "settings": checked({**(settings or {}), **more})}.items():
            object.__setattr__(self, name, value)
        _require_rgba(content, "content")
        require(1 <= len(styles) <= MAX_STYLES, f"Give 1 to {MAX_STYLES} styles, not {len(styles)}.")
        require(len(series) <= MAX_SERIES, f"A series has at most {MAX_SERIES} pictures, not {len(series)}.")
        for plane in series:
            _require_rgba(plane, "picture of a series")
        self._require_labels()
        if mask is not None:
            require(
                mask.shape == content.shape[:2],
                f"The mask is {mask.shape}, the content {content.shape[:2]} (H, W): they must match.",
            )

    def _require_labels(self) -> None:
        _require_rgba(self.labels, "label map")
        _require_rgba(self.style_labels, "label map of the style")
        require((self.labels is None) == (self.style_labels is None), "Give both label maps, or none.")
        if self.labels is not None:
            require(not self.settings["auto_regions"], "Regions are found, or label maps are given, not both.")
            require(
                self.labels.shape == self.content.shape,
                f"The label map is {self.labels.shape}, the content {self.content.shape}: they must match.",
            )

    def _parts(self) -> tuple[dict[str, Any], dict[str, Plane]]:
        planes: dict[str, Plane] = {"content": self.content}
        planes |= {name: plane for name in _MAPS if (plane := getattr(self, name)) is not None}
        planes |= {f"series.{i}": plane for i, plane in enumerate(self.series)}
        planes |= {f"style.{i}": s.picture for i, s in enumerate(self.styles) if s.picture is not None}
        planes |= {f"code.{i}": s.code for i, s in enumerate(self.styles) if s.code is not None}
        styles = [
            {"name": s.name, "weight": s.weight, "preset": s.preset} | ({"network": s.network} if s.network else {})
            for s in self.styles
        ]
        return {"styles": styles, "settings": dict(self.settings)}, planes

    @classmethod
    def _of(cls, meta: dict[str, Any], planes: dict[str, Plane]) -> StylizeRequest:
        styles = tuple(
            StyleEntry(
                *(s["name"], s["weight"], s["preset"], planes.get(f"style.{i}")),
                *(planes.get(f"code.{i}"), s.get("network", "")),
            )
            for i, s in enumerate(meta["styles"][: MAX_STYLES + 1])
        )
        series = tuple(planes[f"series.{i}"] for i in range(sum(name.startswith("series.") for name in planes)))
        used = {"content", *_MAPS, *(f"{part}.{i}" for part in ("style", "code") for i in range(len(styles)))}
        require(
            planes.keys() <= used | {f"series.{i}" for i in range(len(series))},
            "The request has a plane that nothing asks for.",
        )
        maps = {name: planes.get(name) for name in _MAPS}
        ours = {setting.key for setting in settings.of("wire")}
        known = {name: value for name, value in meta["settings"].items() if name in ours}  # of a later plug-in are more
        return cls(planes["content"], styles, series=series, settings=known, **maps)

    @property
    def max_result_bytes(self) -> int:
        return len(self.content.data) + (len(self.mask.data) if self.mask is not None else 0)

    def _fits(self, result: StylizeResult) -> bool:
        is_mask_ours = result.mask is None or (self.mask is not None and is_alike(result.mask, self.mask))
        return is_alike(result.picture, self.content) and is_mask_ours


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting that the engine takes, by its name there; what is not given is as it is when nothing is said.

    Raises:
        WireError: a value is of the wrong type or out of range.
        TypeError: there is no such setting.
    """
    known = {setting.key: setting for setting in settings.of("wire")}
    if not given.keys() <= known.keys():
        raise TypeError(f"There is no setting {', '.join(sorted(given.keys() - known.keys()))}.")
    found = {key: given.get(key, {} if s.kind == "options" else s.neutral) for key, s in known.items()}
    for key, setting in known.items():
        _require_value(setting, key, found[key])
    return found


def _require_value(setting: Setting, key: str, value: Any) -> None:
    if value is None and setting.default is None:
        return
    types = _TYPES.get(setting.kind, (str,))
    is_right = isinstance(value, types) and (
        types == (bool,) or not isinstance(value, bool)
    )  # True is an int to Python
    require(is_right, f"{key} is of the wrong type: {brief(value)}.")
    wrong = settings.fault(setting, value)
    require(not wrong, f"{key} {wrong}.")
    if setting.kind == "options":
        _require_options(value)


def _require_options(options: Mapping[str, Any]) -> None:
    require(len(options) <= MAX_OPTIONS, f"Give at most {MAX_OPTIONS} options, not {len(options)}.")
    for name, value in options.items():
        is_number = _is_number(value) and abs(value) <= MAX_OPTION_NUMBER
        require(
            isinstance(name, str) and (isinstance(value, str) or is_number),
            f"The option {brief(name)} is no number or word.",
        )
        require(len(name) + len(str(value)) <= MAX_OPTION_CHARACTERS, "An option is too long.")


def _require_rgba(plane: Plane | None, name: str) -> None:
    if plane is not None:
        require(len(plane.shape) == 3 and plane.shape[2] == 4, f"The {name} needs the shape (H, W, 4).")


def _is_number(value: Any) -> bool:
    """Whether it is a finite number; True is one to Python, not to us."""
    if isinstance(value, int):  # of which some are too large for isfinite
        return not isinstance(value, bool)
    return isinstance(value, float) and math.isfinite(value)
