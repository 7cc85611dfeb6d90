"""Color modes and color maps side by side: ``python -m benchmarks.colors [-o SHEET.png]``.

Prints, per picture and mode, how far the result's color covariance is from the photo's (of the largest entry), and the
mean distance of its chroma (a*, b* of CIELAB) from the photo's; writes a sheet to look at.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from PIL import Image
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from benchmarks.sheet import Sheet
from engine.color.recolor import color_moments, rgb_to_lab
from engine.core.types import Picture, Settings, Style
from engine.files.presets import load_preset
from engine.pipeline.cache import PaintingCache
from engine.pipeline.stylize import stylize

SIDE_PX, CELL_PX = 384, 176
MODES = {
    "style": Settings(),
    "luminance": Settings(color="luminance"),
    "match: transport": Settings(color="match"),
    "match: cholesky": Settings(color="match", color_map="cholesky"),
    "match: symmetric": Settings(color="match", color_map="symmetric"),
    "match: histogram": Settings(color="match", color_map="histogram"),
}


def pairs() -> list[tuple[str, Picture, Style]]:
    """Photos of scikit-image, in presets and in the style of another photo."""
    portrait, cat, coffee = (picture_of(x) for x in (data.astronaut(), data.chelsea(), data.coffee()))
    return [
        ("coffee, great wave", coffee, load_preset("great-wave")),
        ("cat, composition VI", cat, load_preset("composition-vi")),
        ("portrait, style picture", portrait, Style("immunohistochemistry", picture_of(data.immunohistochemistry()))),
    ]


def picture_of(pixels: object) -> Picture:
    """The middle square of an (H, W, 3) byte array, at the size of the sheet."""
    rgb = torch.tensor(pixels).permute(2, 0, 1).float()[None] / 255
    side = min(rgb.shape[2:])
    top, left = ((length - side) // 2 for length in rgb.shape[2:])
    square = rgb[:, :, top : top + side, left : left + side]
    return Picture(F.interpolate(square, (SIDE_PX, SIDE_PX), mode="bilinear", antialias=True)[0])


def covariance_gap(rgb: Tensor, content: Tensor) -> float:
    """Largest difference of the covariances, over the content's largest entry."""
    ours, theirs = (color_moments(x)[1] for x in (rgb, content))
    return float((ours - theirs).abs().max() / theirs.abs().max())


def chroma_gap(rgb: Tensor, content: Tensor) -> float:
    """Mean distance of a*, b*."""
    return float((rgb_to_lab(rgb) - rgb_to_lab(content))[1:].square().sum(0).sqrt().mean())


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.colors", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, metavar="SHEET.png")
    options = parser.parse_args(argv)
    sheet = Sheet(["photo", *MODES], CELL_PX)
    print("| picture | mode | covariance gap | chroma gap |\n|---|---|---|---|")
    for name, content, style in pairs():
        cache, row = PaintingCache(), [content.rgb[None]]
        for mode, settings in MODES.items():
            rgb = stylize(content, [style], settings, cache=cache).picture.rgb
            row.append(rgb[None])
            print(f"| {name} | {mode} | {covariance_gap(rgb, content.rgb):.3f} | {chroma_gap(rgb, content.rgb):.2f} |")
        sheet.add_row(row)
    if options.output is not None:
        sheet.save(options.output)
        whole = Image.open(options.output)
        palette = whole.quantize(256, Image.Quantize.MAXCOVERAGE)
        whole.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(options.output, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
