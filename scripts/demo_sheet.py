"""Draws the demo's sheet: labelled pictures side by side on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

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
        pen.text((left, top + height + 10), panel.title, INK, ImageFont.load_default(20))
        pen.text((left, top + height + 36), panel.note, FAINT, ImageFont.load_default(15))
    return page
