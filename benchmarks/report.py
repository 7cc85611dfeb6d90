"""How a bench leaves its figures."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path


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


def computer() -> str:
    """What it was measured on."""
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    system = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} processors, {system}{load}."
