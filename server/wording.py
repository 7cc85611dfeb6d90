"""What people are told: no path of this computer, no character that commands a terminal, no text without end."""

from __future__ import annotations

import re
import unicodedata

MAX_CHARACTERS = 200
# A path from the root, a drive, the home or the folder above; never a part of an address such as http://127.0.0.1:8000.
PATH = re.compile(r"(?<![\w.:/\\~])(?:[A-Za-z]:)?(?:~|\.{1,2})?[\\/]{1,2}(?:[^\s\\/'\"`<>|,;:()*?]+[\\/]?)*")


def without_paths(text: str) -> str:
    """A sentence in which each path is cut down to its last part: who asks over the wire learns of no folder."""
    return PATH.sub(_last_part, text)


def _last_part(path: re.Match[str]) -> str:
    parts = [part for part in re.split(r"[\\/]", path[0]) if part.strip("~.")]
    return parts[-1] if parts else "a folder"


def printable(text: object, most: int = MAX_CHARACTERS) -> str:
    """A stranger's text as one line for a terminal: what controls it, or turns the direction of writing, becomes "?".

    Args:
        text: what a host, a file or an exception says.
        most: characters that are kept.
    """
    line = " ".join(str(text).split())
    kept = "".join("?" if unicodedata.category(sign)[0] == "C" else sign for sign in line)
    return kept if len(kept) <= most else f"{kept[:most]}..."
