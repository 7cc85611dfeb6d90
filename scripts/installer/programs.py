"""Asks other programs: started from an argument list, without input, with all output kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.installer.pip_settings import clean


def ask(
    command: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    is_python: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program and keep what it says (stdout and stderr together would hide JSON: they stay apart).

    Args:
        command: program and arguments.
        env: added to our own environment.
        is_python: it is a Python of ours: what our environment says to other Pythons is left out.
        timeout_s: after it the program is ended.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it did not end in time.
    """
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        env={**(clean(os.environ) if is_python else os.environ), **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
    )


def succeeds(command: Sequence[str] | Sequence[str | Path], env: Mapping[str, str] | None = None) -> bool:
    """Whether a Python can be started and ends without an error; ``env`` is added to our own environment."""
    try:
        return ask(command, env, is_python=True).returncode == 0
    except OSError:
        return False
