"""Odd picture files of the kinds that users have, each with what it must become: pixels, or a sentence."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

H, W = 48, 72
_Y, _X = np.mgrid[:H, :W]
BASE = np.stack([_X * 255 / (W - 1), _Y * 255 / (H - 1), 255 - _X * 255 / (W - 1)], 2)
BASE[12:30, 20:44] = (200, 40, 40)
BYTES = BASE.astype(np.uint8)  # (H, W, 3)
DEEP = np.rint(BASE * 257).astype(np.uint16)
GRAY = BYTES[:, :, 1]
ALPHA = (255 * (np.hypot(_X - W / 2, _Y - H / 2) < 20)).astype(np.uint8)
SRGB = {"r": (0.4361, 0.2225, 0.0139), "g": (0.3851, 0.7169, 0.0971), "b": (0.1431, 0.0606, 0.7141)}
P3 = {"r": (0.5151, 0.2412, -0.0011), "g": (0.2919, 0.6922, 0.0419), "b": (0.1572, 0.0666, 0.7841)}
ADOBE = {"r": (0.6097, 0.3111, 0.0195), "g": (0.2053, 0.6257, 0.0609), "b": (0.1492, 0.0632, 0.7446)}
# From linear light of these primaries to linear sRGB: Bruce Lindbloom's and the CSS Color 4 draft's figures.
P3_TO_SRGB = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
ADOBE_TO_SRGB = np.array([[1.3983, -0.3983, 0.0], [0.0, 1.0, 0.0], [0.0, -0.0429, 1.0429]])


@dataclass(frozen=True)
class Case:
    """A file and what it must become.

    Args:
        name: of the file.
        make: its bytes.
        pixels: (H, W, 3) sRGB-encoded, or None where ``sentence`` is what it must become.
        alpha: (H, W) in [0, 1], or None = opaque.
        near: how far pixels may be off.
        note: words that a note must have; "" = no note.
        sentence: words of the refusal.
    """

    name: str
    make: Callable[[], bytes]
    pixels: np.ndarray | None = None
    alpha: np.ndarray | None = None
    near: float = 1e-6
    note: str = ""
    sentence: str = ""


def saved(image: Image.Image | np.ndarray, file_format: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, file_format, **options)
    return stream.getvalue()


def s15(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(s15, values))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + (struct.pack(">I", 0) if value == 1 else struct.pack(">IH", 1, round(value * 256)))


def table(values: np.ndarray) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">I", len(values)) + np.rint(values * 65535).astype(">u2").tobytes()


def parametric(kind: int, *values: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(map(s15, values))


def profile(name: str, curve: bytes, space: bytes = b"RGB ", **primaries: tuple[float, ...]) -> bytes:
    """An ICC profile by its specification, of curves and primaries."""
    text = name.encode() + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(79),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": xyz(0.9642, 1, 0.8249),
    }
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= {key.encode() + b"XYZ": xyz(*value) for key, value in (primaries or SRGB).items()}
        tags |= {key + b"TRC": curve for key in (b"r", b"g", b"b")}
    at, entries, body = 132 + 12 * len(tags), b"", b""
    for key, value in tags.items():
        entries += key + struct.pack(">II", at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = bytearray(128)
    head[8:12], head[12:16], head[16:20], head[20:24] = b"\x02\x40\0\0", b"mntr", space, b"XYZ "
    head[36:40], head[68:80] = b"acsp", s15(0.9642) + s15(1) + s15(0.8249)
    data = bytes(head) + struct.pack(">I", len(tags)) + entries + body
    return struct.pack(">I", len(data)) + data[4:]


def encoded(light: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, mirrored below 0."""
    size = np.abs(light)
    return np.copysign(np.where(size <= 0.0031308, 12.92 * size, 1.055 * size ** (1 / 2.4) - 0.055), light)


def light(stored: np.ndarray) -> np.ndarray:
    """The inverse of ``encoded``."""
    return np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)


def moved(stored: np.ndarray, power: float, matrix: np.ndarray) -> np.ndarray:
    """Stored values of a space with a gamma and primaries, as sRGB."""
    return encoded((stored**power) @ matrix.T)


