"""Pictures come in and go out as they are; whatever is wrong becomes one sentence."""

from __future__ import annotations

import errno
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from engine.core.errors import InputError, ResourceError
from engine.core.types import Picture
from engine.files import check_writable, depth_note, read_labels, read_mask, read_picture, write_picture

COLORS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]], [[200, 100, 50], [1, 2, 3]]], np.uint8)


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def png(width: int, height: int, depth: int, color_type: int, rows: bytes) -> bytes:
    """A PNG by its specification, for what Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pixels(picture: Picture) -> np.ndarray:
    return (picture.rgb * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "a.tiff", "a.bmp", "A.PNG"])
def test_lossless_formats_keep_every_byte(tmp_path: Path, name: str) -> None:
    values = np.arange(16 * 16 * 3).reshape(16, 16, 3).astype(np.uint8)  # every byte occurs
    rgb = torch.from_numpy(values).permute(2, 0, 1).float() / 255
    write_picture(tmp_path / name, Picture(rgb))
    with Image.open(tmp_path / name) as image:
        assert np.array_equal(np.array(image), values)
    assert torch.equal(read_picture(tmp_path / name).rgb, rgb)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_alpha_is_kept(tmp_path: Path, name: str) -> None:
    rgb, alpha = torch.rand(3, 5, 7), torch.arange(35.0).view(5, 7) / 255
    write_picture(tmp_path / name, Picture(rgb, alpha))
    back = read_picture(tmp_path / name).alpha
    assert back is not None and torch.equal(back, alpha)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_colors_below_full_transparency_are_kept(tmp_path: Path, name: str) -> None:
    rgb = torch.arange(192.0).view(3, 8, 8) / 255
    write_picture(tmp_path / name, Picture(rgb, torch.zeros(8, 8)))
    assert torch.equal(read_picture(tmp_path / name).rgb, rgb)


@pytest.mark.parametrize("name", ["a.jpg", "a.bmp"])
def test_without_alpha_the_picture_lies_on_white(tmp_path: Path, name: str) -> None:
    alpha = torch.ones(16, 16)
    alpha[:, 8:] = 0
    write_picture(tmp_path / name, Picture(torch.zeros(3, 16, 16), alpha))
    seen = pixels(read_picture(tmp_path / name))
    assert seen[:, :8].max() < 10 and seen[:, 8:].min() > 245


def test_jpeg_is_near(tmp_path: Path) -> None:
    y, x = np.mgrid[:64, :64]
    smooth = torch.from_numpy(np.stack((x / 64, y / 64, (x + y) / 128))).float()
    write_picture(tmp_path / "a.jpeg", Picture(smooth))
    assert float((read_picture(tmp_path / "a.jpeg").rgb - smooth).abs().max()) < 0.03


def test_values_out_of_range_are_clipped(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", Picture(torch.tensor([-1.0, 0.5, 7.0]).view(3, 1, 1)))
    with Image.open(tmp_path / "a.png") as image:
        assert np.array(image).tolist() == [[[0, 128, 255]]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    """By the table of the EXIF standard: where row 0 and column 0 of the file belong."""
    turned = {
        1: COLORS,
        2: COLORS[:, ::-1],
        3: COLORS[::-1, ::-1],
        4: COLORS[::-1],
        5: COLORS.transpose(1, 0, 2),
        6: COLORS.transpose(1, 0, 2)[:, ::-1],
        7: COLORS.transpose(1, 0, 2)[::-1, ::-1],
        8: COLORS.transpose(1, 0, 2)[::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", COLORS, exif=exif)
    assert np.array_equal(pixels(read_picture(path)), turned)


def test_palette_and_its_transparency(tmp_path: Path) -> None:
    image = Image.fromarray(COLORS).convert("P", palette=Image.Palette.ADAPTIVE)
    image.save(tmp_path / "a.png")
    assert np.array_equal(pixels(read_picture(tmp_path / "a.png")), COLORS)
    image.save(tmp_path / "b.png", transparency=image.getpixel((0, 0)))
    alpha = read_picture(tmp_path / "b.png").alpha
    assert alpha is not None and alpha.tolist() == [[0, 1], [1, 1], [1, 1]]


def test_gray_with_and_without_alpha(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[0, 128, 255]], np.uint8))
    assert pixels(read_picture(path)).tolist() == [[[0] * 3, [128] * 3, [255] * 3]]
    both = save(tmp_path / "b.png", np.array([[[10, 0], [20, 255]]], np.uint8))
    picture = read_picture(both)
    assert pixels(picture).tolist() == [[[10] * 3, [20] * 3]]
    assert picture.alpha is not None and picture.alpha.tolist() == [[0, 1]]


def test_bilevel(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[True, False]]))
    assert pixels(read_picture(path)).tolist() == [[[255] * 3, [0] * 3]]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_deep_gray_keeps_its_depth(tmp_path: Path, name: str) -> None:
    values = np.array([[0, 1, 257, 32768, 65535]], np.uint16)
    path = save(tmp_path / name, values)
    expected = torch.from_numpy(values.astype(np.float64) / 65535).float()
    torch.testing.assert_close(read_picture(path).rgb, expected.expand(3, 1, 5), atol=1e-7, rtol=1e-6)
    torch.testing.assert_close(read_mask(path).weight, expected, atol=1e-7, rtol=1e-6)


def test_deep_color_keeps_its_depth(tmp_path: Path) -> None:
    path, values = tmp_path / "deep.png", (0x1280, 0xFFFF, 0, 0x80FF, 0x0100, 0x7FFF)
    path.write_bytes(png(2, 1, 16, 2, b"\0" + struct.pack(">6H", *values)))
    assert (read_picture(path).rgb.permute(1, 2, 0) * 65535).round().flatten().tolist() == list(values)
    assert depth_note(path) is None


def test_depth_that_is_not_read_is_said(tmp_path: Path) -> None:
    """Of a 10-bit AVIF: the second byte of its configuration box says so (AV1 in ISOBMFF, section 2.3.3)."""
    head = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + b"\0\0\0\x0cav1C\x81\0"
    (tmp_path / "deep.avif").write_bytes(head + b"\x4c\0")
    (tmp_path / "shallow.avif").write_bytes(head + b"\x0c\0")
    assert depth_note(tmp_path / "deep.avif") == "deep.avif has 10 bits a channel; they were read as 8."
    assert depth_note(tmp_path / "shallow.avif") is None
    assert depth_note(save(tmp_path / "shallow.png", COLORS)) is None
    with pytest.raises(InputError, match=r"none\.png cannot be read"):
        depth_note(tmp_path / "none.png")


def test_cmyk_is_converted(tmp_path: Path) -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image.save(tmp_path / "a.jpg", quality=100)
    red, green, blue = pixels(read_picture(tmp_path / "a.jpg"))[8, 8].tolist()
    assert red > 200 and green < 60 and blue < 60


def linear_profile() -> bytes:
    """sRGB's primaries with a straight tone curve: a minimal ICC profile by the specification (v2, matrix/TRC)."""

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))

    curve = b"curv\0\0\0\0" + struct.pack(">I", 0)
    text = b"desc\0\0\0\0" + struct.pack(">I", 7) + b"Linear\0" + bytes(78 + 1)
    tags = {
        b"desc": text, b"cprt": b"text\0\0\0\0none", b"wtpt": xyz(0.9642, 1, 0.8249),
        b"rXYZ": xyz(0.4360, 0.2225, 0.0139), b"gXYZ": xyz(0.3851, 0.7169, 0.0971),
        b"bXYZ": xyz(0.1431, 0.0606, 0.7141),
        b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)  # noqa: PLW2901
        table += name + struct.pack(">II", offset, len(data))
        body, offset = body + data, offset + len(data)
    head = bytearray(128)
    struct.pack_into(">I4sI4s4s4s", head, 0, offset, b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head[36:40] = b"acsp"
    struct.pack_into(">3i", head, 68, round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    return bytes(head) + struct.pack(">I", len(tags)) + table + body


def test_a_color_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    """In linear light 55/255 = 0.2157 is 0.5017 encoded (IEC 61966-2-1), that is 128."""
    path = save(tmp_path / "a.png", np.full((4, 4, 3), 55, np.uint8), icc_profile=linear_profile())
    assert np.abs(pixels(read_picture(path)).astype(int) - 128).max() <= 1
    with_alpha = np.dstack([np.full((4, 4, 3), 55, np.uint8), np.full((4, 4), 77, np.uint8)])
    picture = read_picture(save(tmp_path / "b.png", with_alpha, icc_profile=linear_profile()))
    assert np.abs(pixels(picture).astype(int) - 128).max() <= 1
    assert picture.alpha is not None and (picture.alpha * 255).round().unique().tolist() == [77]


def test_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(pixels(read_picture(save(tmp_path / "a.png", COLORS, icc_profile=profile))), COLORS)


def test_a_broken_profile_is_ignored(tmp_path: Path) -> None:
    assert np.array_equal(pixels(read_picture(save(tmp_path / "a.png", COLORS, icc_profile=b"nonsense"))), COLORS)


def test_the_first_of_several_frames_is_taken(tmp_path: Path) -> None:
    red, blue = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    red.save(tmp_path / "a.gif", save_all=True, append_images=[blue])
    assert pixels(read_picture(tmp_path / "a.gif"))[0, 0].tolist() == [255, 0, 0]


def test_masks(tmp_path: Path) -> None:
    gray = np.array([[0, 128, 255]], np.uint8)
    expected = torch.tensor([[0, 128 / 255, 1]])
    colored = np.repeat(gray[..., None], 3, 2)
    alpha = np.dstack([np.full((1, 3), 255, np.uint8), gray])  # white, and transparent where unselected
    for array in (gray, colored, alpha):
        torch.testing.assert_close(read_mask(save(tmp_path / "m.png", array), (1, 3)).weight, expected)
    with pytest.raises(InputError, match=r"mask m.png is 3 x 1 pixels, its picture 4 x 2: they must have the same"):
        read_mask(tmp_path / "m.png", (2, 4))


def test_labels_are_the_flat_colors(tmp_path: Path) -> None:
    array = np.zeros((40, 60, 3), np.uint8)
    array[:, 20:] = [255, 0, 0]
    array[:10, 50:] = [0, 0, 255]
    regions = read_labels(save(tmp_path / "l.png", array), (40, 60))
    assert [color for color, _ in regions] == [(255, 0, 0), (0, 0, 0), (0, 0, 255)]
    for color, mask in regions:
        assert np.array_equal(mask.weight.numpy() == 1, (array == color).all(2))


def test_a_map_of_the_same_proportions_is_brought_to_the_pictures_size(tmp_path: Path) -> None:
    array = np.zeros((20, 30, 3), np.uint8)
    array[:, 10:] = [255, 0, 0]
    for size in ((40, 60), (21, 30), (20, 30)):
        (color, mask), _ = read_labels(save(tmp_path / "l.png", array), size)
        assert color == (255, 0, 0) and tuple(mask.weight.shape) == size
        assert float(mask.weight.mean()) == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="must have the same size"):
        read_labels(tmp_path / "l.png", (24, 30))


def test_impure_labels_go_to_the_nearest(tmp_path: Path) -> None:
    """An antialiased edge and a JPEG's ringing make no regions."""
    array = np.zeros((64, 64, 3), np.uint8)
    array[:, 32:] = 255
    array[:, 31:33] = 128
    for name in ("l.png", "l.jpg"):
        regions = read_labels(save(tmp_path / name, array))
        assert len(regions) == 2
        total = sum(mask.weight for _, mask in regions)
        assert isinstance(total, torch.Tensor) and bool((total == 1).all())
        assert float(regions[0][1].weight[:, :28].mean()) in (0.0, 1.0)


def test_a_photo_is_no_label_map(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 5, (30, 30, 3), dtype=np.uint8) * 60
    photo = photo.repeat(8, 0).repeat(8, 1)
    with pytest.raises(InputError, match=r"more than 32 colors: it is no label map"):
        read_labels(save(tmp_path / "p.png", photo))


def damaged(kind: str, path: Path) -> Path:
    good = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(good, "PNG")
    data = good.getvalue()
    if kind == "text":
        path.write_text("This is no picture.")
    elif kind == "garbled":
        path.write_bytes(data[:60] + bytes(200) + data[260:])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "eps":
        path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")  # would start Ghostscript
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("text", "is no picture that Impasto reads"),
        ("empty", "is no picture that Impasto reads"),
        ("eps", "is no picture that Impasto reads"),
        ("garbled", "is damaged"),
        ("folder", "is a folder"),
        ("missing", "There is no file"),
    ],
)
def test_unusable_files_get_a_sentence(tmp_path: Path, kind: str, sentence: str) -> None:
    path = damaged(kind, tmp_path / "x.png")
    for read in (read_picture, read_mask, read_labels):
        with pytest.raises(InputError, match=sentence):
            read(path)


