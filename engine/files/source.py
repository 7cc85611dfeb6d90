"""A picture file as numbers: upright, with its own stored values and what its profile makes of them.

Torch-free: the page's process reads with it too.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from engine.core.errors import InputError
from engine.core.limits import MAX_PIXELS
from engine.files import icc, tiff
from engine.files.icc import Floats, Profile
from engine.files.opening import DEEP_GRAY, MAX_STYLE_PIXELS, Opened, opened

ROWS = 256  # are converted at a time, so that no second copy of a large picture is made


@dataclass(frozen=True, eq=False)
class Source:
    """What a picture file holds.

    Args:
        values: (H, W, 1 or 3) gray or RGB as stored: uint8, uint16 over their range, or float32.
        alpha: (H, W) of the same kind; None = opaque.
        profile: what the values mean; None = they are sRGB.
        notes: sentences about what was not read.
        was: "is CMYK" ..., where the values were converted, since no RGB profile says what they were.
    """

    values: NDArray[Any]
    alpha: NDArray[Any] | None = None
    profile: Profile | None = None
    notes: tuple[str, ...] = ()
    was: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def is_plain(self) -> bool:
        """Whether the values are sRGB as they stand."""
        return self.profile is None or self.profile.is_srgb

    def srgb(self, rows: slice = slice(None)) -> Floats:
        """(3, H, W) sRGB-encoded; colors that sRGB has not lie outside of [0, 1]."""
        values = self.values[rows]
        out = np.empty((3, *values.shape[:2]), np.float32)
        for top in range(0, len(values), ROWS):
            part = values[top : top + ROWS]
            out[:, top : top + ROWS] = icc.unit_planes(part) if self.profile is None else self.profile.decode(part)
        return out

    def opacity(self) -> Floats | None:
        """(H, W) alpha in [0, 1], None = opaque."""
        return None if self.alpha is None else np.clip(icc.unit_planes(self.alpha[:, :, None])[0], 0, 1)


def read_source(
    path: Path, called: str | None = None, max_pixels: int = MAX_PIXELS, small_px: int | None = None
) -> Source:
    """Read a picture file.

    Args:
        path: a file.
        called: how sentences name it ("The photo"); None = by its name.
        max_pixels: what is larger is refused before a pixel is decoded.
        small_px: of a picture that is only looked at: one with a longer side is made smaller, whatever its size.

    Raises:
        InputError: no such file, not a picture, damaged, or too large.
        ResourceError: not enough memory.
    """
    limit = max_pixels if small_px is None else MAX_STYLE_PIXELS
    with opened(path, called, limit, small_px) as found:
        return source_of(found, called or path.name, small_px)


def source_of(found: Opened, called: str, small_px: int | None = None) -> Source:
    """What an opened file holds.

    Raises:
        InputError: values that no picture has.
    """
    if found.image is not None:
        return _of_image(found, found.image, called, small_px)
    source = _of_pixels(found, called)
    return source if small_px is None else _shrunk_pixels(source, small_px)


def read_weight(path: Path, called: str | None = None) -> Floats:
    """A mask file as (H, W) in [0, 1]: black = 0, white = 1, transparent = 0.

    Raises:
        InputError, ResourceError: see ``read_source``.
    """
    source = read_source(path, called)
    planes = icc.unit_planes(source.values)
    if len(planes) == 3 and source.values.dtype == np.uint8:
        gray = np.asarray(Image.fromarray(source.values).convert("L"), np.float32) / np.float32(255)
    else:
        gray = planes[0] if len(planes) == 1 else np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), planes, 1)
    alpha = source.opacity()
    return np.clip(gray if alpha is None else gray * alpha, 0, 1).astype(np.float32)


def _of_pixels(found: Opened, called: str) -> Source:
    """From a deep picture's (H, W, channels)."""
    assert found.pixels is not None  # noqa: S101
    pixels, layout = _checked(upright(found.pixels, found.orientation), called), found.layout
    extra = layout.extra if layout is not None else (0 if pixels.shape[2] in (2, 4) else None)
    n_colors = pixels.shape[2] if extra is None else (3 if pixels.shape[2] > 3 else 1)
    values, alpha = pixels[:, :, :n_colors], pixels[:, :, n_colors] if extra is not None else None
    if layout is not None and layout.first(262, tiff.BLACK_IS_ZERO) == tiff.WHITE_IS_ZERO:
        values = (1 if values.dtype.kind == "f" else 65535) - values
    if layout is not None and alpha is not None and extra == tiff.ASSOCIATED:
        colors, opacity = icc.unit_planes(values).transpose(1, 2, 0), icc.unit_planes(alpha[:, :, None])[0]
        values = tiff.unassociated(colors, opacity)
        alpha = opacity
    return Source(values, alpha, _profile(found.profile, values), tuple(found.notes))


