"""The contract between the plug-in and the engine: requests, results, frames, errors, endpoint.

It lives with its most constrained reader: GIMP's own Python loads it as ``wire``, the server as
``gimp_plugin.wire``. Standard library only, and of ours it imports only ``endpoint``.

A *frame* has the layout of a safetensors file: an unsigned little-endian 64-bit header length, a JSON
header, then the raw planes one after another. It needs no codec, so a 12-megapixel layer crosses the
loopback in the time of a memory copy.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from .endpoint import Endpoint, proof, read_endpoint, read_token, state_dir
else:
    from endpoint import Endpoint, proof, read_endpoint, read_token, state_dir

__all__ = [
    "COLOR_MODES",
    "DEVICES",
    "ERROR_STATUS",
    "ITEM_BYTES",
    "MAX_HEADER_BYTES",
    "MAX_SIDE_PX",
    "MAX_STYLES",
    "PROTOCOL",
    "Buffer",
    "Endpoint",
    "Plane",
    "StyleEntry",
    "StylizeRequest",
    "StylizeResult",
    "WireError",
    "check_header",
    "frame_bytes",
    "pack_frame",
    "plane_bytes",
    "proof",
    "read_endpoint",
    "read_token",
    "state_dir",
    "unpack_frame",
]

PROTOCOL = 1
MAX_HEADER_BYTES = 64 * 1024
MAX_SIDE_PX = 8192
MAX_STYLES = 8
ITEM_BYTES = {"U8": 1, "U16": 2, "F16": 2, "F32": 4}
COLOR_MODES = ("style", "luminance", "match")
DEVICES = ("auto", "cpu", "cuda")

Buffer = bytes | bytearray | memoryview


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
        WireError: dtype, shape or length do not fit together, or a side is over ``MAX_SIDE_PX``.
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


@dataclass(frozen=True)
class StyleEntry:
    """One style of a request: a shipped preset by name, or a picture. Exactly one of the two.

    Args:
        name: what the user sees; names the new layer.
        weight: share in a blend, > 0; shares need not sum to 1.
        preset: name from the engine's catalog.
        picture: (H, W, 4) R'G'B'A pixels.
    """

    name: str
    weight: float = 1.0
    preset: str | None = None
    picture: Plane | None = None

    def __post_init__(self) -> None:
        _require((self.preset is None) != (self.picture is None), "A style is either a preset or a picture.")
        _require(isinstance(self.preset, str | None), "A preset is a name.")
        _require(math.isfinite(self.weight) and self.weight > 0, f"A style weight must be above 0, not {self.weight}.")
        _require_rgba(self.picture, "style picture")


@dataclass(frozen=True)
class StylizeRequest:
    """A whole job. Everything that the engine needs, nothing that names a file or an address.

    Args:
        content: (H, W, 4) R'G'B'A pixels; the result has the same shape and dtype.
        styles: one to ``MAX_STYLES`` styles, blended by weight.
        mask: (H, W); 0 = not selected. None = the whole picture.
        method: a name of the engine's catalog.
        strength: 0 (content) to 1 (style).
        color: one of ``COLOR_MODES``.
        photoreal: amount of photorealistic smoothing, 0 to 1.
        style_size_px: longest side at which the style is looked at (brush size); None = the method's own.
        seed: for methods that draw random numbers.
        device: one of ``DEVICES``.
        composite: True: blend with the content by the mask, so that pixels of mask 0 come back untouched
            to the bit. False: return the painted pixels everywhere, for a host with layer masks of its own.

    Raises:
        WireError: a value is out of range or of the wrong shape.
    """

    content: Plane
    styles: tuple[StyleEntry, ...]
    mask: Plane | None = None
    method: str = "anystyle"
    strength: float = 1.0
    color: str = "style"
    photoreal: float = 0.0
    style_size_px: int | None = None
    seed: int = 0
    device: str = "auto"
    composite: bool = True

    def __post_init__(self) -> None:
        _require_rgba(self.content, "content")
        _require(1 <= len(self.styles) <= MAX_STYLES, f"Give 1 to {MAX_STYLES} styles, not {len(self.styles)}.")
        if self.mask is not None:
            _require(
                self.mask.shape == self.content.shape[:2],
                f"The mask is {self.mask.shape}, the content {self.content.shape[:2]} (H, W): they must match.",
            )
        for name, types in _SETTINGS.items():
            value = getattr(self, name)  # True is an int to Python, not to us
            is_right = isinstance(value, types) and (types == (bool,) or not isinstance(value, bool))
            _require(is_right, f"{name} is of the wrong type: {value!r}.")
        _require(0 <= self.strength <= 1, f"strength must be from 0 to 1, not {self.strength}.")
        _require(0 <= self.photoreal <= 1, f"photoreal must be from 0 to 1, not {self.photoreal}.")
        _require(self.color in COLOR_MODES, f"color must be one of {', '.join(COLOR_MODES)}, not {self.color!r}.")
        _require(self.device in DEVICES, f"device must be one of {', '.join(DEVICES)}, not {self.device!r}.")
        if self.style_size_px is not None:
            _require(
                32 <= self.style_size_px <= MAX_SIDE_PX, f"The style size must be from 32 to {MAX_SIDE_PX} pixels."
            )
        _require(0 <= self.seed < 2**63, f"seed must be from 0 to 2^63 - 1, not {self.seed}.")

    def pack(self) -> list[Buffer]:
        """The request as a frame: buffers to be sent one after another (nothing is copied)."""
        planes: dict[str, Plane] = {"content": self.content}
        if self.mask is not None:
            planes["mask"] = self.mask
        styles = []
        for i, style in enumerate(self.styles):
            styles.append({"name": style.name, "weight": style.weight, "preset": style.preset})
            if style.picture is not None:
                planes[f"style.{i}"] = style.picture
        settings = {name: getattr(self, name) for name in _SETTINGS}
        return pack_frame("request", {"styles": styles, "settings": settings}, planes)

    @classmethod
    def unpack(cls, frame: Buffer) -> StylizeRequest:
        """The inverse of ``pack``; the planes are views into ``frame``.

        Raises:
            WireError: the frame is not a valid request.
        """
        meta, planes = unpack_frame("request", frame)
        try:
            entries = tuple(
                StyleEntry(str(s["name"]), float(s["weight"]), s["preset"], planes.get(f"style.{i}"))
                for i, s in enumerate(meta["styles"][: MAX_STYLES + 1])
            )
            settings = {name: meta["settings"][name] for name in _SETTINGS}
            return cls(content=planes["content"], styles=entries, mask=planes.get("mask"), **settings)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            raise WireError("bad_request", "The request lacks a part or has one of the wrong type.") from error


_SETTINGS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("method", "color", "device"), (str,)),
    **dict.fromkeys(("strength", "photoreal"), (float, int)),
    "style_size_px": (int, type(None)),
    "seed": (int,),
    "composite": (bool,),
}


@dataclass(frozen=True)
class StylizeResult:
    """What comes back: the picture, and a report for the log and the layer's parasite.

    Args:
        picture: (H, W, 4) R'G'B'A in the content's dtype.
        report: JSON values: "seconds" (per stage), "device", "strength", "method", "peak_bytes", "notes".
    """

    picture: Plane
    report: dict[str, Any]

    def pack(self) -> list[Buffer]:
        return pack_frame("result", {"report": self.report}, {"picture": self.picture})

    @classmethod
    def unpack(cls, frame: Buffer) -> StylizeResult:
        meta, planes = unpack_frame("result", frame)
        if "picture" not in planes or not isinstance(meta.get("report"), dict):
            raise WireError("bad_request", "The result lacks its picture or its report.")
        return cls(planes["picture"], meta["report"])


def plane_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of a plane, checked before anything is allocated.

    Raises:
        WireError: unknown dtype, not 2 or 3 dimensions, a side that is not 1 to ``MAX_SIDE_PX``, more than 4 channels.
    """
    _require(dtype in ITEM_BYTES, f"A plane's dtype is one of {', '.join(ITEM_BYTES)}, not {dtype!r}.")
    _require(
        len(shape) in (2, 3) and all(type(n) is int and n >= 1 for n in shape),
        "A plane has the shape (height, width) or (height, width, channels), each at least 1.",
    )
    if max(shape[:2]) > MAX_SIDE_PX:
        raise WireError(
            "too_large",
            f"The picture is {shape[1]} x {shape[0]} pixels; the engine takes at most {MAX_SIDE_PX} x {MAX_SIDE_PX}. "
            "Select a smaller part or scale the layer down.",
        )
    _require(len(shape) == 2 or shape[2] <= 4, "A plane has at most 4 channels.")
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
    header, start = _read_header(view)
    table = _plane_table(header, len(view) - start)
    info = header["__metadata__"]
    _require(info.get("impasto") == kind, f"This frame is not a {kind}.")
    if info.get("protocol") != str(PROTOCOL):
        raise WireError("bad_request", "Plug-in and engine are of different versions: run install.py again.")
    try:
        meta = json.loads(info["meta"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise WireError("bad_request", "The frame's metadata is not JSON.") from error
    _require(isinstance(meta, dict), "The frame's metadata is not an object.")
    body = view[start:]
    return meta, {name: Plane(dtype, shape, body[a:b]) for name, (dtype, shape, a, b) in table.items()}


def _read_header(head: Buffer) -> tuple[dict[str, Any], int]:
    _require(len(head) >= 8, "The frame is shorter than its length field.")
    (length,) = struct.unpack_from("<Q", head)
    _require(2 <= length <= MAX_HEADER_BYTES, f"A frame's header has 2 to {MAX_HEADER_BYTES} bytes, not {length}.")
    _require(len(head) >= 8 + length, "The frame ends inside its header.")
    try:
        header = json.loads(bytes(head[8 : 8 + length]))
    except (ValueError, RecursionError) as error:
        raise WireError("bad_request", "The frame's header is not JSON.") from error
    has_metadata = isinstance(header, dict) and isinstance(header.get("__metadata__"), dict)
    _require(has_metadata, "The header has no metadata.")
    return header, 8 + length


def _plane_table(header: dict[str, Any], body_bytes: int) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    """name -> (dtype, shape, first byte, end byte), contiguous and filling the body exactly."""
    table = {}
    end = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape, (a, b) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        except (KeyError, TypeError, ValueError) as error:
            raise WireError("bad_request", f"The entry of plane {name!r} is malformed.") from error
        _require(isinstance(dtype, str), f"The dtype of plane {name!r} is not a word.")
        start, end = end, end + plane_bytes(dtype, shape)
        _require((a, b) == (start, end), f"The offsets of plane {name!r} do not fit its shape.")
        table[name] = (dtype, shape, start, end)  # our own numbers: 8.0 equals 8, but slices nothing
    _require(end == body_bytes, f"The planes take {end} bytes, but {body_bytes} were declared.")
    return table


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise WireError("bad_request", message)


def _require_rgba(plane: Plane | None, name: str) -> None:
    if plane is not None:
        _require(len(plane.shape) == 3 and plane.shape[2] == 4, f"The {name} needs the shape (H, W, 4).")
