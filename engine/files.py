"""Pictures, masks and label maps from files and back; every error of Pillow and the disk ends here.

Only formats on the list are opened, so that a hostile file cannot pick an obscure decoder.
"""

from __future__ import annotations

import errno
import io
import os
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from engine.errors import ImpastoError, InputError, ResourceError
from engine.labels import Color, split_labels
from engine.shapes import check_shapes
from engine.types import Mask, Picture

READABLE = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
READABLE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pnm")
WRITABLE: dict[str, tuple[str, dict[str, object]]] = {
    ".png": ("PNG", {"compress_level": 4}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"lossless": True, "exact": True, "method": 2}),
    ".tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".bmp": ("BMP", {}),
}
WITHOUT_ALPHA = ("JPEG", "BMP")
MAX_EXIF_BYTES = {"JPEG": 65533}  # what one marker holds
Tag = ExifTags.Base
TEXTS = (Tag.ImageDescription, Tag.Make, Tag.Model, Tag.Software, Tag.DateTime, Tag.Artist, Tag.HostComputer,
         Tag.Copyright)  # fmt: skip
WINDOWS_TEXTS = (Tag.XPTitle, Tag.XPComment, Tag.XPAuthor, Tag.XPKeywords, Tag.XPSubject)
DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# Of the file, not of the picture: the result has a size of its own, in sRGB.
OF_THE_FILE = (Tag.ColorSpace, Tag.ExifImageWidth, Tag.ExifImageHeight, ExifTags.IFD.Interop)
DEEP_GRAY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
MAX_SIDE_PX = 8192


def read_picture(path: Path | str, max_side_px: int = MAX_SIDE_PX) -> Picture:
    """A picture file as sRGB pixels, upright.

    The EXIF orientation is applied and an embedded color profile converted to sRGB. 16-bit gray keeps its depth; of
    16-bit color Pillow reads the upper 8 bits only (``depth_note`` says so). Of several frames the first is taken.

    Args:
        path: PNG, JPEG, WebP, TIFF, BMP, GIF or PPM.
        max_side_px: longest side that is accepted.

    Raises:
        InputError: no such file, not a picture, damaged, or too large.
        ResourceError: not enough memory.
    """
    with _opened(Path(path), max_side_px) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in DEEP_GRAY or upright.mode == "F":
            gray = _deep_gray(upright, Path(path).name)
            return Picture(gray.expand(3, *gray.shape).clone())
        return _to_picture(_in_srgb(upright))


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
    with _opened(path, MAX_SIDE_PX) as image:
        upright = ImageOps.exif_transpose(image)
        _require_size(path, upright, size, "mask")
        if upright.mode in DEEP_GRAY or upright.mode == "F":
            weight = _deep_gray(upright, path.name).clamp(0, 1)
        else:
            gray, alpha = _planes(_with_alpha(upright).convert("LA"))
            weight = gray * alpha
    return Mask(weight, path.stem)


def read_labels(path: Path | str, size: tuple[int, int] | None = None) -> list[tuple[Color, Mask]]:
    """The regions of a label map: flat colors, each a region; see ``engine.labels.split_labels``.

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
    with _opened(path, MAX_SIDE_PX) as image:
        upright = ImageOps.exif_transpose(image)
        if size is not None and _is_scaled(upright, size):
            upright = upright.resize((size[1], size[0]), Image.Resampling.NEAREST)
        _require_size(path, upright, size, "label map")
        picture = _to_picture(_with_alpha(upright).convert("RGB"))  # colors are names here: no profile
    return split_labels(picture, path.name)


def depth_note(path: Path | str) -> str | None:
    """One sentence where reading a file loses depth, else None.

    Raises:
        InputError: as ``read_picture``.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(26)  # signature, IHDR's length and type, width, height, bit depth, color type
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[24:25] == b"\x10" and head[25:26] in (b"\x02", b"\x06"):
        return f"{path.name} has 16 bits a channel; they were read as 8. Open it in GIMP to keep all 16."
    return None


