"""Style files (``.impasto-style``): a style of one's own in a small file that is safe to read from strangers.

docs/style-files.md describes the layout. Nothing in a file is trusted: sizes are checked before memory is taken, and
decompression stops at the declared size. Standard library only: GIMP's Python reads and writes them, and so does the
server.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
import struct
import tempfile
import unicodedata
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from operator import add, sub
from pathlib import Path
from typing import Any

from gimp_plugin.language import _, mark
from gimp_plugin.settings import brief
from gimp_plugin.wire.frames import Buffer, Plane, WireError, plane_bytes

SUFFIX = ".impasto-style"
MAGIC = b"\x89ImpStl\n"
FORMAT = 1
MAX_FILE_BYTES = 2 << 20
MAX_HEADER_BYTES = 8192
MAX_TEXT = 120  # characters of a title or an artist's name
MAX_CODE = 16384  # numbers
MAX_NUMBER = 1000.0  # in a code; those of the presets stay below 8
SWATCH_PX, THUMBNAIL_PX = 512, 128
NETWORK = re.compile(r"[a-z0-9-]{1,32}:[0-9a-f]{16,64}")
JOINERS = "\u200c\u200d"  # letters of some scripts, and emoji, need them
_START = len(MAGIC) + 32  # the digest's end
_LOW_BYTE = (255).__and__
_DAMAGE = (LookupError, TypeError, ValueError, ArithmeticError, RecursionError, zlib.error, struct.error)
_KINDS = {"code": "F32", "swatch": "U8", "thumbnail": "U8"}
DAMAGED = mark("This style file is damaged or incomplete: ask for it again, or save the style again.")
LATER = mark("This style file was made by a later version of Impasto: update Impasto, then open it again.")
NO_STYLE = mark("This file is no style of Impasto: choose another one, or save a picture as a style first.")


@dataclass(frozen=True)
class SavedStyle:
    """What a style file holds. Valid once built.

    Args:
        title: of the style, one line of at most ``MAX_TEXT`` characters.
        artist: who made it; may be "".
        network: name and digest of the network that made the code ("anystyle:47aca1df13358...").
        code: (1, N) F32, what the network must know of the style.
        swatch: (H, W, 3) U8, the style's picture, at most ``SWATCH_PX`` a side.
        thumbnail: (H, W, 3) U8, at most ``THUMBNAIL_PX`` a side.

    Raises:
        WireError: a part is missing, of the wrong kind or out of range.
    """

    title: str
    artist: str
    network: str
    code: Plane
    swatch: Plane
    thumbnail: Plane

    def __post_init__(self) -> None:
        _check_text("title", self.title, least=1)
        _check_text("artist", self.artist, least=0)
        _require(is_network(self.network), f"A style file names its network, not {brief(self.network)}.")
        check_code(self.code)
        _require(
            are_numbers(self.code.data), mark("The code of this style file holds no plain numbers: save it again.")
        )
        _check_picture("swatch", self.swatch, SWATCH_PX)
        _check_picture("thumbnail", self.thumbnail, THUMBNAIL_PX)

    def rgba(self) -> Plane:
        """The swatch as requests take pictures: (H, W, 4)."""
        height, width, _ = self.swatch.shape
        pixels = bytearray(b"\xff") * (height * width * 4)
        for channel in range(3):
            pixels[channel::4] = bytes(self.swatch.data[channel::3])
        return Plane("U8", (height, width, 4), pixels)


@dataclass(frozen=True)
class StyleLabel:
    """What a list shows of a style file: title, artist, and the thumbnail (H, W, 3)."""

    title: str
    artist: str
    thumbnail: Plane


def pack_style(style: SavedStyle) -> bytes:
    """A style file's bytes."""
    planes = {name: getattr(style, name) for name in _KINDS}
    blocks = {name: zlib.compress(_stored(plane, name), 9) for name, plane in planes.items()}
    header = {
        **{"format": FORMAT, "title": style.title, "artist": style.artist, "network": style.network},
        "planes": {name: {"shape": list(planes[name].shape), "bytes": len(blocks[name])} for name in _KINDS},
    }
    text = json.dumps(header, allow_nan=False).encode()
    body = struct.pack("<I", len(text)) + text + b"".join(blocks.values())
    return MAGIC + hashlib.sha256(body).digest() + body


