"""Pictures that a browser uploaded, as planes, and painted planes as files: Pillow with limits, for the web page.

The supervisor holds no torch, so ``engine.files`` is out of its reach; the rules are the same: only formats on the
list, upright, in sRGB, at most ``MAX_SIDE_PX`` a side, and every failure is one sentence.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from gimp_plugin.wire import MAX_SIDE_PX, Plane, WireError
from server.page_files import gone, open_regular

READABLE = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")


def read_picture(path: Path, what: str) -> Plane:
    """An uploaded picture as (H, W, 4) sRGB pixels with 8 bits a channel.

    Args:
        path: the file.
        what: how the page calls it ("photo"), for the error's sentence.

    Raises:
        WireError: not a picture, damaged, or too large.
    """
    with _opened(path, what) as image:
        pixels = _in_srgb(ImageOps.exif_transpose(image)).convert("RGBA")
    return Plane("U8", (pixels.height, pixels.width, 4), pixels.tobytes())


def read_mask(path: Path, size: tuple[int, int]) -> Plane:
    """An uploaded mask: white is painted, black is left alone, gray is in between; transparent counts as black.

    Args:
        path: the file.
        size: (H, W) of the photo; a mask of the same proportions is scaled to it.

    Raises:
        WireError: unusable, or of other proportions than the photo.
    """
    with _opened(path, "mask") as image:
        gray, alpha = _shallow(ImageOps.exif_transpose(image)).convert("RGBA").convert("LA").split()
    black = Image.new("L", gray.size)
    return _mask_plane(Image.composite(gray, black, alpha), size)


def mask_of_strokes(layer: Image.Image, opacity: float, size: tuple[int, int]) -> Plane | None:
    """What was painted over the photo in the browser, as a mask.

    Args:
        layer: the strokes on a transparent layer of the photo's proportions.
        opacity: of one stroke, 0 to 1: that much alpha counts as fully selected.
        size: (H, W) of the photo.

    Returns:
        The mask, or None if nothing was painted.
    """
    alpha = layer.convert("RGBA").getchannel("A").point([min(255, round(a / opacity)) for a in range(256)])
    return _mask_plane(alpha, size) if alpha.getbbox() else None


def read_strokes(path: Path, opacity: float, size: tuple[int, int]) -> Plane | None:
    """An uploaded layer of strokes, as ``mask_of_strokes``.

    Raises:
        WireError: see ``read_picture``.
    """
    with _opened(path, "brushed layer") as image:
        return mask_of_strokes(image, opacity, size)


def make_preview(path: Path, longest_px: int) -> Image.Image:
    """An uploaded photo, small and upright, to paint a mask over.

    Raises:
        WireError: see ``read_picture``.
    """
    with _opened(path, "photo") as image:
        small = ImageOps.exif_transpose(image)
        small.thumbnail((longest_px, longest_px))
        return _in_srgb(small).convert("RGB")


def write_png(path: Path, plane: Plane) -> None:
    """Write (H, W, 4) pixels with 8 bits a channel as a PNG; one that is opaque gets no alpha channel.

    Raises:
        WireError: the disk is full.
    """
    image = Image.frombuffer("RGBA", (plane.width, plane.height), bytes(plane.data), "raw", "RGBA", 0, 1)
    if image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    try:
        image.save(path, "PNG", compress_level=4)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise WireError("disk_full", "The result could not be written: make room on the disk and try again.") from error


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
def _opened(path: Path, what: str) -> Iterator[Image.Image]:
    """An image whose pixels are loaded and whose size is accepted; whatever fails becomes a sentence."""
    try:
        renew(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd but harmless metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=READABLE) as image:
                if max(image.size) > MAX_SIDE_PX:
                    raise _too_large(what, f"is {image.width} x {image.height} pixels")
                image.load()
                yield image
    except WireError:
        raise
    except MemoryError as error:
        raise WireError("out_of_memory", f"There is not enough memory to read the {what}: scale it down.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(what, "has more than 89 million pixels") from error
    except FileNotFoundError as error:
        raise gone(what) from error
    except UnidentifiedImageError as error:
        raise WireError(
            "unprocessable", f"The {what} is no picture that Impasto reads: use PNG, JPEG, WebP, TIFF, BMP, GIF or PPM."
        ) from error
    except Exception as error:  # what decoders raise at damaged files is not documented
        raise WireError(
            "unprocessable", f"The {what} is damaged or of an unusual kind: save it again as PNG."
        ) from error


def _too_large(what: str, how: str) -> WireError:
    return WireError(
        "too_large", f"The {what} {how}; at most {MAX_SIDE_PX} x {MAX_SIDE_PX} can be used: scale it down."
    )


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


def _shallow(image: Image.Image) -> Image.Image:
    """Gray with 16 bits as gray with 8; Pillow's own conversion clips it."""
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    return image


def _in_srgb(image: Image.Image) -> Image.Image:
    """RGB or RGBA in sRGB; a profile that does not fit its picture is passed over."""
    image = _shallow(image)
    if image.mode in ("P", "PA", "1", "LA", "La") or "transparency" in image.info:
        return image.convert("RGBA")
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colors = image.convert("RGB") if alpha is not None else image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if colors.mode == "RGB" and "srgb" in ImageCms.getProfileDescription(source).lower():
            return image  # to the bit
        result = ImageCms.profileToProfile(colors, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    if result is None:
        return image
    if alpha is not None:
        result.putalpha(alpha)
    return result
