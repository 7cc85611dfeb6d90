"""Draws the demo's sheet: labelled pictures side by side on one page."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
MARGIN_PX, GAP_PX = 48, 28
PAPER, INK, FAINT = (250, 248, 244), (38, 34, 30), (120, 112, 104)


@dataclass(frozen=True)
class Panel:
    """One picture of the sheet with what is written under it."""

    picture: Image.Image
    title: str
    note: str


def draw_sheet(title: str, subtitle: str, panels: Sequence[Panel], n_columns: int = 2) -> Image.Image:
    """All panels on one page, in reading order.

    Args:
        title, subtitle: written above.
        panels: pictures of one size, at least one.
        n_columns: panels in a row.

    Returns:
        RGB.
    """
    width, height = panels[0].picture.size
    cell_height = height + 74
    n_rows = -(-len(panels) // n_columns)
    head = 122
    page = Image.new(
        "RGB",
        (
            2 * MARGIN_PX + n_columns * width + (n_columns - 1) * GAP_PX,
            head + n_rows * cell_height + MARGIN_PX // 2,
        ),
        PAPER,
    )
    pen = ImageDraw.Draw(page)
    pen.text((MARGIN_PX, 34), title, INK, ImageFont.load_default(34))
    pen.text((MARGIN_PX, 80), subtitle, FAINT, ImageFont.load_default(18))
    for i, panel in enumerate(panels):
        left = MARGIN_PX + i % n_columns * (width + GAP_PX)
        top = head + i // n_columns * cell_height
        page.paste(panel.picture.convert("RGB"), (left, top))
        for text, below, ink, size in ((panel.title, 10, INK, 20), (panel.note, 36, FAINT, 15)):
            font = ImageFont.load_default(size)
            pen.text((left, top + height + below), fitted(text, font, width), ink, font)
    return page


def fitted(text: str, font: Font, width_px: int) -> str:
    """The text as the font can write it (Pillow's own has no accents) and as far as there is room."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    if font.getlength(plain) <= width_px:
        return plain
    while font.getlength(plain + "...") > width_px:
        plain = plain[:-1]
    return plain.rstrip() + "..."
