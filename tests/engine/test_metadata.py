"""What a file tells of its picture goes with the result; what it tells of itself does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import ExifTags, Image

from engine.core.types import Picture
from engine.files import read_picture, write_picture

Tag, GPS, IFD = ExifTags.Base, ExifTags.GPS, ExifTags.IFD


def test_other_exif_data_goes_with_the_result(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[Tag.Orientation], exif[Tag.Artist] = 6, "A. Painter"
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif, dpi=(300, 300))
    write_picture(tmp_path / "b.png", read_picture(tmp_path / "a.jpg"), like=tmp_path / "a.jpg")
    with Image.open(tmp_path / "b.png") as result:
        assert result.getexif().get(Tag.Artist) == "A. Painter"
        assert Tag.Orientation not in result.getexif()
        assert result.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "CMYK", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("name", ["b.tif", "b.png", "b.jpg", "b.webp"])
def test_how_a_tiff_lays_its_pixels_stays_behind(tmp_path: Path, name: str, mode: str) -> None:
    exif = Image.Exif()
    exif[Tag.Artist], exif[Tag.XPTitle] = "A. Painter", "Tree".encode("utf-16le")
    exif[IFD.Exif] = {Tag.DateTimeOriginal: "2020:01:02 03:04:05", Tag.ExifImageWidth: 16}
    exif[IFD.GPSInfo] = {GPS.GPSLatitudeRef: "N"}
    Image.new(mode, (16, 16)).save(tmp_path / "a.tif", exif=exif.tobytes())
    for alpha in (None, torch.rand(5, 7)):
        write_picture(tmp_path / name, Picture(torch.rand(3, 5, 7), alpha), like=tmp_path / "a.tif")
        assert read_picture(tmp_path / name).size == (5, 7)
        with Image.open(tmp_path / name) as result:
            found = result.getexif()
            assert found[Tag.Artist] == "A. Painter" and found[Tag.XPTitle] == "Tree".encode("utf-16le")
            assert found.get_ifd(IFD.Exif) == {Tag.DateTimeOriginal: "2020:01:02 03:04:05"}
            assert found.get_ifd(IFD.GPSInfo) == {GPS.GPSLatitudeRef: "N"}


def test_a_photo_of_a_camera_becomes_a_tiff(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[IFD.Exif] = {Tag.DateTimeOriginal: "2020:01:02 03:04:05"}
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif.tobytes())
    write_picture(tmp_path / "b.tif", read_picture(tmp_path / "a.jpg"), like=tmp_path / "a.jpg")
    with Image.open(tmp_path / "b.tif") as result:
        assert result.getexif().get_ifd(IFD.Exif) == {Tag.DateTimeOriginal: "2020:01:02 03:04:05"}


def test_exif_data_that_cannot_go_along_do_not_cost_the_painting(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[IFD.Exif] = {Tag.UserComment: b"x" * 70_000}  # more than a JPEG holds
    Image.new("RGB", (8, 8)).save(tmp_path / "long.png", exif=exif.tobytes())
    Image.new("RGB", (8, 8)).save(tmp_path / "broken.png", exif=b"Exif\0\0nonsense")
    for source in ("long.png", "broken.png", "gone.png"):
        write_picture(tmp_path / "a.jpg", Picture(torch.rand(3, 4, 4)), like=tmp_path / source)
        assert read_picture(tmp_path / "a.jpg").size == (4, 4)
