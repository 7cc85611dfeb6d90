"""What the web page says, and how it names files."""

from __future__ import annotations

import html
import re
from typing import Any


def preset_title(style: dict[str, str]) -> str:
    """Title, artist and year, as far as they are known."""
    title = style.get("title") or style["name"]
    artist, year = style.get("artist"), style.get("year")
    return title + (f" \N{EN DASH} {artist}" if artist else "") + (f" ({year})" if year else "")


def sentence(note: Any) -> str:
    """A note of the engine as a sentence of the page."""
    text = str(note).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def plain(name: str) -> str:
    """A part of a file's name without what no file's name may have."""
    return re.sub(r"[^\w +-]+", "_", name)


def short(name: str) -> str:
    """A part of a file's name; two of them fit into what a file system takes."""
    return name.encode()[:100].decode("utf-8", "ignore")


def state(text: str, share: float | None = None) -> str:
    """What the page says about how far it is, as HTML; with a bar while it paints."""
    bar = "" if share is None else f'<progress aria-label="How far it is" max="1" value="{share:.3f}"></progress>'
    return f'<div class="state"><span>{html.escape(text)}</span>{bar}</div>'
