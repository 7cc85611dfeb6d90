"""The chunks of a PNG file: its profile, texts that may be huge, and chunks to put in.

Pillow takes a text or a profile beyond a megabyte for an attack and gives up the whole picture. The pixels are fine:
so large chunks are left out before it sees them, and the profile is unpacked here, with a limit of its own.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from engine.files import png_colors
from engine.files.icc import MAX_PROFILE_BYTES

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
MAX_TEXT_BYTES = 1 << 16  # as stored; what is larger is no description of a picture
MAX_UNPACKED_BYTES = 1 << 19
PIECE_BYTES = 1 << 22  # are unpacked at a time
MAX_FILTER = 4
MAX_TOLD_BYTES = 64  # of a chunk about colors


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, length with head and checksum) of every whole chunk up to the end."""
    start = len(SIGNATURE)
    size = file.seek(0, io.SEEK_END)
    while start + 12 <= size:
        file.seek(start)
        length, kind = struct.unpack(">I4s", file.read(8))
        if start + 12 + length > size:
            return
        yield kind, start, 12 + length
        if kind == b"IEND":
            return
        start += 12 + length


def is_deep_color(head: bytes) -> bool:
    """Whether the file that starts so has 16 bits a channel and is more than gray."""
    return head[:8] == SIGNATURE and head[24:25] == b"\x10" and head[25:26] in (b"\x02", b"\x04", b"\x06")


def is_sound(file: BinaryIO) -> bool:
    """Whether the pixels of a deep PNG unpack as they should. OpenCV's libpng would tell stderr that they do not."""
    file.seek(0)
    width, height, depth, color, *_, is_interlaced = struct.unpack(">IIBBBBB", file.read(29)[16:])
    row_bytes = 1 + width * {0: 1, 2: 3, 4: 2, 6: 4}[color] * depth // 8
    at = 0
    try:
        for piece in _unpacked_pixels(file):
            if not is_interlaced and max(piece[-at % row_bytes :: row_bytes], default=0) > MAX_FILTER:
                return False
            at += len(piece)
    except zlib.error:
        return False
    return bool(is_interlaced) or at == height * row_bytes


def _unpacked_pixels(file: BinaryIO) -> Iterator[bytes]:
    """What the pixels' chunks unpack to, a piece at a time.

    Raises:
        zlib.error: they are damaged or lack their end.
    """
    unpack = zlib.decompressobj()
    for kind, start, length in chunks(file):
        file.seek(start + 8)
        body = file.read(length - 8)
        if zlib.crc32(kind + body[:-4]) != int.from_bytes(body[-4:], "big"):
            raise zlib.error("a wrong checksum")
        packed = body[:-4] if kind == b"IDAT" else b""
        while packed:
            yield unpack.decompress(packed, PIECE_BYTES)
            packed = unpack.unconsumed_tail
    while piece := unpack.decompress(b"", PIECE_BYTES):
        yield piece
    if not unpack.eof:
        raise zlib.error("no end")


def readable(file: BinaryIO) -> tuple[BinaryIO, bytes | None]:
    """The file without what Pillow stumbles over, and its color profile."""
    profile: bytes | None = None
    told: dict[bytes, bytes] = {}
    left_out: list[tuple[int, int]] = []
    for kind, start, length in chunks(file):
        if kind == b"iCCP":
            file.seek(start + 8)
            profile = _unpacked_profile(file.read(length - 12))
            left_out.append((start, length))
        elif kind in png_colors.CHUNKS:
            file.seek(start + 8)
            told[kind] = file.read(min(length - 12, MAX_TOLD_BYTES))
        elif kind in TEXTS and (length > MAX_TEXT_BYTES or _is_bomb(file, kind, start, length)):
            left_out.append((start, length))
    file.seek(25)
    is_gray = file.read(1) in (b"\0", b"\4")
    if b"cICP" in told or profile is None:
        profile = png_colors.profile_of(told, is_gray=is_gray) or profile
    file.seek(0)
    if not left_out:
        return file, profile
    parts, at = [], 0
    for start, length in left_out:
        parts.append(file.read(start - at))
        at = file.seek(start + length)
    parts.append(file.read())
    return io.BytesIO(b"".join(parts)), profile


def _is_bomb(file: BinaryIO, kind: bytes, start: int, length: int) -> bool:
    """Whether a short text unpacks to a long one."""
    if kind == b"tEXt":
        return False
    file.seek(start + 8)
    body = file.read(length - 12)
    packed = body[body.find(b"\0") + 2 :]
    if kind == b"iTXt":  # keyword, flag, method, language, translated keyword
        packed = packed[1:].split(b"\0", 2)[-1]
        if body[body.find(b"\0") + 1 : body.find(b"\0") + 2] != b"\x01":
            return False
    try:
        return len(zlib.decompressobj().decompress(packed, MAX_UNPACKED_BYTES)) >= MAX_UNPACKED_BYTES
    except zlib.error:
        return True  # Pillow would give up at it


def _unpacked_profile(body: bytes) -> bytes | None:
    try:
        unpacked = zlib.decompressobj().decompress(body[body.find(b"\0") + 2 :], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return unpacked or None


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk with head and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(data: bytes, added: Iterable[bytes]) -> bytes:
    """A PNG with chunks put behind its header."""
    end = len(SIGNATURE) + 25  # IHDR has 13 bytes
    return b"".join((data[:end], *added, data[end:]))


def profile_chunk(profile: bytes) -> bytes:
    """A color profile as a chunk."""
    return chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))


def resolution_chunk(dpi: tuple[float, float]) -> bytes:
    """A resolution as a chunk: in pixels per meter."""
    return chunk(b"pHYs", struct.pack(">IIB", *(min(round(value / 0.0254), 2**31 - 1) for value in dpi), 1))
