"""In a real GIMP that finds a `python3` without gi first on its PATH, as from a terminal with conda or pyenv."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.gimp import gimps

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(400)]
START_TIMEOUT_S = 180
ASK = '(gimp-message (if (defined? (quote impasto-stylize)) "it is known" "it is unknown"))'


def test_the_filter_is_in_the_menu_though_the_first_python_has_no_gi(gimp: gimps.Gimp, tmp_path: Path) -> None:
    profile = gimps.make_profile(tmp_path / "profile", gimp.version)
    programs = tmp_path / "conda"
    programs.mkdir()
    (programs / "python3").write_text('#!/bin/sh\nexec /usr/bin/python3 -S "$@"\n')  # without the system's packages
    (programs / "python3").chmod(0o755)
    path = f"PATH={programs}:/usr/local/bin:/usr/bin:/bin"
    options = ["-i", "-d", "-f", "--batch-interpreter", "plug-in-script-fu-eval", "-b", ASK, "--quit"]
    done = gimp.run(["env", path, gimp.console, *options], {"GIMP3_DIRECTORY": str(profile)}, START_TIMEOUT_S)
    log = done.stdout + done.stderr
    assert "No module named 'gi'" in log  # GIMP's own Python plug-ins: the Python was taken
    assert "it is known" in log and "it is unknown" not in log, log[-3000:]


def test_interpreter_names_the_python_that_is_taken(gimp: gimps.Gimp, tmp_path: Path) -> None:
    """As install.py and `impasto doctor` ask."""
    shutil.copy(gimps.ROOT / "gimp_plugin" / "interpreter.py", tmp_path)
    answer: subprocess.CompletedProcess[str] = gimp.run(["python3", str(tmp_path / "interpreter.py")], {}, 60)
    assert answer.returncode == 0 and answer.stdout.strip().startswith("/"), answer.stderr
