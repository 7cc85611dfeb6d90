"""Sample pictures for the GIMP tests, and the inverse: pixels that GIMP wrote."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from skimage import data

from gimp_plugin import wire

ALL_LEVELS_SIDE = 256  # 256 * 256 pixels: every 16-bit value once in each channel


def write_samples(folder: Path) -> None:
    """The files that ``inside`` opens: a JPEG, a 16-bit PNG with every value there is, a 32-bit float TIFF."""
    chelsea = data.chelsea()
    Image.fromarray(chelsea).save(folder / "chelsea.jpg", quality=95)
    Image.fromarray(data.coffee()).save(folder / "coffee.jpg", quality=95)
    write_png16(folder / "levels.png", all_levels())
    tifffile.imwrite(folder / "chelsea.tif", chelsea.astype(np.float32) / 255, photometric="rgb")
    Image.fromarray(chelsea).convert("P", palette=Image.Palette.ADAPTIVE).save(folder / "indexed.png")
    Image.fromarray(np.tile(chelsea, (4, 4, 1))).resize((1600, 1100)).save(folder / "large.jpg")
    write_style(folder / "saved.impasto-style")


def write_style(path: Path) -> None:
    """A style file of one color."""
    color = bytes([10, 20, 30])
    swatch, thumbnail = (wire.Plane("U8", (h, w, 3), color * (h * w)) for h, w in ((40, 60), (8, 12)))
    code = wire.Plane("F32", (1, 5), struct.pack("<5f", *range(5)))
    style = wire.SavedStyle("Saved coffee", "", "anystyle:" + "0" * 32, code, swatch, thumbnail)
    wire.write_style(path, style, replace=True)


def all_levels() -> np.ndarray:
    """(256, 256, 3) uint16: each channel holds every value once, in an order of its own."""
    values = np.arange(65536, dtype=np.uint32)
    channels = [values, 65535 - values, values * 40503 % 65536]
    return np.stack(channels, axis=-1).astype(np.uint16).reshape(ALL_LEVELS_SIDE, ALL_LEVELS_SIDE, 3)


def write_png16(path: Path, rgb: np.ndarray) -> None:
    """A 16-bit RGB PNG; Pillow writes only 8 bits."""
    height, width, _ = rgb.shape
    rows = b"".join(b"\0" + row.tobytes() for row in rgb.astype(">u2"))
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
        for kind, payload in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def read_dump(folder: Path, name: str, facts: dict[str, object]) -> np.ndarray:
    """(H, W, C) pixels that ``inside`` dumped, in the type that GIMP holds them in."""
    raw = np.frombuffer((folder / f"{name}.raw").read_bytes(), str(facts["dtype"]))
    return raw.reshape(int(facts["height"]), int(facts["width"]), -1)  # type: ignore[call-overload]
