"""Networks of one style and of several beside an optimization in the same style.

How much of the style distance that 200 iterations of ``gatys`` close does one pass of a trained network close, on
photos that it has not seen? All at one size, photo and style; distances as in ``benchmarks.metrics``. The optimization
takes minutes a picture, so it runs on few photos of few styles; its results are kept in ``reference.json`` of the
output folder and used again. Where it was not run, the share is of all of the distance, which is a lower bound.

``python -m benchmarks.feedforward PHOTOS STYLES --features VGG19.safetensors -o OUT`` with STYLES a folder of NAME.jpg;
``--johnson NAME`` and ``--ulyanov NAME`` say which style the shipped networks of one style paint.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.metrics import Looks, content_distance, grid_peak, look, patch_distance, style_closed
from benchmarks.pairs import load_sized
from benchmarks.report import save_report
from benchmarks.sheet import Sheet
from engine.core.types import Picture, Settings, Style
from engine.features.backbone import Backbone
from engine.features.backbones import load_backbone
from engine.files import READABLE_SUFFIXES
from engine.pipeline.stylize import stylize

ITERATIONS = 200
N_PATCHES = 512
FIGURES = ("closed", "content", "patch", "grid", "seconds")


@dataclass(frozen=True, eq=False)
class Bench:
    """What every measurement needs.

    Args:
        backbone: sees features.
        features: its file, for ``gatys``.
        size_px: longest side of photos and styles.
        photos: (1, 3, H, W) by name, and what is seen in each.
    """

    backbone: Backbone
    features: str
    size_px: int
    photos: dict[str, tuple[Tensor, Looks]]

    def measure(self, name: str, style: Tensor, seen: Looks, method: str, options: dict[str, str | int]) -> Any:
        """Paint a photo and look at it: figures by name, and the painting."""
        photo, photo_seen = self.photos[name]
        settings = Settings(method=method, style_size_px=self.size_px, backbone=self.features, options=options)
        began = time.perf_counter()
        painted = stylize(Picture(photo[0]), [Style("style", Picture(style[0]))], settings).picture.rgb[None]
        seconds = time.perf_counter() - began
        result = look(self.backbone, painted)
        figures = (
            style_closed(result, photo_seen, seen),
            content_distance(result, photo_seen),
            patch_distance(result, seen, N_PATCHES),
            grid_peak(painted),
            seconds,
        )
        return dict(zip(FIGURES, figures, strict=True)), painted


def reference(bench: Bench, style_name: str, style: Tensor, seen: Looks, n_wanted: int, folder: Path) -> list[float]:
    """What ``gatys`` closes on the first photos; taken from the folder's notes where it is there."""
    names = list(bench.photos)
    path = folder / "reference.json"
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for name in names[:n_wanted]:
        key = f"{style_name}/{name}/{bench.size_px}"
        if key not in known:
            figures, _ = bench.measure(name, style, seen, "gatys", {"iterations": ITERATIONS})
            known[key] = figures
            path.write_text(json.dumps(known, indent=1), "utf-8")
            print(f"gatys {key}: {figures}", flush=True)
    keys = [f"{style_name}/{name}/{bench.size_px}" for name in names]
    return [known[key]["closed"] for key in keys if key in known]


def row_of(method: str, style: str, figures: list[dict[str, float]], wanted: list[float]) -> dict[str, Any]:
    """One line of the table: medians, and the share of what ``gatys`` closes."""
    medians = {name: statistics.median(f[name] for f in figures) for name in FIGURES}
    by_gatys = statistics.median(wanted) if wanted else None
    return {
        "method": method,
        "style": style,
        **medians,
        "gatys": by_gatys,
        "share": medians["closed"] / (by_gatys or 1),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    head = ("method", "style", "closed", "gatys", "share", "content", "patch", "grid", "seconds")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [
        "| " + " | ".join(f"{r[h]:.3f}" if isinstance(r[h], float) else r[h] or "" for h in head) + " |" for r in rows
    ]
    return "\n".join(lines)


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure every network in each of its styles."""
    args.out.mkdir(parents=True, exist_ok=True)
    backbone = load_backbone(args.features)
    paths = sorted(p for p in args.photos.iterdir() if p.suffix.lower() in READABLE_SUFFIXES)
    paths = paths[:: max(1, len(paths) // args.n_photos)][: args.n_photos]
    pictures = {path.stem: load_sized(path, args.size) for path in paths}
    bench = Bench(backbone, args.features, args.size, {n: (rgb, look(backbone, rgb)) for n, rgb in pictures.items()})
    names = list(pictures)
    rows = []
    shown = names[:: max(1, len(names) // 4)][:4]
    for path in sorted(p for p in args.styles.iterdir() if p.suffix.lower() in READABLE_SUFFIXES):
        style = load_sized(path, args.size)
        seen = look(backbone, style)
        wanted = reference(bench, path.stem, style, seen, args.n_reference, args.out)
        if args.only_reference:
            continue
        for method in ("johnson", "ulyanov", "msgnet"):
            if method != "msgnet" and getattr(args, method) != path.stem:
                continue
            measured = {name: bench.measure(name, style, seen, method, {}) for name in names}
            rows.append(row_of(method, path.stem, [figures for figures, _ in measured.values()], wanted))
            sheet = Sheet([path.stem, *shown])
            sheet.add_row([style, *(measured[name][1] for name in shown)])
            sheet.save(args.out / f"{method}-{path.stem}.png")
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    return rows


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure networks of one and of several styles beside gatys.")
    parser.add_argument("photos", type=Path, help="folder of photos not used in training")
    parser.add_argument("styles", type=Path, help="folder of style pictures, NAME.jpg")
    parser.add_argument("--features", required=True, help="VGG-19 (prefix) as safetensors")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--n-photos", type=int, default=20)
    parser.add_argument("--n-reference", type=int, default=1, help="photos of each style that gatys paints too")
    parser.add_argument("--only-reference", action="store_true", help="only run gatys, and note what it closes")
    parser.add_argument("--johnson", default="", help="the style of the shipped network")
    parser.add_argument("--ulyanov", default="", help="the style of the shipped network")
    args = parser.parse_args(argv)
    with torch.inference_mode(False):
        rows = run(args)
    save_report(args.out, "feedforward", rows, table(rows) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
