"""Asks other programs: started from an argument list, without input, with all output kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def ask(
    command: Sequence[str | Path], env: Mapping[str, str] | None = None, timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program and keep what it says (stdout and stderr together would hide JSON: they stay apart).

    Args:
        command: program and arguments.
        env: added to our own environment.
        timeout_s: after it the program is ended.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it did not end in time.
    """
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
    )


def succeeds(command: Sequence[str] | Sequence[str | Path]) -> bool:
    """Whether a program can be started and ends without an error."""
    try:
        return ask(command).returncode == 0
    except OSError:
        return False
