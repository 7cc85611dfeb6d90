"""What the engine did otherwise than a user would expect, told once, after the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gi.repository import Gimp


def tell(reports: Iterable[Mapping[str, Any]]) -> None:
    """Show the notes of all reports in one message of GIMP's; none, if there are none."""
    notes = [note for report in reports for note in report.get("notes", ()) if isinstance(note, str) and note]
    if notes:
        Gimp.message("\n".join(dict.fromkeys(map(sentence, notes))))


def sentence(note: str) -> str:
    """A note with a capital letter and a full stop, however the engine wrote it."""
    text = note.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
