"""Frames: planes of pixels and a JSON header, in the layout of a safetensors file.

An unsigned little-endian 64-bit header length, a JSON header, then the raw planes one after another. It needs no codec,
so a 12-megapixel layer crosses the loopback in the time of a memory copy. Both sides read this through ``wire``.
Standard library only.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gimp_plugin.language import _
from gimp_plugin.settings import brief

PROTOCOL = 1
MAX_HEADER_BYTES = 64 * 1024
MAX_PIXELS = 100_000_000  # of one picture, whatever its sides; as in engine/core/limits.py
ITEM_BYTES = {"U8": 1, "U16": 2, "F16": 2, "F32": 4}

Buffer = bytes | bytearray | memoryview
_Table = dict[str, tuple[str, tuple[int, ...], int, int]]  # name -> (dtype, shape, first byte, end byte)


class WireError(Exception):
    """Something crossed the wire that is not of the contract, or the engine refused a request.

    Args:
        code: a stable, machine-readable word (see ``ERROR_STATUS``).
        message: one sentence for the user that says what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


# code -> HTTP status. The client turns a status other than 2xx back into WireError(code, message).
ERROR_STATUS: Mapping[str, int] = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "cancelled": 410,
    "too_large": 413,
    "wrong_host": 421,
    "unprocessable": 422,
    "busy": 429,
    "failed": 500,
    "worker_died": 500,
    "starting": 503,
    "draining": 503,
    "out_of_memory": 507,
    "disk_full": 507,
}


@dataclass(frozen=True)
class Plane:
    """Raw pixels, rows from the top, channels interleaved.

    Args:
        dtype: "U8", "U16", "F16" or "F32". Integers span their whole range, floats [0, 1] nominally;
            always sRGB-encoded (GIMP's ``R'G'B'A``).
        shape: (H, W, C) for pictures, (H, W) for masks.
        data: exactly H * W * C * item size bytes.

    Raises:
        WireError: dtype, shape or length do not fit together, or more than ``MAX_PIXELS``.
    """

    dtype: str
    shape: tuple[int, ...]
    data: Buffer = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.data) != plane_bytes(self.dtype, self.shape):
            raise WireError(
                "bad_request",
                f"A plane of {self.shape} {self.dtype} needs {plane_bytes(self.dtype, self.shape)} bytes, "
                f"not {len(self.data)}.",
            )

    @property
    def height(self) -> int:
        return self.shape[0]

    @property
    def width(self) -> int:
        return self.shape[1]


