"""Quality beside peers: ``python -m benchmarks.quality --features VGG19.safetensors --out DIR``.

On our own pictures, or on those of ``--photos DIR --art DIR``.

Writes quality.json (every pair), quality.md (medians) and quality.png (the pictures). With ``--candidate FILE`` the
weights of a training run are measured in the product's own pipeline, before they ship.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch

from benchmarks import metrics, painters
from benchmarks.pairs import Pair, draw_pairs
from benchmarks.report import save_report
from benchmarks.sheet import Sheet
from benchmarks.squeezenet import SqueezeNet
from engine.color.tone import tone_distance
from engine.core.errors import ImpastoError
from engine.core.types import Quality, Settings
from engine.features.backbone import Backbone
from engine.features.backbones import load_vgg19_file
from engine.networks.moments import rgb_moments, transport_colors
from engine.train.losses.artifact_losses import halo, speckle
from engine.train.losses.objective import weave, worst_stripes

FIGURES = {
    "closed": "style distance closed (more is better)",
    "content": "content distance",
    "patch": "patch distance",
    "grid": "grid peak (1 = none)",
    "stripes": "worst colored stripes",
    "tone": "tone distance",
    "weave": "fine patterns (0 = none)",
    "halo": "halo (0 = none)",
    "speckle": "speckles of color (0 = none)",
    "moments": "mean and deviation",
    "wasserstein": "Wasserstein-2",
    "frechet": "Fréchet (SqueezeNet)",
    "identity": "identity error x 255",
    "warp": "warp error x 255",
    "seconds": "seconds",
    "processor": "processor seconds",
}
WORST = ("grid", "stripes", "tone", "weave", "halo", "speckle")
SLOW_S = 3.0  # painters that take longer are not asked for more than the pair
Row = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    """The command.

    Returns:
        0 done, 1 failed with one sentence on stderr.
    """
    options = _parser().parse_args(argv)
    try:
        measure(options)
    except ImpastoError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def measure(options: argparse.Namespace) -> list[Row]:
    """Let every painter paint every pair, measure, and write table, figures and sheet."""
    options.out.mkdir(parents=True, exist_ok=True)
    backbone = load_vgg19_file(options.features)
    squeezenet = None if options.squeezenet is None else SqueezeNet(options.squeezenet)
    who = choose_painters(options)
    sheet = Sheet(["content", "style", *(name for name in who if name != "photo")])
    rows: list[Row] = []
    pairs = draw_pairs(
        options.photos, options.art, options.pairs, options.size, options.seed, options.held_out, options.least
    )
    for i, pair in enumerate(pairs):
        pictures = measure_pair(pair, who, backbone, squeezenet, rows)
        if i < options.sheet_rows:
            sheet.add_row([pair.content, pair.style, *pictures])
        print(f"{i + 1}/{options.pairs} {pair.name}", file=sys.stderr)
    save_report(options.out, "quality", rows, summarize(rows, list(who)))
    sheet.save(options.out / "quality.png")
    return rows


def choose_painters(options: argparse.Namespace) -> dict[str, painters.Painter]:
    """Painters by name, in the order of the table."""
    settings = Settings(method=options.method, strength=options.strength, device=options.device)
    who: dict[str, painters.Painter] = {"photo": painters.leave}
    if options.peers is not None:
        who["MicroAST"] = painters.microast(options.peers / "microast")
    if options.wave is not None:
        who["lengstrom"] = painters.lengstrom(options.wave)
    if options.gmic:
        who["G'MIC stylize"] = painters.gmic()
    if not options.only_candidates:
        for quality in options.quality:
            name = "Impasto" if quality == "fast" else f"Impasto {quality}"
            who[name] = painters.ours(replace(settings, quality=quality))
    for path in options.candidate:
        who[f"{path.parent.name}/{path.stem}"] = painters.candidate(path, settings)
    return who


def measure_pair(
    pair: Pair, who: dict[str, painters.Painter], backbone: Backbone, squeezenet: SqueezeNet | None, rows: list[Row]
) -> list[torch.Tensor]:
    """Append a row of figures per painter; the pictures but the photo."""
    content, style = metrics.look(backbone, pair.content), metrics.look(backbone, pair.style)
    pictures = []
    for name, paint in who.items():
        began, used = time.perf_counter(), processor_seconds()
        picture = paint(pair.content, pair.style)
        seconds, used = time.perf_counter() - began, processor_seconds() - used
        seen = metrics.look(backbone, picture)
        figures: Row = {
            "closed": metrics.style_closed(seen, content, style),
            "content": metrics.content_distance(seen, content),
            "patch": metrics.patch_distance(seen, style),
            "grid": metrics.grid_peak(picture),
            "stripes": float(worst_stripes(picture)),
            "tone": float(tone_distance(picture, pair.content)),
            "weave": float(weave(picture, pair.content, pair.style)),
            "halo": float(halo(picture, pair.content, contour_cells=1)),
            "speckle": speckles(picture, pair),
            "moments": metrics.moments_distance(seen, style),
            "wasserstein": metrics.wasserstein_distance(seen, style),
            "seconds": seconds,
            "processor": used,
        }
        if squeezenet is not None:
            ours, theirs = (metrics.mean_and_covariance(squeezenet(rgb)) for rgb in (picture, pair.style))
            figures["frechet"] = metrics.frechet(ours, theirs) / float(theirs[0].square().sum() + theirs[1].trace())
        if seconds < SLOW_S:
            figures |= steadiness(paint, pair, picture)
        rows.append({"painter": name, "pair": pair.name, "size": list(picture.shape[2:]), **figures})
        if name != "photo":
            pictures.append(picture)
    return pictures


def speckles(picture: torch.Tensor, pair: Pair) -> float:
    """How speckled with color a painting is, which neither its photo nor its style is."""
    recolored = transport_colors(pair.content, rgb_moments(pair.content), rgb_moments(pair.style))
    height, width = (min(sides) for sides in zip(picture.shape[2:], recolored.shape[2:], strict=True))
    return float(speckle(picture[:, :, :height, :width], recolored[:, :, :height, :width], pair.style))


def processor_seconds() -> float:
    """Of this process and of those that it has run: what else the computer does slows the clock on the wall."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def steadiness(paint: painters.Painter, pair: Pair, painted: torch.Tensor) -> Row:
    """What happens to a picture that is its own style, and to the same thing seen a little otherwise."""
    own = paint(pair.content, pair.content)
    return {
        "identity": 255 * float((own - pair.content).abs().mean()),
        "warp": 255 * metrics.warp_error(lambda rgb: paint(rgb, pair.style), pair.content, painted),
    }


