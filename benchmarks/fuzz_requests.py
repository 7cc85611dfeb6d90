"""What ``benchmarks.fuzz`` sends: valid requests of every kind, and what becomes of them under damage."""

from __future__ import annotations

import json
import random
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gimp_plugin.wire import Plane, SegmentRequest, StyleEntry, StyleRequest, StylizeRequest

Frame = tuple[dict[str, Any], dict[str, Any], bytes]  # header, the metadata in it, planes

PATHS = (
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "README.md",
    "file:///etc/passwd",
    "~/x",
    "..",
    "CON",
)
WORDS: tuple[Any, ...] = (
    *PATHS, "", "x", "x" * 3000, "\ud800", "\0", "\x1b[31m", "\u202e", "ä", "0,7", "nan", "1e400", "-1", "١٢", "auto",
    "cyclegan", "discogan", "johnson", "ulyanov", "msgnet", "anystyle", "wct", "best", "match", "mrf", "starry-night",
)  # fmt: skip
NUMBERS: tuple[Any, ...] = (
    *(0, -0.0, -1, 1, 2, 7, 8.0, 0.5, 1e308, 1e-320, 5e-324, -1e-9, 1e-7, 31, 32, 16, 8192, 8193, 2**31, 2**53, 2**63),
    *(2**63 - 1, 2**64, -(2**63), 10**30, float("nan"), float("inf"), -float("inf")),
)
NASTY: tuple[Any, ...] = (
    *WORDS, *NUMBERS, None, True, False, [], {}, [[]], [1, 1, 4], [1.0, 1.0, 4.0], [-1, 4, 4], [2**40, 2**40, 4],
    [1] * 9, ["1", "1", "4"], [True, True, 4], {"a": 1}, [None, None], [[1, 2]] * 80, {f"o{i}": 1 for i in range(40)},
)  # fmt: skip
OPTIONS = (
    *("model", "pair", "trained", "statistic", "optimizer", "pooling", "iterations", "scales", "depth", "smoothing"),
    *("detail", "mode", "structure", "place", "content", "copies", "x", ""),
)


HEADERS = (
    *(("Accept", "application/json"), ("X", "y" * 5000), ("Origin", "null"), ("Origin", "https://e.example")),
    *(("Host", "e.example"), ("Host", ""), ("Host", "127.0.0.1:1"), ("Cookie", "impasto=" + "x" * 100)),
    *(("Cookie", "\x80=\xff;;="), ("Range", "bytes=0-1"), ("Content-Length", "abc"), ("Content-Length", "-1")),
    *(("Content-Length", "9" * 30), ("Transfer-Encoding", "chunked"), ("Expect", "100-continue")),
    *(("Upgrade", "websocket"), ("Sec-Fetch-Site", "x")),
)


@dataclass(frozen=True)
class Sent:
    """A request.

    Args:
        length: what Content-Length says; None = the truth.
        is_authorized: the token goes along.
    """

    method: str
    path: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    length: int | None = None
    is_authorized: bool = True

    def __str__(self) -> str:
        head = (self.body or b"")[:700]
        return f"{self.method} {self.path[:100]} {list(self.headers)!r:.200} {self.length} {head!r}"


