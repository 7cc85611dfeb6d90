"""What Linux tells of the engine's processes."""

from __future__ import annotations

from pathlib import Path

from tests.server.running_engine import RunningEngine


def status_kb(pid: int, name: str) -> int:
    """A line of /proc/PID/status in kB, as VmRSS or VmHWM; 0 if the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/status").read_text().partition(f"{name}:")[2].split()[0])
    except (OSError, IndexError):
        return 0


def forget_peak(pid: int) -> None:
    """Reset VmHWM to what the process holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def worker_pid(engine: RunningEngine) -> int:
    """The engine's one worker; 0 if there is none at the moment."""
    return next(iter(engine.worker_pids()), 0)