def write_picture(path: Path | str, picture: Picture, like: Path | str | None = None) -> None:
    """Write a picture with 8 bits a channel, whole or not at all.

    It is written beside its place and moved there at the end, so that a full disk or a crash leaves what was there.

    Args:
        path: the extension says the format; PNG, WebP (lossless), TIFF and BMP keep pixels exactly. JPEG and BMP
            have no transparency: there the picture is laid on white.
        picture: (3, H, W), values outside [0, 1] are clipped.
        like: a file; what its EXIF data tell of the picture goes with the result, and its resolution, where they can
            be read and the format has room for them.

    Raises:
        InputError: unknown extension, no such folder, no right to write.
        ResourceError: the disk is full.
    """
    path = Path(path)
    check_shapes(rgb=(picture.rgb, "3 H W"))
    file_format, options = _format_of(path)
    image = _to_image(picture, has_alpha=file_format not in WITHOUT_ALPHA)
    extras = {} if like is None or file_format == "BMP" else _metadata_of(Path(like), file_format)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            image.save(file, file_format, **(options | extras))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _writing_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: Path | str) -> None:
    """Refuse a place that ``write_picture`` could not write to, before anything is computed.

    Raises:
        InputError: unknown extension, or no such folder.
    """
    path = Path(path)
    _format_of(path)
    if not path.absolute().parent.is_dir():
        raise InputError(f"There is no folder {path.parent}; make it, or choose another for {path.name}.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file.")


def _format_of(path: Path) -> tuple[str, dict[str, object]]:
    if path.suffix.lower() not in WRITABLE:
        raise InputError(
            f"{path.name or path} has no extension that says a format to write; use one of {', '.join(WRITABLE)}."
        )
    return WRITABLE[path.suffix.lower()]


