"""Formats of picture files: which are read, which are written, and what to say of the others."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import Image

from engine.core.errors import InputError

# Only formats on this list are opened, so that a hostile file cannot pick an obscure decoder.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000", "HEIF", "JXL")
NAMES = "PNG, JPEG, WebP, TIFF, BMP, GIF, PPM, AVIF or JPEG 2000"
SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pnm"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k"),
    "HEIF": (".heic", ".heif"),
    "JXL": (".jxl",),
}
PICTURE_SUFFIXES = tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
READABLE_SUFFIXES = PICTURE_SUFFIXES  # those that need an extra get a sentence of their own when they are opened
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
WITHOUT_PROFILE = ("BMP",)
HEAD_BYTES = 4096  # tell the format, and mostly the depth
DEEP = ("PNG", "TIFF")  # hold 16 bits a channel
MAX_SIDE_PX = {"WEBP": 16383, "JPEG": 65500}  # of a file that is written
EXTRAS = {
    "HEIF": "is a HEIC picture: install pillow-heif (`impasto doctor` says how), or save it as JPEG or PNG.",
    "JXL": "is a JPEG XL picture, which this Pillow does not read: save it as PNG or TIFF.",
    "AVIF": "is an AVIF picture, which this Pillow does not read: update Pillow, or save it as PNG.",
    "JPEG2000": "is a JPEG 2000 picture, which this Pillow does not read: save it as PNG or TIFF.",
    "WEBP": "is a WebP picture, which this Pillow does not read: save it as PNG.",
}
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# Files that people take for pictures: the first bytes, and what to do with them.
STRANGERS = (
    (b"8BPS", "is a Photoshop file: save it as TIFF or PNG."),
    (b"gimp xcf", "is a GIMP file: export it as PNG or TIFF, or paint it in GIMP."),
    (b"%PDF", "is a PDF: export the page as PNG."),
    (b"v/1\x01", "is an OpenEXR picture: save it as TIFF."),
    (b"#?RADIANCE", "is a Radiance picture: save it as TIFF."),
    (b"FUJIFILMCCD-RAW", "is a camera's raw picture: develop it to TIFF or JPEG first."),
)
RAW_SUFFIXES = (".nef", ".cr2", ".arw", ".dng", ".pef", ".srw", ".nrw", ".3fr", ".iiq", ".raf", ".orf", ".rw2", ".cr3")


def sniff(head: bytes) -> str | None:
    """The format of a file by its first bytes (32 do), None if it is none of ours."""
    starts = (
        (b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"), (b"BM", "BMP"), (b"GIF8", "GIF"), (b"\xff\x4f\xff\x51", "JPEG2000"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"), (b"\xff\x0a", "JXL"), (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
    )  # fmt: skip
    for start, name in starts:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "PPM"
    if head[4:8] == b"ftyp":
        brands = {head[i : i + 4] for i in (8, *range(16, len(head) - 3, 4))}
        return "AVIF" if brands & {b"avif", b"avis"} else "HEIF" if brands & set(HEIF_BRANDS) else None
    return None


@cache
def readable_formats() -> tuple[str, ...]:
    """Those of the list that this Pillow has a decoder for."""
    Image.init()
    try:
        import pillow_heif  # noqa: PLC0415  (an extra)

        pillow_heif.register_heif_opener()
    except (ImportError, OSError, AttributeError):  # not there, or not with this Pillow
        pass
    return tuple(name for name in FORMATS if name in Image.OPEN)


def missing_reader(name: str, called: str) -> str | None:
    """What to do about a format that needs something that is not installed; None if it is read."""
    if name in readable_formats():
        return None
    return f"{called} {EXTRAS.get(name, f'is of the format {name}, which this Pillow does not read: save it as PNG.')}"


def deep_bits(kind: str, head: bytes) -> int | None:
    """Bits a channel, where a file has more than the 8 that Pillow reads of its format."""
    if kind == "AVIF" and (at := head.find(b"av1C")) > 0 and len(head) > at + 6:
        return (12 if head[at + 6] & 0x20 else 10) if head[at + 6] & 0x40 else None
    if kind == "HEIF" and (at := head.find(b"hvcC")) > 0 and len(head) > at + 21:
        bits = 8 + (head[at + 21] & 7)
        return bits if bits > 8 else None
    if kind == "JPEG2000" and (at := head.find(b"\xff\x51")) >= 0 and len(head) > at + 40:
        bits, channels = (head[at + 40] & 0x7F) + 1, int.from_bytes(head[at + 38 : at + 40], "big")
        return bits if bits > 8 and channels > 1 else None
    return None


def depth_note(path: Path | str) -> str | None:
    """One sentence where reading a file loses depth, else None.

    Raises:
        InputError: it cannot be read.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    bits = deep_bits(sniff(head) or "", head)
    return None if bits is None else lost_depth(path.name, bits)


def lost_depth(called: str, bits: int) -> str:
    """The sentence about depth that was not read."""
    return f"{called} has {bits} bits a channel; they were read as 8."


def stranger(path: Path, head: bytes, called: str) -> str:
    """The sentence about a file that is none of our formats."""
    for start, advice in STRANGERS:
        if head.startswith(start):
            return f"{called} {advice}"
    if b"<svg" in head:
        return f"{called} is no picture that Impasto reads: it is SVG, made of lines. Export it as PNG."
    if path.suffix.lower() in RAW_SUFFIXES:
        return f"{called} is a camera's raw picture: develop it to TIFF or JPEG first."
    return f"{called} is no picture that Impasto reads; use {NAMES}."


def format_of(path: Path) -> tuple[str, dict[str, object]]:
    """The format to write, by the extension, and Pillow's options for it.

    Raises:
        InputError: an unknown extension.
    """
    if path.suffix.lower() not in WRITABLE:
        raise InputError(
            f"{path.name or path} has no extension that says a format to write; use one of {', '.join(WRITABLE)}."
        )
    return WRITABLE[path.suffix.lower()]
