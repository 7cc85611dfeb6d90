"""Photorealistic transfer beside peers: ``python -m benchmarks.photoreal --data DIR --out DIR``.

DIR is laid out as the benchmark of Deep Photo Style Transfer: input/inN, style/tarN, segmentation/inN and tarN (label
maps), final_results/bestN_* (that paper's results). Writes photoreal.json (every pair), photoreal.md (medians) and
photoreal-K.png (all pictures, eight pairs a sheet).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.photo_metrics import color_distance, edge_ssim, matting_energy
from benchmarks.report import save_report
from benchmarks.sheet import Sheet
from engine.color.recolor import recolor
from engine.core.errors import ImpastoError, InputError
from engine.core.types import Mask, Picture, Region, Settings, Style
from engine.edges.smoothing import guided_filter
from engine.files import read_picture
from engine.pipeline.stylize import stylize

LEGEND = [(r, g, b) for r in (0, 1) for g in (0, 1) for b in (0, 1)] + [(0.5, 0.5, 0.5)]
MIN_REGION_SHARE = 0.002  # smaller regions are left out of the color distance
PAIRS_A_SHEET = 8
GUIDED_RADIUS_PX, GUIDED_EPS = 35, 1e-4
FIGURES = {
    "energy": "matting energy x 1e4",
    "edges": "edge SSIM",
    "colors": "sliced-W of colors",
    "seconds": "seconds",
}
Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class PhotoPair:
    """A content and a style of the benchmark.

    Args:
        name: its number.
        content, style: rgb (3, H, W), (3, H', W').
        labels, style_labels: (H, W), (H', W'), indices into ``LEGEND``.
        published: DPST's result (3, H, W), or None.
    """

    name: str
    content: Tensor
    style: Tensor
    labels: Tensor
    style_labels: Tensor
    published: Tensor | None

    def regions(self) -> list[tuple[Tensor, Tensor]]:
        """Bool masks of labels that both pictures have."""
        pairs = [(self.labels == i, self.style_labels == i) for i in range(len(LEGEND))]
        return [pair for pair in pairs if all(float(mask.float().mean()) > MIN_REGION_SHARE for mask in pair)]


Painter = Callable[[PhotoPair], Tensor]


def load_pairs(folder: Path) -> list[PhotoPair]:
    """Every pair of a folder, by number.

    Raises:
        InputError: there is none.
    """
    names = sorted((path.stem[2:] for path in (folder / "input").glob("in*")), key=lambda n: (len(n), n))
    if not names:
        raise InputError(f"{folder} holds no input/inN pictures.")
    return [load_pair(folder, name) for name in names]


def load_pair(folder: Path, name: str) -> PhotoPair:
    """One pair; label maps and the published result are brought to their picture's size."""
    content, style = (_read(folder, pattern) for pattern in (f"input/in{name}.*", f"style/tar{name}.*"))
    if content is None or style is None:
        raise InputError(f"Pair {name} of {folder} lacks its style.")
    maps = []
    for pattern, rgb in ((f"segmentation/in{name}.*", content), (f"segmentation/tar{name}.*", style)):
        colors = _read(folder, pattern)
        if colors is None:
            raise InputError(f"{folder} has no {pattern}.")
        labels = _nearest_legend(colors)
        maps.append(F.interpolate(labels[None, None].float(), rgb.shape[1:], mode="nearest")[0, 0].long())
    published = _read(folder, f"final_results/best{name}_*")
    if published is not None and published.shape != content.shape:
        published = F.interpolate(published[None], content.shape[1:], mode="bilinear", antialias=True)[0]
    return PhotoPair(name, content, style, maps[0], maps[1], published)


def _read(folder: Path, pattern: str) -> Tensor | None:
    paths = sorted(folder.glob(pattern))
    return read_picture(paths[0]).rgb if paths else None


def _nearest_legend(rgb: Tensor) -> Tensor:
    """(3, H, W) -> (H, W)."""
    legend = torch.tensor(LEGEND)[:, :, None, None]  # (9, 3, 1, 1)
    return (legend - rgb).square().sum(1).argmin(0)