def picture(height: int, width: int, dtype: str = "U8", n_channels: int = 4) -> Plane:
    """Pixels of no meaning; floats are in [0, 1]."""
    n = height * width * n_channels
    shape = (height, width, n_channels) if n_channels > 1 else (height, width)
    if dtype == "F32":
        return Plane(dtype, shape, struct.pack(f"<{n}f", *(i % 97 / 97 for i in range(n))))
    if dtype == "F16":
        return Plane(dtype, shape, struct.pack(f"<{n}e", *(i % 97 / 97 for i in range(n))))
    return Plane(dtype, shape, (bytes(range(256)) * (n // 128 + 1))[: n * (2 if dtype == "U16" else 1)])


def frames() -> list[Frame]:
    """Requests of every part and dtype."""
    preset, style = StyleEntry("a", 0.5, "starry-night"), StyleEntry("b", 1.0, None, picture(20, 24))
    content, code = picture(24, 32), Plane("F32", (1, 2316), bytes(4 * 2316))
    saved = StyleEntry("c", 2.0, None, picture(20, 24), code, "anystyle:" + "0" * 32)
    requests: list[StylizeRequest | SegmentRequest | StyleRequest] = [
        StylizeRequest(content, (preset,)),
        StylizeRequest(picture(24, 32, "U16"), (preset, style), picture(24, 32, "F32", 1), style_size_px=64, seed=5),
        StylizeRequest(picture(24, 32, "F16"), (style,), quality="fast", color="match", photoreal=0.5, size_px=16),
        StylizeRequest(picture(24, 32, "F32"), (style,), labels=content, style_labels=picture(20, 24), composite=False),
        StylizeRequest(content, (style,), method="johnson", options={"model": ""}, strength=0.5),
        StylizeRequest(content, (style,), method="wct", options={"depth": 2}, auto_strength=True),
        StylizeRequest(content, (preset,), series=(picture(16, 16), picture(16, 20)), color="luminance", blend="hard"),
        StylizeRequest(content, (preset, saved)),
        StyleRequest(picture(64, 80), "a"),
        SegmentRequest(content, (2, 2, 28, 20), ((5, 5),), ((20, 20),), "grabcut", "soft"),
        SegmentRequest(picture(24, 32, "F32"), None, ((16, 12),)),
    ]
    return [parts_of(b"".join(bytes(part) for part in request.pack())) for request in requests]


def parts_of(frame: bytes) -> Frame:
    """Header, metadata and planes of a frame."""
    (length,) = struct.unpack_from("<Q", frame)
    header = json.loads(frame[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["meta"]), frame[8 + length :]


def frame_of(header: Any, meta: Any, planes: bytes) -> bytes:
    """The inverse of ``parts_of``, of whatever it became."""
    if meta is not None:
        header = {**header, "__metadata__": {**header["__metadata__"], "meta": json.dumps(meta)}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + planes


def replaced(value: Any, dice: random.Random) -> Any:
    """A JSON value with one of its parts replaced, dropped or added to."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key, changed = dice.choice(list(value)), dict(value)
        if dice.random() < 0.08:
            del changed[key]
        elif dice.random() < 0.08:
            changed[str(dice.choice(("mask", "style.0", "style.1", "code.0", "series.0", "x", *WORDS)))] = value[key]
        else:
            changed[key] = replaced(value[key], dice)
        return changed
    if isinstance(value, list) and value and dice.random() < 0.7:
        i = dice.randrange(len(value))
        return [*value[:i], replaced(value[i], dice), *value[i + 1 :]]
    if isinstance(value, int | float) and dice.random() < 0.7:
        return dice.choice((*NUMBERS, value + 1, -value, [value], str(value), value * 1.5))
    return dice.choice(NASTY)


def mutated(dice: random.Random, valid: Frame) -> tuple[bytes, int | None]:
    """A request that is damaged somewhere, and the length that its sender declares (None: the true one)."""
    header, meta, planes = valid
    kind = dice.random()
    if kind < 0.6:
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            meta = replaced(meta, dice)
        if isinstance(meta, dict) and isinstance(meta.get("settings"), dict) and dice.random() < 0.25:
            options = {dice.choice(OPTIONS): dice.choice(NASTY) for _ in range(dice.choice((1, 1, 2)))}
            meta = {**meta, "settings": {**meta["settings"], "options": options}}
        frame = frame_of(header, meta, planes)
    elif kind < 0.8:
        frame = frame_of(replaced(header, dice), None, planes)
    elif kind < 0.9:  # pixels: not numbers, out of range, all transparent
        noise = dice.choice((bytes(len(planes)), b"\xff" * len(planes), dice.randbytes(len(planes))))
        frame = frame_of(header, meta, noise)
    else:
        frame = broken(frame_of(header, meta, planes), dice)
    is_true = dice.random() < 0.93
    return frame, None if is_true else max(0, len(frame) + dice.choice((-9, -1, 1, 100, 2**20, 2**33)))


def broken(frame: bytes, dice: random.Random) -> bytes:
    """Bytes changed, cut off or added; a header nested without end."""
    kind = dice.randrange(4)
    if kind == 0:
        damaged = bytearray(frame)
        for _ in range(dice.choice((1, 2, 10))):
            damaged[dice.randrange(min(len(damaged), 900))] = dice.randrange(256)
        return bytes(damaged)
    if kind == 1:
        length = dice.choice((0, 1, 2, 65536, 65537, 2**63, 2**64 - 1, dice.randrange(900)))
        return struct.pack("<Q", length) + frame[8:]
    if kind == 2:
        return frame[: dice.randrange(len(frame))] if dice.random() < 0.5 else frame + bytes(dice.randrange(1, 100))
    deep = "[" * dice.choice((10, 900, 30_000))
    text = dice.choice((deep, '{"__metadata__": {"impasto": "request", "protocol": "1", "meta": "' + deep + '"}}'))
    encoded = text.encode(dice.choice(("utf-8", "utf-16")))
    return struct.pack("<Q", len(encoded)) + encoded


def route(dice: random.Random, token: str) -> Sent:
    """Any address with any method and headers; never what stops the engine."""
    job = dice.choice((str(uuid.UUID(int=dice.getrandbits(128))), "x", "%00", "..%2f..", "é".encode().hex(), "0" * 500))
    path = dice.choice(
        (
            *(
                "/healthz",
                f"/healthz?challenge={'a' * dice.choice((0, 64, 128, 129, 4000))}",
                "/healthz?challenge=%ff%0a",
            ),
            *("/login", "/login?code=x", "/login?code=%C3%BC", "/login?code=a&code=b", "/v1/catalog", "/v1/jobs"),
            *(f"/v1/jobs/{job}", f"/v1/jobs/{job}/events", f"/v1/jobs/{job}/result", "/", "/ui", "/ui/", "/%"),
            *("/ui/gradio_api/file=/etc/passwd", "/v1/..%2f..%2fetc/passwd", "//etc/passwd", "/" + "a" * 3000),
            "/?" + "&".join(["a=b"] * 500),
        )
    )
    method = dice.choice(("GET", "GET", "GET", "HEAD", "DELETE", "PUT", "POST", "OPTIONS", "PATCH", "TRACE", "x"))
    headers = [dice.choice(HEADERS) for _ in range(dice.choice((0, 0, 1, 1, 2)))]
    if dice.random() < 0.05:
        headers.append(("Authorization", f"Bearer {token[:-1]}"))
    body = dice.choice((None, None, b"", b"{}", b"\0" * 1000)) if method in ("PUT", "POST", "PATCH") else None
    return Sent(method, path, headers, body, None, dice.random() < 0.7)


def damaged_http(dice: random.Random, port: int, token: str) -> bytes:
    """A request with some of its bytes changed, cut off or repeated."""
    method, job = dice.choice(("GET", "PUT", "DELETE")), uuid.UUID(int=dice.getrandbits(128))
    text = (
        f"{method} /v1/jobs/{job} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {dice.choice((0, 5, 500))}\r\n\r\n12345"
    )
    damaged = bytearray(text.encode())
    for _ in range(dice.choice((1, 1, 2, 8))):
        kind, at = dice.randrange(3), dice.randrange(len(damaged))
        if kind == 0:
            damaged[at] = dice.randrange(256)
        elif kind == 1:
            del damaged[at : at + dice.randrange(1, 30)]
        else:
            damaged[at:at] = damaged[: dice.randrange(60)]
        if not damaged:
            return b"\r\n"
    return bytes(damaged)


FRAMES = frames()
