"""A picture file opened with Pillow, with limits; every error of Pillow and the disk ends here as a sentence."""

from __future__ import annotations

import logging
import math
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from engine.core.errors import ImpastoError, InputError, ResourceError
from engine.core.limits import MAX_PIXELS
from engine.files import formats, opencv, png, tiff
from engine.files.metadata import Metadata, metadata_of

DEEP_GRAY = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")  # Pillow's modes
MAX_STYLE_PIXELS = 300_000_000  # of a picture that is only looked at, small
_LOCK = threading.RLock()  # Pillow's limits belong to the process: they are lifted for one file at a time


logging.getLogger("PIL").addHandler(logging.NullHandler())  # its errors become sentences, and stderr needs no more


class TooLargeError(InputError):
    """More pixels than are read."""


class MissingError(InputError):
    """There is no such file."""


@dataclass
class Opened:
    """A picture file whose pixels are loaded.

    Args:
        kind: the format.
        image: as Pillow has it: not turned, in the file's own colors. None where there are ``pixels``.
        pixels: (H, W, channels) of a deep picture, which Pillow would read with 8 bits or not at all.
        layout: of a TIFF.
        profile: the bytes of the color profile.
        orientation: by EXIF, 1 to 8.
        metadata: what the file tells of its picture.
        notes: sentences about what was not read.
    """

    kind: str
    image: Image.Image | None = None
    pixels: NDArray[Any] | None = None
    layout: tiff.Layout | None = None
    profile: bytes | None = None
    orientation: int = 1
    metadata: Metadata = field(default_factory=Metadata)
    notes: list[str] = field(default_factory=list)


@contextmanager
def opened(
    path: Path, called: str | None = None, max_pixels: int = MAX_PIXELS, small_px: int | None = None
) -> Iterator[Opened]:
    """A picture file, its pixels loaded.

    Args:
        path: a regular file in one of ``formats.FORMATS``.
        called: how sentences name it; None = by its name.
        max_pixels: what is larger is refused before a pixel is decoded.
        small_px: the longest side may be read smaller, down to this.

    Raises:
        InputError: no such file, not a picture, damaged, or too large.
        ResourceError: not enough memory.
    """
    where, called = called or str(path), called or path.name
    with _sentences(where, called), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd but harmless metadata
        require_file(path, where)
        with path.open("rb") as file:
            with _lifted_limits():
                found = _read(file, path, called, max_pixels, small_px)
            try:
                yield found
            finally:
                if found.image is not None:
                    found.image.close()


def _read(file: BinaryIO, path: Path, called: str, max_pixels: int, small_px: int | None) -> Opened:
    head = file.read(formats.HEAD_BYTES)
    kind = formats.sniff(head)
    if kind is None:
        raise InputError(formats.stranger(path, head, called))
    missing = formats.missing_reader(kind, called)
    if missing:
        raise InputError(missing)
    if kind == "TIFF":
        found = _read_deep_tiff(file, called, max_pixels, small_px)
        if found is not None:
            return found
    stream, profile = png.readable(file) if kind == "PNG" else (file, None)
    if png.is_deep_color(head) and small_px is None:
        found = _read_deep_png(stream, profile, called, max_pixels)
        if found is not None:
            return found
    image, notes = _load(stream, kind, called, max_pixels, small_px)
    bits = 16 if png.is_deep_color(head) or _is_cut(image) else formats.deep_bits(kind, head)
    if bits and small_px is None:
        notes.append(formats.lost_depth(called, bits))
    profile = profile or image.info.get("icc_profile")
    return Opened(kind, image, None, None, profile, orientation_of(image), metadata_of(image), notes)


def _is_cut(image: Image.Image) -> bool:
    """Whether Pillow read a TIFF's 16 bits as 8."""
    bits = getattr(image, "tag_v2", {}).get(258, (8,))
    return image.mode not in DEEP_GRAY and max(bits if isinstance(bits, tuple) else (bits,)) > 8


def _read_deep_tiff(file: BinaryIO, called: str, max_pixels: int, small_px: int | None) -> Opened | None:
    """A TIFF with more than 8 bits; None = Pillow's work."""
    try:
        layout = tiff.layout_of(file)
    except Exception:
        return None
    if not layout.is_deep or (small_px is not None and layout.is_for_pillow):
        return None
    check_pixels(called, layout.size[1], layout.size[0], min(max_pixels, MAX_PIXELS))
    pixels = tiff.read_pixels(file, layout)
    if pixels is None:
        return None
    notes = [f"{called} has several pages; only the first was read."] if layout.has_more_pages else []
    try:
        with _identify(file, "TIFF", called, max_pixels, None) as image:
            metadata = metadata_of(image)
    except UnidentifiedImageError:  # floats: Pillow knows no such pixels
        metadata = Metadata()
    return Opened("TIFF", None, pixels, layout, layout.profile, layout.first(274, 1), metadata, notes)


