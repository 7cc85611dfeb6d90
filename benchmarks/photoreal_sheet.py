"""Photos in the light of other photos, all scikit-image's: ``python -m benchmarks.photoreal_sheet -o FILE.jpg``."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from benchmarks.sheet import Sheet
from engine.core.types import Picture, Settings, Style
from engine.pipeline.stylize import stylize

PAIRS = (("coffee", "rocket"), ("chelsea", "coffee"), ("astronaut", "rocket"))
SIDE_PX, CELL_PX = 512, 256


def photo(name: str) -> Tensor:
    """A sample as (3, H, W), its longest side ``SIDE_PX``."""
    rgb = torch.tensor(getattr(data, name)()).permute(2, 0, 1)[None].float() / 255
    size = [round(side * SIDE_PX / max(rgb.shape[2:])) for side in rgb.shape[2:]]
    return F.interpolate(rgb, size, mode="bicubic", antialias=True).clamp(0, 1)[0]


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photoreal_sheet", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.jpg")
    parser.add_argument("--method", default="photoreal")
    options = parser.parse_args(argv)
    sheet = Sheet(["photo", "the other photo", options.method], CELL_PX)
    for name, other in PAIRS:
        content, style = photo(name), photo(other)
        done = stylize(Picture(content), [Style(other, Picture(style))], Settings(method=options.method))
        sheet.add_row([x[None] for x in (content, style, done.picture.rgb)])
    sheet.save(options.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
