"""The contract's frames: nothing is lost, nothing wrong gets in, and other readers of the format agree."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import math
import random
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from gimp_plugin import wire
from gimp_plugin.wire import Plane, StyleEntry, StylizeRequest, StylizeResult, WireError

TORCH = {"U8": torch.uint8, "U16": torch.uint16, "F16": torch.float16, "F32": torch.float32}


def some_bytes(n: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(n)  # noqa: S311


def a_plane(dtype: str = "U8", shape: tuple[int, ...] = (2, 3, 4), seed: int = 0) -> Plane:
    return Plane(dtype, shape, some_bytes(math.prod(shape) * wire.ITEM_BYTES[dtype], seed))


def a_request(dtype: str = "U8") -> StylizeRequest:
    return StylizeRequest(
        content=a_plane(dtype, (5, 3, 4), 1),
        styles=(
            StyleEntry("Die große Welle", 0.5, preset="wave"),
            StyleEntry("mine", 3.0, picture=a_plane(dtype, (2, 7, 4), 2)),
            StyleEntry("also mine", picture=a_plane("U8", (1, 1, 4), 3)),
        ),
        mask=a_plane("U8", (5, 3), 4),
        method="gatys",
        strength=0.25,
        color="luminance",
        photoreal=1.0,
        style_size_px=512,
        seed=2**63 - 1,
        device="cpu",
        composite=False,
        blend="mrf",
        **{"color_map": "histogram", "quality": "best"},
        **{"options": {"statistic": "gram", "iterations": 50, "rate": 0.5}, "size_px": 900},
        series=(a_plane(dtype, (5, 3, 4), 1), a_plane("U8", (2, 2, 4), 5)),
        labels=a_plane("U8", (5, 3, 4), 6),
        style_labels=a_plane("U8", (2, 6, 4), 7),
    )


def joined(buffers: list[wire.Buffer]) -> bytes:
    return b"".join(bytes(buffer) for buffer in buffers)


def frame_of(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def header_of(frame: bytes) -> dict[str, Any]:
    return json.loads(frame[8 : 8 + struct.unpack_from("<Q", frame)[0]])


# --- nothing is lost -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", sorted(wire.ITEM_BYTES))
def test_a_request_comes_back_as_it_was(dtype: str) -> None:
    request = a_request(dtype)
    assert StylizeRequest.unpack(joined(request.pack())) == request


def test_the_smallest_request_comes_back_with_its_defaults() -> None:
    request = StylizeRequest(a_plane(), (StyleEntry("", preset="x"),))
    assert StylizeRequest.unpack(bytearray(joined(request.pack()))) == request
    assert (request.mask, request.settings["strength"], request.settings["composite"]) == (None, 1.0, True)


@pytest.mark.parametrize("dtype", sorted(wire.ITEM_BYTES))
def test_a_result_comes_back_as_it_was(dtype: str) -> None:
    result = StylizeResult(
        a_plane(dtype, (4, 4, 4)), {"seconds": {"paint": 0.1}, "notes": ["größer"], "peak_bytes": None}
    )
    assert StylizeResult.unpack(joined(result.pack())) == result


def test_a_request_of_an_older_plug_in_is_read_with_the_defaults_of_what_it_does_not_know() -> None:
    meta, planes = wire.unpack_frame("request", joined(a_request().pack()))
    later = {
        "blend": "mrf",
        "color_map": "histogram",
        "quality": "best",
        "options": a_request().settings["options"],
        "size_px": 900,
    }
    for name in later:
        del meta["settings"][name]
    request = StylizeRequest.unpack(joined(wire.pack_frame("request", meta, planes)))
    neutral = {"blend": "feather", "color_map": "transport", "quality": "fast", "options": {}, "size_px": None}
    assert {name: request.settings[name] for name in later} == neutral
    assert dataclasses.replace(request, **later) == a_request()


def test_a_result_with_a_mask_comes_back_as_it_was() -> None:
    result = StylizeResult(a_plane("U8", (4, 4, 4)), {}, mask=a_plane("U8", (4, 4), 1))
    assert StylizeResult.unpack(joined(result.pack())) == result


def test_planes_are_sent_as_they_lie_in_memory_and_read_as_views() -> None:
    request = a_request()
    buffers = request.pack()
    assert buffers[1] is request.content.data
    frame = bytearray(joined(buffers))
    unpacked = StylizeRequest.unpack(frame)
    frame[-1] ^= 0xFF  # the last byte of the last style's picture
    last = unpacked.styles[2].picture
    assert last is not None and last.data[-1] == frame[-1]


def test_planes_start_on_eight_bytes_and_the_length_is_declared_right() -> None:
    for n in range(1, 20):
        buffers = StylizeRequest(a_plane(), (StyleEntry("x" * n, preset="x"),)).pack()
        assert len(buffers[0]) % 8 == 0
        assert wire.frame_bytes(buffers) == len(joined(buffers))
        assert wire.check_header(buffers[0], wire.frame_bytes(buffers)) == len(buffers[0])


@pytest.mark.parametrize("dtype", sorted(wire.ITEM_BYTES))
def test_the_safetensors_library_reads_the_same_planes(dtype: str) -> None:
    """The oracle is the reference implementation of the format."""
    request = a_request(dtype)
    tensors = load(joined(request.pack()))
    second, third = request.styles[1].picture, request.styles[2].picture
    planes = {"content": request.content, "mask": request.mask, "style.1": second, "style.2": third}
    planes |= {f"series.{i}": plane for i, plane in enumerate(request.series)}
    planes |= {"labels": request.labels, "style_labels": request.style_labels}
    assert set(tensors) == set(planes)
    for name, plane in planes.items():
        assert plane is not None
        assert tensors[name].dtype == TORCH[plane.dtype] and tuple(tensors[name].shape) == plane.shape
        assert tensors[name].contiguous().view(torch.uint8).numpy().tobytes() == plane.data


# --- nothing wrong gets in -------------------------------------------------------------------------------

WRONG_PLANES = {
    "unknown dtype": ("F64", (1, 1, 4), 32),
    "too short": ("U8", (2, 2, 4), 15),
    "too long": ("U8", (2, 2, 4), 17),
    "one dimension": ("U8", (4,), 4),
    "four dimensions": ("U8", (1, 1, 1, 4), 4),
    "no rows": ("U8", (0, 2, 4), 0),
    "negative": ("U8", (-1, -1, 4), 4),
    "a true size": ("U8", (True, 1, 4), 4),
    "five channels": ("U8", (1, 1, 5), 5),
}


@pytest.mark.parametrize("kind", WRONG_PLANES)
def test_a_plane_that_does_not_fit_is_refused(kind: str) -> None:
    dtype, shape, n_bytes = WRONG_PLANES[kind]
    with pytest.raises(WireError) as caught:
        Plane(dtype, shape, bytes(n_bytes))
    assert caught.value.code == "bad_request"


@pytest.mark.parametrize("shape", [(100_000_001, 1, 4), (1, 100_000_001, 4), (2**40, 2**40, 4)])
def test_a_picture_too_large_is_refused_before_memory_is_taken(shape: tuple[int, ...]) -> None:
    with pytest.raises(WireError, match="takes 100 megapixels. Select a smaller part") as caught:
        wire.plane_bytes("F32", shape)
    assert caught.value.code == "too_large"
    assert wire.plane_bytes("F32", (8192, 8192, 4)) == 2**30


RGBA, PRESET = a_plane(), (StyleEntry("x", preset="x"),)
WRONG_REQUESTS: dict[str, dict[str, Any]] = {
    "no style": {"styles": ()},
    "nine styles": {"styles": PRESET * 9},
    "RGB content": {"content": a_plane(shape=(2, 3, 3))},
    "gray content": {"content": a_plane(shape=(2, 3))},
    "a mask of another size": {"mask": a_plane(shape=(3, 2))},
    "a mask with channels": {"mask": a_plane(shape=(2, 3, 1))},
    "strength over 1": {"strength": 1.01},
    "strength below 0": {"strength": -0.01},
    "strength not a number": {"strength": math.nan},
    "photoreal over 1": {"photoreal": 2},
    "photoreal not a number": {"photoreal": math.nan},
    "unknown color": {"color": "colour"},
    "unknown device": {"device": "cuda:1"},
    "tiny brush": {"style_size_px": 31},
    "huge brush": {"style_size_px": 8193},
    "negative seed": {"seed": -1},
    "seed too large": {"seed": 2**63},
}


@pytest.mark.parametrize("kind", WRONG_REQUESTS)
def test_a_request_out_of_range_is_refused_on_both_sides(kind: str) -> None:
    with pytest.raises(WireError) as caught:
        StylizeRequest(**{"content": RGBA, "styles": PRESET, **WRONG_REQUESTS[kind]})
    assert caught.value.code == "bad_request" and caught.value.message.endswith(".")


@pytest.mark.parametrize("weight", [0, -1, math.nan, math.inf])
def test_a_style_without_weight_is_refused(weight: float) -> None:
    with pytest.raises(WireError):
        StyleEntry("x", weight, preset="x")


def test_a_style_is_a_preset_or_a_picture() -> None:
    for preset, picture in ((None, None), ("x", RGBA), (None, a_plane(shape=(2, 3, 3)))):
        with pytest.raises(WireError):
            StyleEntry("x", preset=preset, picture=picture)


META = {"impasto": "result", "protocol": str(wire.PROTOCOL), "meta": '{"report": {}}'}
PICTURE = {"dtype": "U8", "shape": [1, 1, 4], "data_offsets": [0, 4]}
WRONG_FRAMES = {
    "empty": b"",
    "seven bytes": b"\x02" + bytes(6),
    "header of no bytes": frame_of(b""),
    "header length over the limit": struct.pack("<Q", wire.MAX_HEADER_BYTES + 1) + b"{}" * wire.MAX_HEADER_BYTES,
    "header length of 2^64 - 1": struct.pack("<Q", 2**64 - 1) + b"{}",
    "ends in the header": struct.pack("<Q", 100) + b"{}",
    "not JSON": frame_of(b"{]"),
    "not UTF-8": frame_of(b"\xff\xfe\xfd\xfc"),
    "deep JSON": frame_of(b"[" * 60_000),
    "a list": frame_of([]),
    "no metadata": frame_of({"picture": PICTURE}, bytes(4)),
    "metadata a list": frame_of({"__metadata__": [], "picture": PICTURE}, bytes(4)),
    "another kind": frame_of({"__metadata__": {**META, "impasto": "request"}, "picture": PICTURE}, bytes(4)),
    "another protocol": frame_of({"__metadata__": {**META, "protocol": "0"}, "picture": PICTURE}, bytes(4)),
    "meta not JSON": frame_of({"__metadata__": {**META, "meta": "{"}, "picture": PICTURE}, bytes(4)),
    "meta missing": frame_of({"__metadata__": {"impasto": "result", "protocol": "1"}, "picture": PICTURE}, bytes(4)),
    "meta a list": frame_of({"__metadata__": {**META, "meta": "[]"}, "picture": PICTURE}, bytes(4)),
    "meta too deep": frame_of({"__metadata__": {**META, "meta": "[" * 60_000}, "picture": PICTURE}, bytes(4)),
    "no picture": frame_of({"__metadata__": META}),
    "no report": frame_of({"__metadata__": {**META, "meta": "{}"}, "picture": PICTURE}, bytes(4)),
    "body too short": frame_of({"__metadata__": META, "picture": PICTURE}, bytes(3)),
    "body too long": frame_of({"__metadata__": META, "picture": PICTURE}, bytes(5)),
    "entry a word": frame_of({"__metadata__": META, "picture": "x"}, bytes(4)),
    "entry null": frame_of({"__metadata__": META, "picture": None}, bytes(4)),
    "dtype a list": frame_of({"__metadata__": META, "picture": {**PICTURE, "dtype": []}}, bytes(4)),
    "shape a number": frame_of({"__metadata__": META, "picture": {**PICTURE, "shape": 4}}, bytes(4)),
    "shape of words": frame_of({"__metadata__": META, "picture": {**PICTURE, "shape": ["1", "1", "4"]}}, bytes(4)),
    "shape of floats": frame_of({"__metadata__": META, "picture": {**PICTURE, "shape": [1.0, 1, 4]}}, bytes(4)),
    "one offset": frame_of({"__metadata__": META, "picture": {**PICTURE, "data_offsets": [0]}}, bytes(4)),
    "offsets of words": frame_of({"__metadata__": META, "picture": {**PICTURE, "data_offsets": ["0", "4"]}}, bytes(4)),
    "a hole": frame_of({"__metadata__": META, "picture": {**PICTURE, "data_offsets": [4, 8]}}, bytes(8)),
    "negative offsets": frame_of({"__metadata__": META, "picture": {**PICTURE, "data_offsets": [-4, 0]}}, bytes(4)),
    "overlapping": frame_of({"__metadata__": META, "picture": PICTURE, "twin": PICTURE}, bytes(4)),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG_FRAMES)
def test_a_malformed_frame_is_refused(kind: str) -> None:
    with pytest.raises(WireError) as caught:
        StylizeResult.unpack(WRONG_FRAMES[kind])
    assert caught.value.code in wire.ERROR_STATUS


def test_the_frame_that_the_wrong_ones_were_made_of_is_right() -> None:
    result = StylizeResult.unpack(frame_of({"__metadata__": META, "picture": PICTURE}, b"rgba"))
    assert result.picture == Plane("U8", (1, 1, 4), b"rgba")


@pytest.mark.parametrize("declared", [-1, 0, 1])
def test_a_header_is_checked_against_the_declared_length_before_the_planes_are_there(declared: int) -> None:
    buffers = a_request().pack()
    total = wire.frame_bytes(buffers) + declared
    if declared == 0:
        assert wire.check_header(buffers[0], total) == len(buffers[0])
    else:
        with pytest.raises(WireError, match="were declared"):
            wire.check_header(buffers[0], total)


def test_a_report_that_json_cannot_carry_is_not_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        StylizeResult(a_plane(), {"seconds": math.nan}).pack()


def test_a_header_over_its_limit_is_not_sent() -> None:
    with pytest.raises(WireError, match="at most 65536"):
        StylizeRequest(a_plane(), (StyleEntry("x" * wire.MAX_HEADER_BYTES, preset="x"),)).pack()


WRONG_TYPES = [
    *(("settings", name, value) for name in ("method", "color", "device") for value in (None, 5, [], {})),
    *(("settings", name, value) for name in ("strength", "photoreal") for value in (None, "1", [], True)),
    *(("settings", "seed", value) for value in (None, "1", 1.5, True)),
    *(("settings", "style_size_px", value) for value in ("64", 64.5, [])),
    *(("settings", "composite", value) for value in (None, 1, "yes")),
    *(("style", "preset", value) for value in (5, [], True)),
    *(("style", "weight", value) for value in (None, [], "heavy")),
]


@pytest.mark.parametrize(("part", "name", "value"), WRONG_TYPES)
def test_a_value_of_another_type_is_refused(part: str, name: str, value: Any) -> None:
    frame = joined(a_request().pack())
    header = header_of(frame)
    meta = json.loads(header["__metadata__"]["meta"])
    (meta["settings"] if part == "settings" else meta["styles"][0])[name] = value
    header["__metadata__"]["meta"] = json.dumps(meta)
    with pytest.raises(WireError) as caught:
        StylizeRequest.unpack(frame_of(header, frame[8 + struct.unpack_from("<Q", frame)[0] :]))
    assert caught.value.code == "bad_request"


STRANGE: list[Any] = [None, True, -1, 0, 1, 2**70, 1e308, "", "U8", [], [0, 0], {}, {"a": 1}, [[]], "\ud800"]


def mutated(frame: bytes, dice: random.Random) -> bytes:
    """A frame with something wrong in it: bytes, lengths, or values of its header and metadata."""
    kind = dice.randrange(5)
    start = 8 + struct.unpack_from("<Q", frame)[0]
    if kind == 0:  # bytes of the header
        broken = bytearray(frame)
        for _ in range(dice.randint(1, 8)):
            broken[dice.randrange(start)] = dice.randrange(256)
        return bytes(broken)
    if kind == 1:  # cut off, or something added
        return (
            frame[: dice.randrange(len(frame))] if dice.random() < 0.7 else frame + dice.randbytes(dice.randint(1, 9))
        )
    if kind == 2:  # noise
        return dice.randbytes(dice.randrange(64))
    header = header_of(frame)
    if kind == 3:  # a value of the header
        part: Any = header[dice.choice(list(header))]
        part[dice.choice(list(part))] = dice.choice(STRANGE)
    else:  # a value of the metadata
        meta = json.loads(header["__metadata__"]["meta"])
        part = dice.choice([meta, meta["settings"], *meta["styles"]])
        part[dice.choice(list(part))] = dice.choice(STRANGE)
        header["__metadata__"]["meta"] = json.dumps(meta)
    return frame_of(header, frame[start:])


def test_3000_malformed_frames_raise_nothing_but_wire_errors() -> None:
    dice = random.Random(20)  # noqa: S311
    frame = joined(a_request("F16").pack())
    n_refused = 0
    for i in range(3000):
        broken = mutated(frame, dice)
        try:
            StylizeRequest.unpack(broken)
        except WireError as error:
            assert error.code in wire.ERROR_STATUS and error.message
            n_refused += 1
        except BaseException as error:
            pytest.fail(f"frame {i} raised {error!r}: {broken[:400]!r}")
    assert n_refused > 2000  # some changes make another valid request: a name, a seed


# --- where the engine is ---------------------------------------------------------------------------------


def test_the_proof_is_an_hmac_of_nonce_and_challenge() -> None:
    expected = hmac.new(b"secret", b"nonce:challenge", hashlib.sha256).hexdigest()
    assert wire.proof("secret", "nonce", "challenge") == expected
    assert len({wire.proof(a, b, c) for a in "xy" for b in "xy" for c in "xy"}) == 8


def test_endpoint_and_token_are_read_and_damage_means_none(tmp_path: Path) -> None:
    assert wire.read_endpoint(tmp_path) is None and wire.read_token(tmp_path) is None
    values = {"port": 4711, "pid": 12, "nonce": "ab", "version": "0.1.0"}
    (tmp_path / "engine.json").write_text(json.dumps(values))
    (tmp_path / "token").write_text("f" * 64 + "\n")
    assert wire.read_endpoint(tmp_path) == wire.Endpoint(4711, 12, "ab", "0.1.0")
    assert wire.read_token(tmp_path) == "f" * 64
    for damaged in ("", "[]", "5", '{"port": 1}', '{"port": "x", "pid": 1, "nonce": "", "version": ""}', "\ud800"):
        (tmp_path / "engine.json").write_bytes(damaged.encode("utf-8", "surrogatepass"))
        assert wire.read_endpoint(tmp_path) is None
    for damaged in ("", "\n", "ü"):
        (tmp_path / "token").write_text(damaged, "utf-8")
        assert wire.read_token(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="names the folder of Linux")
def test_the_state_folder_does_not_depend_on_what_a_sandbox_redirects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMPASTO_STATE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")
    assert wire.state_dir() == tmp_path / ".local" / "share" / "impasto"
    monkeypatch.setenv("IMPASTO_STATE_DIR", "/mine")
    assert wire.state_dir() == Path("/mine")
