"""One table of odd files drives the readers of command line and page: the right picture, or a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.core.errors import InputError
from engine.files import formats, read_picture, read_with_notes
from gimp_plugin.wire import WireError
from server.page import uploads
from server.worker.convert import picture_of
from tests.odd_files import BYTES, CASES, DEEP, RGB, Case, H, W, heic, saved, tiff

IDS = [case.name.encode("ascii", "replace").decode()[:30] for case in CASES]


def made(folder: Path, case: Case) -> Path:
    path = folder / case.name
    path.write_bytes(case.make())
    return path


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_file_becomes_its_picture_or_a_sentence(
    tmp_path: Path, case: Case, capfd: pytest.CaptureFixture[str]
) -> None:
    path = made(tmp_path, case)
    check(path, case)
    assert capfd.readouterr() == ("", "")  # no library tells the console what we tell the user


def check(path: Path, case: Case) -> None:
    """See that a file is read as its case says."""
    if case.sentence:
        with pytest.raises(InputError, match=case.sentence) as caught:
            read_picture(path)
        assert str(caught.value).startswith(path.name) and "\n" not in str(caught.value)
        return
    picture, notes = read_with_notes(path)
    seen = picture.rgb.permute(1, 2, 0).numpy()
    if case.pixels is not None:
        assert seen.shape == case.pixels.shape
        assert np.abs(seen - case.pixels).max() <= case.near
    else:
        assert seen.shape == (H, W, 3) and np.abs(seen[:10] - RGB[:10]).max() < 0.15  # of colors or ends that were lost
    if case.alpha is None:
        assert picture.alpha is None or bool((picture.alpha == 1).all())
    else:
        assert picture.alpha is not None and np.abs(picture.alpha.numpy() - case.alpha).max() < 1e-6
    assert len(notes) == bool(case.note) and all(case.note in note and path.name in note for note in notes)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_page_reads_it_alike(tmp_path: Path, case: Case) -> None:
    path, notes = made(tmp_path, case), list[str]()
    if case.sentence:
        with pytest.raises(WireError, match=case.sentence) as caught:
            uploads.read_picture(path, "photo", notes)
        assert caught.value.message.startswith("The photo ") and case.name not in caught.value.message
        return
    page, picture = picture_of(uploads.read_picture(path, "photo", notes)), read_picture(path)
    assert bool((page.rgb == picture.rgb).all())
    opaque = torch.ones(picture.size)
    assert bool(
        ((opaque if page.alpha is None else page.alpha) == (opaque if picture.alpha is None else picture.alpha)).all()
    )
    assert len(notes) == bool(case.note) and all(case.note in note and "The photo" in note for note in notes)


def test_the_page_reads_without_torch() -> None:
    code = "import sys, server.page.uploads, engine.files.source, engine.files.writing; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_heic_is_read_with_its_extra(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    assert "HEIF" in formats.readable_formats()
    heif.from_pillow(Image.fromarray(BYTES)).save(tmp_path / "a.heic", quality=95)
    picture, notes = read_with_notes(tmp_path / "a.heic")
    assert np.abs(picture.rgb.permute(1, 2, 0).numpy() - RGB).mean() < 0.03 and notes == []


def test_heic_without_its_extra_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "readable_formats", lambda: ("PNG", "JPEG"))
    (tmp_path / "IMG_1.HEIC").write_bytes(heic())
    with pytest.raises(InputError, match=r"IMG_1\.HEIC is a HEIC picture: install pillow-heif"):
        read_picture(tmp_path / "IMG_1.HEIC")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_does_not_hold_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="a device or a pipe"):
        read_picture(tmp_path / "pipe.png")


def test_a_style_of_any_size_is_read_small(tmp_path: Path) -> None:
    gray = BYTES[:, :, 1]
    for name, kind in (("scan.png", "PNG"), ("scan.jpg", "JPEG"), ("deep.tif", "TIFF")):
        image = Image.fromarray(gray if kind != "TIFF" else gray.astype(np.float32) / 255)
        size = (14_000, 8_000) if kind == "JPEG" else (3_600, 2_400)
        (tmp_path / name).write_bytes(saved(image.resize(size, Image.Resampling.NEAREST), kind))
    (tmp_path / "rgb16.tif").write_bytes(tiff(DEEP.repeat(10, 0).repeat(10, 1)))
    for name in ("scan.png", "scan.jpg", "deep.tif", "rgb16.tif"):
        small = read_picture(tmp_path / name, small_px=90)
        longest = max(small.size)
        assert 45 < longest <= 90
        assert abs(float(small.rgb[1].mean()) - RGB[:, :, 1].mean()) < 0.02
    with pytest.raises(InputError, match="14000 x 8000 pixels, 112 megapixels; at most 100"):
        read_picture(tmp_path / "scan.jpg")


def test_pillows_own_limits_are_as_they_were(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    (tmp_path / "a.png").write_bytes(saved(BYTES))
    read_picture(tmp_path / "a.png")
    with pytest.raises(InputError):
        read_picture(made(tmp_path, next(case for case in CASES if case.name == "bomb.png")))
    assert before == Image.MAX_IMAGE_PIXELS
