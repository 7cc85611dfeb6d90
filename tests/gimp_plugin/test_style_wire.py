"""Saved styles on the wire: they come through whole, older frames are still read, nothing else gets in."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from gimp_plugin import wire
from gimp_plugin.wire import Plane, StyleEntry, StyleRequest, StyleResult, StylizeRequest, WireError
from tests.gimp_plugin.test_style_file import NETWORK, a_style, floats, pixels

CONTENT = Plane("U8", (3, 5, 4), bytes(range(60)))
REQUEST = StyleRequest(CONTENT, "Große Welle")
RESULT = StyleResult(floats(20), {"title": "Große Welle", "network": NETWORK}, pixels(4, 5), pixels(2, 3))


def joined(buffers: list[wire.Buffer]) -> bytes:
    return b"".join(bytes(buffer) for buffer in buffers)


def mixed() -> StylizeRequest:
    saved = StyleEntry.of_saved(a_style(), 0.75)
    return StylizeRequest(CONTENT, (StyleEntry("x", 0.25, preset="x"), saved, StyleEntry("p", picture=CONTENT)))


def test_a_saved_style_crosses_the_wire_beside_others() -> None:
    request = mixed()
    assert StylizeRequest.unpack(joined(request.pack())) == request
    entry = request.styles[1]
    assert (entry.name, entry.weight, entry.code, entry.network) == (
        a_style().title, 0.75, a_style().code, a_style().network,
    )  # fmt: skip
    assert entry.picture == a_style().rgba()


def test_a_request_without_saved_styles_is_what_it_was_before_there_were_any() -> None:
    """An engine of before takes it: it refuses planes and reads names of styles by what it knows."""
    meta, planes = wire.unpack_frame("request", joined(StylizeRequest(CONTENT, mixed().styles[::2]).pack()))
    assert planes.keys() == {"content", "style.1"}
    assert [set(style) for style in meta["styles"]] == [{"name", "weight", "preset"}] * 2


def test_a_header_alone_tells_of_codes() -> None:
    frame = joined(mixed().pack())
    outline = StylizeRequest.outline(frame[: wire.check_header(frame, len(frame))], len(frame))
    assert outline.styles[1].code is not None and outline.styles[1].code.shape == (1, 2316)


PICTURE = Plane("U8", (1, 1, 4), bytes(4))


@pytest.mark.parametrize(
    "given",
    [
        {"code": floats(3)},
        {"network": NETWORK},
        {"code": floats(3), "network": "x"},
        {"code": floats(3), "network": None},
        {"code": Plane("U8", (1, 3), bytes(3)), "network": NETWORK},
        {"code": Plane("F32", (3, 1), bytes(12)), "network": NETWORK},
        {"code": Plane("F32", (1, 1, 3), bytes(12)), "network": NETWORK},
        {"code": floats(20_000), "network": NETWORK},
        {"code": floats(3), "network": NETWORK, "picture": None, "preset": "x"},
    ],
)
def test_a_code_that_does_not_fit_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(WireError) as caught:
        StyleEntry("x", **{"picture": PICTURE, **given})
    assert caught.value.code in ("bad_request", "unprocessable")


@pytest.mark.parametrize("value", [None, 3, [], {}, "x", "../x:00000000000000000000"])
def test_a_frame_with_a_wrong_network_is_a_bad_request(value: Any) -> None:
    meta, planes = wire.unpack_frame("request", joined(mixed().pack()))
    meta["styles"][1]["network"] = value
    with pytest.raises(WireError) as caught:
        StylizeRequest.unpack(joined(wire.pack_frame("request", meta, planes)))
    assert caught.value.code == "bad_request"


def test_a_code_that_no_style_has_is_refused() -> None:
    meta, planes = wire.unpack_frame("request", joined(mixed().pack()))
    planes["code.3"] = planes["code.1"]
    with pytest.raises(WireError, match="nothing asks for"):
        StylizeRequest.unpack(joined(wire.pack_frame("request", meta, planes)))


# --- making a style


def test_request_and_result_come_back_as_they_were() -> None:
    frame = joined(REQUEST.pack())
    assert StyleRequest.unpack(frame) == REQUEST and wire.kind_of(frame) == wire.STYLE_REQUEST
    result = joined(RESULT.pack())
    assert StyleResult.unpack(result) == RESULT and REQUEST.read_result(result) == RESULT
    outline = StyleRequest.outline(frame[: wire.check_header(frame, len(frame))], len(frame))
    assert dataclasses.replace(outline, content=CONTENT) == REQUEST


@pytest.mark.parametrize(
    "given",
    [
        {"content": Plane("U8", (3, 20), bytes(60))},
        {"content": Plane("U8", (1, 1025, 4), bytes(4100))},
        {"title": ""},
        {"title": "x" * 121},
        {"title": None},
    ],
)
def test_what_cannot_become_a_style_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(WireError) as caught:
        dataclasses.replace(REQUEST, **given)
    assert caught.value.code == "bad_request"


def test_the_result_becomes_a_style_file() -> None:
    style = RESULT.saved("Hokusai")
    assert (style.title, style.artist, style.network) == ("Große Welle", "Hokusai", NETWORK)
    assert wire.unpack_style(wire.pack_style(style)) == style


@pytest.mark.parametrize(
    "change",
    [
        {"swatch": None},
        {"thumbnail": None},
        {"report": {"title": "another", "network": NETWORK}},
        {"report": {"title": "Große Welle"}},
        {"report": {"title": "Große Welle", "network": 3}},
    ],
)
def test_a_result_that_lacks_a_part_or_is_of_another_picture_is_not_taken(change: dict[str, Any]) -> None:
    assert REQUEST.read_result(joined(dataclasses.replace(RESULT, **change).pack())) is None


def test_a_result_whose_numbers_are_none_becomes_no_file() -> None:
    for change in ({"swatch": None}, {"code": Plane("F32", (1, 1), b"\0\0\xc0\x7f")}, {"swatch": pixels(1, 600)}):
        with pytest.raises(WireError) as caught:
            dataclasses.replace(RESULT, **change).saved()
        assert caught.value.code == "unprocessable"