LINEAR = np.rint(255 * light(BASE / 255)).astype(np.uint8)
CURVE = light(np.linspace(0, 1, 1024))  # sRGB's own, as a table
SRGB_ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels: np.ndarray, *chunks: bytes, size: tuple[int, int] | None = None) -> bytes:
    """A PNG of (H, W, C) integers by its specification, for what Pillow cannot write."""
    height, width = size or pixels.shape[:2]
    color = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]]
    head = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, color, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(f">u{pixels.itemsize}").tobytes() for row in pixels)
    parts = (chunk(b"IHDR", head), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(
    pixels: np.ndarray, *, order: str = "<", planar: bool = False, predictor: int = 0, extra: int = 2, icc: bytes = b""
) -> bytes:
    """A TIFF of (H, W, C) deep pixels by its specification: strips of 16 rows, packed where there is a predictor."""
    height, width, n = pixels.shape
    bits, kind = 8 * pixels.itemsize, 3 if pixels.dtype.kind == "f" else 1
    strips = []
    for plane in [pixels[:, :, i : i + 1] for i in range(n)] if planar else [pixels]:
        for top in range(0, height, 16):
            rows = plane[top : top + 16].astype(plane.dtype.newbyteorder(order))
            if predictor == 2:
                whole = rows.astype(np.int64)
                rows = (np.diff(whole, axis=1, prepend=0) % 65536).astype(rows.dtype)
            strips.append(zlib.compress(rows.tobytes()) if predictor else rows.tobytes())
    colors = 3 if n > 2 else 1
    entries: list[tuple[int, int, list[int] | bytes]] = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * n), (259, 3, [8 if predictor else 1]),
        (262, 3, [2 if colors == 3 else 1]), (273, 4, [0] * len(strips)), (277, 3, [n]), (278, 4, [16]),
        (279, 4, [len(strip) for strip in strips]), (284, 3, [2 if planar else 1]), (317, 3, [predictor or 1]),
        *([(338, 3, [extra])] if n > colors else []), (339, 3, [kind] * n), *([(34675, 7, icc)] if icc else []),
    ]  # fmt: skip
    places: dict[int, list[int]] = {}
    for _ in range(2):  # where strips lie is known when all is packed
        tail, table_ = b"", b""
        start = 8 + 2 + 12 * len(entries) + 4
        for tag, kind_, values in entries:
            numbers = places.get(tag, values)
            letter = "H" if kind_ == 3 else "I"
            data = numbers if isinstance(numbers, bytes) else struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
            count = len(numbers)
            if len(data) > 4:
                tail, data = tail + data, struct.pack(f"{order}I", start + len(tail))
            table_ += struct.pack(f"{order}HHI", tag, kind_, count) + data.ljust(4, b"\0")
        at = start + len(tail)
        places[273] = [at + sum(map(len, strips[:i])) for i in range(len(strips))]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    return head + table_ + struct.pack(f"{order}I", 0) + tail + b"".join(strips)


def text_png(*, zipped: bool) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "x" * 2_000_000, zip=zipped)
    return saved(BYTES, pnginfo=info)


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(BYTES, exif=exif)


def several(file_format: str, **options: Any) -> bytes:
    other = Image.new("RGB", (W, H), "blue")
    return saved(BYTES, file_format, save_all=True, append_images=[other], **options)


def palette() -> tuple[bytes, np.ndarray, np.ndarray]:
    image = Image.fromarray(BYTES).quantize(32)
    image.info["transparency"] = 0
    seen = np.asarray(image.convert("RGBA"), np.float64) / 255
    return saved(image, transparency=0), seen[:, :, :3], seen[:, :, 3]


def lab() -> bytes:
    """A flat CIE Lab picture: L* 50, a* 40, b* 20."""
    return saved(Image.new("LAB", (W, H), (128, 128 + 40, 128 + 20)), "TIFF")


def flat(*color: float) -> np.ndarray:
    return np.broadcast_to(np.array(color), (H, W, 3))


