"""Users without a home folder, or with one that cannot be written: the command line paints, the engine serves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from engine.core.user_folders import NOWHERE, home, torch_folder
from gimp_plugin import wire
from gimp_plugin.client import Engine
from server.cli import main
from tests.server.running_engine import PAINT_WORKER, ROOT, wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="homes of POSIX")
LOST = """
import pathlib
def fail(): raise RuntimeError("Could not determine home directory.")
pathlib.Path.home = fail
"""


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the system says of a user that it does not know, and that has no HOME."""

    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    real = os.path.expanduser
    monkeypatch.setattr(os.path, "expanduser", lambda path: path if str(path).startswith("~") else real(path))
    for name in list(os.environ):
        if name.startswith(("XDG_", "TORCH_HOME", "IMPASTO_")) or name == "HOME":
            monkeypatch.delenv(name)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_user_without_a_home_paints(homeless: Path) -> None:
    Image.new("RGB", (48, 32), (200, 120, 40)).save(homeless / "photo.png")
    assert main(["stylize", "photo.png", "--style", "starry-night", "-o", "out.png"]) == 0
    with Image.open(homeless / "out.png") as painted:
        assert painted.size == (48, 32)
    assert sorted(path.name for path in homeless.iterdir()) == ["out.png", "photo.png", "temporary"]


def test_a_user_without_a_home_is_told_where_models_cannot_go(
    homeless: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (home(), torch_folder()) == (NOWHERE, NOWHERE)
    assert main(["models", "list"]) == 0
    assert main(["models", "get", "sam"]) == 1
    assert "set HOME, or TORCH_HOME and IMPASTO_MODELS" in capsys.readouterr().err
    assert [path.name for path in homeless.iterdir()] == ["temporary"]


def test_the_engine_of_a_user_without_a_home_serves_and_is_found(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", f"{LOST}\nfrom server.supervisor.main import serve\nraise SystemExit(serve())"]
    with (
        open(homeless / "printed", "wb") as output,
        subprocess.Popen([*command, "--worker", PAINT_WORKER], cwd=ROOT, stdout=output, stderr=output) as process,
    ):
        try:
            wait_until(lambda: Engine.probe() is not None, what="an engine")
            assert wire.state_dir() == homeless / "temporary" / f"impasto-{os.getuid()}"
            assert wire.state_dir().stat().st_mode & 0o777 == 0o700
        finally:
            process.terminate()
    assert "home folder cannot be written" in (homeless / "printed").read_text()


def test_a_folder_that_cannot_be_made_ends_in_a_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-m", "server.supervisor.main", "--state-dir", str(tmp_path / "file" / "state")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("The engine could not start: Not a directory")
    assert done.stderr.strip().endswith("set IMPASTO_STATE_DIR to a folder that you can write and start it again.")