def plane_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of a plane, checked before anything is allocated.

    Raises:
        WireError: unknown dtype, not 2 or 3 dimensions, a side below 1, more than ``MAX_PIXELS`` or 4 channels.
    """
    require(dtype in ITEM_BYTES, f"A plane's dtype is one of {', '.join(ITEM_BYTES)}, not {brief(dtype)}.")
    require(
        len(shape) in (2, 3) and all(type(n) is int and n >= 1 for n in shape),
        "A plane has the shape (height, width) or (height, width, channels), each at least 1.",
    )
    if shape[0] * shape[1] > MAX_PIXELS:
        raise WireError(
            "too_large",
            _(
                "The picture is {width} x {height} pixels; the engine takes {most} megapixels. Select a smaller part "
                "or scale the layer down."
            ).format(width=shape[1], height=shape[0], most=MAX_PIXELS // 10**6),
        )
    require(len(shape) == 2 or shape[2] <= 4, "A plane has at most 4 channels.")
    return math.prod(shape) * ITEM_BYTES[dtype]


def pack_frame(kind: str, meta: Mapping[str, Any], planes: Mapping[str, Plane]) -> list[Buffer]:
    """Header and planes in the safetensors layout, as buffers to be sent one after another."""
    header: dict[str, Any] = {
        "__metadata__": {"impasto": kind, "protocol": str(PROTOCOL), "meta": json.dumps(meta, allow_nan=False)}
    }
    offset = 0
    for name, plane in planes.items():
        size = len(plane.data)
        header[name] = {"dtype": plane.dtype, "shape": list(plane.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # planes start on 8 bytes, as safetensors asks
    if len(text) > MAX_HEADER_BYTES:
        raise WireError("bad_request", f"The header is {len(text)} bytes; at most {MAX_HEADER_BYTES} are allowed.")
    return [struct.pack("<Q", len(text)) + text, *(plane.data for plane in planes.values())]


def frame_bytes(buffers: list[Buffer]) -> int:
    """Length of a packed frame, for Content-Length."""
    return sum(len(buffer) for buffer in buffers)


def check_header(head: Buffer, total_bytes: int) -> int:
    """Check a frame's header against the declared length, before its planes are read or allocated.

    Args:
        head: the frame's first bytes: at least 8 + header length of them.
        total_bytes: the whole frame's length (Content-Length).

    Returns:
        Bytes of the length field and header together; the planes start there.

    Raises:
        WireError: not a frame, or its planes do not fill ``total_bytes`` exactly.
    """
    header, start = _read_header(head)
    _plane_table(header, total_bytes - start)
    return start


def unpack_frame(kind: str, frame: Buffer) -> tuple[dict[str, Any], dict[str, Plane]]:
    """Split a frame into its metadata and planes (views into ``frame``).

    Raises:
        WireError: not a frame of this kind and protocol, or its sizes contradict each other.
    """
    view = memoryview(frame)
    meta, table, start = _read_frame(kind, view, len(view))
    body = view[start:]
    return meta, {name: Plane(dtype, shape, body[a:b]) for name, (dtype, shape, a, b) in table.items()}


def outline_frame(kind: str, head: Buffer, total_bytes: int) -> tuple[dict[str, Any], dict[str, Plane]]:
    """What ``unpack_frame`` would give, from a frame's header alone: its planes have a length, but no pixels.

    Args:
        kind: what the frame must be.
        head: the frame's first bytes: at least 8 + header length of them.
        total_bytes: the whole frame's length (Content-Length).

    Raises:
        WireError: not a frame of this kind and protocol, or its sizes contradict each other.
    """
    meta, table, _ = _read_frame(kind, head, total_bytes)
    # A range has the length of the pixels and takes no memory.
    return meta, {
        name: Plane(dtype, shape, cast("Buffer", range(a, b))) for name, (dtype, shape, a, b) in table.items()
    }


def _read_frame(kind: str, head: Buffer, total_bytes: int) -> tuple[dict[str, Any], _Table, int]:
    header, start = _read_header(head)
    table = _plane_table(header, total_bytes - start)
    info = header["__metadata__"]
    require(info.get("impasto") == kind, f"This frame is not a {kind}.")
    if info.get("protocol") != str(PROTOCOL):
        raise WireError("bad_request", _("Plug-in and engine are of different versions: run install.py again."))
    try:
        meta = json.loads(info["meta"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise WireError("bad_request", "The frame's metadata is not JSON.") from error
    require(isinstance(meta, dict), "The frame's metadata is not an object.")
    return meta, table, start


def kind_of(frame: Buffer) -> str:
    """The kind that a frame says it is.

    Raises:
        WireError: not a frame.
    """
    return str(_read_header(memoryview(frame))[0]["__metadata__"].get("impasto"))


def _read_header(head: Buffer) -> tuple[dict[str, Any], int]:
    require(len(head) >= 8, "The frame is shorter than its length field.")
    (length,) = struct.unpack_from("<Q", head)
    require(2 <= length <= MAX_HEADER_BYTES, f"A frame's header has 2 to {MAX_HEADER_BYTES} bytes, not {length}.")
    require(len(head) >= 8 + length, "The frame ends inside its header.")
    try:
        header = json.loads(bytes(head[8 : 8 + length]))
    except (ValueError, RecursionError) as error:
        raise WireError("bad_request", "The frame's header is not JSON.") from error
    has_metadata = isinstance(header, dict) and isinstance(header.get("__metadata__"), dict)
    require(has_metadata, "The header has no metadata.")
    return header, 8 + length


def _plane_table(header: dict[str, Any], body_bytes: int) -> _Table:
    """Where the planes lie: contiguous, and filling the body exactly."""
    table = {}
    end = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape, (a, b) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        except (KeyError, TypeError, ValueError) as error:
            raise WireError("bad_request", f"The entry of plane {brief(name)} is malformed.") from error
        require(isinstance(dtype, str), f"The dtype of plane {brief(name)} is not a word.")
        start, end = end, end + plane_bytes(dtype, shape)
        require((a, b) == (start, end), f"The offsets of plane {brief(name)} do not fit its shape.")
        table[name] = (dtype, shape, start, end)  # our own numbers: 8.0 equals 8, but slices nothing
    require(end == body_bytes, f"The planes take {end} bytes, but {body_bytes} were declared.")
    return table


def require(condition: bool, message: str) -> None:
    if not condition:
        raise WireError("bad_request", message)
