"""Edges of selected objects, hard, feathered and found: ``python -m benchmarks.blend [--style PRESET] [-o SHEET.png]``.

Paints each scene of ``benchmarks.scenes`` whole and blends it by its rough mask in three ways; prints a table and
writes a sheet to look at. The seam gradient ratio is the mean change between neighbors across a line in the result,
over the mean of the changes that photo and painting have at the same places: 1 = no line can be told. At the band's
rim, where only one of the two shows, it is that one's.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from benchmarks.scenes import Scene, scenes
from engine.core.types import Picture, Settings
from engine.edges.object_edge import Boundary, refine
from engine.edges.smoothing import box_mean
from engine.files.presets import load_preset
from engine.pipeline.stylize import stylize

ENLARGE = 2
FEATHER_PX = 4
N_COLORS = 112  # of the sheet
GAP_PX, TITLE_PX = 6, 24
TITLES = ("photo", "hard", "feather", "mrf", "alpha of mrf")


def seam_ratio(content: Tensor, painted: Tensor, weight: Tensor, mask: Tensor, found: Boundary) -> dict[str, float]:
    """How much more a result changes across a line than the two pictures that it is made of.

    Args:
        content, painted: (3, H, W).
        weight: (H, W), by which they are blended.
        mask: (H, W), as it was drawn.
        found: with its new edge.

    Returns:
        By line: "edge", that of the mask as it was drawn; "rim", the border of the band; "band", all pairs in it.
    """
    totals = {name: [0.0, 0.0] for name in ("edge", "rim", "band")}
    for axis in (0, 1):

        def change(x: Tensor, axis: int = axis) -> Tensor:
            return x.diff(dim=axis + 1).square().sum(0).sqrt()

        n = mask.shape[axis] - 1
        share = (weight.narrow(axis, 0, n) + weight.narrow(axis, 1, n)) / 2
        in_band = found.band.narrow(axis, 0, n) & found.band.narrow(axis, 1, n)
        lines = {"edge": (mask >= 0.5).diff(dim=axis), "rim": found.band.diff(dim=axis), "band": in_band}
        ours, of_content, of_painted = (change(x) for x in (content.lerp(painted, weight), content, painted))
        for name, line in lines.items():
            theirs = of_content.lerp(of_painted, share) if name == "rim" else (of_content + of_painted) / 2
            totals[name][0] += float(ours[line].sum())
            totals[name][1] += float(theirs[line].sum())
    return {name: ours / max(theirs, 1e-9) for name, (ours, theirs) in totals.items()}


def feathered(mask: Tensor) -> Tensor:
    """As a careful hand softens an edge: twice a box of some pixels."""
    return box_mean(box_mean(mask, FEATHER_PX), FEATHER_PX)


def measure(scene: Scene, painted: Tensor) -> tuple[dict[str, str], list[Tensor]]:
    """A row of the table, and the pictures of the sheet."""
    began = time.perf_counter()
    found = refine(scene.content, scene.mask)
    seconds = time.perf_counter() - began
    weights = {"hard": scene.mask, "feather": feathered(scene.mask), "mrf": found.weight}
    results = {name: scene.content.lerp(painted, weight) for name, weight in weights.items()}
    ratios = {name: seam_ratio(scene.content, painted, weight, scene.mask, found) for name, weight in weights.items()}
    row = {
        "scene": scene.name,
        **{f"edge {name}": f"{ratio['edge']:.2f}" for name, ratio in ratios.items()},
        "rim mrf": f"{ratios['mrf']['rim']:.2f}",
        "band mrf": f"{ratios['mrf']['band']:.2f}",
        **{f"error {name}": error(weight, scene, found.band) for name, weight in weights.items()},
        "leak": str(int((found.weight != scene.mask)[~found.band].sum())),
        "seconds": f"{seconds:.2f}",
    }
    return row, [scene.content, *results.values(), found.weight.expand(3, -1, -1)]


def error(weight: Tensor, scene: Scene, band: Tensor) -> str:
    """Mean distance of alpha from the truth in the band, where that is known."""
    return "" if scene.alpha is None else f"{float((weight - scene.alpha).abs()[band].mean()):.3f}"


def draw(rows: Sequence[tuple[Scene, list[Tensor]]]) -> Image.Image:
    """The sheet: a row per scene, cut to what there is to look at."""
    left, top, right, bottom = rows[0][0].view
    cell = ((right - left) * ENLARGE, (bottom - top) * ENLARGE)
    size = (GAP_PX + (cell[0] + GAP_PX) * len(TITLES), TITLE_PX + (cell[1] + GAP_PX) * len(rows))
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for i, title in enumerate(TITLES):
        pen.text((GAP_PX + i * (cell[0] + GAP_PX), 4), title, "black", font=ImageFont.load_default(15))
    for j, (scene, pictures) in enumerate(rows):
        for i, rgb in enumerate(pictures):
            pixels = rgb.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
            part = Image.fromarray(pixels).crop(scene.view).resize(cell, Image.Resampling.BILINEAR)
            sheet.paste(part, (GAP_PX + i * (cell[0] + GAP_PX), TITLE_PX + j * (cell[1] + GAP_PX)))
    return sheet


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.blend", description=__doc__)
    parser.add_argument("--style", default="great-wave", metavar="PRESET")
    parser.add_argument("-o", "--output", type=Path, metavar="SHEET.png")
    options = parser.parse_args(argv)
    style = load_preset(options.style)
    rows: list[tuple[Scene, list[Tensor]]] = []
    for scene in scenes():
        painted = stylize(Picture(scene.content), [style], Settings(composite=False)).picture.rgb
        row, pictures = measure(scene, painted)
        if not rows:
            print("| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|")
        print("| " + " | ".join(row.values()) + " |")
        rows.append((scene, pictures))
    if options.output is not None:
        draw(rows).quantize(N_COLORS).save(options.output, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
