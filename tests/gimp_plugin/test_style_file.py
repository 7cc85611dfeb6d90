"""Style files: nothing is lost, and nothing that a stranger writes into one does more than end in a sentence."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import stat
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gimp_plugin import wire
from gimp_plugin.wire import Plane, SavedStyle, WireError, pack_style, unpack_label, unpack_style
from gimp_plugin.wire import style_file as files

NETWORK = "anystyle:47aca1df133583f73f173652f5de480b"
MEMORY_BYTES = 64 << 20
Header = dict[str, Any]


def pixels(height: int, width: int, seed: int = 0) -> Plane:
    dice = random.Random(seed)  # noqa: S311
    return Plane("U8", (height, width, 3), dice.randbytes(height * width * 3))


def floats(n: int, seed: int = 0) -> Plane:
    dice = random.Random(seed)  # noqa: S311
    return Plane("F32", (1, n), struct.pack(f"<{n}f", *(dice.gauss(0, 2) for _ in range(n))))


def a_style(height: int = 40, width: int = 56, **more: Any) -> SavedStyle:
    given: dict[str, Any] = {
        **{"title": "Die große Welle \N{WATER WAVE}", "artist": "Hokusai", "network": NETWORK},
        **{"code": floats(2316), "swatch": pixels(height, width), "thumbnail": pixels(16, 24, 1)},
    }
    return SavedStyle(**(given | more))


def parts_of(data: bytes) -> tuple[Header, bytes]:
    """Header and blocks of a file."""
    start = len(files.MAGIC) + 32
    (length,) = struct.unpack_from("<I", data, start)
    return json.loads(data[start + 4 : start + 4 + length]), data[start + 4 + length :]


def sealed(header: Header | bytes, blocks: bytes, length: int | None = None) -> bytes:
    """A file with a right digest, whatever is in it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = struct.pack("<I", len(text) if length is None else length) + text + blocks
    return files.MAGIC + hashlib.sha256(body).digest() + body


# --- nothing is lost


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 512), (512, 1), (40, 56), (333, 511)])
def test_a_style_comes_back_to_the_bit(height: int, width: int) -> None:
    style = a_style(height, width)
    assert unpack_style(pack_style(style)) == style
    label = unpack_label(pack_style(style))
    assert (label.title, label.artist, label.thumbnail) == (style.title, style.artist, style.thumbnail)


def test_a_style_of_the_largest_parts_comes_back_and_fits_a_file() -> None:
    style = a_style(512, 512, thumbnail=pixels(128, 128), code=floats(files.MAX_CODE), title="ü" * 120)
    data = pack_style(style)
    assert len(data) <= files.MAX_FILE_BYTES and unpack_style(data) == style


def test_pictures_are_made_smaller_than_zlib_alone_makes_them() -> None:
    """A slope with a little noise, as paintings have it: each pixel is much like its neighbor."""
    dice = random.Random(3)  # noqa: S311
    data = bytes(
        min(255, max(0, x + y // 2 + 20 * c + dice.randrange(-4, 5)))
        for y in range(100) for x in range(120) for c in range(3)
    )  # fmt: skip
    style = a_style(swatch=Plane("U8", (100, 120, 3), data))
    header, _ = parts_of(pack_style(style))
    assert header["planes"]["swatch"]["bytes"] < 0.8 * len(zlib.compress(data, 9))
    assert unpack_style(pack_style(style)) == style


def test_the_swatch_is_a_picture_of_a_request() -> None:
    style = a_style(2, 3)
    rgba = bytes(style.rgba().data)
    assert style.rgba().shape == (2, 3, 4) and rgba[3::4] == b"\xff" * 6
    assert all(rgba[c::4] == bytes(style.swatch.data)[c::3] for c in range(3))


# --- what a style may be

WRONG: dict[str, dict[str, Any]] = {
    "no title": {"title": ""},
    "a long title": {"title": "x" * 121},
    "a title that is no text": {"title": 7},
    "two lines": {"title": "a\nb"},
    "an escape": {"artist": "\x1b[31mred"},
    "another direction": {"title": "gpj.\u202ecod"},
    "half of a pair": {"title": "\ud800"},
    "spaces around": {"title": " a"},
    "no network": {"network": ""},
    "a network that is a path": {"network": "../../weights"},
    "a code of bytes": {"code": pixels(1, 3)},
    "two codes": {"code": Plane("F32", (2, 4), bytes(32))},
    "a code without end": {"code": floats(files.MAX_CODE + 1)},
    "no number": {"code": Plane("F32", (1, 2), struct.pack("<2f", 1, float("nan")))},
    "an infinite number": {"code": Plane("F32", (1, 2), struct.pack("<2f", 1, float("-inf")))},
    "a huge number": {"code": Plane("F32", (1, 2), struct.pack("<2f", 1, 1e9))},
    "a swatch with alpha": {"swatch": Plane("U8", (2, 2, 4), bytes(16))},
    "a deep swatch": {"swatch": Plane("U16", (2, 2, 3), bytes(24))},
    "a large swatch": {"swatch": pixels(1, 513)},
    "a large thumbnail": {"thumbnail": pixels(129, 1)},
    "a gray thumbnail": {"thumbnail": Plane("U8", (2, 2), bytes(4))},
}


@pytest.mark.parametrize("what", WRONG)
def test_what_no_style_may_hold_is_refused(what: str) -> None:
    with pytest.raises(WireError) as caught:
        a_style(**WRONG[what])
    assert caught.value.code == "unprocessable" and caught.value.message.endswith(".")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["  Water\tlilies\n "], "Water lilies"),
        (["\x00\u202e", "file name"], "file name"),
        (["x" * 300], "x" * 120),
        (["", " "], ""),
        (["\ud800abc"], "abc"),
        (["👩\u200d🎨"], "👩\u200d🎨"),
    ],
)
def test_any_text_becomes_a_title(given: list[str], expected: str) -> None:
    assert files.style_text(*given) == expected
    if expected:
        assert a_style(title=files.style_text(*given)).title == expected


