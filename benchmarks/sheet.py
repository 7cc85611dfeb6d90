"""A sheet of pictures: a row per pair, a column per painter, so that figures are never read without looking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

GAP_PX, TITLE_PX = 6, 26


class Sheet:
    """Collects rows of pictures and writes them as one picture."""

    def __init__(self, titles: Sequence[str], cell_px: int = 256) -> None:
        self.titles = list(titles)
        self.cell_px = cell_px
        self.rows: list[list[Image.Image]] = []

    def add_row(self, pictures: Sequence[Tensor]) -> None:
        """Pictures (1, 3, H, W) in the order of the titles."""
        self.rows.append([self._thumbnail(picture) for picture in pictures])

    def save(self, path: Path) -> None:
        """Write the sheet; the extension says the format."""
        step = self.cell_px + GAP_PX
        size = (GAP_PX + step * len(self.titles), TITLE_PX + GAP_PX + step * len(self.rows))
        sheet = Image.new("RGB", size, "white")
        draw = ImageDraw.Draw(sheet)
        for column, title in enumerate(self.titles):
            draw.text((GAP_PX + column * step, 5), title, "black", font=ImageFont.load_default(14))
        for row, pictures in enumerate(self.rows):
            for column, picture in enumerate(pictures):
                sheet.paste(picture, (GAP_PX + column * step, TITLE_PX + row * step))
        sheet.save(path)

    def _thumbnail(self, picture: Tensor) -> Image.Image:
        pixels = picture[0].clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
        image = Image.fromarray(pixels.numpy())
        image.thumbnail((self.cell_px, self.cell_px), Image.Resampling.LANCZOS)
        return image
