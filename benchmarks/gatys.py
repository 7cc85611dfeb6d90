"""Painting by optimization in figures: ``python -m benchmarks.gatys --features VGG19.safetensors --style FILE -o DIR``.

Three questions, each answered in a process of its own. How near does it come to the style (the relative Gram distance
of ``benchmarks.metrics``, of the content's own)? What does it take beside as many plain iterations: one forward pass of
the same network at full size, Gram matrices of the same layers, one backward pass, one step of Adam, and nothing else?
How much memory does a large picture need? Writes gatys.json and gatys.png (photo, style, painting).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import memory
from benchmarks.metrics import gram, look, style_distance
from benchmarks.pairs import load_sized
from benchmarks.report import save_report
from benchmarks.sheet import Sheet
from engine.compute.threads import wait_briefly
from engine.core.types import Picture, Settings, Style
from engine.descent.style_loss import CONTENT_LAYERS, STYLE_LAYERS
from engine.features.backbone import Backbone
from engine.features.backbones import load_backbone
from engine.pipeline.stylize import stylize

SIDE_PX, LARGE_PX, N_ITERATIONS, N_LARGE = 512, 1024, 200, 6
QUESTIONS = ("quality", "plain", "memory")


def main(argv: list[str] | None = None) -> int:
    """The command.

    Returns:
        0 done, else the status of the process that failed.
    """
    wait_briefly()  # as the product does
    words = sys.argv[1:] if argv is None else argv
    options = _parser().parse_args(words)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.ask:
        print(json.dumps(ask(options)))
        return 0
    figures: dict[str, Any] = {"size_px": options.size, "iterations": options.iterations}
    for question in options.only or QUESTIONS:
        command = [sys.executable, "-m", "benchmarks.gatys", *words, "--ask", question]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            return done.returncode
        figures[question] = json.loads(done.stdout.splitlines()[-1])
        print(question, figures[question], flush=True)
    save_report(options.out, "gatys", figures)
    return 0


def ask(options: argparse.Namespace) -> dict[str, float]:
    """One of the questions, in this process."""
    size_px = options.large if options.ask == "memory" else options.size
    content, style = (picture_at(path, size_px) for path in (options.content, options.style))
    backbone = load_backbone(str(options.features))
    if options.ask == "plain":
        return plain_loop(backbone, content, style, options.plain_iterations)
    n_iterations = N_LARGE if options.ask == "memory" else options.iterations
    settings = Settings(method="gatys", backbone=str(options.features), options={"iterations": n_iterations})
    idle_bytes = memory.resident_bytes()
    memory.reset_peak()
    began, began_cpu = time.perf_counter(), time.process_time()
    painted = stylize(Picture(content[0]), [Style("style", Picture(style[0]))], settings).picture.rgb[None]
    figures = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - began_cpu,
        "extra_bytes": memory.peak_bytes() - idle_bytes,
        "peak_bytes": memory.peak_bytes(),
    }
    if options.ask == "quality":
        wanted = look(backbone, style)
        before, after = (style_distance(look(backbone, x), wanted) for x in (content, painted))
        figures |= {"distance of the content": before, "distance": after, "share left": after / before}
        sheet = Sheet(["photo", "style", f"gatys, {n_iterations} iterations"], options.cell)
        sheet.add_row([content, style, painted])
        sheet.save(options.out / "gatys.png")
    return figures


def picture_at(path: Path | None, size_px: int) -> Tensor:
    """A file, or scikit-image's portrait, with its longest side at ``size_px``: (1, 3, H, W)."""
    if path is not None:
        return load_sized(path, size_px)
    from skimage import data  # noqa: PLC0415

    rgb = torch.from_numpy(data.astronaut()).permute(2, 0, 1).float()[None] / 255
    return torch.nn.functional.interpolate(rgb, (size_px, size_px), mode="bicubic", antialias=True).clamp(0, 1)


def plain_loop(backbone: Backbone, content: Tensor, style: Tensor, n_iterations: int) -> dict[str, float]:
    """Nothing but what an iteration cannot do without."""
    layers = tuple(layer for layer in STYLE_LAYERS if layer in backbone.layers)
    content_layer = next(layer for layer in CONTENT_LAYERS if layer in backbone.layers)
    with torch.no_grad():
        wanted = {name: gram(x) for name, x in backbone(style, layers).items()}
        kept = backbone(content, (content_layer,))[content_layer]
    pixels = content.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([pixels], 0.02)
    began, began_cpu = time.perf_counter(), time.process_time()
    for _ in range(n_iterations):
        optimizer.zero_grad()
        seen = backbone(pixels, (*layers, content_layer))
        terms = [((gram(seen[name]) - wanted[name]).square().sum() / wanted[name].square().sum()) for name in layers]
        (torch.stack(terms).sum() + (seen[content_layer] - kept).square().mean() / kept.square().mean()).backward()
        optimizer.step()
    return {
        "iterations": n_iterations,
        "seconds an iteration": (time.perf_counter() - began) / n_iterations,
        "cpu_seconds an iteration": (time.process_time() - began_cpu) / n_iterations,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gatys", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--features", type=Path, required=True, metavar="FILE", help="VGG-19's weights, or a prefix")
    parser.add_argument("--content", type=Path, metavar="FILE", help="default: scikit-image's portrait")
    parser.add_argument("--style", type=Path, required=True, metavar="FILE")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--size", type=int, default=SIDE_PX, metavar="PX")
    parser.add_argument("--large", type=int, default=LARGE_PX, metavar="PX", help="of the picture that needs memory")
    parser.add_argument("--iterations", type=int, default=N_ITERATIONS, metavar="N")
    parser.add_argument("--plain-iterations", type=int, default=20, metavar="N", help="of the plain loop")
    parser.add_argument("--only", action="append", choices=QUESTIONS, help="default: all three")
    parser.add_argument("--cell", type=int, default=512, metavar="PX", help="size of a picture in the sheet")
    parser.add_argument("--ask", choices=QUESTIONS, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
