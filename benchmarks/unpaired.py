"""Does training without pairs translate? Two kinds of rendered pictures, a judge that never saw the networks.

A: discs and boxes with horizontal stripes in warm colors; B: with vertical stripes in cool ones. A network is trained
on pictures of both, none of which has a partner. A small classifier, trained on other pictures of A and B, then says
how many translated pictures look like the target; a second one sees only lightness, so that color alone does not win.

``python -m benchmarks.unpaired -o OUT [--kind discogan] [--steps N]`` writes ``unpaired.json`` and a sheet.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.report import save_report
from engine.color import tone
from engine.networks.translators import Generator
from engine.train.preview import save_sheet
from engine.train.recipes.train_unpaired import Recipe, Training

SIZE_PX = 64
RECIPES = {
    "cyclegan": Recipe(
        kind="cyclegan", steps=1000, batch=2, size_px=SIZE_PX, width=12, blocks=3, judge_width=16, judge_layers=2,
        rate=1e-3, identity=0.1,
    ),
    "discogan": Recipe(
        kind="discogan", steps=2500, batch=8, size_px=SIZE_PX, width=24, judge_width=16, judge_layers=2, rate=1e-3,
        cycle=40.0,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Shapes:
    """One kind of rendered pictures: an endless folder.

    Args:
        is_b: vertical stripes in cool colors instead of horizontal ones in warm colors.
    """

    is_b: bool

    def __len__(self) -> int:
        return 1 << 20

    def crop(
        self, rng: np.random.Generator, size_px: int, _zoom: tuple[float, float] = (1, 1), _index: int | None = None
    ) -> Tensor:
        """A new picture (3, size_px, size_px)."""
        y, x = np.meshgrid(np.arange(size_px), np.arange(size_px), indexing="ij")
        slope = rng.uniform(-0.15, 0.15, 2)
        gray = rng.uniform(0.35, 0.65) + slope[0] * (x / size_px - 0.5) + slope[1] * (y / size_px - 0.5)
        rgb = np.repeat(gray[None], 3, 0)
        for _ in range(int(rng.integers(2, 4))):
            color = rng.uniform([0.7, 0.2, 0.0], [1.0, 0.55, 0.2])
            color = color[::-1] if self.is_b else color
            center, radius = rng.uniform(0.2, 0.8, 2) * size_px, rng.uniform(0.14, 0.28) * size_px
            apart = np.stack([y - center[0], x - center[1]])
            inside = (np.hypot(*apart) if rng.random() < 0.5 else np.abs(apart).max(0)) < radius
            wave = np.sin((x if self.is_b else y) * 2 * np.pi / 8 + rng.uniform(0, 2 * np.pi))
            painted = color[:, None, None] * (0.75 + 0.25 * wave)
            rgb = np.where(inside, painted, rgb)
        return torch.from_numpy(rgb.clip(0, 1).astype(np.float32))


def luma(rgb: Tensor) -> Tensor:
    """(B, 3, H, W) without color, its mean and contrast taken away: only texture is left."""
    gray = tone.luma(rgb)
    gray = gray - F.avg_pool2d(F.pad(gray, (8, 8, 8, 8), mode="reflect"), 17, 1)
    return (gray / gray.std((2, 3), keepdim=True).clamp_min(1e-3)).expand(-1, 3, -1, -1)


def draw(pictures: Shapes, rng: np.random.Generator, n: int) -> Tensor:
    """(n, 3, H, W)."""
    return torch.stack([pictures.crop(rng, SIZE_PX) for _ in range(n)])


@torch.enable_grad()
def train_classifier(seed: int, *, is_gray: bool, n_steps: int = 200) -> nn.Module:
    """A network that tells B (above 0) from A, trained on pictures of its own."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    layers: list[nn.Module] = []
    for n_in, n_out in ((3, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(n_in, n_out, 3, 2, 1), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(n_steps):
        rgb = torch.cat([draw(Shapes(is_b=False), rng, 8), draw(Shapes(is_b=True), rng, 8)])
        wanted = torch.cat([torch.zeros(8, 1), torch.ones(8, 1)])
        loss = F.binary_cross_entropy_with_logits(network(luma(rgb) if is_gray else rgb), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.requires_grad_(False)


@torch.no_grad()
def evaluate(to_b: Generator, to_a: Generator, n: int = 100) -> dict[str, float]:
    """Shares of pictures that classifiers call by the kind they should be, and the mean cycle distance."""
    rng = np.random.default_rng(99)
    a, b = draw(Shapes(is_b=False), rng, n), draw(Shapes(is_b=True), rng, n)
    fake_b, fake_a = to_b(a).clamp(0, 1), to_a(b).clamp(0, 1)
    figures = {
        "cycle L1": float(((to_a(fake_b) - a).abs().mean() + (to_b(fake_a) - b).abs().mean()) / 2),
        "moved": float(((fake_b - a).abs().mean() + (fake_a - b).abs().mean()) / 2),
    }
    for name, is_gray in (("color", False), ("texture", True)):
        judge = train_classifier(7, is_gray=is_gray)

        def is_b(rgb: Tensor, judge: nn.Module = judge, is_gray: bool = is_gray) -> Tensor:
            return judge(luma(rgb) if is_gray else rgb) > 0

        figures[f"{name}: real pictures told"] = float((is_b(b).float().mean() + 1 - is_b(a).float().mean()) / 2)
        figures[f"{name}: A to B called B"] = float(is_b(fake_b).float().mean())
        figures[f"{name}: B to A called A"] = float(1 - is_b(fake_a).float().mean())
    return figures


def translate_shapes(recipe: Recipe) -> Training:
    """Train on the two kinds."""
    training = Training(recipe, Shapes(is_b=False), Shapes(is_b=True))
    began = time.monotonic()
    while training.step < recipe.steps:
        terms = training.advance()
        if training.step % 100 == 0:
            shown = {name: round(value, 3) for name, value in terms.items()}
            print(f"step {training.step}/{recipe.steps}  {time.monotonic() - began:.0f} s  {shown}", flush=True)
    for network in (training.to_a, training.to_b):
        network.eval()
    return training


@torch.no_grad()
def save_samples(training: Training, path: Path) -> None:
    """A sheet: each picture, translated, and back again; three of A, three of B."""
    rng = np.random.default_rng(5)
    firsts, rows = [], []
    for is_b, there, back in ((False, training.to_b, training.to_a), (True, training.to_a, training.to_b)):
        for rgb in draw(Shapes(is_b=is_b), rng, 3):
            translated = there(rgb[None])
            firsts.append(rgb)
            rows.append([translated[0], back(translated)[0]])
    save_sheet(path, firsts, [torch.ones_like(firsts[0])] * 2, rows)


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Translation without pairs on two kinds of rendered pictures.")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--kind", choices=sorted(RECIPES), default="cyclegan")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    args = parser.parse_args(argv)
    recipe = RECIPES[args.kind]
    if args.steps:
        recipe = Recipe(**{**vars(recipe), "steps": args.steps})
    args.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    training = translate_shapes(recipe)
    minutes = (time.monotonic() - began) / 60
    training.save(args.out)
    save_samples(training, args.out / f"unpaired-{args.kind}.png")
    figures = evaluate(training.to_b, training.to_a) | {"minutes": minutes}
    save_report(args.out, f"unpaired-{args.kind}", figures)
    for name, value in figures.items():
        print(f"{name:32} {value:.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