# --- what strangers write


Forge = Callable[[Header, bytes], bytes]
SMALL = zlib.compress(bytes(10), 9)


def with_plane(name: str, **change: Any) -> Forge:
    """One plane told differently."""

    def forge(header: Header, blocks: bytes) -> bytes:
        header["planes"][name] |= change
        return sealed(header, blocks)

    return forge


def with_header(**change: Any) -> Forge:
    """Something of the header told differently."""
    return lambda header, blocks: sealed(header | change, blocks)


def bomb(header: Header, blocks: bytes) -> bytes:
    """A gigabyte in a megabyte, as the swatch."""
    first = header["planes"]["code"]["bytes"]
    block = zlib.compress(bytes(64 << 20), 9) * 2
    header["planes"]["swatch"]["bytes"] = len(block)
    header["planes"]["thumbnail"]["bytes"] = len(SMALL)
    return sealed(header, blocks[:first] + block + SMALL)


def forgeries() -> dict[str, Forge]:
    """Files with a right digest whose inside is wrong."""
    deep = b'{"format": 1, "planes": ' + b"[" * 4000 + b"]" * 4000 + b"}"
    return {
        "a bomb": bomb,
        "deep JSON": lambda _header, blocks: sealed(deep, blocks),
        "deeper JSON": lambda _header, blocks: sealed(b"[" * 8192, blocks),
        "a header of two gigabytes": lambda header, blocks: sealed(header, blocks, 2**31),
        "a header of 64 kB": lambda header, blocks: sealed(header | {"x": "x" * 65536}, blocks),
        "no header": lambda _header, blocks: sealed(b"", blocks),
        "a list": lambda _header, blocks: sealed(b"[1, 2]", blocks),
        "no JSON": lambda _header, blocks: sealed(b"\xff\xfe{}", blocks),
        "a digit without end": lambda _header, blocks: sealed(b'{"format": ' + b"9" * 8000 + b"}", blocks),
        "no number": with_header(format=float("nan")),
        "a true format": with_header(format=True),
        "no planes": with_header(planes=[]),
        "planes by name only": with_header(planes=["code", "swatch", "thumbnail"]),
        "a title of another kind": with_header(title={"a": 1}),
        "a network of another kind": with_header(network=None),
        "a huge swatch": with_plane("swatch", shape=[2**40, 2**40, 3]),
        "100 megapixels": with_plane("swatch", shape=[10_000, 10_000, 3]),
        "a huge code": with_plane("code", shape=[1, 2**60]),
        "a code of many rows": with_plane("code", shape=[2**60, 1]),
        "a negative side": with_plane("swatch", shape=[-40, -56, 3]),
        "a side of 0": with_plane("swatch", shape=[0, 56, 3]),
        "a float side": with_plane("swatch", shape=[40.0, 56, 3]),
        "one channel": with_plane("swatch", shape=[40, 168, 1]),
        "four channels": with_plane("swatch", shape=[40, 42, 4]),
        "no shape": with_plane("thumbnail", shape=None),
        "a shape of words": with_plane("thumbnail", shape="abc"),
        "a flat thumbnail": with_plane("thumbnail", shape=[16, 72]),
        "another size": with_plane("thumbnail", shape=[24, 17, 3]),
        "bytes of another plane": with_plane("code", bytes=10),
        "negative bytes": with_plane("code", bytes=-1),
        "bytes as a word": with_plane("code", bytes="9"),
        "more bytes than there are": with_plane("thumbnail", bytes=2**62),
        "something behind": lambda header, blocks: sealed(header, blocks + b"x"),
        "no blocks": lambda header, _blocks: sealed(header, b""),
        "blocks that are no zlib": lambda header, blocks: sealed(header, bytes(len(blocks))),
    }


