"""A picture keeps its color space and its depth from file to file; what nothing has changed is kept to the bit."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from zlib import compress

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from engine.core.types import Picture
from engine.files import read_picture, read_with_notes, write_picture
from engine.files.source import read_source
from tests.odd_files import (
    ADOBE_ICC,
    ALPHA,
    BYTES,
    DEEP,
    FLOATS,
    P3,
    P3_ICC,
    SRGB_ICC,
    chunk,
    gamma,
    png,
    profile,
    saved,
    tiff,
)

LINEAR_P3 = profile("linear P3", gamma(1), **P3)
DEEP_ICC = chunk(b"iCCP", b"x\0\0" + compress(ADOBE_ICC))
RGBA16 = np.dstack([DEEP, ALPHA * np.uint16(257)])
SATURATED = np.zeros((16, 16, 3), np.uint16)
SATURATED[:, :, 1], SATURATED[:, :, 2] = 65535, np.arange(256).reshape(16, 16)  # (0, 65535, 1) and its like


@pytest.mark.parametrize(
    ("source", "make", "result"),
    [
        ("a.png", lambda: saved(BYTES, icc_profile=P3_ICC), "b.png"),
        ("a.png", lambda: saved(BYTES, icc_profile=ADOBE_ICC), "b.tif"),
        ("a.png", lambda: saved(BYTES, icc_profile=ADOBE_ICC), "b.webp"),
        ("a.png", lambda: saved(BYTES, icc_profile=profile("sRGB", gamma(1))), "b.png"),
        ("a.png", lambda: saved(BYTES, icc_profile=SRGB_ICC), "b.png"),
        ("a.png", lambda: saved(np.dstack([BYTES, ALPHA]), icc_profile=P3_ICC), "b.png"),
        ("a.png", lambda: png(DEEP), "b.png"),
        ("a.png", lambda: png(DEEP, DEEP_ICC), "b.png"),
        ("a.png", lambda: png(SATURATED, DEEP_ICC), "b.tif"),
        ("a.png", lambda: png(RGBA16, DEEP_ICC), "b.png"),
        ("a.tif", lambda: tiff(RGBA16, icc=ADOBE_ICC), "b.tif"),
        ("a.tif", lambda: tiff(DEEP, icc=LINEAR_P3), "b.png"),
        ("a.tif", lambda: tiff(FLOATS), "b.tif"),
        ("a.tif", lambda: tiff(FLOATS * 3 - 1, icc=LINEAR_P3), "b.tif"),
        ("a.bmp", lambda: saved(BYTES, "BMP"), "b.bmp"),
    ],
)
def test_what_nothing_has_changed_is_the_source_to_the_bit(
    tmp_path: Path, source: str, make: Callable[[], bytes], result: str
) -> None:
    (tmp_path / source).write_bytes(make())
    picture = read_picture(tmp_path / source)
    assert write_picture(tmp_path / result, picture, like=tmp_path / source) == []
    before, after = read_source(tmp_path / source), read_source(tmp_path / result)
    assert after.values.dtype == before.values.dtype and np.array_equal(after.values, before.values)
    assert (before.alpha is None) == (after.alpha is None)
    assert before.alpha is None or np.array_equal(before.alpha, after.alpha)
    assert (before.profile and before.profile.data) == (after.profile and after.profile.data)


def test_a_painting_is_in_the_colors_of_its_photo(tmp_path: Path) -> None:
    """littleCMS reads back what we wrote: half of it sRGB's green, the rest as it was."""
    (tmp_path / "a.png").write_bytes(saved(BYTES, icc_profile=P3_ICC))
    picture = read_picture(tmp_path / "a.png")
    painted = picture.rgb.clone()
    painted[:, :, :36] = torch.tensor([0.2, 0.8, 0.3])[:, None, None]
    write_picture(tmp_path / "b.png", Picture(painted), like=tmp_path / "a.png")
    with Image.open(tmp_path / "b.png") as image:
        assert np.array_equal(np.asarray(image)[:, 36:], BYTES[:, 36:])
        embedded = in_profile(image.info["icc_profile"])
        seen = ImageCms.profileToProfile(image, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert np.abs(np.asarray(seen)[:, :36] / 255 - [0.2, 0.8, 0.3]).max() < 2.1 / 255


def test_colors_outside_of_srgb_agree_with_littlecms_where_it_does_not_clip(tmp_path: Path) -> None:
    for name, icc in (("p3", P3_ICC), ("adobe", ADOBE_ICC), ("linear", LINEAR_P3)):
        (tmp_path / f"{name}.png").write_bytes(saved(BYTES, icc_profile=icc))
        ours = read_picture(tmp_path / f"{name}.png").rgb.permute(1, 2, 0).numpy()
        with Image.open(tmp_path / f"{name}.png") as image:
            theirs = ImageCms.profileToProfile(image, in_profile(icc), ImageCms.createProfile("sRGB"), outputMode="RGB")
        inside = ((ours > 0.02) & (ours < 0.98)).all(2)
        assert inside.mean() > 0.1 and (ours.min() < -0.01 or ours.max() > 1.01)
        assert np.abs(ours - np.asarray(theirs) / 255)[inside].max() < 1.6 / 255


def in_profile(icc: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(icc))


@pytest.mark.parametrize(
    ("make", "result", "note"),
    [
        (lambda: saved(BYTES, icc_profile=P3_ICC), "b.bmp", "BMP holds no color profile"),
        (lambda: png(DEEP), "b.jpg", "more than 8 bits a channel, of which JPEG holds 8"),
        (lambda: saved(Image.new("CMYK", (9, 9)), "TIFF"), "b.tif", "is CMYK: the result is in sRGB"),
        (lambda: tiff(FLOATS), "b.png", "holds floats, of which PNG holds 16 bits"),
        (lambda: saved(BYTES[:, :, 0], icc_profile=profile("x", gamma(1.8), b"GRAY")), "b.png", "is in sRGB"),
    ],
)
def test_what_a_format_cannot_hold_is_said(tmp_path: Path, make: Callable[[], bytes], result: str, note: str) -> None:
    (tmp_path / "a.x").write_bytes(make())
    picture, unread = read_with_notes(tmp_path / "a.x")
    notes = write_picture(tmp_path / result, picture, like=tmp_path / "a.x")
    assert unread == [] and len(notes) == 1 and note in notes[0]
    back = read_picture(tmp_path / result).rgb
    tolerance = 0.2 if result == "b.jpg" else 0.51 / 255
    assert float((back - picture.rgb.clamp(0, 1)).abs().max()) <= tolerance


def test_deep_results_carry_metadata_and_resolution(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x013B], exif[0x0112] = "A. Painter", 6  # Artist, Orientation
    exif[0x8769] = {0x9003: "2020:01:02 03:04:05"}
    block = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    (tmp_path / "a.png").write_bytes(png(DEEP, block, chunk(b"pHYs", b"\0\0\x2e\x23\0\0\x2e\x23\1")))
    picture = read_picture(tmp_path / "a.png")
    assert picture.size == (72, 48)
    for name in ("b.png", "b.tif"):
        write_picture(tmp_path / name, picture, like=tmp_path / "a.png")
        with Image.open(tmp_path / name) as image:
            found = image.getexif()
            assert found[0x013B] == "A. Painter" and 0x0112 not in found
            assert found.get_ifd(0x8769) == {0x9003: "2020:01:02 03:04:05"}
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
