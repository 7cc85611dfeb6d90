"""Pictures that a browser uploaded, as planes, and painted planes as files, for the web page.

They are read and written by ``engine.files``, whose numbers need no torch: this process must not load it. Here its
errors become the wire's, and files are called what the page calls them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gimp_plugin.wire import MAX_FILE_BYTES, Plane, SavedStyle, WireError, unpack_style
from server.page.files import gone, open_regular

if TYPE_CHECKING:
    from engine.files.source import Source

FULL = {"U8": 255, "U16": 65535, "F32": 1}
STYLE_PX = 2048  # a style picture is looked at in 512 pixels, and its strokes in a few more


def read_picture(path: Path, what: str, notes: list[str] | None = None, small_px: int = STYLE_PX) -> Plane:
    """An uploaded picture as (H, W, 4) sRGB pixels, as deep as they are.

    Args:
        path: the file.
        what: how the page calls it ("photo", "style picture"), for the error's sentence. A style of any size is read
            small.
        notes: gets sentences about what of the file was not read.
        small_px: longest side at which a style is read.

    Returns:
        8 or 16 bits a channel; floats where the file's colors are not all in sRGB.

    Raises:
        WireError: not a picture, damaged, or too large.
    """
    from engine.files.source import read_source  # noqa: PLC0415

    with _sentences(what):
        renew(path)
        source = read_source(path, f"The {what}", small_px=small_px if what == "style picture" else None)
        if notes is not None:
            notes += source.notes
        return _plane_of(source)


def read_style(path: Path) -> SavedStyle:
    """An uploaded style file.

    Raises:
        WireError: it is none, or a damaged one.
    """
    with _sentences("style file"):
        renew(path)
        with open(open_regular(path), "rb") as file:
            return unpack_style(file.read(MAX_FILE_BYTES + 1))


def read_mask(path: Path, size: tuple[int, int]) -> Plane:
    """An uploaded mask: white is painted, black is left alone, gray is in between; transparent counts as black.

    Args:
        path: the file.
        size: (H, W) of the photo; a mask of the same proportions is scaled to it.

    Raises:
        WireError: unusable, or of other proportions than the photo.
    """
    from engine.files.source import read_weight  # noqa: PLC0415

    with _sentences("mask"):
        renew(path)
        weight = read_weight(path, "The mask")
        return _mask_plane(Image.fromarray((weight * 256).clip(0, 255).astype("uint8")), size)  # 8 bits as they are


def mask_of_strokes(layer: Image.Image, opacity: float, size: tuple[int, int]) -> Plane | None:
    """What was painted over the photo in the browser, as a mask.

    Args:
        layer: the strokes on a transparent layer of the photo's proportions.
        opacity: of one stroke, 0 to 1: that much alpha counts as fully selected.
        size: (H, W) of the photo.

    Returns:
        The mask, or None if nothing was painted.
    """
    return _mask_of_alpha(layer.convert("RGBA").getchannel("A"), opacity, size)


def read_strokes(path: Path, opacity: float, size: tuple[int, int]) -> Plane | None:
    """An uploaded layer of strokes, as ``mask_of_strokes``.

    Raises:
        WireError: see ``read_picture``.
    """
    import numpy as np  # noqa: PLC0415

    from engine.files.source import read_source  # noqa: PLC0415

    with _sentences("brushed layer"):
        renew(path)
        source = read_source(path, "The brushed layer")
        alpha = source.opacity()  # (H, W) in [0, 1]; None: it is opaque
        pixels = np.full(source.size, 255, np.uint8) if alpha is None else np.rint(alpha * 255).astype(np.uint8)
        return _mask_of_alpha(Image.fromarray(pixels), opacity, size)


def make_preview(path: Path, longest_px: int) -> Image.Image:
    """An uploaded photo, small and upright, to paint a mask over.

    Raises:
        WireError: see ``read_picture``.
    """
    import numpy as np  # noqa: PLC0415

    from engine.files.source import read_source  # noqa: PLC0415

    with _sentences("photo"):
        renew(path)
        rgb = read_source(path, "The photo", small_px=longest_px).srgb()  # (3, H, W)
        return Image.fromarray(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))


def write_png(path: Path, plane: Plane, like: Path | None = None) -> list[str]:
    """Write (H, W, 4) pixels as a PNG; one that is opaque gets no alpha channel.

    Args:
        path: its place.
        plane: 8 or 16 bits a channel, or floats.
        like: the photo it was made from: its color profile and its depth go with it.

    Returns:
        Sentences about what could not go along.

    Raises:
        WireError: the disk is full.
    """
    import numpy as np  # noqa: PLC0415

    from engine.core.errors import ImpastoError  # noqa: PLC0415
    from engine.files.icc import unit_planes  # noqa: PLC0415
    from engine.files.writing import write_planes  # noqa: PLC0415

    pixels = np.frombuffer(plane.data, _dtype_of(plane)).reshape(plane.shape)
    planes = unit_planes(pixels)  # (4, H, W)
    alpha = None if (planes[3] == 1).all() else planes[3]
    try:
        notes = write_planes(path, planes[:3], alpha, like)
    except ImpastoError as error:
        raise WireError("disk_full", "The result could not be written: make room on the disk and try again.") from error
    return notes if like is None else [note.replace(like.name, "the photo") for note in notes]


def renew(path: Path) -> None:
    """Let an upload that is still used count as new, so that it is not swept away as an old one.

    Raises:
        FileNotFoundError: it is gone, or is no regular file; nothing is waited for, followed or touched then.
    """
    descriptor = open_regular(path)
    try:
        os.utime(descriptor if os.utime in os.supports_fd else path)
    finally:
        os.close(descriptor)


@contextmanager
def _sentences(what: str) -> Iterator[None]:
    """The reader's errors as the wire's; none tells the path of a file."""
    from engine.core.errors import InputError, ResourceError  # noqa: PLC0415
    from engine.files.opening import MissingError, TooLargeError  # noqa: PLC0415

    try:
        yield
    except WireError:
        raise
    except TooLargeError as error:
        raise WireError("too_large", str(error)) from error
    except (MissingError, FileNotFoundError) as error:
        raise gone(what) from error
    except ResourceError as error:
        raise WireError("out_of_memory", str(error)) from error
    except InputError as error:
        raise WireError("unprocessable", str(error)) from error
    except MemoryError as error:
        raise WireError("out_of_memory", f"There is not enough memory to read the {what}: scale it down.") from error
    except OSError as error:
        raise WireError("unprocessable", f"The {what} cannot be read: choose it again.") from error


def _plane_of(source: Source) -> Plane:
    """(H, W, 4) in the least that keeps every value."""
    import numpy as np  # noqa: PLC0415

    height, width = source.size
    is_stored = source.is_plain and source.values.dtype.kind != "f"
    dtype = source.values.dtype if is_stored else np.dtype(np.float32)
    pixels = np.empty((height, width, 4), dtype)
    pixels[:, :, :3] = source.values if is_stored else source.srgb().transpose(1, 2, 0)
    opacity = source.alpha if is_stored else source.opacity()
    name = {1: "U8", 2: "U16", 4: "F32"}[dtype.itemsize]
    pixels[:, :, 3] = opacity if opacity is not None else FULL[name]
    return Plane(name, pixels.shape, pixels.data.cast("B"))


def _dtype_of(plane: Plane) -> Any:
    return {"U8": "u1", "U16": "<u2", "F16": "<f2", "F32": "<f4"}[plane.dtype]


def _mask_of_alpha(alpha: Image.Image, opacity: float, size: tuple[int, int]) -> Plane | None:
    alpha = alpha.point([min(255, round(a / opacity)) for a in range(256)])
    return _mask_plane(alpha, size) if alpha.getbbox() else None


def _mask_plane(gray: Image.Image, size: tuple[int, int]) -> Plane:
    height, width = size
    if abs(gray.width * height - gray.height * width) > 0.01 * gray.height * width + max(width, height, *gray.size):
        raise WireError(
            "unprocessable",
            f"The mask is {gray.width} x {gray.height} pixels, the photo {width} x {height}: "
            "they must have the same proportions.",
        )
    if gray.size != (width, height):
        gray = gray.resize((width, height), Image.Resampling.BILINEAR)
    return Plane("U8", (height, width), gray.tobytes())