def test_large_pictures_are_refused_by_their_header(tmp_path: Path) -> None:
    """Before a pixel is decoded: a kilobyte can claim gigabytes."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png(100_000, 100_000, 8, 2, b""))
    with pytest.raises(InputError, match="100000 x 100000 pixels, 10000 megapixels; at most 100 can be used"):
        read_picture(path)
    with pytest.raises(InputError, match="2 x 3 pixels"):
        read_picture(save(tmp_path / "a.png", COLORS), max_pixels=5)
    path.write_bytes(png(200_000, 2, 8, 0, bytes(2 * 200_001)))
    assert read_picture(path).size == (2, 200_000)  # any side that fits


@pytest.mark.parametrize("values", [np.array([[0.5, np.nan]], np.float32), np.array([[0, 1 << 24]], np.int32)])
def test_values_that_no_picture_has_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    save(tmp_path / "a.tif", values)
    with pytest.raises(InputError, match="no picture has"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a", "a.xyz", "a.svg"])
def test_unknown_extensions_are_refused(tmp_path: Path, name: str) -> None:
    for refuse in (check_writable, lambda path: write_picture(path, Picture(torch.zeros(3, 2, 2)))):
        with pytest.raises(InputError, match=r"no extension that says a format.*\.png"):
            refuse(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    for refuse in (check_writable, lambda path: write_picture(path, Picture(torch.zeros(3, 2, 2)))):
        with pytest.raises(InputError, match="There is no folder"):
            refuse(tmp_path / "missing" / "a.png")


@pytest.mark.parametrize(
    ("number", "error", "sentence"),
    [
        (errno.ENOSPC, ResourceError, "disk is full"),
        (errno.EDQUOT, ResourceError, "disk is full"),
        (errno.EACCES, InputError, "no right to write"),
        (errno.EIO, InputError, "could not be written"),
    ],
)
def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception], sentence: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"the old picture")

    def fail(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("engine.files.writing.os.fsync", fail)
    with pytest.raises(error, match=sentence):
        write_picture(path, Picture(torch.zeros(3, 4, 4)))
    assert path.read_bytes() == b"the old picture"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is always full stands for the disk: the error comes from the system, not from the test."""
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda _self, mode: opened(Path("/dev/full"), mode.replace("x", "w")))
    with pytest.raises(ResourceError, match="disk is full: a.png could not be written"):
        write_picture(tmp_path / "a.png", Picture(torch.rand(3, 64, 64)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_new_files_have_the_users_usual_rights(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", Picture(torch.zeros(3, 2, 2)))
    (tmp_path / "usual").touch()
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "usual").stat().st_mode
