"""What arrives is a frame, whole and of the declared length, or it leaves no trace."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import random
import stat
import struct
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gimp_plugin import wire
from server.supervisor import spool
from tests.server.running_engine import frame_of, picture_request

N_FUZZED = 4000
NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 7, 8.0, 0.5, 1e308, 2**31, 2**63, 2**64, -(2**63), 10**400, float("nan"), float("inf"),
    "", "U8", "F64", "u8", "x" * 500, "\ud800", "\0", "../../etc/passwd", [], {}, [[]], [1, 1, 4], [1.0, 1.0, 4.0],
    [-1, 4, 4],
    [2**40, 2**40, 4], [10**8 + 1, 1, 4], [0, 0, 0], [1] * 9, ["1", "1", "4"], [True, True, 4], {"a": 1}, [None, None],
]  # fmt: skip


async def in_pieces(frame: bytes, dice: random.Random) -> AsyncIterator[bytes]:
    """A body as it comes: in pieces of any size, empty ones too."""
    stream = io.BytesIO(frame)
    while piece := stream.read(dice.choice([1, 3, 7, 8, 9, 50, 500, 70_000])):
        yield piece
        if dice.random() < 0.1:
            yield b""


def receive(frame: bytes, total: int, path: Path, seed: int = 0) -> str:
    """``spool.receive`` to its end."""
    return asyncio.run(spool.receive(in_pieces(frame, random.Random(seed)), total, path))  # noqa: S311


def frame(header: Any, body: bytes, length: int | None = None) -> bytes:
    """A frame of any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def parts_of(whole: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and body of a frame."""
    (length,) = struct.unpack_from("<Q", whole)
    return json.loads(whole[8 : 8 + length]), whole[8 + length :]


def replace_anywhere(value: Any, dice: random.Random) -> Any:
    """A JSON value with one of its parts replaced, dropped, or added to."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        key = dice.choice(list(value))
        changed = dict(value)
        if key == "meta" and isinstance(value[key], str) and value[key][:1] == "{" and dice.random() < 0.8:
            changed[key] = json.dumps(replace_anywhere(json.loads(value[key]), dice))
        elif dice.random() < 0.1:
            del changed[key]
        elif dice.random() < 0.05:
            changed[dice.choice(["mask", "style.0", "style.1", "content", "x", "\ud800"])] = value[key]
        else:
            changed[key] = replace_anywhere(value[key], dice)
        return changed
    if isinstance(value, list) and value and dice.random() < 0.7:
        i = dice.randrange(len(value))
        return [*value[:i], replace_anywhere(value[i], dice), *value[i + 1 :]]
    if isinstance(value, int | float) and abs(value) < 1e9 and dice.random() < 0.5:
        return dice.choice([float(value), bool(value), str(value), value + 1, -value, [value], value * 1.5])
    return dice.choice(NASTY)


def fuzzed(dice: random.Random, valid: list[bytes]) -> tuple[bytes, int]:
    """A damaged frame and the length that its sender declares."""
    whole = dice.choice(valid)
    kind = dice.randrange(7)
    if kind <= 2:
        header, body = parts_of(whole)
        for _ in range(dice.choice([1, 1, 2, 3])):
            header = replace_anywhere(header, dice)
        whole = frame(header, body if dice.random() < 0.8 else body[: dice.randrange(len(body) + 1)])
    elif kind == 3:
        damaged = bytearray(whole)
        for _ in range(dice.choice([1, 2, 10])):
            damaged[dice.randrange(min(len(damaged), 600))] = dice.randrange(256)
        whole = bytes(damaged)
    elif kind == 4:
        whole = (
            struct.pack("<Q", dice.choice([0, 1, 2, 65536, 65537, 2**63, 2**64 - 1, dice.randrange(700)])) + whole[8:]
        )
    elif kind == 5:
        whole = whole[: dice.randrange(len(whole))] if dice.random() < 0.5 else whole + bytes(dice.randrange(1, 100))
    else:
        header, body = parts_of(whole)
        text = json.dumps(header)
        deep = "[" * dice.choice([10, 300, 900, 30_000])
        texts = [
            text + deep,
            deep,
            text.replace("1.0", deep),
            text.replace('"anystyle"', deep + "]" * len(deep)),
            text * 2,
        ]
        encoded = dice.choice(texts).encode(dice.choice(["utf-8", "utf-16", "utf-32", "latin-1"]))
        whole = frame(encoded, body)
    return whole, len(whole) if dice.random() < 0.8 else max(0, len(whole) + dice.choice([-9, -1, 1, 100, 2**33]))


def valid_frames() -> list[bytes]:
    """Requests of every part and dtype."""
    plane = wire.Plane("U16", (2, 3, 4), bytes(48))
    mask = wire.Plane("F32", (2, 3), bytes(24))
    both = (wire.StyleEntry("a", 0.5, "preset"), wire.StyleEntry("b", 1.0, None, wire.Plane("U8", (1, 2, 4), bytes(8))))
    return [
        frame_of(picture_request()),
        frame_of(wire.StylizeRequest(plane, both, mask, style_size_px=64, seed=5, composite=False)),
        b"".join(wire.StylizeResult(plane, {"seconds": {}}).pack()),
    ]


def test_a_damaged_frame_is_a_wire_error_and_leaves_no_file(tmp_path: Path) -> None:
    """Whatever comes: it is taken to the bit, or refused in the contract's own words."""
    dice, valid = random.Random(20), valid_frames()  # noqa: S311
    counts = {"taken": 0, "refused": 0, "painted": 0}
    for n in range(N_FUZZED):
        whole, declared = fuzzed(dice, valid)
        path = tmp_path / str(n)
        try:
            digest = receive(whole, declared, path, n)
        except wire.WireError as error:
            assert error.code in ("bad_request", "too_large") and error.message and not path.exists()
            counts["refused"] += 1
        else:
            assert declared == len(whole) and path.read_bytes() == whole
            assert digest == f"{len(whole)}-{zlib.crc32(whole):08x}"
            path.unlink()
            counts["taken"] += 1
        try:
            request = wire.StylizeRequest.unpack(whole)
        except wire.WireError as error:
            assert error.code in wire.ERROR_STATUS
            json.dumps(error.message).encode()
        else:
            counts["painted"] += 1
            planes = [request.content, request.mask, *(style.picture for style in request.styles)]
            for plane in planes:
                if plane is not None:
                    size = {"U8": 1, "U16": 2, "F16": 2, "F32": 4}[plane.dtype]
                    n_values = plane.shape[0] * plane.shape[1] * (plane.shape[2] if len(plane.shape) == 3 else 1)
                    assert len(plane.data) == n_values * size
    assert min(counts.values()) > N_FUZZED / 100, counts  # neither a mill that refuses all nor one that takes all


@pytest.mark.parametrize(
    "value", ["1" + "0" * 400, "[" * 900 + "]" * 900, "NaN", "-Infinity", '"1"', "true", "null", "8.5"]
)
@pytest.mark.parametrize(
    "key", ["weight", "name", "preset", "strength", "seed", "style_size_px", "method", "composite"]
)
def test_a_value_of_any_type_in_any_place_is_read_or_refused(key: str, value: str) -> None:
    header, body = parts_of(frame_of(picture_request()))
    meta = json.loads(header["__metadata__"]["meta"])
    (meta["styles"][0] if key in meta["styles"][0] else meta["settings"])[key] = "HERE"
    header["__metadata__"]["meta"] = json.dumps(meta).replace('"HERE"', value)
    try:
        request = wire.StylizeRequest.unpack(frame(header, body))
    except wire.WireError as error:
        assert error.code == "bad_request"
    else:
        types = {name: type(request.settings[name]) for name in ("seed", "method", "composite")}
        assert types == {"seed": int, "method": str, "composite": bool}
        assert type(request.styles[0].preset) is str and 0 < request.styles[0].weight < float("inf")


def test_offsets_that_only_equal_whole_numbers_cut_no_plane(tmp_path: Path) -> None:
    header, body = parts_of(frame_of(picture_request()))
    header["content"]["data_offsets"] = [float(n) for n in header["content"]["data_offsets"]]
    whole = frame(header, body)
    receive(whole, len(whole), tmp_path / "a")
    assert bytes(wire.StylizeRequest.unpack(whole).content.data) == body


def test_a_whole_frame_is_taken_in_pieces_of_any_size(tmp_path: Path) -> None:
    for n, whole in enumerate(valid_frames() * 5):
        assert receive(whole, len(whole), tmp_path / str(n), n) == f"{len(whole)}-{zlib.crc32(whole):08x}"
        assert (tmp_path / str(n)).read_bytes() == whole


def test_a_lie_about_the_size_is_found_before_the_planes_are_taken(tmp_path: Path) -> None:
    """Ollama CVE-2026-7482: a declared size that nobody checks. Here the planes are never asked for."""
    whole = frame_of(picture_request(height=500, width=500))
    header, _ = parts_of(whole)
    header["content"]["shape"] = [5000, 5000, 4]
    lying = frame(header, b"")
    asked: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        yield lying
        for n in range(100):
            asked.append(n)
            yield bytes(10_000)

    with pytest.raises(wire.WireError):
        asyncio.run(spool.receive(chunks(), len(lying) + 1_000_000, tmp_path / "a"))
    assert asked == [] and not (tmp_path / "a").exists()


def test_a_stalled_body_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    """asyncio's TimeoutError is an OSError since Python 3.11."""

    async def chunks() -> AsyncIterator[bytes]:
        yield frame_of(picture_request())[:50]
        raise asyncio.TimeoutError

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(spool.receive(chunks(), 500, tmp_path / "a"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_said_to_be_full(number: int) -> None:
    assert spool.disk_error(OSError(number, "x", "/secret/path")).code == "disk_full"


def test_another_failure_to_write_is_logged_but_its_path_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    error = spool.disk_error(OSError(errno.EIO, "broken", "/secret/path"))
    assert error.code == "failed" and "/secret" not in error.message
    assert "/secret/path" in caplog.text


def test_a_result_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.result"
    spool.put_result(path, [b"ab", bytearray(b"cd"), memoryview(b"ef")])
    assert path.read_bytes() == b"abcdef"
    with pytest.raises(wire.WireError):
        spool.put_result(tmp_path / "missing" / "y.result", [b"ab"])
    assert [p.name for p in tmp_path.iterdir()] == ["x.result"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_private_means_for_the_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        wide = tmp_path / "wide"
        wide.mkdir(mode=0o777)
        for folder in (spool.make_private(wide), spool.make_private(tmp_path / "new" / "deep")):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        spool.write_private(wide / "token", "old")
        spool.write_private(wide / "token", "secret")
    finally:
        os.umask(old)
    assert stat.S_IMODE((wide / "token").stat().st_mode) == 0o600
    assert (wide / "token").read_text() == "secret" and len(list(wide.iterdir())) == 1
