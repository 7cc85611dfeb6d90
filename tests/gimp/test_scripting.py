"""The examples of docs/scripting.md, run as they stand in a real GIMP."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.gimp import gimps, samples
from tests.gimp.conftest import START_TIMEOUT_S, environment

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scripting.md"


def examples(language: str) -> list[str]:
    """What stands between the fences."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def in_place(code: str, folder: Path) -> str:
    """An example with its files in a folder."""
    for name in ("photo.jpg", "painted.png", "photos"):
        code = code.replace(f'"{name}"', f'"{folder / name}"')
    return code


@pytest.fixture
def folder(gimp: gimps.Gimp, tmp_path: Path) -> Path:
    """A photo, a folder of two, a profile."""
    samples.write_samples(tmp_path)
    gimps.make_profile(tmp_path / "profile", gimp.version)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "photos").mkdir()
    for place in ("photo.jpg", "photos/a.jpg", "photos/b.jpg"):
        (tmp_path / place).write_bytes((tmp_path / "coffee.jpg").read_bytes())
    return tmp_path


def assert_painted(photo: Path, painted: Path) -> None:
    """The engine of these tests paints the negative."""
    before = np.asarray(Image.open(photo).convert("RGB"), dtype=float)
    after = np.asarray(Image.open(painted).convert("RGB"), dtype=float)
    assert after.shape == before.shape
    assert np.abs(after - before).mean() > 20


def test_the_python_examples_paint(gimp: gimps.Gimp, folder: Path) -> None:
    known = environment(folder, "python3" if gimp.prefix else sys.executable)
    one, many = examples("python")
    (folder / "paint.py").write_text(in_place(one, folder) + "\n" + in_place(many, folder))
    done = gimp.run_script(folder / "paint.py", known, START_TIMEOUT_S)
    assert (folder / "painted.png").exists(), done.stdout + done.stderr
    assert_painted(folder / "photo.jpg", folder / "painted.png")
    for name in "ab":
        assert_painted(folder / "photos" / f"{name}.jpg", folder / "photos" / f"{name} painted.png")


def test_the_script_fu_example_paints(gimp: gimps.Gimp, folder: Path) -> None:
    known = environment(folder, "python3" if gimp.prefix else sys.executable)
    (code,) = examples("scheme")
    options = ["-i", "--batch-interpreter", "plug-in-script-fu-eval", "-b", in_place(code, folder), "--quit"]
    done = gimp.run([gimp.console, *options], known, START_TIMEOUT_S)
    assert (folder / "painted.png").exists(), done.stdout + done.stderr
    assert_painted(folder / "photo.jpg", folder / "painted.png")
