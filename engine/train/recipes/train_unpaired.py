"""Train two networks that translate between two kinds of pictures: ``impasto train unpaired A_DIR B_DIR -o RUN``.

No picture of one kind needs a partner in the other: each network must fool a judge that knows its target kind, and the
two after each other must give back the picture that went in.

Source: Zhu 2017 (CycleGAN: least-squares GAN, cycle and identity terms, a pool of older results for the judges); Kim
2017 (DiscoGAN: cross entropy, reconstruction, feature matching). Departs: compact widths by default, for a CPU; of
DiscoGAN, reconstruction weighs ``cycle`` times as much as published, and the judges look at patches, as CycleGAN's do.

The run folder holds ``checkpoint.pt`` (everything to go on from, bit for bit), ``log.jsonl``, preview sheets, a card,
and ``a_to_b.safetensors`` and ``b_to_a.safetensors``, which the methods take as ``--option model=FILE``.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.device import choose_device
from engine.core.errors import SettingsError
from engine.networks.translators import (
    Generator,
    HourglassGenerator,
    PatchDiscriminator,
    ResnetGenerator,
    init_weights,
)
from engine.train.loop import CPU, Card, Part, Run, run
from engine.train.pictures.folders import PictureFolder, Pictures
from engine.train.preview import save_sheet
from engine.train.recipe import add_arguments, recipe_of

KINDS = ("cyclegan", "discogan")
DISCO_CURRICULUM = 0.1  # share of the steps in which reconstruction hardly counts (Kim 2017's schedule)
DISCO_RECONSTRUCTION = (0.01, 0.5)  # its share of the loss before and after
DISCO_MATCHING = 0.9  # share of feature matching in the adversarial part


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a run, beside the data.

    Args:
        kind: "cyclegan" or "discogan".
        steps: optimizer steps; the rate falls linearly to 0 over the second half, as published.
        batch: pictures of each kind a step; 1 as published for CycleGAN.
        size_px: side of the crops; 256 as published.
        width: channels of the generators' first layer; 64 as published.
        blocks: residual blocks; 6 or 9 as published.
        judge_width: channels of the discriminators' first layer; 64 as published.
        judge_layers: strided layers of the discriminators; 3 = patches of 70 px, as published.
        rate: Adam's learning rate.
        cycle: weight of the way there and back.
        identity: weight of leaving the target's own pictures alone, as a share of ``cycle``.
        pool: older results that judges are shown.
        seed: of weights, crops and pools.
    """

    kind: str = field(default="cyclegan", metadata={"choices": KINDS})
    steps: int = 4000
    batch: int = 1
    size_px: int = 128
    width: int = 24
    blocks: int = 6
    judge_width: int = 24
    judge_layers: int = 3
    rate: float = 2e-4
    cycle: float = 10.0
    identity: float = 0.5
    pool: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"kind must be one of {', '.join(KINDS)}, not {self.kind!r}.")

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        return self.rate * min(1.0, 2 * (1 - step / self.steps))


