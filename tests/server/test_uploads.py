"""Pictures for the web page: what is read is what was meant, and what cannot be read is a sentence."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from engine.files.source import read_source
from gimp_plugin.wire import Plane, WireError, write_style
from server.page import uploads
from tests.gimp_plugin.test_style_file import a_style
from tests.odd_files import ADOBE_ICC, BYTES, DEEP, P3_ICC, chunk, png, saved

COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (10, 20, 30), (200, 100, 50), (255, 255, 255)]


def picture(mode: str = "RGB") -> Image.Image:
    """Three columns, two rows, six different colors."""
    image = Image.new("RGB", (3, 2))
    image.putdata(COLORS)
    return image.convert(mode)


def rgb_of(plane: Plane) -> list[tuple[int, ...]]:
    data = bytes(plane.data)
    if plane.dtype == "U16":
        data = data[1::2]  # the upper bytes
    return [tuple(data[i : i + 3]) for i in range(0, len(data), 4)]


def test_a_picture_keeps_its_pixels(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    plane = uploads.read_picture(tmp_path / "a.png", "photo")
    assert plane.shape == (2, 3, 4) and rgb_of(plane) == COLORS and bytes(plane.data)[3::4] == b"\xff" * 6


def test_a_picture_keeps_its_transparency(tmp_path: Path) -> None:
    image = picture("RGBA")
    image.putalpha(77)
    image.save(tmp_path / "a.png")
    plane = uploads.read_picture(tmp_path / "a.png", "photo")
    assert rgb_of(plane) == COLORS and bytes(plane.data)[3::4] == bytes([77] * 6)


def test_a_picture_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: rows are columns, from the right
    picture().save(tmp_path / "a.png", exif=exif)
    plane = uploads.read_picture(tmp_path / "a.png", "photo")
    assert plane.shape == (3, 2, 4)
    assert rgb_of(plane) == [COLORS[3], COLORS[0], COLORS[4], COLORS[1], COLORS[5], COLORS[2]]


def test_deep_gray_becomes_gray(tmp_path: Path) -> None:
    image = Image.new("I;16", (2, 1))
    image.putpixel((0, 0), 0)
    image.putpixel((1, 0), 65535)
    image.save(tmp_path / "a.png")
    assert rgb_of(uploads.read_picture(tmp_path / "a.png", "photo")) == [(0, 0, 0), (255, 255, 255)]


def test_a_deep_gray_mask_keeps_its_shades(tmp_path: Path) -> None:
    """GIMP exports masks of deep images so."""
    image = Image.new("I;16", (4, 1))
    for x, value in enumerate((0, 1000, 32768, 65535)):
        image.putpixel((x, 0), value)
    image.save(tmp_path / "a.png")
    assert list(bytes(uploads.read_mask(tmp_path / "a.png", (1, 4)).data)) == [0, 3, 128, 255]


def test_a_profile_that_does_not_fit_does_no_harm(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    picture().save(tmp_path / "a.png", icc_profile=lab)
    assert rgb_of(uploads.read_picture(tmp_path / "a.png", "photo")) == COLORS


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (1, 2, 3)).save(stream, "JPEG")
    return stream.getvalue()


def icon() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16)).save(stream, "ICO")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no picture that Impasto reads"),
        (b"GIMP", "no picture that Impasto reads"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture that Impasto reads"),
        (icon(), "no picture that Impasto reads"),  # Pillow could: it is not on the list
        (jpeg()[:300], "damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 100, "damaged"),
        (b"P6 60000 60000 255 ", "is 60000 x 60000 pixels, 3600 megapixels; at most 100 can be used"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "secret-name.png"
    path.write_bytes(data)
    with pytest.raises(WireError) as caught:
        uploads.read_picture(path, "photo")
    assert sentence in caught.value.message and caught.value.message.startswith("The photo ")
    assert "secret" not in caught.value.message


def test_a_picture_that_was_swept_away_is_asked_for_again(tmp_path: Path) -> None:
    with pytest.raises(WireError, match="choose it again"):
        uploads.read_picture(tmp_path / "gone.png", "mask")


def test_a_style_file_is_read_and_no_more_than_a_style_file_has(tmp_path: Path) -> None:
    path = tmp_path / "secret-name.impasto-style"
    write_style(path, a_style())
    assert uploads.read_style(path) == a_style()
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(WireError) as caught:
        uploads.read_style(path)
    assert "damaged" in caught.value.message and "secret" not in caught.value.message


def test_a_mask_is_white_where_it_paints(tmp_path: Path) -> None:
    image = Image.new("LA", (3, 1))
    image.putdata([(255, 255), (128, 255), (255, 0)])  # white, gray, white but transparent
    image.save(tmp_path / "m.png")
    plane = uploads.read_mask(tmp_path / "m.png", (1, 3))
    assert plane.shape == (1, 3) and bytes(plane.data) == bytes([255, 128, 0])


def test_a_mask_of_other_proportions_is_refused(tmp_path: Path) -> None:
    Image.new("L", (400, 300)).save(tmp_path / "m.png")
    assert uploads.read_mask(tmp_path / "m.png", (600, 800)).shape == (600, 800)
    with pytest.raises(WireError, match="400 x 300 pixels, the photo 600 x 800: they must have the same proportions"):
        uploads.read_mask(tmp_path / "m.png", (800, 600))


def test_strokes_select_fully_where_the_brush_went_once() -> None:
    layer = Image.new("RGBA", (100, 80))
    layer.paste((226, 88, 34, 140), (10, 20, 50, 60))
    plane = uploads.mask_of_strokes(layer, 140 / 255, (160, 200))
    assert plane is not None and plane.shape == (160, 200)
    mask = Image.frombytes("L", (200, 160), bytes(plane.data))
    assert mask.getpixel((60, 80)) == 255 and mask.getpixel((10, 10)) == 0 and mask.getpixel((150, 80)) == 0
    assert abs(sum(bytes(plane.data)) / 255 - 80 * 80) < 200  # twice the size, and the edge is soft
    assert uploads.mask_of_strokes(Image.new("RGBA", (10, 10)), 0.5, (10, 10)) is None


def test_a_result_is_written_as_it_is(tmp_path: Path) -> None:
    data = bytes(range(24))
    uploads.write_png(tmp_path / "r.png", Plane("U8", (2, 3, 4), data))
    with Image.open(tmp_path / "r.png") as image:
        assert image.format == "PNG" and image.mode == "RGBA" and image.tobytes() == data
    opaque = b"".join(bytes([*color, 255]) for color in COLORS)
    uploads.write_png(tmp_path / "o.png", Plane("U8", (2, 3, 4), opaque))
    with Image.open(tmp_path / "o.png") as image:
        assert image.mode == "RGB" and image.tobytes() == bytes(sum(COLORS, ()))


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs and links here")
def test_what_is_no_regular_file_is_neither_waited_for_nor_followed_nor_touched(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    picture().save(tmp_path / "elsewhere.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "elsewhere.png")
    (tmp_path / "folder.png").mkdir()
    before = (tmp_path / "elsewhere.png").stat()
    reads: list[Callable[[Path], object]] = [
        lambda path: uploads.read_picture(path, "photo"),
        lambda path: uploads.make_preview(path, 100),
        lambda path: uploads.read_strokes(path, 0.5, (2, 3)),
        lambda path: uploads.read_mask(path, (2, 3)),
        uploads.read_style,
    ]
    for name in ("fifo.png", "link.png", "folder.png", "missing.png"):
        for read in reads:
            with pytest.raises(WireError, match="is no longer here: choose it again"):
                read(tmp_path / name)
    after = (tmp_path / "elsewhere.png").stat()
    assert (after.st_mtime_ns, after.st_atime_ns) == (before.st_mtime_ns, before.st_atime_ns)


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (saved(BYTES), "U8"),
        (saved(BYTES, icc_profile=P3_ICC), "F32"),
        (png(DEEP), "U16"),
        (png(DEEP, chunk(b"iCCP", b"x\0\0" + zlib.compress(ADOBE_ICC))), "F32"),
    ],
)
def test_a_result_keeps_depth_and_colors_of_its_photo(tmp_path: Path, data: bytes, dtype: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    plane = uploads.read_picture(tmp_path / "a.png", "photo")
    assert plane.dtype == dtype
    assert uploads.write_png(tmp_path / "b.png", plane, tmp_path / "a.png") == []
    before, after = read_source(tmp_path / "a.png"), read_source(tmp_path / "b.png")
    assert np.array_equal(before.values, after.values) and before.values.dtype == after.values.dtype
    assert (before.profile and before.profile.data) == (after.profile and after.profile.data)


def test_a_note_on_the_result_calls_the_photo_what_the_page_calls_it(tmp_path: Path) -> None:
    Image.new("CMYK", (3, 2)).save(tmp_path / "cat.jpg")
    plane = uploads.read_picture(tmp_path / "cat.jpg", "photo")
    notes = uploads.write_png(tmp_path / "r.png", plane, tmp_path / "cat.jpg")
    assert notes == ["the photo is CMYK: the result is in sRGB."]


def test_a_brushed_layer_is_a_mask(tmp_path: Path) -> None:
    layer = Image.new("RGBA", (80, 100))
    layer.paste((255, 0, 0, 140), (0, 0, 80, 50))
    layer.save(tmp_path / "s.png")
    plane = uploads.read_strokes(tmp_path / "s.png", 140 / 255, (200, 160))
    expected = uploads.mask_of_strokes(layer, 140 / 255, (200, 160))
    assert plane is not None and expected is not None and bytes(plane.data) == bytes(expected.data)
