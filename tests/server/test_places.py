"""Places for results, names and consoles: what is wrong is said before painting, and no painting is thrown away."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.core.types import Picture
from engine.files import read_picture
from engine.pipeline.stylize import Stylized
from server.cli import COMMANDS, main
from tests.odd_files import ADOBE_ICC, BYTES, DEEP, chunk, png, saved

LONG = "あ" * 82 + ".png"  # 250 bytes
STRANGE = os.fsdecode(b"caf\xe9.png")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "photo.png"
    path.parent.mkdir()
    path.write_bytes(saved(BYTES))
    return path


@pytest.fixture(autouse=True)
def painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Picture]:
    """What was painted: the picture upside down, at once. What finds no place is kept in a folder ``kept``."""
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "kept"))
    done: list[Picture] = []

    def paint(content: Picture, *_args: Any, **_words: Any) -> Stylized:
        done.append(Picture(content.rgb.flip(1), content.alpha))
        return Stylized(done[-1], {"method": "anystyle", "strength": 1.0, "notes": [], "seconds": {}})

    monkeypatch.setattr("server.commands.painting.stylize", paint)
    monkeypatch.setattr("engine.pipeline.stylize.stylize", paint)
    return done


def stylize(photo: Path, output: Path, *words: str) -> int:
    return main(["stylize", str(photo), "--style", str(photo), "-o", str(output), *words])


@pytest.mark.parametrize("name", [LONG, STRANGE, "写真 été 100% & #1.png"])
def test_every_name_that_a_disk_takes_will_do(photo: Path, tmp_path: Path, name: str) -> None:
    try:
        odd = photo.replace(photo.with_name(name))
    except OSError:
        pytest.skip("this disk does not take the name")
    assert stylize(odd, tmp_path / name) == 0
    assert main(["batch", str(odd.parent), "--style", str(odd), "-o", str(tmp_path / "out")]) == 0
    for result in (tmp_path / name, tmp_path / "out" / name):
        with Image.open(result) as image:
            assert np.array_equal(np.asarray(image), BYTES[::-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in", "kept", "out", name])


def test_a_name_that_is_too_long_is_said_before_painting(
    photo: Path, tmp_path: Path, painted: list[Picture], capsys: pytest.CaptureFixture[str]
) -> None:
    assert stylize(photo, tmp_path / ("x" * 300 + ".png")) == 1
    assert main(["stylize", str(photo), "--style", "x" * 300, "-o", str(tmp_path / "b.png")]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "too long" in first and "neither a picture file nor a style preset" in second
    assert painted == []


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("name", ["写真.png", STRANGE])
def test_a_console_that_lacks_a_letter_shows_another(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, name: str
) -> None:
    odd = photo.replace(photo.with_name(name))
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert stylize(odd, tmp_path / name) == 0
    assert stylize(odd, tmp_path / name, "--json") == 0
    assert main(["batch", str(odd.parent), "--style", str(odd), "-o", str(tmp_path / "out")]) == 0
    assert main(["segment", str(tmp_path / f"no {name}"), "--auto", "-o", str(tmp_path / "mask.png")]) == 1
    with pytest.raises(SystemExit):
        main(["stylize", name, "--color", name])
    said = out.buffer.getvalue().decode(encoding) + err.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert ".png (" in said and "Traceback" not in said


def test_the_input_is_never_overwritten(
    photo: Path, tmp_path: Path, painted: list[Picture], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link.png").symlink_to(photo)
    (tmp_path / "hard.png").hardlink_to(photo)
    before = photo.read_bytes()
    for output in (photo, photo.parent / ".." / "in" / "photo.png", tmp_path / "link.png", tmp_path / "hard.png"):
        assert stylize(photo, output) == 1
        assert "which is read: give the result another name" in capsys.readouterr().err
        assert main(["segment", str(photo), "--auto", "-o", str(output)]) == 1
        assert "which is read" in capsys.readouterr().err
    assert painted == [] and photo.read_bytes() == before


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if (
        sys.platform != "linux"
        or os.geteuid() != 0
        or subprocess.run(words, capture_output=True, check=False).returncode
    ):
        pytest.skip("no right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_can_only_be_read_is_said_before_painting(
    photo: Path, disk: Path, painted: list[Picture], capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert stylize(photo, disk / "out.png") == 1
    assert main(["batch", str(photo.parent), "--style", str(photo), "-o", str(disk)]) == 1
    assert main(["batch", str(photo.parent), "--style", str(photo), "-o", str(disk / "new")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 3 and said.count("can only be read; choose another folder") == 2
    assert painted == []


def test_a_full_disk_is_said_before_painting(
    photo: Path, disk: Path, painted: list[Picture], capsys: pytest.CaptureFixture[str]
) -> None:
    (disk / "other").write_bytes(bytes(250_000))
    assert stylize(photo, disk / "out.png") == 1
    assert "The disk is full" in capsys.readouterr().err and painted == []
    assert [path.name for path in disk.iterdir()] == ["other"]


def test_a_painting_that_finds_no_room_is_kept_elsewhere(
    tmp_path: Path, disk: Path, painted: list[Picture], capsys: pytest.CaptureFixture[str]
) -> None:
    (disk / "other").write_bytes(bytes(100_000))
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)  # packs badly: 270 kB
    (tmp_path / "noise.png").write_bytes(saved(noise))
    assert stylize(tmp_path / "noise.png", disk / "out.png") == 1
    said = capsys.readouterr().err
    assert said.startswith("The disk is full: out.png could not be written.")
    kept = Path(said.partition("The painting is kept in ")[2].strip().removesuffix("."))
    assert bool((read_picture(kept).rgb == painted[0].rgb).all())
    assert kept.parent == tmp_path / "kept"
    assert [path.name for path in disk.iterdir()] == ["other"]


def test_a_folder_of_pictures_stops_at_a_full_disk(
    tmp_path: Path, disk: Path, painted: list[Picture], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for name in "abcde":
        (tmp_path / "in" / f"{name}.png").write_bytes(saved(rng.integers(0, 256, (180, 180, 3), dtype=np.uint8)))
    words = ["batch", str(tmp_path / "in"), "--style", str(tmp_path / "in" / "a.png"), "-o", str(disk), "--json"]
    assert main(words) == 1
    told = capsys.readouterr()
    assert "disk is full" in told.err and "Run the same command again to go on" in told.err
    n_done = len(json.loads(told.out)["pictures"])
    assert n_done == len(list(disk.iterdir())) and 1 <= n_done <= 2 and len(painted) <= n_done + 1
    assert len(list((tmp_path / "kept").iterdir())) == len(painted) - n_done


@pytest.mark.parametrize(
    "command", [command.name for command in COMMANDS if command.name not in ("serve", "train", "bench")]
)
def test_no_home_folder_ends_no_command_in_a_traceback(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "IMPASTO_STATE_DIR", "IMPASTO_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", staticmethod(nowhere))
    words = {
        "stylize": [str(photo), "--style", str(photo), "-o", str(tmp_path / "out.png")],
        "batch": [str(photo.parent), "--style", str(photo), "-o", str(tmp_path / "out")],
        "segment": [str(photo), "--box", "1,1,40,40", "--model", "grabcut", "-o", str(tmp_path / "out.png")],
        "models": ["list"],
        "style": ["save", str(photo), "-o", str(tmp_path / "out.impasto-style")],
    }
    status = main([command, *words.get(command, [])])
    told = capsys.readouterr()
    is_finding = command == "doctor" and "Something needs" in told.out  # in its table, and so not on stderr
    assert status == 0 or told.err.count("\n") == 1 or is_finding, told
    assert "Traceback" not in told.out + told.err


def test_formats_that_cannot_hold_so_many_pixels_are_refused_before_painting(
    tmp_path: Path, painted: list[Picture], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "long.png").write_bytes(saved(np.zeros((2, 17_000), np.uint8)))
    assert stylize(tmp_path / "long.png", tmp_path / "out.webp") == 1
    assert ".webp holds at most 16383 pixels a side, not 17000: write a .png" in capsys.readouterr().err
    assert painted == []
    assert stylize(tmp_path / "long.png", tmp_path / "out.png") == 0


def test_a_large_picture_is_announced(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "large.png").write_bytes(saved(np.zeros((5504, 8256), np.uint8) > 0))
    assert stylize(tmp_path / "large.png", tmp_path / "out.png") == 0
    assert re.search(r"Note: large\.png: 45 megapixels take about 2\.\d GB of memory", capsys.readouterr().err)
    assert stylize(photo, tmp_path / "small.png") == 0
    assert capsys.readouterr().err == ""


def test_depth_and_profile_go_through_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(png(DEEP, chunk(b"iCCP", b"x\0\0" + zlib.compress(ADOBE_ICC))))
    assert stylize(tmp_path / "a.png", tmp_path / "b.png") == 0
    assert "Note" not in capsys.readouterr().out
    with Image.open(tmp_path / "b.png") as image:
        assert image.info["icc_profile"] == ADOBE_ICC
    there, back = read_picture(tmp_path / "a.png").rgb, read_picture(tmp_path / "b.png").rgb
    assert float((there.flip(1) - back).abs().max()) < 1e-3