def summarize(rows: list[Row], names: list[str]) -> str:
    """A markdown table of medians over the pairs; of what a single bad picture is too many, also the worst."""
    worst_of = [f"worst of all: {FIGURES[key]}" for key in WORST]
    lines = [
        "| painter | " + " | ".join([*FIGURES.values(), *worst_of]) + " |",
        "|---" * (len(FIGURES) + len(WORST) + 1) + "|",
    ]
    for name in names:
        own = [row for row in rows if row["painter"] == name]
        cells = [_median([row[key] for row in own if key in row]) for key in FIGURES]
        worst = [f"{max(row[key] for row in own):.2f}" for key in WORST]
        lines.append(f"| {name} | " + " | ".join([*cells, *worst]) + " |")
    n_pairs = len({row["pair"] for row in rows})
    return "\n".join([*lines, "", f"Medians over {n_pairs} pairs.", ""])


def _median(values: list[float]) -> str:
    return f"{statistics.median(values):.3f}" if values else "-"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--photos", type=Path, metavar="DIR", help="content pictures; default: scikit-image's photos")
    parser.add_argument("--art", type=Path, metavar="DIR", help="style pictures; default: made-up ones")
    parser.add_argument(
        "--features", type=Path, required=True, metavar="FILE", help="VGG-19 up to conv3_4, safetensors"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--size", type=int, default=512, metavar="PX", help="longest side")
    parser.add_argument("--seed", type=int, default=0, help="of the pairing")
    parser.add_argument("--held-out", type=int, default=0, metavar="N", help="only art that training left out, 1 in N")
    parser.add_argument("--least", type=int, default=0, metavar="PX", help="only art whose longest side has so many")
    parser.add_argument("--method", default=Settings.method)
    parser.add_argument("--quality", nargs="+", default=["fast"], choices=get_args(Quality), help="steps of the ladder")
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--candidate", type=Path, action="append", default=[], metavar="FILE", help="any-style weights")
    parser.add_argument("--only-candidates", action="store_true", help="leave the shipped weights out")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="folder with microast/*.safetensors")
    parser.add_argument(
        "--wave", type=Path, metavar="FILE", help="lengstrom's network: give --art the Great Wave alone"
    )
    parser.add_argument("--gmic", action="store_true", help="G'MIC's stylize too: the program gmic must be installed")
    parser.add_argument("--squeezenet", type=Path, metavar="FILE", help="SqueezeNet 1.1's features, safetensors")
    parser.add_argument("--sheet-rows", type=int, default=8)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