def _checked(pixels: NDArray[Any], called: str) -> NDArray[Any]:
    """As uint16 or float32, if they are values that a picture has."""
    if pixels.dtype == np.uint32:
        return (pixels >> 16).astype(np.uint16)
    if pixels.dtype.kind != "f":
        return pixels
    pixels = pixels.astype(np.float32, copy=False)
    if not np.isfinite(pixels).all() or np.abs(pixels).max() > 65535:
        raise InputError(f"{called} holds values that no picture has (not a number, or beyond 16 bits).")
    return pixels


def _of_image(found: Opened, image: Image.Image, called: str, small_px: int | None) -> Source:
    """From an image of Pillow's."""
    if image.mode in DEEP_GRAY:
        gray = upright(_deep_gray(image, called), found.orientation)
        source = Source(gray, None, _profile(found.profile, gray), tuple(found.notes))
        return source if small_px is None else _shrunk_pixels(source, small_px)
    image = plain(image)
    if small_px is not None and max(image.size) > small_px:
        factor = small_px / max(image.size)
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    image, was = _in_rgb(image, found.profile)
    pixels = upright(np.asarray(image)[:, :, None] if image.mode == "L" else np.asarray(image), found.orientation)
    has_alpha = image.mode in ("LA", "RGBA")
    values = pixels[:, :, :-1] if has_alpha else pixels
    profile = None if was else _profile(found.profile, values)
    return Source(values, pixels[:, :, -1] if has_alpha else None, profile, tuple(found.notes), was)


def plain(image: Image.Image) -> Image.Image:
    """Palettes and transparent colors resolved: what is left is gray, RGB, CMYK or Lab, perhaps with alpha."""
    if image.mode in ("P", "PA") or "transparency" in image.info:
        has_alpha = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if has_alpha else "RGB")
    if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB"):
        return image
    return image.convert({"1": "L", "La": "LA", "RGBa": "RGBA"}.get(image.mode, "RGB"))


def _in_rgb(image: Image.Image, data: bytes | None) -> tuple[Image.Image, str]:
    """Gray or RGB, perhaps with alpha; and what it was, where values had to be converted to sRGB."""
    is_table = data is not None and image.mode in ("RGB", "RGBA", "L", "LA") and icc.parse(data) is None
    if image.mode not in ("CMYK", "LAB") and not is_table:
        return image, ""
    was = {"CMYK": "is CMYK", "LAB": "is Lab"}.get(image.mode, "has a color profile made of tables")
    converted = _by_littlecms(image, data) if data is not None or image.mode == "LAB" else None
    if converted is not None:
        return converted, was
    return (image, "") if is_table else (image.convert("RGB"), was)  # a profile that does not fit: as without one


def _by_littlecms(image: Image.Image, data: bytes | None) -> Image.Image | None:
    """Through a profile to sRGB, with the alpha; None if the two do not fit. Lab needs no profile."""
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    colors = image.convert(image.mode[:-1]) if alpha is not None else image
    try:
        if data is None or image.mode == "LAB":
            profile = ImageCms.createProfile("LAB")
        else:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(data)).profile
        result = ImageCms.profileToProfile(colors, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if result is not None and alpha is not None:
        result.putalpha(alpha)
    return result


def _profile(data: bytes | None, values: NDArray[Any]) -> Profile | None:
    """The profile of stored values, if it is one for so many channels. Gray through an RGB profile counts as RGB."""
    profile = None if data is None else icc.parse(data)
    if profile is None or len(profile.curves) != values.shape[2]:
        return None
    return profile


def _deep_gray(image: Image.Image, called: str) -> NDArray[Any]:
    """Gray of more than 8 bits as (H, W, 1): integers of 16 bits, or floats as they are."""
    values = np.asarray(image)
    if image.mode == "F":
        return _checked(values, called)[:, :, None]
    if values.min() < 0 or values.max() > 65535:
        raise InputError(f"{called} holds values that no picture has (not a number, or beyond 16 bits).")
    return values.astype(np.uint16)[:, :, None]


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """(H, W, C) turned as the EXIF orientation says."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _shrunk_pixels(source: Source, longest_px: int) -> Source:
    """A deep picture, made smaller by averaging whole blocks."""
    factor = -(-max(source.size) // longest_px)
    if factor < 2:
        return source
    height, width = (max(1, side // factor) for side in source.size)

    def small(plane: NDArray[Any]) -> NDArray[Any]:
        blocks = plane[: height * factor, : width * factor]
        if min(blocks.shape) < factor:  # a line
            return plane[::factor, ::factor][:height, :width]
        mean = blocks.reshape(height, factor, width, factor).mean((1, 3), dtype=np.float32)
        return mean if plane.dtype.kind == "f" else np.rint(mean).astype(plane.dtype)

    planes = [small(source.values[:, :, i]) for i in range(source.values.shape[2])]
    alpha = None if source.alpha is None else small(source.alpha)
    return Source(np.stack(planes, 2), alpha, source.profile, source.notes, source.was)
