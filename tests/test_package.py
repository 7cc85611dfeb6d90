"""What a release consists of: the wheel runs in a fresh environment, the zip file is what GIMP wants."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import engine
from scripts import package

ROOT = package.ROOT
ROOMS = ("engine", "server", "gimp_plugin")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the zip file."""
    out = tmp_path_factory.mktemp("dist")
    package.build_wheel(out, sys.executable)
    package.build_plugin(out, sys.executable)
    return out


@pytest.fixture(scope="module")
def wheel(release: Path) -> Path:
    return next(release.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment that has the wheel, and the packages it needs from this one."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", programs / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    (site,) = folder.rglob("site-packages")
    here = [path for path in sys.path if Path(path).name == "site-packages"]
    (site / "packages_of_the_tests.pth").write_text("\n".join(here), "utf-8")
    return programs


def _run(programs: Path, *words: str, folder: Path) -> str:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(
        [programs / words[0], *words[1:]], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def _own_files() -> Iterator[str]:
    for room in ROOMS:
        for path in (ROOT / room).rglob("*"):
            if path.is_file() and not {*path.parts} & {*package.NOT_IN_WHEEL}:
                yield path.relative_to(ROOT).as_posix()


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == set(_own_files())
    assert {"engine/py.typed", "server/py.typed"} <= names


def test_the_wheel_is_of_the_version_that_the_changelog_describes_first(wheel: Path) -> None:
    first = next(line for line in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines() if line.startswith("## "))
    assert first.split()[1] == engine.__version__ == wheel.name.split("-")[1]


def test_a_fresh_environment_paints_with_the_wheel(installed: Path, tmp_path: Path) -> None:
    where = _run(installed, "python", "-c", "import engine; print(engine.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent), "not the wheel's engine"
    assert _run(installed, "impasto", "--version", folder=tmp_path).strip() == f"impasto {engine.__version__}"
    assert "anystyle" in _run(installed, "impasto", "methods", folder=tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    _run(installed, "impasto", "stylize", "photo.png", "--style", "irises", "-o", "painted.png", folder=tmp_path)
    painted = np.asarray(Image.open(tmp_path / "painted.png"))
    assert painted.shape == pixels.shape
    assert (painted != pixels).mean() > 0.9


def test_the_zip_file_unpacks_to_what_gimp_looks_for(release: Path, tmp_path: Path) -> None:
    """GIMP starts ``plug-ins/NAME/NAME.py`` where it may be executed."""
    with zipfile.ZipFile(next(release.glob("*.zip"))) as archive:
        archive.extractall(tmp_path)
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert [path.name for path in tmp_path.iterdir()] == ["impasto"]
    assert modes["impasto/impasto.py"] & 0o111
    assert not any("__pycache__" in name for name in modes)
    launcher = json.loads((tmp_path / "impasto" / "engine.json").read_text("utf-8"))
    assert launcher["command"] == ["impasto", "serve"]
    catalog = json.loads((tmp_path / "impasto" / "catalog.json").read_text("utf-8"))
    assert catalog["version"] == engine.__version__
    assert {style["name"] for style in catalog["styles"]} >= {"irises", "starry-night"}


def test_the_same_sources_give_the_same_zip_file(release: Path, tmp_path: Path) -> None:
    again = package.build_plugin(tmp_path, sys.executable)
    assert again.read_bytes() == (release / again.name).read_bytes()