def unpack_style(data: Buffer) -> SavedStyle:
    """The inverse of ``pack_style``.

    Raises:
        WireError: it is no style file, a damaged one or one of a later version.
    """
    header, blocks = _parts_of(data)
    try:
        planes = {name: _plane(header, blocks, name) for name in _KINDS}
        return SavedStyle(header["title"], header["artist"], header["network"], **planes)
    except _DAMAGE as error:
        raise refusal(_(DAMAGED)) from error


def unpack_label(data: Buffer) -> StyleLabel:
    """Title, artist and thumbnail alone: a third of the time that all of it takes.

    Raises:
        WireError: see ``unpack_style``.
    """
    header, blocks = _parts_of(data)
    try:
        thumbnail = _plane(header, blocks, "thumbnail")
        _check_text("title", header["title"], least=1)
        _check_text("artist", header["artist"], least=0)
    except _DAMAGE as error:
        raise refusal(_(DAMAGED)) from error
    return StyleLabel(header["title"], header["artist"], thumbnail)


def read_style(path: Path) -> SavedStyle:
    """The style in a file.

    Raises:
        WireError: there is none, or it cannot be used.
    """
    return unpack_style(read_style_bytes(path))


def read_style_bytes(path: Path) -> bytes:
    """A style file's bytes, not yet checked. A pipe is not waited for, and no more is read than a style file has.

    Raises:
        WireError: no such file, no regular one, or a larger one.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise refusal(_(NO_STYLE))
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise refusal(_("There is no style file {name}: choose another one.").format(name=path.name)) from error
    except (OSError, ValueError) as error:
        raise refusal(
            _("The style file {name} cannot be read: check its permissions.").format(name=path.name)
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise refusal(_("{name} is larger than any style file: choose another one.").format(name=path.name))
    return data


def write_style(path: Path, style: SavedStyle, *, replace: bool = False) -> None:
    """Write a style file, whole or not at all.

    Args:
        path: its place.
        style: what it holds.
        replace: take the place of a file that is there.

    Raises:
        WireError: something is there already, or the disk refuses.
    """
    write_style_bytes(path, pack_style(style), replace=replace)


def write_style_bytes(path: Path, data: bytes, *, replace: bool = False) -> None:
    """The same for bytes that ``pack_style`` made, or that were checked."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            if os.name == "posix":
                os.chmod(temporary, 0o644)  # it is made to be given away
            _put(Path(temporary), path, replace)
        finally:
            with suppress(OSError):
                os.unlink(temporary)
    except FileExistsError as error:
        says = _("{name} is there already: choose another name.")
        raise WireError("conflict", says.format(name=path.name)) from error
    except OSError as error:
        code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "unprocessable"
        reason = error.strerror or _("the disk refuses")
        says = _("{name} cannot be written there ({reason}): choose another folder.")
        raise WireError(code, says.format(name=path.name, reason=reason)) from error


def style_text(*given: str) -> str:
    """The first of some texts of which something is left once it is what a title may be; else ""."""
    for text in given:
        plain = "".join(letter if _is_plain(letter) else " " for letter in text)
        if words := " ".join(plain.split())[:MAX_TEXT].strip():
            return words
    return ""


def is_network(name: Any) -> bool:
    """Whether it is what a network's code is told by."""
    return isinstance(name, str) and NETWORK.fullmatch(name) is not None


def check_code(code: Any) -> None:
    """Refuse what has not the shape of a code. Its numbers are not looked at.

    Raises:
        WireError: it has not.
    """
    is_code = isinstance(code, Plane) and code.dtype == "F32" and len(code.shape) == 2
    _require(
        is_code and code.shape[0] == 1 and code.shape[1] <= MAX_CODE,
        f"A style's code is one row of at most {MAX_CODE} floats.",
    )


def are_numbers(data: Buffer) -> bool:
    """Whether floats are finite, and not larger than those of any code."""
    return all(abs(value) <= MAX_NUMBER for (value,) in struct.iter_unpack("<f", data))  # NaN is not


def refusal(sentence: str) -> WireError:
    """A style that cannot be used."""
    return WireError("unprocessable", sentence)


def _put(temporary: Path, path: Path, replace: bool) -> None:
    """Give a finished file its name; without ``replace`` one that nobody has.

    Raises:
        FileExistsError: somebody has it.
    """
    if not replace:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))  # the name is ours from here on
    try:
        os.replace(temporary, path)
    except OSError:
        if not replace:
            path.unlink(missing_ok=True)
        raise


