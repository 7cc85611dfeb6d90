"""A picture to a file, in the colors and with the depth of the file it was made from, as far as the format can."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.core.errors import ImpastoError, InputError
from engine.files import formats, opencv, png, tiff
from engine.files.icc import Floats, Profile
from engine.files.metadata import Metadata, Tag
from engine.files.opening import opened
from engine.files.places import temporary_name, writing_error
from engine.files.source import Source, source_of

ROWS = 256  # are converted at a time


@dataclass(frozen=True, eq=False)
class Target:
    """How a result is written.

    Args:
        dtype: of a channel: uint8, uint16 or float32.
        profile: the RGB profile it is in; None = sRGB, and none is embedded.
        source: whose stored values go where the result has the very same colors; None = nothing is to be kept.
        metadata: goes with it.
        notes: sentences about what the file cannot hold.
    """

    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.uint8))
    profile: Profile | None = None
    source: Source | None = None
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()


def write_planes(
    path: Path, rgb: Floats, alpha: Floats | None, like: Path | None = None, made_by: str | None = None
) -> list[str]:
    """Write a picture, whole or not at all.

    It is written beside its place and moved there at the end, so that a full disk or a crash leaves what was there.

    Args:
        path: the extension says the format; all but JPEG keep pixels exactly. JPEG and BMP have no transparency: there
            the picture is laid on white.
        rgb: (3, H, W) sRGB-encoded. Values outside of [0, 1] are colors that sRGB has not: they are kept as far as
            the file's profile has them.
        alpha: (H, W) in [0, 1]; None = opaque.
        like: the file it was made from: its color profile, its depth, its resolution and what its EXIF data tell of
            the picture go with the result, as far as the format has room for them. Where the colors are its own to
            the bit, its stored values are written.
        made_by: a word about how it was made (EXIF's ProcessingSoftware).

    Returns:
        Sentences about what could not go along.

    Raises:
        InputError: unknown extension, no such folder, no right to write, too large for the format.
        ResourceError: the disk is full.
    """
    file_format, options = formats.format_of(path)
    target = _target_of(like, file_format, rgb.shape[1:])
    pixels = _pixels_of(rgb, alpha, target, has_alpha=file_format not in formats.WITHOUT_ALPHA)
    if made_by is not None:
        target.metadata.exif[Tag.ProcessingSoftware] = made_by
    temporary = temporary_name(path)
    try:
        with temporary.open("xb") as file:
            _encode(file, pixels, file_format, options, target)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise writing_error(path, error) from error
    except ValueError as error:  # what Pillow says of sizes that a format has no room for
        raise InputError(f"{path.name} could not be written as {file_format}; write a .png instead.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return list(target.notes)


def _target_of(like: Path | None, file_format: str, size: tuple[int, ...]) -> Target:
    """How to write what was made from a file."""
    if like is None:
        return Target()
    try:
        with opened(like) as found:
            source, metadata = source_of(found, like.name), found.metadata
    except ImpastoError:  # it is gone, or was never readable: that must not cost the painting
        return Target()
    notes = []
    profile = source.profile if source.values.shape[2] == 3 else None
    if profile is not None and not profile.is_srgb and file_format in formats.WITHOUT_PROFILE:
        notes.append(f"{file_format} holds no color profile: the colors of {like.name} were converted to sRGB.")
        profile = None
    elif profile is not None and file_format in formats.WITHOUT_PROFILE:
        profile = None
    elif source.was or (source.values.shape[2] == 1 and not source.is_plain):
        was = source.was or "is gray with a profile of its own"
        notes.append(f"{like.name} {was}: the result is in sRGB.")
    dtype, note = _dtype_of(source, file_format, like.name)
    is_kept = source.size == size and not source.is_plain and profile is not None
    return Target(dtype, profile, source if is_kept else None, metadata, (*notes, *note))


def _dtype_of(source: Source, file_format: str, name: str) -> tuple[np.dtype[Any], list[str]]:
    """As deep as the source, as far as the format can."""
    stored = source.values.dtype
    if stored.itemsize == 1:
        return np.dtype(np.uint8), []
    if file_format not in formats.DEEP:
        return np.dtype(np.uint8), [f"{name} has more than 8 bits a channel, of which {file_format} holds 8."]
    if stored.kind == "f" and file_format != "TIFF":
        return np.dtype(np.uint16), [f"{name} holds floats, of which {file_format} holds 16 bits."]
    return stored.newbyteorder("="), []


def _pixels_of(rgb: Floats, alpha: Floats | None, target: Target, *, has_alpha: bool) -> NDArray[Any]:
    """(H, W, 3 or 4) as they are stored."""
    height, width = rgb.shape[1:]
    pixels = np.empty((height, width, 4 if alpha is not None and has_alpha else 3), target.dtype)
    for top in range(0, height, ROWS):
        rows = slice(top, top + ROWS)
        colors = _colors_of(rgb[:, rows], target, rows)  # (rows, W, 3)
        if alpha is not None and has_alpha:
            pixels[rows, :, 3] = _stored(alpha[rows], target.dtype)
        elif alpha is not None:
            colors = 1 + alpha[rows, :, None] * (np.clip(colors, 0, 1) - 1)
        pixels[rows, :, :3] = _stored(colors, target.dtype)
        if target.source is not None and (alpha is None or has_alpha):
            _put_back(pixels[rows, :, :3], rgb[:, rows], target.source, rows)
    return pixels


def _colors_of(rgb: Floats, target: Target, rows: slice) -> Floats:
    return rgb.transpose(1, 2, 0) if target.profile is None else target.profile.encode(rgb)


def _stored(values: Floats, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "f":
        return values
    return np.rint(np.clip(values, 0, 1) * np.float32(np.iinfo(dtype).max)).astype(dtype)


def _put_back(pixels: NDArray[Any], rgb: Floats, source: Source, rows: slice) -> None:
    """Give pixels that nothing has changed the source's own stored values."""
    if source.values.dtype != pixels.dtype:
        return
    is_same = (source.srgb(rows) == rgb).all(0)  # (rows, W)
    np.copyto(pixels, source.values[rows], where=is_same[:, :, None])


def _encode(
    file: io.BufferedWriter, pixels: NDArray[Any], file_format: str, options: dict[str, object], target: Target
) -> None:
    profile = None if target.profile is None else target.profile.data
    if pixels.dtype != np.uint8:
        file.write(_encoded_deep(pixels, file_format, profile, target.metadata))
        return
    extras: dict[str, Any] = options | target.metadata.options(file_format)
    if profile is not None:
        extras["icc_profile"] = profile
    Image.fromarray(pixels).save(file, file_format, **extras)


def _encoded_deep(pixels: NDArray[Any], file_format: str, profile: bytes | None, metadata: Metadata) -> bytes:
    if file_format == "TIFF":
        return tiff.encode(pixels, profile, metadata.tags(), metadata.dpi)
    exif = metadata.options(file_format).get("exif", b"")
    added = [png.profile_chunk(profile)] if profile is not None else []
    added += [png.resolution_chunk(metadata.dpi)] if metadata.dpi is not None else []
    added += [png.chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))] if exif else []
    return png.with_chunks(opencv.encode_png(pixels), added)
