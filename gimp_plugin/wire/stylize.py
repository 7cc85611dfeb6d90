"""The contract for painting a picture: what is asked and what comes back. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gimp_plugin.wire.frames import (
    MAX_SIDE_PX,
    Buffer,
    Plane,
    WireError,
    brief,
    outline_frame,
    pack_frame,
    require,
    unpack_frame,
)

MAX_STYLES, MAX_SERIES = 8, 16
MAX_OPTIONS, MAX_OPTION_CHARACTERS = 32, 1024
MIN_WEIGHT, MAX_WEIGHT = 1e-6, 1e6  # beyond these a share is nothing, or everything, to single precision
MAX_OPTION_NUMBER = 1e15
COLOR_MODES = ("style", "luminance", "match")
COLOR_MAPS = ("transport", "cholesky", "symmetric", "histogram")
BLENDS = ("feather", "hard", "mrf")
QUALITIES = ("fast", "better", "best")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class StyleEntry:
    """One style of a request: a shipped preset by name, or a picture. Exactly one of the two.

    Args:
        name: what the user sees; names the new layer.
        weight: share in a blend, ``MIN_WEIGHT`` to ``MAX_WEIGHT``; shares need not sum to 1.
        preset: name from the engine's catalog.
        picture: (H, W, 4) R'G'B'A pixels.
    """

    name: str
    weight: float = 1.0
    preset: str | None = None
    picture: Plane | None = None

    def __post_init__(self) -> None:
        require(isinstance(self.name, str), "A style needs a name.")
        require((self.preset is None) != (self.picture is None), "A style is either a preset or a picture.")
        require(isinstance(self.preset, str | None), "A preset is a name.")
        require(
            _is_number(self.weight) and MIN_WEIGHT <= self.weight <= MAX_WEIGHT,
            f"A style weight must be from {MIN_WEIGHT:g} to {MAX_WEIGHT:g}, not {brief(self.weight)}.",
        )
        _require_rgba(self.picture, "style picture")


@dataclass(frozen=True)
class StylizeRequest:
    """A whole job. Everything that the engine needs, nothing that names a file or an address.

    Args:
        content: (H, W, 4) R'G'B'A pixels; the result has the same shape and dtype.
        styles: one to ``MAX_STYLES`` styles, blended by weight.
        mask: (H, W); 0 = not selected. None = the whole picture.
        method: a name of the engine's catalog.
        strength: 0 (content) to 1 (style).
        auto_strength: full strength means as much as the picture bears, which the engine finds out.
        color: one of ``COLOR_MODES``.
        photoreal: amount of photorealistic smoothing, 0 to 1.
        style_size_px: longest side at which the style is looked at (brush size); None = the method's own.
        seed: for methods that draw random numbers.
        device: one of ``DEVICES``.
        composite: True: blend with the content by the mask, so that pixels of mask 0 come back untouched
            to the bit. False: return the painted pixels everywhere, for a host with layer masks of its own.
        blend: one of ``BLENDS``: how the mask's edge is drawn. "feather": the mask as it is.
        color_map: one of ``COLOR_MAPS``: how colors are moved with color "match".
        auto_regions: sky takes from the style's sky, ground from its ground, and so on: the engine finds them.
        labels: (H, W, 4), a label map of the content: the same color in it and in the style's pairs their regions.
            What is transparent in it belongs to no region.
        style_labels: (h, w, 4) of the one style, which has to be a picture; of any size.
        quality: one of ``QUALITIES``: whether strokes of the style picture are laid, and how carefully.
        options: of the method, by name: words or numbers, at most ``MAX_OPTIONS``.
        size_px: longest side at which the content is computed; None = its own.
        series: pictures (h, w, 4) that are to look alike, at most ``MAX_SERIES``, or their ``samples.sample``; the same
            for each of them. Of more pictures than that some are enough. None = it stands alone.

    Raises:
        WireError: a value is out of range or of the wrong shape.
    """

    content: Plane
    styles: tuple[StyleEntry, ...]
    mask: Plane | None = None
    method: str = "anystyle"
    strength: float = 1.0
    color: str = "style"
    photoreal: float = 0.0
    style_size_px: int | None = None
    seed: int = 0
    device: str = "auto"
    composite: bool = True
    blend: str = "feather"
    color_map: str = "transport"
    auto_strength: bool = False
    auto_regions: bool = False
    quality: str = "fast"
    options: Mapping[str, str | int | float] = field(default_factory=dict)
    size_px: int | None = None
    series: tuple[Plane, ...] = ()
    labels: Plane | None = None
    style_labels: Plane | None = None

    def __post_init__(self) -> None:
        _require_rgba(self.content, "content")
        require(1 <= len(self.styles) <= MAX_STYLES, f"Give 1 to {MAX_STYLES} styles, not {len(self.styles)}.")
        require(len(self.series) <= MAX_SERIES, f"A series has at most {MAX_SERIES} pictures, not {len(self.series)}.")
        for plane in self.series:
            _require_rgba(plane, "picture of a series")
        self._require_labels()
        if self.mask is not None:
            require(
                self.mask.shape == self.content.shape[:2],
                f"The mask is {self.mask.shape}, the content {self.content.shape[:2]} (H, W): they must match.",
            )
        for name, types in _SETTINGS.items():
            value = getattr(self, name)  # True is an int to Python, not to us
            is_right = isinstance(value, types) and (types == (bool,) or not isinstance(value, bool))
            require(is_right, f"{name} is of the wrong type: {brief(value)}.")
        require(0 <= self.strength <= 1, f"strength must be from 0 to 1, not {brief(self.strength)}.")
        require(0 <= self.photoreal <= 1, f"photoreal must be from 0 to 1, not {brief(self.photoreal)}.")
        for name, words in _WORDS.items():
            value = getattr(self, name)
            require(value in words, f"{name} must be one of {', '.join(words)}, not {brief(value)}.")
        if self.style_size_px is not None:
            require(32 <= self.style_size_px <= MAX_SIDE_PX, f"The style size must be from 32 to {MAX_SIDE_PX} pixels.")
        if self.size_px is not None:
            require(16 <= self.size_px <= MAX_SIDE_PX, f"The size must be from 16 to {MAX_SIDE_PX} pixels.")
        _require_options(self.options)
        require(0 <= self.seed < 2**63, f"seed must be from 0 to 2^63 - 1, not {brief(self.seed)}.")

    def _require_labels(self) -> None:
        _require_rgba(self.labels, "label map")
        _require_rgba(self.style_labels, "label map of the style")
        require((self.labels is None) == (self.style_labels is None), "Give both label maps, or none.")
        if self.labels is not None:
            require(not self.auto_regions, "Regions are found, or label maps are given, not both.")
            require(
                self.labels.shape == self.content.shape,
                f"The label map is {self.labels.shape}, the content {self.content.shape}: they must match.",
            )

    def pack(self) -> list[Buffer]:
        """The request as a frame: buffers to be sent one after another (nothing is copied)."""
        planes: dict[str, Plane] = {"content": self.content}
        planes |= {name: plane for name in _MAPS if (plane := getattr(self, name)) is not None}
        planes |= {f"series.{i}": plane for i, plane in enumerate(self.series)}
        styles = []
        for i, style in enumerate(self.styles):
            styles.append({"name": style.name, "weight": style.weight, "preset": style.preset})
            if style.picture is not None:
                planes[f"style.{i}"] = style.picture
        settings = {name: getattr(self, name) for name in _SETTINGS}
        return pack_frame("request", {"styles": styles, "settings": settings}, planes)

    @classmethod
    def unpack(cls, frame: Buffer) -> StylizeRequest:
        """The inverse of ``pack``; the planes are views into ``frame``.

        Raises:
            WireError: the frame is not a valid request.
        """
        return cls._read(*unpack_frame("request", frame))

    @classmethod
    def outline(cls, head: Buffer, total_bytes: int) -> StylizeRequest:
        """The request that a frame's header announces: everything is valid, but its planes have no pixels yet.

        Args:
            head, total_bytes: see ``outline_frame``.

        Raises:
            WireError: the frame is not a valid request, whatever its pixels.
        """
        return cls._read(*outline_frame("request", head, total_bytes))

    @classmethod
    def _read(cls, meta: dict[str, Any], planes: dict[str, Plane]) -> StylizeRequest:
        used = {"content", *_MAPS}
        try:
            entries = tuple(
                StyleEntry(s["name"], s["weight"], s["preset"], planes.get(f"style.{i}"))
                for i, s in enumerate(meta["styles"][: MAX_STYLES + 1])
            )
            settings = {name: meta["settings"][name] for name in _SETTINGS if name not in _LATER}
            settings |= {name: meta["settings"][name] for name in _LATER if name in meta["settings"]}
            series = tuple(planes[f"series.{i}"] for i in range(sum(name.startswith("series.") for name in planes)))
            maps: dict[str, Any] = {name: planes.get(name) for name in _MAPS}
            request = cls(content=planes["content"], styles=entries, series=series, **maps, **settings)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            raise WireError("bad_request", "The request lacks a part or has one of the wrong type.") from error
        used |= {f"style.{i}" for i in range(len(entries))} | {f"series.{i}" for i in range(len(series))}
        require(planes.keys() <= used, "The request has a plane that nothing asks for.")
        return request

    @property
    def max_result_bytes(self) -> int:
        """Of the planes of its result."""
        return len(self.content.data) + (len(self.mask.data) if self.mask is not None else 0)

    def read_result(self, frame: Buffer) -> StylizeResult | None:
        """The result of this request; None if it is of another picture.

        Raises:
            WireError: it is no result.
        """
        result = StylizeResult.unpack(frame)
        ours, mask = result.picture, result.mask
        if (ours.shape, ours.dtype) != (self.content.shape, self.content.dtype):
            return None
        if mask is not None and (self.mask is None or (mask.shape, mask.dtype) != (self.mask.shape, self.mask.dtype)):
            return None
        return result


_MAPS = ("mask", "labels", "style_labels")  # planes that a request may have
_SETTINGS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("method", "color", "device", "blend", "color_map", "quality"), (str,)),
    **dict.fromkeys(("strength", "photoreal"), (float, int)),
    **dict.fromkeys(("style_size_px", "size_px"), (int, type(None))),
    "options": (dict,),
    "seed": (int,),
    **dict.fromkeys(("composite", "auto_strength", "auto_regions"), (bool,)),
}
# A plug-in that is older than these says nothing of them.
_LATER = ("blend", "color_map", "auto_strength", "auto_regions", "quality", "options", "size_px")
_WORDS = {
    **{"color": COLOR_MODES, "device": DEVICES, "blend": BLENDS},
    **{"color_map": COLOR_MAPS, "quality": QUALITIES},
}


@dataclass(frozen=True)
class StylizeResult:
    """What comes back: the picture, and a report for the log and the layer's parasite.

    Args:
        picture: (H, W, 4) R'G'B'A in the content's dtype.
        report: JSON values: "seconds" (per stage), "device", "strength", "method", "peak_bytes", "notes".
        mask: (H, W), by which to blend, where the request asked for another edge than its mask has; else None.
    """

    picture: Plane
    report: dict[str, Any]
    mask: Plane | None = None

    def pack(self) -> list[Buffer]:
        planes = {"picture": self.picture} if self.mask is None else {"picture": self.picture, "mask": self.mask}
        return pack_frame("result", {"report": self.report}, planes)

    @classmethod
    def unpack(cls, frame: Buffer) -> StylizeResult:
        meta, planes = unpack_frame("result", frame)
        if "picture" not in planes or not isinstance(meta.get("report"), dict):
            raise WireError("bad_request", "The result lacks its picture or its report.")
        return cls(planes["picture"], meta["report"], planes.get("mask"))


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