def ours(settings: Settings) -> Painter:
    """A method of ours with the pair's regions."""

    def paint(pair: PhotoPair) -> Tensor:
        regions = [Region(Mask(a.float()), Mask(b.float())) for a, b in pair.regions()]
        style = Style("style", Picture(pair.style))
        return stylize(Picture(pair.content), [style], settings, regions=regions).picture.rgb

    return paint


def linear_and_guided(pair: PhotoPair) -> Tensor:
    """What anybody would try first: the linear map of each region, then the guided filter."""
    painted = pair.content.clone()
    for here, there in pair.regions():
        moved = recolor(pair.content, pair.style, style_weight=here.float(), content_weight=there.float())
        painted[:, here] = moved[:, here].clamp(0, 1)
    return guided_filter(pair.content, painted, GUIDED_RADIUS_PX, GUIDED_EPS).clamp(0, 1)


def published(pair: PhotoPair) -> Tensor:
    """Deep Photo Style Transfer's picture; the content where there is none."""
    return pair.content if pair.published is None else pair.published


def choose_painters(options: argparse.Namespace) -> dict[str, Painter]:
    """Painters by name, in the order of the table."""
    who: dict[str, Painter] = {"content": lambda pair: pair.content}
    if not options.only_ours:
        who |= {"DPST (published)": published, "linear, guided filter": linear_and_guided}
    for method in options.method or ["photoreal"]:
        who[f"Impasto {method}"] = ours(Settings(method=method))
    return who


def measure(options: argparse.Namespace) -> list[Row]:
    """Let every painter paint every pair, measure, and write table, figures and sheets."""
    options.out.mkdir(parents=True, exist_ok=True)
    who = choose_painters(options)
    rows: list[Row] = []
    pairs = load_pairs(options.data)[:: options.every]
    for first in range(0, len(pairs), PAIRS_A_SHEET):
        sheet = Sheet(["content", "style", *list(who)[1:]], options.cell)
        for pair in pairs[first : first + PAIRS_A_SHEET]:
            pictures = []
            for name, paint in who.items():
                began = time.perf_counter()
                result = paint(pair)
                seconds = time.perf_counter() - began
                pictures.append(result)
                rows.append({"painter": name, "pair": pair.name, "seconds": seconds, **figures_of(result, pair)})
            print(f"pair {pair.name}", file=sys.stderr)
            sheet.add_row([x[None] for x in (pair.content, pair.style, *pictures[1:])])
        sheet.save(options.out / f"photoreal-{first // PAIRS_A_SHEET + 1}.png")
    save_report(options.out, "photoreal", rows, summarize(rows))
    return rows


def figures_of(result: Tensor, pair: PhotoPair) -> dict[str, float]:
    """Energy, edges and colors of one result."""
    return {
        "energy": matting_energy(result, pair.content),
        "edges": edge_ssim(result, pair.content),
        "colors": color_distance(result, pair.style, pair.regions()),
    }


def summarize(rows: list[Row]) -> str:
    """A markdown table of medians over the pairs."""
    lines = ["| painter | " + " | ".join(FIGURES.values()) + " |", "|---" * (len(FIGURES) + 1) + "|"]
    for name in dict.fromkeys(row["painter"] for row in rows):
        own = [row for row in rows if row["painter"] == name]
        cells = [f"{statistics.median(row[key] for row in own):.3f}" for key in FIGURES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Medians over {len({row['pair'] for row in rows})} pairs.", ""])


def main(argv: list[str] | None = None) -> int:
    """The command.

    Returns:
        0 done, 1 failed with one sentence on stderr.
    """
    try:
        measure(_parser().parse_args(argv))
    except ImpastoError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.photoreal", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the benchmark's folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--method", action="append", default=[], help="of ours; default photoreal")
    parser.add_argument("--only-ours", action="store_true", help="leave peers out")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth pair only")
    parser.add_argument("--cell", type=int, default=320, metavar="PX", help="size of a picture in the sheets")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
