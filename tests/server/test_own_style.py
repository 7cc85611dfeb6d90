"""Styles of one's own, with the real engine: a saved style paints as its picture does, two of them in between."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from engine.core.errors import InputError
from engine.core.types import Picture, Settings, Style
from engine.pipeline import saved_styles
from engine.pipeline.saved_styles import encode, flat, network_stamp, style_of_saved
from engine.pipeline.stylize import stylize
from gimp_plugin.wire import (
    MAX_TEXT,
    Plane,
    SavedStyle,
    StyleEntry,
    StyleRequest,
    StyleResult,
    StylizeRequest,
    StylizeResult,
    pack_style,
    unpack_style,
)
from server.supervisor import intake
from server.supervisor.effort import expected_s
from server.worker.convert import picture_of
from server.worker.painter import Painter
from server.worker.style_saver import LUMA, MOST_BYTES, answer_style, calm, saved_style

CAT = np.dstack([data.chelsea()[:100, :120], np.full((100, 120), 255, "u1")])
PHOTO = Plane("U8", (100, 120, 4), bytearray(CAT.tobytes()))


@cache
def style_picture() -> Plane:
    """A picture of an astronaut, 512 px a side."""
    rgb = data.astronaut()
    return Plane("U8", (512, 512, 4), bytearray(np.dstack([rgb, np.full(rgb.shape[:2], 255, "u1")]).tobytes()))


@cache
def style() -> SavedStyle:
    return saved_style(picture_of(style_picture()), "Astronaut", "NASA")


def values_of(plane: Plane) -> np.ndarray:
    return np.frombuffer(plane.data, np.uint8).reshape(plane.shape).astype(np.float64)


def frame(request: StylizeRequest | StyleRequest) -> bytes:
    return b"".join(map(bytes, request.pack()))


def answered(request: StylizeRequest | StyleRequest, folder: Path) -> bytes:
    """From file to file, as the worker does it, and past the supervisor's judgment."""
    sent = frame(request)
    intake.check(sent, len(sent), None)
    (folder / "request").write_bytes(sent)
    assert expected_s(folder / "request") > 0
    (folder / "result").unlink(missing_ok=True)
    Painter().paint(folder / "request", folder / "result", lambda _share, _message: None)
    return (folder / "result").read_bytes()


def painted(entries: list[StyleEntry], folder: Path, **settings: object) -> StylizeResult:
    return StylizeResult.unpack(answered(StylizeRequest(PHOTO, tuple(entries), settings=settings), folder))


def test_a_saved_style_paints_what_its_picture_paints(tmp_path: Path) -> None:
    read = unpack_style(pack_style(style()))
    by_file = painted([StyleEntry.of_saved(read)], tmp_path)
    by_picture = painted([StyleEntry("a", picture=style_picture())], tmp_path)
    np.testing.assert_array_equal(values_of(by_file.picture), values_of(by_picture.picture))
    assert by_file.report["notes"] == by_picture.report["notes"] == []


def test_the_file_is_small_and_its_swatch_looks_like_the_picture() -> None:
    read = unpack_style(pack_style(style()))
    assert len(pack_style(read)) <= MOST_BYTES
    assert (max(read.swatch.shape[:2]), max(read.thumbnail.shape[:2])) == (512, 128)
    picture = picture_of(style_picture())
    for plane in (read.swatch, read.thumbnail):
        expected = flat(picture, max(plane.shape[:2])).permute(1, 2, 0).numpy() * 255
        off = values_of(plane) - expected
        assert np.abs(off).mean() < 3 and np.abs(off @ LUMA).mean() < 1.5  # of 255: lightness keeps its detail


def test_a_picture_that_is_small_is_kept_as_it_is() -> None:
    rgb = torch.rand(3, 60, 90, generator=torch.Generator().manual_seed(1)).mul(255).round() / 255
    found = saved_style(Picture(rgb), "small")
    np.testing.assert_array_equal(values_of(found.swatch), (rgb.permute(1, 2, 0) * 255).round().numpy())


def test_calm_colors_are_those_of_their_four_pixels_and_lightness_stays() -> None:
    rgb = torch.rand(3, 31, 45, generator=torch.Generator().manual_seed(1)).mul(120).add(60).round()
    found = calm(rgb, 2)
    off = found[0] - found[1]
    assert torch.equal(off[:30:2, :44:2], off[1:30:2, 1:44:2]) and bool((found % 2 == 0).all())
    assert float((torch.tensordot(torch.tensor(LUMA), found - rgb, 1)).abs().max()) < 2
    corner = rgb[0, 30, 44] - rgb[1, 30, 44]  # alone in its block
    assert abs(float(off[30, 44] - corner)) <= 1
    gray = torch.full((3, 4, 4), 128.0)
    assert torch.equal(calm(gray, 4), gray)


def test_noise_makes_the_swatch_smaller_and_never_the_file_larger_than_files_are() -> None:
    rgb = torch.rand(3, 600, 600, generator=torch.Generator().manual_seed(1))
    found = saved_style(Picture(rgb), "noise")
    assert 256 <= found.swatch.shape[0] < 512 and len(pack_style(found)) <= MOST_BYTES


