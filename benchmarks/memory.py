"""How much memory this process has and has had."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident_bytes() -> int:
    """What this process has now; 0 where the system does not tell."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """The most it has had since ``reset_peak``; where the system cannot reset, since it began."""
    if STATUS.exists():
        return _status("VmHWM")
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak() -> None:
    """Forget what was; Linux only, elsewhere nothing happens."""
    if CLEAR.exists():
        CLEAR.write_text("5")


def _status(name: str) -> int:
    if not STATUS.exists():
        return 0
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024