def _read_deep_png(stream: BinaryIO, profile: bytes | None, called: str, max_pixels: int) -> Opened | None:
    """A PNG with 16 bits of color; None = damaged."""
    with _identify(stream, "PNG", called, max_pixels, None) as image:
        has_exif = "exif" in image.info  # else Pillow would decode all, to look behind the pixels
        orientation = orientation_of(image) if has_exif else 1
        metadata = metadata_of(image, None if has_exif else Image.Exif())
    pixels = opencv.decode(stream) if png.is_sound(stream) else None
    if pixels is None or pixels.dtype != np.uint16:
        return None
    return Opened("PNG", None, pixels, None, profile, orientation, metadata)


def orientation_of(image: Image.Image) -> int:
    """Which way up, by EXIF: 1 to 8."""
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if value in range(1, 9) else 1


def require_file(path: Path, where: str) -> None:
    """Refuse what is no regular file: a pipe or a device would never end.

    Raises:
        OSError: no such file, or no right to look.
        InputError: it is something else.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(str(path))
    if not stat.S_ISREG(mode):
        raise InputError(f"{where} is no file but a device or a pipe; give a picture file.")


def check_pixels(called: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse more pixels than are read.

    Raises:
        TooLargeError: more.
    """
    if width * height > max_pixels:
        raise TooLargeError(
            f"{called} is {width} x {height} pixels, {width * height / 1e6:.0f} megapixels; at most "
            f"{max_pixels / 1e6:.0f} can be used. Scale it down."
        )


def _load(
    stream: BinaryIO, kind: str, called: str, max_pixels: int, small_px: int | None
) -> tuple[Image.Image, list[str]]:
    """The image, and a note if it lacks its end or has more frames."""
    image = _identify(stream, kind, called, max_pixels, small_px)
    notes = _frame_notes(image, kind, called)
    try:
        image.load()
    except (OSError, EOFError, SyntaxError) as error:
        if not _lacks_end(error):
            raise
        with _tolerance():
            stream.seek(0)
            image = _identify(stream, kind, called, max_pixels, small_px)
            image.load()
        if _is_empty(image):
            raise
        notes.append(f"{called} lacks its end: what is there was read, the rest is black.")
    return image, notes


def _identify(stream: BinaryIO, kind: str, called: str, max_pixels: int, small_px: int | None) -> Image.Image:
    stream.seek(0)
    image = Image.open(stream, formats=formats.readable_formats())
    check_pixels(called, image.width, image.height, max_pixels)
    if small_px is not None and kind == "JPEG":
        image.draft(None, _at_least(image.size, small_px))
    return image


def _at_least(size: tuple[int, int], longest_px: int) -> tuple[int, int]:
    factor = min(1.0, longest_px / max(size))
    return math.ceil(size[0] * factor), math.ceil(size[1] * factor)


def _frame_notes(image: Image.Image, kind: str, called: str) -> list[str]:
    if kind not in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):  # the second picture of a camera's JPEG is a preview
        return []
    try:
        count = int(getattr(image, "n_frames", 1))
        image.seek(0)
    except Exception:
        return []
    if count < 2:
        return []
    what = "pages" if kind == "TIFF" else "frames"
    return [f"{called} has {count} {what}; only the first was read."]


def _lacks_end(error: Exception) -> bool:
    return "truncated" in str(error).lower() or isinstance(error, EOFError)


def _is_empty(image: Image.Image) -> bool:
    return all(low == high == 0 for low, high in _extrema(image))


def _extrema(image: Image.Image) -> list[tuple[float, float]]:
    found = image.getextrema()
    return [found] if isinstance(found[0], int | float) else list(found)


@contextmanager
def _lifted_limits() -> Iterator[None]:
    """Pillow's own limit of pixels gives way to ours, which are checked before anything is decoded."""
    with _LOCK:
        usual = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = usual


@contextmanager
def _tolerance() -> Iterator[None]:
    """Pillow takes files that lack their end."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


@contextmanager
def _sentences(where: str, called: str) -> Iterator[None]:
    """Whatever fails becomes an error of ours; ``where`` is the path, for those who may know it."""
    try:
        yield
    except ImpastoError:
        raise
    except MemoryError as error:
        raise ResourceError(f"There is not enough memory to read {called}; scale it down.") from error
    except FileNotFoundError as error:
        raise MissingError(f"There is no file {where}.") from error
    except IsADirectoryError as error:
        raise InputError(f"{where} is a folder; give a picture file.") from error
    except PermissionError as error:
        raise InputError(f"You have no right to read {where}.") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{called} is damaged or of an unusual kind; save it again as PNG.") from error
    except OSError as error:
        if error.errno is not None and error.filename is not None:
            raise InputError(f"{where} cannot be read: {error.strerror}.") from error
        raise InputError(f"{called} is damaged or of an unusual kind; save it again as PNG.") from error
    except Exception as error:  # what decoders raise at damaged files is not documented
        raise InputError(f"{called} is damaged or of an unusual kind; save it again as PNG.") from error
