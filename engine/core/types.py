"""What flows through the engine: pictures, masks, regions, styles, settings, progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard, get_args

from torch import Tensor

from engine.core.errors import InputError, SettingsError
from engine.core.shapes import check_shapes

ColorMode = Literal["style", "luminance", "match"]
ColorMap = Literal["transport", "cholesky", "symmetric", "histogram"]
BlendMode = Literal["feather", "hard", "mrf"]
Quality = Literal["fast", "better", "best"]
DeviceName = Literal["auto", "cpu", "cuda"]

WEIGHTS = (1e-6, 1e6)  # of a style: beyond, a share drowns in the rounding of the others
MAX_SEED = 2**63 - 1
MAX_WORD = 200  # characters of a wrong value that a message quotes

Progress = Callable[[float, str], None]
"""Called with the share done in [0, 1] and a short message. It may raise ``Cancelled``; methods call it between
layers, so that stopping never waits for a whole picture."""


def silent(_share: float, _message: str) -> None:
    """The Progress that tells nobody."""


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels, sRGB-encoded.

    Args:
        rgb: (3, H, W) float32, nominally [0, 1]; a float layer may exceed it.
        alpha: (H, W) float32 in [0, 1]; None = opaque.
    """

    rgb: Tensor
    alpha: Tensor | None = None

    def __post_init__(self) -> None:
        check_shapes(rgb=(self.rgb, "3 H W"), alpha=(self.alpha, "H W"))

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.rgb.shape[1], self.rgb.shape[2]


@dataclass(frozen=True, eq=False)
class Mask:
    """A soft selection.

    Args:
        weight: (H, W) float32 in [0, 1]; 0 = outside.
        label: what it selects, for messages.
    """

    weight: Tensor
    label: str = ""

    def __post_init__(self) -> None:
        check_shapes(weight=(self.weight, "H W"))


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the content and the part of the style that feeds it."""

    content: Mask
    style: Mask


@dataclass(frozen=True, eq=False)
class Style:
    """A look: a picture, or what our network said of one (a style code).

    Args:
        name: shown to the user.
        picture: the style picture, or None if only its code is known.
        code: (D,) float32 style code of the any-style network, or None if the picture must be encoded.
        weight: share in a blend, a millionth to a million; shares need not sum to 1.
    """

    name: str
    picture: Picture | None = None
    code: Tensor | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.picture is None and self.code is None:
            raise InputError(f"The style {self.name!r} has neither a picture nor a style code.")
        low, high = WEIGHTS
        if not (is_number(self.weight) and low <= self.weight <= high):
            raise SettingsError(
                f"The weight of style {self.name!r} must be above 0, from {low:g} to {high:g}, not {self.weight!r}."
            )

    def require_picture(self) -> Picture:
        """The picture, for methods to which a code says nothing.

        Raises:
            InputError: it is a preset.
        """
        if self.picture is None:
            raise InputError(
                f"This method needs a style picture: choose a file or a layer. The preset {self.name!r} is only a code,"
                " which the any-style method alone can read."
            )
        return self.picture


@dataclass(frozen=True)
class Settings:
    """How to stylize. Valid once built.

    Args:
        method: name of a registered method.
        strength: 0 (content) to 1 (style).
        auto_strength: full strength means as much as the picture bears (``engine.pipeline.strength``).
        color: "style" (the style's colors), "luminance" (only lightness is painted, the content's chroma stays),
            "match" (the colors of the style become the content's).
        color_map: how "match" moves colors: see ``engine.color.recolor.recolor``.
        photoreal: amount of photorealistic smoothing, 0 to 1.
        style_size_px: longest side at which the style is looked at; None = the method's own.
        size_px: longest side at which the content is computed; None = its own.
        backbone: "embedded", "vgg19", or the path of a .safetensors file with VGG-19 weights.
        device: "auto", "cpu" or "cuda".
        seed: for methods that draw random numbers.
        composite: blend with the content by the mask, so that pixels of mask 0 come back untouched to the bit.
        blend: the mask's edge: "feather" (as soft as the mask is), "hard" (cut at one half), "mrf" (in a narrow band
            the object's own edge is found, and its hairs: see ``engine.edges.object_edge``).
        quality: of the any-style network: "fast" (as it paints), "better" and "best" (with strokes of the style
            picture, in seconds and in a minute: see ``engine.painters.strokes``).
        auto_regions: find by ourselves what of the style feeds what of the content (``engine.regions.semantics``).
        options: of the method, by name; what they are the method's registration tells (checked when it is run).

    Raises:
        SettingsError: a value is out of range.
    """

    method: str = "anystyle"
    strength: float = 1.0
    auto_strength: bool = False
    color: ColorMode = "style"
    color_map: ColorMap = "transport"
    photoreal: float = 0.0
    style_size_px: int | None = None
    size_px: int | None = None
    backbone: str = "embedded"
    device: DeviceName = "auto"
    seed: int = 0
    composite: bool = True
    blend: BlendMode = "feather"
    quality: Quality = "fast"
    auto_regions: bool = False
    options: Mapping[str, str | int | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_range("strength", self.strength, 0, 1)
        _check_range("photoreal", self.photoreal, 0, 1)
        _check_name("color", self.color, get_args(ColorMode))
        _check_name("color_map", self.color_map, get_args(ColorMap))
        _check_name("blend", self.blend, get_args(BlendMode))
        _check_name("device", self.device, get_args(DeviceName))
        _check_name("quality", self.quality, get_args(Quality))
        if self.style_size_px is not None:
            _check_whole("style_size_px", self.style_size_px, 32, 8192)
        if self.size_px is not None:
            _check_whole("size_px", self.size_px, 16, 8192)
        _check_whole("seed", self.seed, 0, MAX_SEED)
        for name in ("method", "backbone"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise SettingsError(f"{name} must be a name, not {_quoted(getattr(self, name))}.")
        for name in ("auto_strength", "composite", "auto_regions"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} must be true or false, not {_quoted(getattr(self, name))}.")
        if not isinstance(self.options, Mapping):
            raise SettingsError(f"options must be a table of names and values, not {_quoted(self.options)}.")
        for name, value in self.options.items():
            if not isinstance(name, str) or not (isinstance(value, str) or is_number(value)):
                raise SettingsError(f"The option {_quoted(name)} must be a word or a number, not {_quoted(value)}.")


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is an ordinary number: no truth value, not infinite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_range(name: str, value: object, low: float, high: float) -> None:
    if not (is_number(value) and low <= value <= high):
        raise SettingsError(f"{name} must be from {low} to {high}, not {_quoted(value)}.")


def _check_whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int):
        raise SettingsError(f"{name} must be a whole number, not {_quoted(value)}.")
    _check_range(name, value, low, high)


def _check_name(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingsError(f"{name} must be one of {', '.join(allowed)}, not {_quoted(value)}.")


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_WORD else f"{text[:MAX_WORD]}..."


@dataclass(frozen=True, eq=False)
class Series:
    """Samples of pictures.

    Args:
        pictures: (3, h, w) each, at the size at which they are painted.
        known: what was measured of them, kept so that it is done once.
    """

    pictures: tuple[Picture, ...]
    known: dict[Any, Any] = field(default_factory=dict, repr=False)