RGB, GRAYS = BYTES / 255, np.repeat(GRAY[:, :, None] / 255, 3, 2)
DEEP_RGB, MASK = DEEP / 65535, ALPHA / 255
DEEP_GRAYS = np.repeat(DEEP_RGB[:, :, 1:2], 3, 2)
FLOATS = (BASE / 255).astype(np.float32)
HALF = saved(BYTES)[: len(saved(BYTES)) * 2 // 3]
NAMED = "写真 été 100% & #1.png"


def lab_seen() -> np.ndarray:
    """What CIE Lab (D50) L* 50.2, a* 40, b* 20 is in sRGB."""
    fy = (128 / 255 * 100 + 16) / 116
    white = np.array([0.9642, 1.0, 0.8249])
    fs = np.array([fy + 40 / 500, fy, fy - 20 / 200])
    found = white * np.where(fs > 6 / 29, fs**3, 3 * (6 / 29) ** 2 * (fs - 4 / 29))
    to_xyz = np.array([SRGB["r"], SRGB["g"], SRGB["b"]]).T
    return flat(*encoded(np.linalg.inv(to_xyz) @ found))


def heic() -> bytes:
    """The first bytes of one."""
    return struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(64)


def icc(name: str, curve: bytes) -> bytes:
    """A profile as a PNG's chunk."""
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(profile(name, curve)))


def webp(data: bytes) -> bytes:
    return saved(BYTES, "WEBP", lossless=True, exact=True, icc_profile=data)


def told(**bodies: tuple[int, ...]) -> tuple[bytes, ...]:
    """Chunks of 32-bit numbers; of cICP, of bytes."""
    return tuple(
        chunk(name.encode(), bytes(body) if name == "cICP" else struct.pack(f">{len(body)}I", *body))
        for name, body in bodies.items()
    )


