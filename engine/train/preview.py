"""Sheets of pictures that show a network's progress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor


def save_sheet(
    path: Path, contents: Sequence[Tensor], styles: Sequence[Tensor], rows: Sequence[Sequence[Tensor]]
) -> None:
    """Write a table of pictures: styles on top, contents at the left, results where they meet.

    Args:
        path: PNG to write.
        contents: (3, S, S) each, one a row.
        styles: (3, S, S) each, one a column.
        rows: results, ``rows[i][j]`` of content i in style j.
    """
    blank = torch.ones_like(contents[0])
    lines = [[blank, *styles]] + [[c, *row] for c, row in zip(contents, rows, strict=True)]
    sheet = torch.cat([torch.cat(list(line), 2) for line in lines], 1)  # (3, S*(rows+1), S*(columns+1))
    pixels = sheet.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
    Image.fromarray(pixels).save(path)
