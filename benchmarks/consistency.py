"""Whether the same thing looks the same in the pictures of a series: ``python -m benchmarks.consistency --photos DIR
--art DIR --out DIR``.

Each photo is seen four times: as it is, turned and enlarged a little, cropped to its left two thirds and to its right
ones. The same style is painted on each, independently and as a series; what is the same place is compared, in levels of
255. Writes consistency.json, consistency.md and consistency.png.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.metrics import turned
from benchmarks.pairs import draw_pairs
from benchmarks.report import save_report
from benchmarks.sheet import Sheet
from engine.core.types import Picture, Series, Settings, Style
from engine.pipeline.series import sample_series
from engine.pipeline.stylize import stylize

FIGURES = {"turned": "turned by 2 degrees", "crops": "two crops, where they overlap"}
EDGE_PX = 24


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.consistency", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--art", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--size", type=int, default=512, metavar="PX")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet-rows", type=int, default=3)
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str | float]] = []
    sheet = Sheet(["left", "right", "left, alone", "right, alone", "left, as a series", "right, as a series"])
    for i, pair in enumerate(draw_pairs(options.photos, options.art, options.pairs, options.size, options.seed)):
        pictures = views(pair.content)
        style = Style("style", Picture(pair.style[0]))
        alone = paint(pictures, style, None)
        series = paint(pictures, style, sample_series(Picture(rgb[0]) for rgb in pictures.values()))
        for name, painted in (("alone", alone), ("as a series", series)):
            rows.append({"pair": pair.name, "painted": name, **differences(painted)})
        if i < options.sheet_rows:
            sheet.add_row([picture[side] for picture in (pictures, alone, series) for side in ("left", "right")])
    save_report(options.out, "consistency", rows, summarize(rows))
    sheet.save(options.out / "consistency.png")
    return 0


def views(content: Tensor) -> dict[str, Tensor]:
    """The same thing, seen again and again: (1, 3, H, W) each."""
    width = content.shape[3] // 24 * 8  # a third
    return {
        "whole": content,
        "turned": turned(content),
        "left": content[..., : 2 * width].contiguous(),
        "right": content[..., width : 3 * width].contiguous(),
    }


def paint(pictures: dict[str, Tensor], style: Style, series: Series | None) -> dict[str, Tensor]:
    """Every view in the style."""
    settings = Settings(auto_strength=True)
    return {
        name: stylize(Picture(rgb[0]), [style], settings, series=series).picture.rgb[None]
        for name, rgb in pictures.items()
    }


def differences(painted: dict[str, Tensor]) -> dict[str, float]:
    """Mean absolute difference of what should be the same, away from the borders, x 255."""
    left, right = painted["left"], painted["right"]
    overlap = left.shape[3] // 2
    return {
        "turned": inner_difference(painted["turned"], turned(painted["whole"])),
        "crops": inner_difference(left[..., overlap:], right[..., :overlap]),
    }


def inner_difference(a: Tensor, b: Tensor) -> float:
    """Of two pictures of one size."""
    inner = slice(EDGE_PX, -EDGE_PX)
    return 255 * float((a - b)[..., inner, inner].abs().mean())


def summarize(rows: list[dict[str, str | float]]) -> str:
    """A markdown table of medians."""
    lines = ["| painted | " + " | ".join(FIGURES.values()) + " |", "|---" * (len(FIGURES) + 1) + "|"]
    for name in ("alone", "as a series"):
        own = [row for row in rows if row["painted"] == name]
        cells = [f"{statistics.median(float(row[key]) for row in own):.2f}" for key in FIGURES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"Medians over {len(rows) // 2} pairs, in levels of 255.", ""])


if __name__ == "__main__":
    with torch.inference_mode():
        raise SystemExit(main())
