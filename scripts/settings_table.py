"""Writes docs/settings.md from the table of settings: ``python3 -m scripts.settings_table``."""

from __future__ import annotations

import argparse
from pathlib import Path

from gimp_plugin import settings
from gimp_plugin.settings import Setting

FILE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
PLACES = {"gimp": "GIMP", "command": "command line", "page": "page"}


def page() -> str:
    """The whole file."""
    return (
        "# Settings\n\nEvery setting, made from `gimp_plugin/settings.py` by `python3 -m scripts.settings_table`.\n"
        "In GIMP the name is that of the procedure's argument, on the command line it follows two dashes.\n"
        "A method has options of its own: `impasto methods` lists them.\n\n" + table()
    )


def table() -> str:
    """A row for each setting that somebody can choose."""
    rows = [_row(setting) for setting in settings.SETTINGS if set(setting.places) & PLACES.keys()]
    return "\n".join(("| name | what it does | values | default | where |", "|---|---|---|---|---|", *rows)) + "\n"


def _row(setting: Setting) -> str:
    values = ", ".join(f"`{word}`" for word in setting.words)
    if setting.low is not None and setting.high is not None:
        values = f"{setting.low:.10g} to {setting.high:.10g}"
    if setting.kind == "preset":
        values = ", ".join(filter(None, (values, setting.kind)))
    default = "" if setting.default in (None, "") else f"`{str(setting.default).lower()}`"
    where = ", ".join(title for place, title in PLACES.items() if place in setting.places)
    return f"| `{setting.name}` | {setting.help} | {values or setting.kind} | {default} | {where} |"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    FILE.write_text(page(), "utf-8")
