"""``impasto bench``: seconds and memory on this computer."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from engine.core.errors import InputError
from server.commands.command import Command

ROOT = Path(__file__).resolve().parents[2]


def run(options: argparse.Namespace) -> int:
    """Run ``benchmarks.speed`` in a process of its own, so that nothing loaded here counts.

    Raises:
        InputError: Impasto was installed without its source folder.
    """
    if not (ROOT / "benchmarks" / "speed.py").is_file():
        raise InputError("The benchmarks are in Impasto's source folder: get it, and run impasto bench from there.")
    return subprocess.run([sys.executable, "-m", "benchmarks.speed", *options.words], cwd=ROOT, check=False).returncode


COMMAND = Command("bench", "measure seconds and memory on this computer", run)
