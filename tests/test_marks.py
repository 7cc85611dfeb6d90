"""Marks say what a test needs: a real GIMP, or time."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_test_of_a_real_gimp_has_its_mark() -> None:
    files = sorted((ROOT / "tests" / "gimp").glob("test_*.py"))
    assert files
    unmarked = [
        path for path in files if not re.search(r"^pytestmark = .*\bmark\.gimp\b", path.read_text("utf-8"), re.M)
    ]
    assert unmarked == []


def test_a_test_that_computes_long_without_a_mark_is_listed(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        (ROOT / "tests" / "conftest.py").read_text("utf-8").replace("QUICK_S = 5.0", "QUICK_S = 0.2")
    )
    (tmp_path / "test_it.py").write_text(
        "import time, pytest\n"
        "def compute(s):\n    began = time.process_time()\n    while time.process_time() < began + s: pass\n"
        "def test_quick(): compute(0.01)\n"
        "def test_long(): compute(0.3)\n"
        "@pytest.mark.slow\ndef test_marked(): compute(0.3)\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", "-o", "markers=slow", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    listed = re.findall(r"^ +[\d.]+ s +\S+::(\w+)$", done.stdout, re.M)
    assert listed == ["test_long"]