def test_of_another_version_of_the_network_the_swatch_is_looked_at(tmp_path: Path) -> None:
    """A code that is not of this network would paint anything: here all zeros."""
    zeros = Plane("F32", (1, style().code.shape[1]), bytes(len(style().code.data)))
    other = dataclasses.replace(style(), network="anystyle:" + "0" * 32, code=zeros)
    by_other = painted([StyleEntry.of_saved(other)], tmp_path)
    by_swatch = painted([StyleEntry("a", picture=style().rgba())], tmp_path)
    np.testing.assert_array_equal(values_of(by_other.picture), values_of(by_swatch.picture))
    assert "another version of the network" in by_other.report["notes"][0]
    by_picture = painted([StyleEntry("a", picture=style_picture())], tmp_path)
    off = np.abs(values_of(by_other.picture) - values_of(by_picture.picture))[..., :3].mean()
    assert off < 1  # of 255


def test_a_code_of_ours_that_is_damaged_is_not_painted_in() -> None:
    picture, code, network = (
        Picture(torch.rand(3, 64, 64)),
        encode("x", Picture(torch.rand(3, 64, 64))),
        network_stamp(),
    )
    assert style_of_saved("x", picture, code, network).code is not None
    holes = code.clone()
    holes[7] = torch.nan
    for wrong in (code[:-1], holes, code * 1e6, code[None]):
        assert style_of_saved("x", picture, wrong, network).code is None
    assert style_of_saved("x", picture, code, "anystyle:47").code is None


def test_the_stamp_is_that_of_the_weights_that_ship(monkeypatch: pytest.MonkeyPatch) -> None:
    assert network_stamp() == f"anystyle:{saved_styles.shipped.manifest()['anystyle'].sha256[:32]}"


def test_strokes_and_methods_that_need_a_picture_take_the_swatch(tmp_path: Path) -> None:
    better = painted([StyleEntry.of_saved(style())], tmp_path, quality="better")
    assert better.report["quality"] == "better" and better.report["notes"] == []
    wct = painted([StyleEntry.of_saved(style())], tmp_path, method="wct")
    by_swatch = painted([StyleEntry("a", picture=style().rgba())], tmp_path, method="wct")
    np.testing.assert_array_equal(values_of(wct.picture), values_of(by_swatch.picture))


def test_a_smaller_brush_looks_at_the_swatch_and_not_at_the_code(tmp_path: Path) -> None:
    fine = painted([StyleEntry.of_saved(style())], tmp_path, style_size_px=128)
    by_swatch = painted([StyleEntry("a", picture=style().rgba())], tmp_path, style_size_px=128)
    np.testing.assert_array_equal(values_of(fine.picture), values_of(by_swatch.picture))


def test_a_mix_lies_between_its_two_styles() -> None:
    photo = picture_of(PHOTO)
    coffee = Picture(torch.from_numpy(data.coffee()).permute(2, 0, 1) / 255)
    one = Style("astronaut", code=encode("astronaut", picture_of(style_picture())))
    other = Style("coffee", code=encode("coffee", coffee))

    def of(share: float) -> torch.Tensor:
        styles = [dataclasses.replace(one, weight=1 - share), dataclasses.replace(other, weight=share)]
        return stylize(photo, styles, Settings()).picture.rgb

    alone, both, second = stylize(photo, [one]).picture.rgb, of(0.5), stylize(photo, [other]).picture.rgb
    apart = float((alone - second).abs().mean())
    assert apart > 0.03
    for end in (alone, second):
        assert 0.2 * apart < float((both - end).abs().mean()) < 0.9 * apart
    near, far = (float((of(share) - alone).abs().mean()) for share in (0.2, 0.8))
    assert near < 0.5 * apart < far


# --- the request


def test_the_request_is_answered_with_what_the_command_line_writes(tmp_path: Path) -> None:
    request = StyleRequest(style_picture(), "Astronaut")
    result = request.read_result(answered(request, tmp_path))
    assert result is not None and result.saved("NASA") == style()
    assert result.report["network"] == network_stamp()


def test_what_is_transparent_says_nothing() -> None:
    pixels = values_of(style_picture()).astype("u1")
    pixels[:, 256:] = (0, 255, 0, 0)
    half = answer_style(StyleRequest(Plane("U8", (512, 512, 4), bytearray(pixels.tobytes())), "half"))
    assert isinstance(half, StyleResult) and half.swatch is not None
    swatch = values_of(half.swatch)
    right = swatch[:, swatch.shape[1] * 3 // 4]
    np.testing.assert_allclose(right, np.broadcast_to(pixels[:, :256, :3].mean((0, 1)), right.shape), atol=1)
    with pytest.raises(InputError, match="transparent all over"):
        answer_style(StyleRequest(Plane("U8", (8, 8, 4), bytearray(256)), "nothing"))


def test_a_title_of_any_length_that_the_wire_takes_fits_a_file() -> None:
    small = Plane("U8", (8, 8, 4), bytearray([200, 10, 10, 255]) * 64)
    assert answer_style(StyleRequest(small, "ü" * MAX_TEXT)).saved().title == "ü" * MAX_TEXT
