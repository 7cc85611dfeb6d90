"""The one place where the wire's planes become the engine's pictures, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from engine import methods
from engine.core.errors import InputError, SettingsError
from engine.core.options import resolve
from engine.core.types import Mask, Picture, Region, Series, Settings, Style
from engine.files.presets import load_preset
from engine.models.user_models import models_folder
from engine.pipeline.crop import in_range, is_finite, range_of
from engine.pipeline.saved_styles import style_of_saved
from engine.pipeline.series import sample_series
from engine.regions.labels import Color, pair_regions, split_labels
from gimp_plugin.wire import Plane, StyleEntry, StylizeRequest, WireError
from server.supervisor import intake

DTYPES = {"U8": torch.uint8, "U16": torch.uint16, "F16": torch.float16, "F32": torch.float32}
FULL_SCALE = {"U8": 255, "U16": 65535}
ROWS = 64  # pixels are converted in strips of this many rows, which stay in the processor's cache


def tensor_of(plane: Plane) -> Tensor:
    """A plane's pixels, without a copy: (H, W) or (H, W, C) in the plane's dtype."""
    return torch.frombuffer(plane.data, dtype=DTYPES[plane.dtype]).reshape(plane.shape)


def to_unit(pixels: Tensor, dtype: str) -> Tensor:
    """Pixels of a wire dtype as float32; integers are scaled to [0, 1]."""
    unit = pixels.to(torch.float32)
    return unit.div_(FULL_SCALE[dtype]) if dtype in FULL_SCALE else unit


def to_weight(values: Tensor) -> Tensor:
    """Float values as weights in [0, 1], those that are not numbers as 0; a new tensor, the plane stays as it is."""
    return values.nan_to_num(0.0).clamp_(0, 1)


def picture_of(plane: Plane) -> Picture:
    """An (H, W, 4) plane as a Picture; a fully opaque one has no alpha, and alpha that is not a number counts as 0."""
    pixels, is_opaque = tensor_of(plane), True
    rgb = torch.empty(3, plane.height, plane.width)
    for top in range(0, plane.height, ROWS):
        strip, source = rgb[:, top : top + ROWS], pixels[top : top + ROWS]  # (3, rows, W), (rows, W, 4)
        strip.copy_(source[:, :, :3].permute(2, 0, 1))
        if plane.dtype in FULL_SCALE:
            strip.div_(FULL_SCALE[plane.dtype])
        is_opaque = is_opaque and bool((source[:, :, 3] == FULL_SCALE.get(plane.dtype, 1)).all())
    return Picture(rgb, None if is_opaque else to_weight(to_unit(pixels[:, :, 3], plane.dtype)))


def plane_of(picture: Picture, like: Plane) -> Plane:
    """A Picture as an (H, W, 4) plane of the dtype of another, whose alpha is kept to the bit."""
    source = tensor_of(like)
    pixels = torch.empty_like(source)
    for top in range(0, like.height, ROWS):
        strip = picture.rgb[:, top : top + ROWS]  # (3, rows, W)
        if like.dtype in FULL_SCALE:
            scale = FULL_SCALE[like.dtype]
            strip = strip.mul(scale).add_(0.5).clamp_(0, scale).to(torch.int32)
        pixels[top : top + ROWS, :, :3] = strip.to(pixels.dtype).permute(1, 2, 0)
    pixels[:, :, 3] = source[:, :, 3]
    return Plane(like.dtype, like.shape, pixels.numpy().data.cast("B"))


def mask_of(plane: Plane | None) -> Mask | None:
    """An (H, W) plane as a soft selection."""
    if plane is None:
        return None
    weight = to_unit(tensor_of(plane), plane.dtype)
    return Mask(weight if plane.dtype in FULL_SCALE else to_weight(weight), "selection")


def weight_plane_of(weight: Tensor, dtype: str) -> Plane:
    """A mask's weights (H, W) as a plane of a wire dtype."""
    if dtype in FULL_SCALE:
        weight = weight.mul(FULL_SCALE[dtype]).add_(0.5).to(torch.int32)
    return Plane(dtype, tuple(weight.shape), weight.to(DTYPES[dtype]).contiguous().numpy().data.cast("B"))


