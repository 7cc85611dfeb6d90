"""Pictures, masks and label maps from files and back, as the engine's types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from engine.core.errors import ImpastoError, InputError
from engine.core.limits import MAX_PIXELS
from engine.core.shapes import check_shapes
from engine.core.types import Mask, Picture
from engine.files import icc
from engine.files.opening import MAX_STYLE_PIXELS
from engine.files.places import keep_elsewhere
from engine.files.source import Source, read_source, read_weight
from engine.files.writing import write_planes
from engine.regions.labels import Color, split_labels


def read_picture(path: Path | str, max_pixels: int = MAX_PIXELS, small_px: int | None = None) -> Picture:
    """A picture file as sRGB pixels, upright.

    The EXIF orientation is applied and the color profile, too: colors that sRGB has not lie outside of [0, 1]. 16 bits
    and floats keep their depth. Of several frames the first is taken, and of a file that lacks its end what is there
    (``read_with_notes`` says so).

    Args:
        path: PNG, JPEG, WebP, TIFF, BMP, GIF, PPM, AVIF, JPEG 2000, and HEIC with the extra for it.
        max_pixels: what is larger is refused.
        small_px: for a style, which is only looked at: a longer side is made smaller, and any size will do.

    Raises:
        InputError: no such file, not a picture, damaged, or too large.
        ResourceError: not enough memory.
    """
    return read_with_notes(path, max_pixels, small_px)[0]


def read_with_notes(
    path: Path | str, max_pixels: int = MAX_PIXELS, small_px: int | None = None
) -> tuple[Picture, list[str]]:
    """As ``read_picture``, and sentences about what of the file was not read."""
    source = read_source(Path(path), None, max_pixels, small_px)
    return picture_of(source), list(source.notes)


def picture_of(source: Source) -> Picture:
    """What a file holds, as sRGB pixels."""
    planes, alpha = torch.from_numpy(source.srgb()), source.opacity()
    return Picture(planes, None if alpha is None else torch.from_numpy(alpha))


def read_mask(path: Path | str, size: tuple[int, int] | None = None) -> Mask:
    """A mask file: gray, black = untouched, white = painted, in between = blended. Transparent counts as black.

    Args:
        path: as for ``read_picture``.
        size: (H, W) that it must have; None = any.

    Raises:
        InputError: unusable, or of another size.
        ResourceError: not enough memory.
    """
    path = Path(path)
    weight = read_weight(path)
    _require_size(path, weight.shape, size, "mask")
    return Mask(torch.from_numpy(weight), path.stem)


def read_labels(path: Path | str, size: tuple[int, int] | None = None) -> list[tuple[Color, Mask]]:
    """The regions of a label map: flat colors, each a region; see ``engine.regions.labels.split_labels``.

    Args:
        path: as for ``read_picture``.
        size: (H, W) of its picture; a map of the same proportions, up to a pixel of rounding, is brought to it.
            None = as it is.

    Returns:
        (color, mask), largest region first.

    Raises:
        InputError: unusable, of other proportions, or too many colors.
        ResourceError: not enough memory.
    """
    path = Path(path)
    source = read_source(path, max_pixels=MAX_PIXELS if size is None else MAX_STYLE_PIXELS)
    pixels = _as_bytes(source.values)  # colors are names here: no profile
    if size is not None and is_scaled(pixels.shape[:2], size):
        pixels = np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.NEAREST))
    _require_size(path, pixels.shape[:2], size, "label map")
    return split_labels(Picture(torch.from_numpy(icc.unit_planes(pixels))), path.name)


def write_picture(
    path: Path | str, picture: Picture, like: Path | str | None = None, made_by: str | None = None
) -> list[str]:
    """Write a picture, whole or not at all: see ``engine.files.writing.write_planes``.

    Args:
        path: the extension says the format.
        picture: (3, H, W).
        like: the file it was made from, whose profile, depth and metadata go with it.
        made_by: a word about how it was made, which goes with it.

    Returns:
        Sentences about what could not go along.

    Raises:
        InputError: unknown extension, no such folder, no right to write.
        ResourceError: the disk is full.
    """
    check_shapes(rgb=(picture.rgb, "3 H W"))
    rgb = picture.rgb.detach().float().numpy()
    alpha = None if picture.alpha is None else picture.alpha.detach().float().numpy()
    return write_planes(Path(path), rgb, alpha, None if like is None else Path(like), made_by)


def write_or_keep(
    path: Path | str, picture: Picture, like: Path | str | None = None, made_by: str | None = None
) -> list[str]:
    """As ``write_picture``; what cannot be written to its place is kept in another, which the error names.

    Raises:
        InputError, ResourceError: it is not in its place.
    """
    try:
        return write_picture(path, picture, like, made_by)
    except ImpastoError as error:
        raise keep_elsewhere(Path(path), error, lambda place: write_picture(place, picture, like)) from error


def is_scaled(size: tuple[int, ...], other: tuple[int, int]) -> bool:
    """Whether (H, W) is a smaller or larger copy of another: some program rounded its sides."""
    height, width = size
    high, wide = other
    return (
        abs(height - width * high / wide) <= 1
        or abs(width - height * wide / high) <= 1
        or abs(high - wide * height / width) <= 1
    )


def _as_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """(H, W, 1 or 3) of any depth as (H, W, 3) bytes."""
    if values.dtype != np.uint8:
        planes = np.clip(icc.unit_planes(values), 0, 1) * 255
        values = np.rint(planes).astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


def _require_size(path: Path, found: tuple[int, ...], size: tuple[int, int] | None, kind: str) -> None:
    if size is not None and found != size:
        raise InputError(
            f"The {kind} {path.name} is {found[1]} x {found[0]} pixels, its picture {size[1]} x {size[0]}: "
            "they must have the same size."
        )