class Pool:
    """Results of earlier steps, so that a judge does not forget what it has once seen through (Shrivastava 2017).

    Args:
        size: how many it keeps; 0 = only the newest are shown.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: list[Tensor] = []

    def shown(self, results: Tensor, rng: np.random.Generator) -> Tensor:
        """For each of (B, 3, H, W) itself, or, half of the time once the pool is full, an older one, replaced by it."""
        chosen = []
        for result in results.detach():
            if len(self.kept) < self.size:
                self.kept.append(result.clone())
                chosen.append(result)
            elif self.size and rng.random() < 0.5:
                i = int(rng.integers(self.size))
                chosen.append(self.kept[i])
                self.kept[i] = result.clone()
            else:
                chosen.append(result)
        return torch.stack(chosen)

    def state_dict(self) -> list[Tensor]:
        return self.kept

    def load_state_dict(self, state_dict: list[Tensor]) -> None:
        self.kept = state_dict


def generator_of(recipe: Recipe) -> Generator:
    """An untrained generator."""
    if recipe.kind == "discogan":
        network: Generator = HourglassGenerator(recipe.width)
    else:
        network = ResnetGenerator(recipe.width, recipe.blocks, is_resizing=True)
    init_weights(network)
    return network


class Training(Run):
    """A run: two generators, two judges, their optimizers and pools, random numbers."""

    recipe: Recipe

    def __init__(self, recipe: Recipe, a: Pictures, b: Pictures, device: torch.device = CPU) -> None:
        super().__init__(recipe, device)
        torch.manual_seed(recipe.seed)
        self.a, self.b = a, b
        self.to_b, self.to_a = (generator_of(recipe).to(device) for _ in range(2))
        self.judge_a, self.judge_b = (
            PatchDiscriminator(recipe.judge_width, recipe.judge_layers).to(device) for _ in range(2)
        )
        for judge in (self.judge_a, self.judge_b):
            init_weights(judge)
        betas = (0.5, 0.999)
        painters = itertools.chain(self.to_b.parameters(), self.to_a.parameters())
        judges = itertools.chain(self.judge_a.parameters(), self.judge_b.parameters())
        self.painting = torch.optim.Adam(painters, recipe.rate, betas)
        self.judging = torch.optim.Adam(judges, recipe.rate, betas)
        self.pool_a, self.pool_b = Pool(recipe.pool), Pool(recipe.pool)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Crops of both kinds, (B, 3, size_px, size_px)."""
        size_px = self.recipe.size_px
        crops = [
            torch.stack([pictures.crop(self.rng, size_px, (0.5, 1.0)) for _ in range(self.recipe.batch)])
            for pictures in (self.a, self.b)
        ]
        return crops[0].to(self.device), crops[1].to(self.device)

    def painting_terms(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> dict[str, Tensor]:
        """What the generators are to make small, weighted."""
        recipe = self.recipe
        back_a, back_b = self.to_a(fake_b), self.to_b(fake_a)
        if recipe.kind == "discogan":
            share = DISCO_RECONSTRUCTION[self.step >= DISCO_CURRICULUM * recipe.steps]
            fooling = cross_entropy(self.judge_b(fake_b), 1.0) + cross_entropy(self.judge_a(fake_a), 1.0)
            matching = feature_matching(self.judge_b, b, fake_b) + feature_matching(self.judge_a, a, fake_a)
            return {
                "fooling": (1 - share) * (1 - DISCO_MATCHING) * fooling,
                "matching": (1 - share) * DISCO_MATCHING * matching,
                "cycle": share * recipe.cycle * (F.mse_loss(back_a, a) + F.mse_loss(back_b, b)),
            }
        terms = {
            "fooling": (self.judge_b(fake_b) - 1).square().mean() + (self.judge_a(fake_a) - 1).square().mean(),
            "cycle": 2 * recipe.cycle * ((back_a - a).abs().mean() + (back_b - b).abs().mean()),
        }  # published on [-1, 1], where an L1 distance is twice that of [0, 1]
        if recipe.identity > 0:
            own = (self.to_b(b) - b).abs().mean() + (self.to_a(a) - a).abs().mean()
            terms["identity"] = 2 * recipe.identity * recipe.cycle * own
        return terms

    def judging_terms(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> Tensor:
        """What the judges are to make small."""
        shown_a, shown_b = self.pool_a.shown(fake_a, self.rng), self.pool_b.shown(fake_b, self.rng)
        terms = []
        for judge, real, fake in ((self.judge_a, a, shown_a), (self.judge_b, b, shown_b)):
            if self.recipe.kind == "discogan":
                terms.append((cross_entropy(judge(real), 1.0) + cross_entropy(judge(fake), 0.0)) / 2)
            else:
                terms.append(((judge(real) - 1).square().mean() + judge(fake).square().mean()) / 2)
        return torch.stack(terms).sum()

    def advance(self) -> dict[str, float]:
        """One step of generators and judges; the loss terms as numbers."""
        for optimizer in (self.painting, self.judging):
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.rate_at(self.step)
        a, b = self.batch()
        fake_b, fake_a = self.to_b(a), self.to_a(b)
        for judge in (self.judge_a, self.judge_b):
            judge.requires_grad_(False)
        terms = self.painting_terms(a, b, fake_a, fake_b)
        self.painting.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        self.painting.step()
        for judge in (self.judge_a, self.judge_b):
            judge.requires_grad_(True)
        judged = self.judging_terms(a, b, fake_a, fake_b)
        self.judging.zero_grad(set_to_none=True)
        judged.backward()
        self.judging.step()
        self.step += 1
        return {name: float(value.detach()) for name, value in (terms | {"judging": judged}).items()}

    def parts(self) -> Mapping[str, Part]:
        return {
            "to_b": self.to_b,
            "to_a": self.to_a,
            "judge_a": self.judge_a,
            "judge_b": self.judge_b,
            "painting": self.painting,
            "judging": self.judging,
            "pool_a": self.pool_a,
            "pool_b": self.pool_b,
        }

    def shipped(self) -> dict[str, dict[str, Tensor]]:
        return {"a_to_b": self.to_b.state_dict(), "b_to_a": self.to_a.state_dict()}

    @torch.no_grad()
    def preview(self, path: Path) -> None:
        """A sheet: pictures of A, translated, back again; then the same from B."""
        rng = np.random.default_rng(1)
        firsts, rows = [], []
        for pictures, there, back in ((self.a, self.to_b, self.to_a), (self.b, self.to_a, self.to_b)):
            for _ in range(3):
                rgb = pictures.crop(rng, self.recipe.size_px, (0.5, 1.0)).to(self.device)[None]
                translated = there(rgb)
                firsts.append(rgb[0].cpu())
                rows.append([translated[0].cpu(), back(translated)[0].cpu()])
        save_sheet(path, firsts, [torch.ones_like(firsts[0])] * 2, rows)

    def card(self) -> Card:
        return Card(
            f"{self.recipe.kind}: translation between two kinds of pictures",
            "a generator of `engine/networks/translators.py` for each direction, half precision",
            f"{len(self.a)} pictures of A, {len(self.b)} of B, without pairs",
            "unpaired A_DIR B_DIR -o RUN",
        )


def cross_entropy(scores: Tensor, wanted: float) -> Tensor:
    """Of a judge's scores, all of which should say ``wanted``."""
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, wanted))


def feature_matching(judge: PatchDiscriminator, real: Tensor, fake: Tensor) -> Tensor:
    """Squared distance between the mean activations of a judge for real and for painted pictures."""
    pairs = zip(judge.layers_seen(real), judge.layers_seen(fake), strict=True)
    return torch.stack([(r.mean(0) - f.mean(0)).square().mean() for r, f in pairs]).sum()


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="impasto train unpaired", description="Train networks that translate between two kinds of pictures."
    )
    parser.add_argument("a", type=Path, help="folder of pictures of one kind")
    parser.add_argument("b", type=Path, help="folder of pictures of the other kind")
    add_arguments(parser, Recipe)
    args = parser.parse_args(argv)
    recipe = recipe_of(args, Recipe)
    folders = [PictureFolder(path, min_side_px=min(200, recipe.size_px)) for path in (args.a, args.b)]
    training = Training(recipe, folders[0], folders[1], choose_device(args.device))
    training.resume(args.out)
    run(training, args.out, save_every=200, preview_every=1000)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