@pytest.mark.parametrize("what", sorted(forgeries()))
def test_a_forged_file_is_a_sentence(what: str) -> None:
    data = forgeries()[what](*parts_of(pack_style(a_style())))
    tracemalloc.start()
    try:
        with pytest.raises(WireError) as caught:
            unpack_style(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code == "unprocessable" and "Traceback" not in caught.value.message
    assert peak < MEMORY_BYTES / 4


def test_a_file_of_a_later_version_says_what_to_do() -> None:
    header, blocks = parts_of(pack_style(a_style()))
    with pytest.raises(WireError, match="update Impasto"):
        unpack_style(sealed(header | {"format": 2}, blocks))


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"\x89ImpStl", b"PK\x03\x04" + bytes(99)])
def test_another_kind_of_file_is_told_as_such(data: bytes) -> None:
    with pytest.raises(WireError, match="no style of Impasto"):
        unpack_style(data)


def mutated(data: bytes, dice: random.Random) -> bytes:
    """A file after an accident, or after somebody's work on it who knows how to make a digest."""
    header, blocks = parts_of(data)
    kind = dice.randrange(7)
    if kind == 0:
        flipped = bytearray(data)
        for _ in range(dice.randrange(1, 9)):
            flipped[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        return bytes(flipped)
    if kind == 1:
        return data[: dice.randrange(len(data))]
    if kind == 2:
        return data + dice.randbytes(dice.randrange(1, 2000))
    if kind == 3:  # flipped bits behind a right digest
        body = bytearray(blocks)
        for _ in range(dice.randrange(1, 9)):
            body[dice.randrange(len(body))] ^= 1 << dice.randrange(8)
        return sealed(header, bytes(body))
    if kind == 4:  # a flipped header behind a right digest
        text = bytearray(json.dumps(header).encode())
        text[dice.randrange(len(text))] = dice.randrange(256)
        return sealed(bytes(text), blocks)
    values = [0, -1, 1, 2**31, 2**63, 2**200, 1.5, True, None, "", "x", [], {}, [1, 1, 3], [512, 512, 3], "\ud800"]
    place = dice.choice([header, header["planes"], *header["planes"].values()])
    name = dice.choice(list(place))
    if kind == 5:
        place[name] = dice.choice(values)
    else:
        del place[name]
    return sealed(header, blocks)


def test_two_thousand_damaged_files_end_in_sentences_and_take_little_memory() -> None:
    dice = random.Random(20)  # noqa: S311
    original = a_style()
    whole = pack_style(original)
    n_read, sentences = 0, set()
    tracemalloc.start()
    try:
        for _ in range(2000):
            data = mutated(whole, dice)
            try:
                style = unpack_style(data)
                assert dataclasses.replace(style) == style  # whatever was taken is valid
                n_read += 1
            except WireError as error:
                assert error.code == "unprocessable" and error.message.endswith(".")
                sentences.add(error.message)
            try:
                unpack_label(data)
            except WireError as error:
                assert error.code == "unprocessable"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_BYTES
    assert n_read < 200  # a changed letter of a title is no damage that can be told
    assert {files.DAMAGED, files.NO_STYLE} <= sentences


# --- on the disk


def test_a_file_is_written_whole_and_takes_nobodys_place(tmp_path: Path) -> None:
    path = tmp_path / f"wave{wire.SUFFIX}"
    wire.write_style(path, a_style())
    assert wire.read_style(path) == a_style()
    other = a_style(title="Other")
    with pytest.raises(WireError, match="is there already") as caught:
        wire.write_style(path, other)
    assert caught.value.code == "conflict" and wire.read_style(path) == a_style()
    wire.write_style(path, other, replace=True)
    assert wire.read_style(path) == other
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert os.name != "posix" or stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_disk_that_refuses_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"wave{wire.SUFFIX}"
    wire.write_style(path, a_style())

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    for target, replace in ((path, True), (tmp_path / "new", False)):
        with pytest.raises(WireError) as caught:
            wire.write_style(target, a_style(title="Other"), replace=replace)
        assert caught.value.code == "disk_full"
    assert wire.read_style(path) == a_style() and len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(WireError):
        wire.write_style(tmp_path / "new", a_style())
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    with pytest.raises(WireError, match="choose another folder"):
        wire.write_style(tmp_path / "nowhere" / "x", a_style())


@pytest.mark.timeout(20)
def test_what_is_no_file_is_a_sentence(tmp_path: Path) -> None:
    paths = [tmp_path / "missing", tmp_path]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        paths.append(tmp_path / "pipe")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 40)
    for path in (*paths, large):
        with pytest.raises(WireError) as caught:
            wire.read_style(path)
        assert caught.value.code == "unprocessable" and str(tmp_path) not in caught.value.message
