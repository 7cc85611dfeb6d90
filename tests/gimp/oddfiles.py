"""Files as users have them: rotated by a tag, of other color spaces, animated, cut off, long, with odd names.

Each shows the same picture, so that a test knows what it must become.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

WIDTH, HEIGHT = 288, 192
# The picture's own pixels at its top left, top middle, bottom middle, bottom right.
SIGHT = ((0, 0, 255), (127, 0, 127), (127, 255, 127), (255, 255, 0))
PRIMARIES = {
    "srgb": ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139)),
    "p3": ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841)),
}


@dataclass(frozen=True)
class Odd:
    """A file, and what it must be.

    Args:
        name: of the file, as the system has it.
        size: (width, height) of the picture when it is upright.
        sight: its colors where ``SIGHT`` has them; None: other ones.
        as_layer: "" where the picture is painted, else words of the refusal.
        note: words of the note on it as a style.
        tolerance: of the sight, in 8-bit steps.
    """

    name: bytes
    size: tuple[int, int] = (WIDTH, HEIGHT)
    sight: tuple[tuple[int, int, int], ...] | None = SIGHT
    as_layer: str = ""
    note: str = ""
    tolerance: int = 12

    @property
    def key(self) -> str:
        return self.name.decode("ascii", "replace")[:40]


def write(folder: Path) -> list[Odd]:
    """All odd files; what each must become."""
    folder.mkdir()
    picture = photo()
    named = [b"with space.png", b"100% & #1.png", "写真 été.png".encode(), "あ".encode() * 76 + b".png"]
    for name in [*named, b"caf\xe9_latin1.png"]:
        picture.save(folder / "photo.png")
        os.rename(folder / "photo.png", os.path.join(os.fsencode(folder), name))
    odd = [Odd(name, tolerance=0) for name in (*named, b"caf\xe9_latin1.png")]
    for kind in (_rotated, _profiled, _moving, _other_modes, _bulky, _shaped):
        odd += kind(folder, picture)
    return odd


def photo() -> Image.Image:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = np.stack([x * 255 / (WIDTH - 1), y * 255 / (HEIGHT - 1), 255 - x * 255 / (WIDTH - 1)], 2)
    return Image.fromarray(planes.astype("uint8"))


def profile(gamma: float, space: str) -> bytes:
    """A small ICC profile of version 2, whose name says something else than it is."""

    def number(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(number, values))

    curve = b"curv\0\0\0\0" + (struct.pack(">I", 0) if gamma == 1 else struct.pack(">IH", 1, int(gamma * 256)))
    name = b"sRGB and something else\0"
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + b"\0" * 79}
    tags |= {b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    tags |= dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz, PRIMARIES[space]), strict=True))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body = b"", b""
    for key, value in tags.items():
        padded = value + b"\0" * (-len(value) % 4)
        table += key + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(padded))
        body += padded
    head = bytearray(128)
    head[8:12], head[12:24], head[36:40] = b"\x02\x40\0\0", b"mntrRGB XYZ ", b"acsp"
    head[68:80] = b"".join(map(number, (0.9642, 1.0, 0.8249)))
    data = bytes(head) + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(data)) + data[4:]


def _rotated(folder: Path, picture: Image.Image) -> Iterator[Odd]:
    """As cameras write them: the picture lies on its side, and a tag says how it is to be turned."""
    turns = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    for orientation, turn in turns.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        name = f"exif_{orientation}.jpg"
        picture.transpose(turn).save(folder / name, quality=97, exif=exif)
        yield Odd(name.encode())


def _profiled(folder: Path, picture: Image.Image) -> Iterator[Odd]:
    encoded = np.asarray(picture) / 255
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    linear = Image.fromarray((255 * light).round().astype("uint8"))
    linear.save(folder / "linear.png", icc_profile=profile(1, "srgb"))
    yield Odd(b"linear.png", tolerance=16)  # eight bits of linear light are coarse in the dark
    picture.save(folder / "display_p3.jpg", quality=97, icc_profile=profile(2.2, "p3"))
    yield Odd(b"display_p3.jpg", sight=None)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(folder / "large_profile.png", icc_profile=srgb + bytes(1_300_000))
    yield Odd(b"large_profile.png")


def _moving(folder: Path, picture: Image.Image) -> Iterator[Odd]:
    """Animations and pages: the first counts."""
    blue = Image.new("RGB", picture.size, "blue")
    for name, options in (("moving.gif", {}), ("moving.webp", {"lossless": True}), ("pages.tif", {})):
        picture.save(folder / name, save_all=True, append_images=[blue], **options)
        yield Odd(name.encode(), note="holds 2 pictures: the first is the style", tolerance=40 if "gif" in name else 0)


def _other_modes(folder: Path, picture: Image.Image) -> Iterator[Odd]:
    picture.convert("CMYK").save(folder / "cmyk.jpg", quality=97)
    yield Odd(b"cmyk.jpg", sight=None)
    picture.convert("L").save(folder / "gray.jpg")
    picture.convert("1").save(folder / "bilevel.png")
    yield from (Odd(name, sight=None) for name in (b"gray.jpg", b"bilevel.png"))
    picture.quantize(32).save(folder / "palette.png", transparency=0)
    yield Odd(b"palette.png", sight=None, as_layer="indexed image")
    transparent = picture.copy()
    transparent.putalpha(Image.new("L", picture.size, 128))
    transparent.save(folder / "half_transparent.png")
    yield Odd(b"half_transparent.png", tolerance=0)
    planes = np.asarray(picture)
    tifffile.imwrite(folder / "rgb16.tif", planes.astype(np.uint16) * 257, photometric="rgb")
    tifffile.imwrite(folder / "float.tif", planes.astype(np.float32) / 255, photometric="rgb")
    Image.fromarray(planes[..., 0].astype(np.uint16) * 257).save(folder / "gray16.png")
    yield from (Odd(name, tolerance=1) for name in (b"rgb16.tif", b"float.tif"))
    yield Odd(b"gray16.png", sight=None)


def _bulky(folder: Path, picture: Image.Image) -> Iterator[Odd]:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "x" * 2_000_000, zip=True)
    picture.save(folder / "text.png", pnginfo=info)
    yield Odd(b"text.png", tolerance=0)
    whole = io.BytesIO()
    picture.save(whole, "JPEG", quality=97)
    (folder / "cut_off.jpg").write_bytes(whole.getvalue()[:-40])
    yield Odd(b"cut_off.jpg", sight=None)


def _shaped(folder: Path, picture: Image.Image) -> Iterator[Odd]:
    for name, size in (("pixel.png", (1, 1)), ("line.png", (500, 1)), ("tiny.png", (5, 3)), ("wide.png", (8000, 90))):
        picture.resize(size).save(folder / name)
        yield Odd(name.encode(), size=size, sight=None)
    Image.new("RGB", (4500, 3000), "teal").save(folder / "teal.jpg")
    yield Odd(b"teal.jpg", size=(4500, 3000), sight=((0, 128, 128),) * 4)