def _parts_of(data: Buffer) -> tuple[dict[str, Any], dict[str, memoryview]]:
    """The header, and where each plane's block lies, once digest, sizes and names are as they must be."""
    view = memoryview(data).cast("B")
    if bytes(view[: len(MAGIC)]) != MAGIC:
        raise refusal(_(NO_STYLE))
    body = view[_START:]
    if len(data) > MAX_FILE_BYTES or hashlib.sha256(body).digest() != view[len(MAGIC) : _START]:
        raise refusal(_(DAMAGED))
    try:
        (length,) = struct.unpack_from("<I", body)
        _require(2 <= length <= MAX_HEADER_BYTES, DAMAGED)
        header = json.loads(bytes(body[4 : 4 + length]))
        _require(isinstance(header, dict) and type(header["format"]) is int, DAMAGED)
        _require(header["format"] <= FORMAT, LATER)
        _require(header["format"] == FORMAT and list(header["planes"]) == list(_KINDS), DAMAGED)
        return header, _blocks(body[4 + length :], [header["planes"][name]["bytes"] for name in _KINDS])
    except _DAMAGE as error:
        raise refusal(_(DAMAGED)) from error


def _blocks(rest: memoryview, sizes: list[Any]) -> dict[str, memoryview]:
    """The blocks, which fill the rest of the file."""
    _require(all(type(size) is int and size >= 1 for size in sizes) and sum(sizes) == len(rest), DAMAGED)
    ends = list(accumulate(sizes))
    return {name: rest[end - size : end] for name, size, end in zip(_KINDS, sizes, ends, strict=True)}


def _plane(header: dict[str, Any], blocks: dict[str, memoryview], name: str) -> Plane:
    """A plane out of its block; its size is judged before anything is decompressed."""
    shape, dtype = tuple(header["planes"][name]["shape"]), _KINDS[name]
    _require(all(type(n) is int and n >= 1 for n in shape), DAMAGED)
    if name == "code":
        _require(len(shape) == 2 and shape[0] == 1 and shape[1] <= MAX_CODE, DAMAGED)
    else:
        longest = SWATCH_PX if name == "swatch" else THUMBNAIL_PX
        _require(len(shape) == 3 and max(shape[:2]) <= longest and shape[2] == 3, DAMAGED)
    n_bytes = plane_bytes(dtype, shape)
    stream = zlib.decompressobj()
    data = stream.decompress(blocks[name], n_bytes + 1)
    _require(len(data) == n_bytes and stream.eof and not stream.unused_data, DAMAGED)
    return Plane(dtype, shape, _unfiltered(data) if name == "swatch" else data)


def _stored(plane: Plane, name: str) -> bytes:
    """A plane's bytes as they are compressed. The thumbnail is left as it is: a list of many has to be quick."""
    return _filtered(bytes(plane.data)) if name == "swatch" else bytes(plane.data)


def _filtered(data: bytes) -> bytes:
    """RGB so that it compresses well: green, red less green, blue less green, each less its left neighbor."""
    red, green, blue = data[0::3], data[1::3], data[2::3]
    channels = (green, _bytes(map(sub, red, green)), _bytes(map(sub, blue, green)))
    return b"".join(_bytes(map(sub, channel, b"\0" + channel[:-1])) for channel in channels)


def _unfiltered(data: bytes) -> bytes:
    """The inverse of ``_filtered``."""
    n = len(data) // 3
    green, red, blue = (_bytes(accumulate(data[start : start + n])) for start in (0, n, 2 * n))
    pixels = bytearray(3 * n)
    pixels[0::3], pixels[1::3], pixels[2::3] = _bytes(map(add, red, green)), green, _bytes(map(add, blue, green))
    return bytes(pixels)


def _bytes(values: Iterable[int]) -> bytes:
    return bytes(map(_LOW_BYTE, values))


def _check_text(name: str, text: Any, least: int) -> None:
    is_text = isinstance(text, str) and least <= len(text) <= MAX_TEXT
    _require(
        is_text and all(map(_is_plain, text)) and text == text.strip(),
        f"The {name} of a style is one line of at most {MAX_TEXT} plain characters: change it.",
    )


def _is_plain(letter: str) -> bool:
    """Whether a letter shows itself and nothing else: no control, no change of direction, no half of a pair."""
    return letter in JOINERS or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _check_picture(name: str, plane: Any, longest_px: int) -> None:
    is_rgb = isinstance(plane, Plane) and plane.dtype == "U8" and len(plane.shape) == 3 and plane.shape[2] == 3
    _require(
        is_rgb and max(plane.shape[:2]) <= longest_px,
        f"The {name} of a style is an RGB picture of at most {longest_px} pixels a side.",
    )


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise refusal(_(sentence))