def style_of(entry: StyleEntry) -> Style:
    """A style by preset name or picture. A code that our network cannot read counts for nothing."""
    if entry.preset is not None:
        return load_preset(entry.preset, entry.weight)
    if entry.picture is None:
        raise WireError("bad_request", "A style is either a preset or a picture.")
    picture = picture_of(entry.picture)
    if entry.code is None:
        return Style(entry.name, picture, weight=entry.weight)
    return style_of_saved(entry.name, picture, tensor_of(entry.code)[0].clone(), entry.network, entry.weight)


def notes_on_codes(entries: Sequence[StyleEntry], styles: Sequence[Style]) -> list[str]:
    """Of each saved style whose code could not be used, that it was so."""
    pairs = zip(entries, styles, strict=True)
    return [other_network(entry.name) for entry, style in pairs if entry.code is not None and style.code is None]


def other_network(name: str) -> str:
    """The note on a saved style whose code cannot be used."""
    return f"the style {name} was saved with another version of the network: its picture was looked at instead"


def regions_of(request: StylizeRequest, style: Style) -> list[Region]:
    """The regions that a request's two label maps pair.

    Raises:
        InputError: they are no label maps, or have no color in common.
        SettingsError: the style is no picture.
    """
    if request.labels is None or request.style_labels is None:
        return []
    if len(request.styles) != 1 or style.picture is None:
        raise SettingsError("Label maps need exactly one style, and that a picture: a preset has no regions.")
    ours = _labels_of(request.labels, request.content.shape[:2], "The label map")
    theirs = _labels_of(request.style_labels, style.picture.size, "The style's label map")
    return pair_regions(ours, theirs, "the style's label map")


def _labels_of(plane: Plane, size: Sequence[int], name: str) -> list[tuple[Color, Mask]]:
    """The regions of a label map, less what is transparent in it, brought to a size (H, W)."""
    pixels = to_unit(tensor_of(plane), plane.dtype).permute(2, 0, 1)[None]  # (1, 4, h, w)
    pixels = F.interpolate(pixels, tuple(size), mode="nearest-exact")[0]
    is_seen = pixels[3] >= 0.5
    if not bool(is_seen.any()):
        raise InputError(f"{name} is empty: paint each region in one flat color.")
    # What is transparent is one color, whatever GIMP keeps below it; so is what is no number.
    rgb = torch.where(is_seen, pixels[:3].nan_to_num(0.0, 1.0, 0.0), 0.0)
    found = split_labels(Picture(rgb), name)
    seen = [(color, replace(mask, weight=mask.weight * is_seen)) for color, mask in found]
    return [(color, mask) for color, mask in seen if bool(mask.weight.any())]


def series_of(request: StylizeRequest) -> Series | None:
    """The pictures that a request's is to look like."""
    if not request.series:
        return None
    return sample_series((_of_series(plane) for plane in request.series), request.settings["size_px"])


def _of_series(plane: Plane) -> Picture:
    picture = picture_of(plane)
    extremes = range_of(picture.rgb)
    if not is_finite(extremes):
        raise InputError("A picture of the series holds values that are not numbers (NaN or infinite).")
    return replace(picture, rgb=in_range(picture.rgb, extremes))


def options_of(request: StylizeRequest) -> dict[str, str | int | float]:
    """A request's options, as the method declares them.

    Raises:
        SettingsError: the method has no such option, or a value is not allowed.
        WireError: one names a file of this computer, which no request may, or a network that is not there.
    """
    asked = request.settings["options"]
    intake.refuse_files(asked)
    method = methods.get(request.settings["method"])
    given = resolve(method.name, method.options, asked)
    for option in method.options:
        value = given[option.name]
        if option.names and value != option.default:  # the engine itself would take any file of that name
            given[option.name] = str(intake.find_network(str(value), models_folder()))
    return {name: value for name, value in given.items() if name in asked}


def settings_of(request: StylizeRequest) -> Settings:
    """A request's settings, as the engine takes them."""
    return Settings(**{**request.settings, "options": options_of(request)})