FLAT = np.full((H, W, 3), (200, 90, 40), np.uint8)
SRGB_PARA = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
ADOBE_ICC = profile("Adobe RGB (1998)", gamma(2.19921875), **ADOBE)
GRAY_ICC = profile("sRGB", gamma(1.8), b"GRAY")
SRGB_PLACES = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
P3_PLACES = (31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)
P3_ICC = profile("Display P3", parametric(0, 2.2), **P3)
CASES = [
    Case("photo.png", lambda: saved(BYTES), RGB),
    Case("style.jpg", lambda: saved(BYTES, "JPEG", quality=95, subsampling=0), RGB, near=0.1),
    Case(NAMED, lambda: saved(BYTES), RGB),
    Case("あ" * 82 + ".png", lambda: saved(BYTES), RGB),  # 250 bytes
    Case(os.fsdecode(b"caf\xe9.png"), lambda: saved(BYTES), RGB),
    # profiles: judged by what they say, not by their names
    Case("linear.png", lambda: saved(LINEAR, icc_profile=profile("Linear sRGB", gamma(1))), encoded(LINEAR / 255)),
    Case("linear16.png", lambda: png(DEEP, icc("Linear sRGB", gamma(1))), encoded(DEEP_RGB)),
    Case("linear_lut.png", lambda: saved(BYTES, icc_profile=profile("sRGB", table(CURVE))), RGB),
    Case("srgb.png", lambda: saved(BYTES, icc_profile=SRGB_ICC), RGB),
    Case("icc_1300kB.png", lambda: saved(BYTES, icc_profile=SRGB_ICC + os.urandom(1_300_000)), RGB),
    Case("para.png", lambda: saved(BYTES, icc_profile=profile("x", SRGB_PARA)), RGB),
    Case("p3.png", lambda: saved(BYTES, icc_profile=P3_ICC), moved(RGB, 2.2, P3_TO_SRGB), near=0.01),
    Case("p3.jpg", lambda: saved(FLAT, "JPEG", icc_profile=P3_ICC), moved(FLAT / 255, 2.2, P3_TO_SRGB), near=0.02),
    Case("adobe.webp", lambda: webp(ADOBE_ICC), moved(RGB, 2.2, ADOBE_TO_SRGB), near=0.01),
    Case("adobe16.tif", lambda: tiff(DEEP, icc=ADOBE_ICC), moved(DEEP_RGB, 2.2, ADOBE_TO_SRGB), near=0.01),
    Case("gray18.png", lambda: saved(GRAY, icc_profile=GRAY_ICC), encoded(GRAYS**1.8), near=0.01),
    # colors told without a profile; sRGB's are told by most files, and change nothing
    Case("gama_linear.png", lambda: png(LINEAR, *told(gAMA=(100_000,))), encoded(LINEAR / 255)),
    Case("gama_usual.png", lambda: png(BYTES, *told(gAMA=(45_455,), cHRM=SRGB_PLACES)), RGB),
    Case("gama_srgb.png", lambda: png(BYTES, chunk(b"sRGB", b"\0"), *told(gAMA=(100_000,))), RGB),
    Case("gama_none.png", lambda: png(BYTES, *told(gAMA=(0,), cHRM=(0,) * 8)), RGB),
    Case("gama_gray.png", lambda: png(DEEP[:, :, 1:2], *told(gAMA=(100_000,))), encoded(DEEP_GRAYS)),
    Case("chrm_p3.png", lambda: png(BYTES, *told(cHRM=P3_PLACES)), encoded(light(RGB) @ P3_TO_SRGB.T), near=0.01),
    Case("cicp_p3.png", lambda: png(BYTES, *told(cICP=(12, 13, 0, 1))), encoded(light(RGB) @ P3_TO_SRGB.T), near=0.01),
    Case("cicp_linear.png", lambda: png(DEEP, *told(cICP=(1, 8, 0, 1))), encoded(DEEP_RGB)),
    Case("cicp_unknown.png", lambda: png(BYTES, *told(cICP=(99, 99, 0, 1))), RGB),
    Case("nonsense.png", lambda: saved(BYTES, icc_profile=b"nonsense"), RGB),
    Case("torn_icc.png", lambda: png(BYTES, chunk(b"iCCP", b"x\0\0no deflate")), RGB),
    Case("cmyk.jpg", lambda: saved(Image.new("CMYK", (W, H), (0, 255, 255, 0)), "JPEG"), flat(1, 0, 0), near=0.02),
    Case("cmyk.tif", lambda: saved(Image.new("CMYK", (W, H), (0, 255, 255, 0)), "TIFF"), flat(1, 0, 0), near=0.02),
    Case("lab.tif", lab, lab_seen(), near=0.02),
    # depth and alpha
    Case("gray.jpg", lambda: saved(GRAY, "JPEG", quality=95), GRAYS, near=0.05),
    Case("gray16.png", lambda: saved(DEEP[:, :, 1]), np.repeat(DEEP_RGB[:, :, 1:2], 3, 2)),
    Case("gray_float.tif", lambda: saved(FLOATS[:, :, 1], "TIFF"), np.repeat(FLOATS[:, :, 1:2], 3, 2)),
    Case("bilevel.png", lambda: saved(GRAY > 99), np.repeat((GRAY > 99)[:, :, None], 3, 2).astype(float)),
    Case("gray_alpha.png", lambda: saved(np.dstack([GRAY, ALPHA])), GRAYS, MASK),
    Case("rgba.png", lambda: saved(np.dstack([BYTES, ALPHA])), RGB, MASK),
    Case("palette.png", lambda: palette()[0], *palette()[1:]),
    Case("rgb16.png", lambda: png(DEEP), DEEP_RGB),
    Case("rgba16.png", lambda: png(np.dstack([DEEP, ALPHA * np.uint16(257)])), DEEP_RGB, MASK),
    Case("rgb16.tif", lambda: tiff(DEEP), DEEP_RGB),
    Case("rgb16_big.tif", lambda: tiff(DEEP, order=">"), DEEP_RGB),
    Case("rgb16_planes.tif", lambda: tiff(DEEP, planar=True), DEEP_RGB),
    Case("rgb16_zip.tif", lambda: tiff(DEEP, predictor=2), DEEP_RGB),
    Case("rgba16.tif", lambda: tiff(np.dstack([DEEP, ALPHA * np.uint16(257)])), DEEP_RGB, MASK),
    Case("gray_alpha16.tif", lambda: tiff(DEEP[:, :, 1::-1]), np.repeat(DEEP_RGB[:, :, 1:2], 3, 2), DEEP_RGB[:, :, 0]),
    Case("rgb_float.tif", lambda: tiff(FLOATS), FLOATS),
    Case("rgb_bright.tif", lambda: tiff(FLOATS * 3 - 1), FLOATS * 3 - 1),
    Case("rgb_half.tif", lambda: tiff(FLOATS.astype(np.float16)), FLOATS.astype(np.float16)),
    Case("rgb_double.tif", lambda: tiff(FLOATS.astype(np.float64)), FLOATS),
    Case("nan.tif", lambda: tiff(FLOATS * np.nan), sentence="holds values that no picture has"),
    # sizes and ways up
    Case("exif_3.png", lambda: turned(3), RGB[::-1, ::-1]),
    Case("exif_6.png", lambda: turned(6), RGB.transpose(1, 0, 2)[:, ::-1]),
    Case("exif_8.png", lambda: turned(8), RGB.transpose(1, 0, 2)[::-1]),
    Case("one_pixel.png", lambda: saved(BYTES[:1, :1]), RGB[:1, :1]),
    Case("line.png", lambda: saved(np.repeat(BYTES[:1, :1], 500, 0)), np.repeat(RGB[:1, :1], 500, 0)),
    Case("wide.png", lambda: saved(np.repeat(BYTES[:2], 140, 1)), np.repeat(RGB[:2], 140, 1)),  # 10,080 pixels
    Case("bomb.png", lambda: png(BYTES, size=(100_000, 100_000)), sentence="100000 x 100000 pixels"),
    # text and ends
    Case("text_2MB_zipped.png", lambda: text_png(zipped=True), RGB),
    Case("text_2MB_plain.png", lambda: text_png(zipped=False), RGB),
    Case("text_torn.png", lambda: png(BYTES, chunk(b"zTXt", b"x\0\0no deflate")), RGB),
    Case("truncated.jpg", lambda: saved(BYTES, "JPEG", quality=95)[:-40], note="lacks its end"),
    Case("truncated.png", lambda: HALF, note="lacks its end"),
    Case("truncated.ppm", lambda: saved(BYTES, "PPM")[:-999], note="lacks its end"),
    Case("truncated.webp", lambda: saved(BYTES, "WEBP")[:-200], sentence="is damaged"),
    Case("truncated.tif", lambda: tiff(DEEP)[:-999], sentence="is damaged"),
    Case("no_pixel.png", lambda: saved(BYTES)[:60], sentence="is damaged"),
    Case("garbled.png", lambda: HALF[:60] + bytes(200) + HALF[260:], sentence="is damaged"),
    Case("garbled16.png", lambda: png(DEEP)[:300] + bytes(200) + png(DEEP)[500:], sentence="is damaged"),
    Case("animated.gif", lambda: several("GIF"), note="has 2 frames; only the first was read"),
    Case("animated.webp", lambda: several("WEBP", lossless=True), RGB, note="has 2 frames"),
    Case("animated.png", lambda: several("PNG"), RGB, note="has 2 frames"),
    Case("pages.tif", lambda: several("TIFF"), RGB, note="has 2 pages"),
    # other formats
    Case("x.avif", lambda: saved(FLAT, "AVIF", quality=95), FLAT / 255, near=0.05),
    Case("x.jp2", lambda: saved(BYTES, "JPEG2000"), RGB, near=0.1),
    Case("x.bmp", lambda: saved(BYTES, "BMP"), RGB),
    Case("x.ppm", lambda: saved(BYTES, "PPM"), RGB),
    Case("png_named.jpg", lambda: saved(BYTES), RGB),
    Case("x.jxl", lambda: b"\xff\x0a" + bytes(64), sentence="JPEG XL picture"),
    Case("text.png", lambda: b"This is no picture.", sentence="no picture that Impasto reads"),
    Case("empty.png", lambda: b"", sentence="no picture that Impasto reads"),
    Case("svg.png", lambda: b"<svg xmlns='http://www.w3.org'/>", sentence="no picture that Impasto reads: it is SVG"),
    Case("eps.png", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", sentence="no picture that Impasto reads"),
    Case("icon.png", lambda: saved(Image.new("RGB", (16, 16)), "ICO"), sentence="no picture that Impasto reads"),
    Case("x.psd", lambda: b"8BPS" + bytes(64), sentence="Photoshop"),
    Case("x.xcf", lambda: b"gimp xcf v011" + bytes(64), sentence="GIMP file"),
    Case("x.pdf", lambda: b"%PDF-1.7", sentence="is a PDF"),
]  # fmt: skip
