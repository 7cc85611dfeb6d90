"""Asking for an object: nothing is lost on the wire, nothing wrong gets in, the client brings the mask home."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gimp_plugin import wire
from gimp_plugin.client import Engine, errand
from gimp_plugin.wire import Plane, SegmentRequest, SegmentResult, WireError
from tests.gimp.fake_engine import FakeEngine

HEIGHT, WIDTH = 12, 16
PIXELS = bytes((x * 16, 0, 0, 255)[c] for _y in range(HEIGHT) for x in range(WIDTH) for c in range(4))
CONTENT = Plane("U8", (HEIGHT, WIDTH, 4), PIXELS)  # red from left to right
LASSO = Plane("U8", (HEIGHT, WIDTH), bytes(100) + b"\xff" * 40 + bytes(52))
REQUEST = SegmentRequest(CONTENT, (2, 1, 14, 11), ((3, 4), (5, 6)), ((0, 0),), "sam-vit-b", "hard")


def joined(buffers: list[wire.Buffer]) -> bytes:
    return b"".join(bytes(buffer) for buffer in buffers)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeEngine]:
    engine = FakeEngine(tmp_path / "state")
    thread = threading.Thread(target=engine.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield engine
    engine.shutdown()
    engine.server_close()
    thread.join()


def engine_of(server: FakeEngine) -> Engine:
    found = Engine.find(server.state_dir)
    assert found is not None
    return found


# --- the wire


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        SegmentRequest(CONTENT, box=(-3, 0, 99, 9)),
        SegmentRequest(CONTENT, points=((1, 2),)),
        SegmentRequest(CONTENT),
        dataclasses.replace(REQUEST, lasso=LASSO),
    ],
)
def test_a_request_comes_back_as_it_was(request_: SegmentRequest) -> None:
    frame = joined(request_.pack())
    assert SegmentRequest.unpack(frame) == request_
    assert wire.kind_of(frame) == wire.SEGMENT_REQUEST


def test_a_result_comes_back_as_it_was() -> None:
    result = SegmentResult(Plane("F32", (2, 3), bytes(24)), {"model": "sam", "box": [0, 1, 2, 3], "quality": None})
    assert SegmentResult.unpack(joined(result.pack())) == result


WRONG: dict[str, dict[str, Any]] = {
    "A lasso has the size": {"lasso": Plane("U8", (HEIGHT, WIDTH - 1), bytes(180))},
    "lasso has the size and the type": {"lasso": Plane("F32", (HEIGHT, WIDTH), bytes(4 * HEIGHT * WIDTH))},
    "and one channel": {"lasso": CONTENT},
    "four whole numbers": {"box": (0, 0, 5)},
    "four whole": {"box": (0.0, 0, 5, 5)},
    "four": {"box": (0, 0, 5, 1 << 40)},
    "two whole numbers": {"points": ((1, 2, 3),)},
    "two whole": {"others": ((1, True),)},
    "at most 64": {"points": ((1, 2),) * 65},
    "A model is a name": {"model": "../weights.pth"},
    "model is a name": {"model": 3},
    "edge must be one of": {"edge": "blurred"},
    "shape": {"content": Plane("U8", (HEIGHT, WIDTH * 4), PIXELS)},
}


@pytest.mark.parametrize("sentence", WRONG)
def test_what_cannot_be_meant_is_refused(sentence: str) -> None:
    with pytest.raises(WireError, match=sentence):
        dataclasses.replace(REQUEST, **WRONG[sentence])


@pytest.mark.parametrize("name", ["box", "points", "others", "model", "edge"])
@pytest.mark.parametrize("value", [..., {}, 3, "x", [["a", "b"]], [[1]], None])
def test_a_frame_with_anything_else_in_it_is_a_bad_request_or_a_valid_one(name: str, value: Any) -> None:
    meta, planes = wire.unpack_frame(wire.SEGMENT_REQUEST, joined(REQUEST.pack()))
    if value is ...:
        del meta[name]
    else:
        meta[name] = value
    try:
        SegmentRequest.unpack(joined(wire.pack_frame(wire.SEGMENT_REQUEST, meta, planes)))
    except WireError as error:
        assert error.code == "bad_request"
    else:
        assert (name, value) in (("box", None), ("model", "x"))  # it may say nothing; any word is a name


def test_what_an_older_plug_in_sends_is_understood() -> None:
    """Its frames have one plane, and end their metadata with the edge."""
    meta = {"box": [2, 1, 14, 11], "points": [], "others": [], "model": "auto", "edge": "auto"}
    frame = joined(wire.pack_frame(wire.SEGMENT_REQUEST, meta, {"content": CONTENT}))
    assert SegmentRequest.unpack(frame) == SegmentRequest(CONTENT, (2, 1, 14, 11))
    assert joined(SegmentRequest(CONTENT, (2, 1, 14, 11)).pack()) == frame  # and an older engine understands ours


def test_a_plane_that_nothing_asks_for_is_refused() -> None:
    meta, planes = wire.unpack_frame(wire.SEGMENT_REQUEST, joined(REQUEST.pack()))
    with pytest.raises(WireError, match="may have a lasso"):
        SegmentRequest.unpack(joined(wire.pack_frame(wire.SEGMENT_REQUEST, meta, {**planes, "mask": LASSO})))


def test_an_object_may_be_anywhere_in_the_widest_picture() -> None:
    wide = Plane("U8", (1, 20_000, 4), bytes(80_000))
    request = SegmentRequest(wide, (19_000, 0, 20_000, 1), ((19_999, 0),))
    assert SegmentRequest.unpack(joined(request.pack())) == request


def test_a_header_alone_tells_the_whole_request() -> None:
    frame = joined(REQUEST.pack())
    start = wire.check_header(frame, len(frame))
    outline = SegmentRequest.outline(frame[:start], len(frame))
    assert len(outline.content.data) == len(REQUEST.content.data)
    assert dataclasses.replace(outline, content=REQUEST.content) == REQUEST


def test_the_two_kinds_of_request_are_not_taken_for_each_other() -> None:
    with pytest.raises(WireError, match="not a request"):
        wire.StylizeRequest.unpack(joined(REQUEST.pack()))
    with pytest.raises(WireError, match="not a segment request"):
        SegmentRequest.unpack(joined(wire.StylizeRequest(CONTENT, (wire.StyleEntry("x", preset="x"),)).pack()))


@pytest.mark.parametrize("mask", [Plane("U8", (HEIGHT, WIDTH - 1), bytes(180)), Plane("F16", (6, 16), bytes(192))])
def test_the_mask_of_another_picture_is_not_taken(mask: Plane) -> None:
    assert REQUEST.read_result(joined(SegmentResult(mask, {}).pack())) is None


# --- the client


def test_the_client_brings_the_mask_home_and_leaves_no_job_behind(server: FakeEngine) -> None:
    told: list[str] = []
    result = engine_of(server).answer(REQUEST, lambda _share, message: told.append(message))
    expected = [255 if 2 <= x < 14 and 1 <= y < 11 and x * 16 > 127 else 0 for y in range(HEIGHT) for x in range(WIDTH)]
    assert list(bytes(result.mask.data)) == expected
    assert result.report["box"] == [2, 1, 14, 11] and "Looking for the object" in told
    assert server.jobs == {}


def test_what_the_engine_does_not_find_is_its_own_sentence(server: FakeEngine) -> None:
    (server.state_dir / "mode").write_text("nothing")
    with pytest.raises(WireError, match="No object stands out there") as caught:
        engine_of(server).answer(REQUEST)
    assert caught.value.code == "unprocessable" and server.jobs == {}


def test_a_mask_of_another_size_is_refused(server: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.gimp.fake_engine.bright", lambda _request: Plane("U8", (2, 2), bytes(4)))
    with pytest.raises(WireError) as caught:
        engine_of(server).answer(REQUEST)
    assert caught.value.message == errand.WRONG_SIZE
