"""A picture made into a style of one's own: its code, a swatch and a thumbnail, small enough to be sent to a friend."""

from __future__ import annotations

import time

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.types import Picture
from engine.pipeline.saved_styles import encode, flat, network_stamp
from gimp_plugin.wire import (
    SWATCH_PX,
    THUMBNAIL_PX,
    Plane,
    SavedStyle,
    StyleRequest,
    StyleResult,
    pack_style,
)
from server.worker.convert import picture_of

ENOUGH_BYTES, MOST_BYTES = 200_000, 256_000  # of a file
# Longest side of the swatch, and the step of its values (0 = as they are): the first whose file is small enough is
# taken. Where a style is looked at counts more than its last bits do: in 352 of 512 px it is another style.
SWATCHES = (
    *((SWATCH_PX, 0, ENOUGH_BYTES), (SWATCH_PX, 1, ENOUGH_BYTES), (SWATCH_PX, 2, ENOUGH_BYTES)),
    *((side_px, 4, MOST_BYTES) for side_px in (SWATCH_PX, 448, 384, 320, 256)),
)
THUMBNAIL_STEP = 4
LUMA = (0.299, 0.587, 0.114)


def saved_style(picture: Picture, title: str, artist: str = "") -> SavedStyle:
    """A picture as a style file holds it.

    Args:
        picture: of any size.
        title, artist: as ``SavedStyle`` takes them.

    Raises:
        InputError: nothing of the picture can be seen.
        WireError: a text is none that a style file takes.
    """
    code = encode(title, picture).contiguous()
    code_plane = Plane("F32", (1, len(code)), bytearray(code.numpy().tobytes()))
    thumbnail = _rgb_plane(picture, THUMBNAIL_PX, THUMBNAIL_STEP)
    for side_px, step, enough_bytes in SWATCHES:
        swatch = _rgb_plane(picture, side_px, step)
        found = SavedStyle(title, artist, network_stamp(), code_plane, swatch, thumbnail)
        if len(pack_style(found)) <= enough_bytes:
            break
    return found


def answer_style(request: StyleRequest) -> StyleResult:
    """The style that a request's picture makes."""
    began = time.perf_counter()
    style = saved_style(picture_of(request.content), request.title)
    report = {"title": request.title, "network": style.network, "seconds": round(time.perf_counter() - began, 4)}
    return StyleResult(style.code, report, style.swatch, style.thumbnail)


def _rgb_plane(picture: Picture, longest_px: int, step: int) -> Plane:
    """A picture as (H, W, 3) in 8 bits; in calm colors, if there is a step."""
    rgb = flat(picture, longest_px).mul(255).round()
    pixels = calm(rgb, step) if step else rgb
    pixels = pixels.to(torch.uint8).permute(1, 2, 0).contiguous()
    return Plane("U8", tuple(pixels.shape), bytearray(pixels.numpy().tobytes()))


def calm(rgb: Tensor, step: int) -> Tensor:
    """A picture that compresses to half: each 2 x 2 pixels share their colors, all values are multiples of a step.

    Lightness keeps its detail, as in JPEG's 4:2:0.

    Args:
        rgb: (3, H, W) in [0, 255].
        step: of red less green, blue less green, and green.
    """
    height, width = rgb.shape[1:]
    off = torch.stack([rgb[0] - rgb[1], rgb[2] - rgb[1]])[None]  # (1, 2, H, W)
    off = F.avg_pool2d(off, 2, ceil_mode=True, count_include_pad=False).div(step).round().mul(step)
    red, blue = F.interpolate(off, scale_factor=2.0, mode="nearest")[0, :, :height, :width]
    luma = torch.tensordot(torch.tensor(LUMA), rgb, 1)
    green = (luma - LUMA[0] * red - LUMA[2] * blue).div(step).round().mul(step).clamp(0, 255)
    return torch.stack([green + red, green, green + blue]).clamp(0, 255)
