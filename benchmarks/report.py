"""How a bench leaves its figures."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def save_report(folder: Path, name: str, figures: object, table: str | None = None) -> None:
    """Write NAME.json (the computer and all figures) and NAME.md (the table), which is printed too.

    Args:
        folder: made where it is missing.
        name: of the bench.
        figures: JSON values.
        table: Markdown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = {"computer": computer(), "figures": figures}
    (folder / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    if table is not None:
        (folder / f"{name}.md").write_text(table, "utf-8")
        print(table)


def report_rows(folder: Path | None, name: str, rows: Sequence[Mapping[str, object]], table: str) -> int:
    """Show the table, and save both where that is wanted.

    Args:
        folder, name, table: see ``save_report``; no folder = nothing is saved.
        rows: of the table; one that failed has an "error".

    Returns:
        A command's status: 0 done, 1 a row failed.
    """
    if folder is None:
        print(table)
    else:
        save_report(folder, name, rows, table)
    return 0 if all("error" not in row for row in rows) else 1


def in_fresh_process(module: str, words: Sequence[str]) -> dict[str, Any]:
    """What a module prints as JSON when it runs in a process of its own, so that its memory is its own too.

    Returns:
        Its answer, or its last words as "error".
    """
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {"error": done.stderr.strip().rpartition("\n")[2] or f"ended with status {done.returncode}"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def computer() -> str:
    """What it was measured on."""
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    system = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} processors, {system}{load}."