@contextmanager
def _opened(path: Path, max_side_px: int) -> Iterator[Image.Image]:
    """An image whose pixels are loaded and whose size is accepted; whatever fails becomes an error of ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd but harmless metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=READABLE) as image:
                if max(image.size) > max_side_px:
                    raise _too_large(path, f"is {image.width} x {image.height} pixels", max_side_px)
                image.load()
                yield image
    except ImpastoError:
        raise
    except MemoryError as error:
        raise ResourceError(f"There is not enough memory to read {path.name}; scale it down.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path, "says that it has more than 89 million pixels", max_side_px) from error
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}.") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder; give a picture file.") from error
    except PermissionError as error:
        raise InputError(f"You have no right to read {path}.") from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path.name} is no picture that Impasto reads; use PNG, JPEG, WebP, TIFF, BMP, GIF or PPM."
        ) from error
    except Exception as error:  # what decoders raise at damaged files is not documented
        raise InputError(f"{path.name} is damaged or of an unusual kind; save it again as PNG.") from error


def _too_large(path: Path, what: str, max_side_px: int) -> InputError:
    return InputError(f"{path.name} {what}; at most {max_side_px} x {max_side_px} can be used. Scale it down.")


def _require_size(path: Path, image: Image.Image, size: tuple[int, int] | None, kind: str) -> None:
    if size is not None and (image.height, image.width) != size:
        raise InputError(
            f"The {kind} {path.name} is {image.width} x {image.height} pixels, its picture {size[1]} x {size[0]}: "
            "they must have the same size."
        )


def _is_scaled(image: Image.Image, size: tuple[int, int]) -> bool:
    """Whether it is a smaller or larger copy of a picture (H, W): some program rounded its sides."""
    height, width = size
    return (
        abs(image.height - image.width * height / width) <= 1 or abs(image.width - image.height * width / height) <= 1
    )


def _deep_gray(image: Image.Image, name: str) -> Tensor:
    """Gray of more than 8 bits as (H, W) float32: 16-bit integers span their range, floats are taken as they are."""
    values = torch.from_numpy(np.array(image).astype(np.float32))
    if not bool(torch.isfinite(values).all()) or float(values.abs().max()) > 65535:
        raise InputError(f"{name} holds values that no picture has (not a number, or beyond 16 bits).")
    return values if image.mode == "F" else values / 65535.0


def _in_srgb(image: Image.Image) -> Image.Image:
    """RGB or RGBA in sRGB."""
    image = _with_alpha(image)
    profile = image.info.get("icc_profile")
    if profile:
        try:
            return _converted(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError, ValueError):  # a profile that does not fit its picture: taken as sRGB
            pass
    has_alpha = image.mode in ("RGBA", "LA", "RGBa", "La")
    return image.convert("RGBA" if has_alpha else "RGB")


def _with_alpha(image: Image.Image) -> Image.Image:
    """Palettes and transparent colors resolved, so that what is left is gray, RGB, CMYK ..., perhaps with alpha."""
    if image.mode in ("P", "PA") or "transparency" in image.info:
        has_alpha = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if has_alpha else "RGB")
    return image.convert("L") if image.mode == "1" else image


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """Through a color profile to sRGB; what is sRGB already stays as it is, to the bit."""
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    colors = image.convert(image.mode[:-1]) if alpha is not None else image
    if "srgb" in ImageCms.getProfileDescription(profile).lower() and colors.mode == "RGB":
        return image
    result = ImageCms.profileToProfile(colors, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    if result is None:
        raise ValueError("no conversion")
    if alpha is not None:
        result.putalpha(alpha)
    return result


def _planes(image: Image.Image) -> Tensor:
    """8-bit channels as (C, H, W) float32 in [0, 1]."""
    pixels = torch.from_numpy(np.array(image))  # (H, W, C)
    return pixels.permute(2, 0, 1).contiguous().float().div_(255)


def _to_picture(image: Image.Image) -> Picture:
    planes = _planes(image)  # (3 or 4, H, W)
    return Picture(planes[:3], planes[3] if len(planes) == 4 else None)


def _to_image(picture: Picture, *, has_alpha: bool) -> Image.Image:
    rgb, alpha = picture.rgb.clamp(0, 1), picture.alpha
    if alpha is not None and not has_alpha:
        rgb, alpha = torch.lerp(torch.ones_like(rgb), rgb, alpha), None
    planes = rgb if alpha is None else torch.cat((rgb, alpha[None].clamp(0, 1)))
    pixels = planes.mul(255).round_().to(torch.uint8).permute(1, 2, 0).contiguous()  # (H, W, C)
    return Image.fromarray(pixels.numpy())


def _metadata_of(path: Path, file_format: str) -> dict[str, object]:
    """Save options that carry over what a file tells of its picture; none that would cost the painting."""
    try:
        with _opened(path, MAX_SIDE_PX) as image:
            exif, dpi = _descriptive(image.getexif()), image.info.get("dpi")
            data = exif.tobytes() if len(exif) else b""
    except ImpastoError:
        return {}
    found: dict[str, object] = {"exif": data} if 0 < len(data) <= MAX_EXIF_BYTES.get(file_format, len(data)) else {}
    if file_format == "TIFF" and any(directory in exif for directory in DIRECTORIES):
        found["compression"] = "raw"  # what compresses them, libtiff, cannot write these directories
    if dpi and all(float(value) > 0 for value in dpi):
        found["dpi"] = tuple(float(value) for value in dpi)
    return found


def _descriptive(exif: Image.Exif) -> Image.Exif:
    """What tells of the picture. The rest is of the file: which way up it is and, in a TIFF, how its pixels lie, which
    makes another file unreadable.
    """
    kept = Image.Exif()
    kept.update({tag: exif[tag] for tag in TEXTS if isinstance(exif.get(tag), str)})
    kept.update({tag: exif[tag] for tag in WINDOWS_TEXTS if isinstance(exif.get(tag), bytes)})
    for directory in DIRECTORIES:
        values = {tag: value for tag, value in exif.get_ifd(directory).items() if tag not in OF_THE_FILE}
        if values:
            kept[directory] = values
    return kept


def _writing_error(path: Path, error: OSError) -> ImpastoError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(f"The disk is full: {path.name} could not be written. Make room and try again.")
    if error.errno == errno.ENOENT:
        return InputError(f"There is no folder {path.parent}; make it, or choose another for {path.name}.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return InputError(f"You have no right to write {path}; choose another folder.")
    return InputError(f"{path} could not be written: {error.strerror or error}.")
