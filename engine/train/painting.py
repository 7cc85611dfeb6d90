"""The training that feed-forward networks of one and of several styles share.

A step paints crops of photos and compares what the feature network sees with the goals of their styles: the survey's
equation (1), W* = argmin E[content + style + total variation].

Source: Johnson 2016 (perceptual losses), Rudin 1992 (total variation). Departs: the style terms are relative and
rooted, at three scales, with a patch term, as for the any-style network; content features are instance-normalized.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine import weights
from engine.features import Backbone
from engine.networks.anystyle import AnyStyle, rgb_moments, transport_colors
from engine.networks.feedforward import KINDS
from engine.train import objective
from engine.train.anystyle import OUTLIER, commit
from engine.train.goal import Goal, patch_loss, targets_of
from engine.train.preview import save_sheet

CPU = torch.device("cpu")
TERMS = ("content", "style", "patch", "variation")
CHOICES = {"kind": KINDS}
FROZEN = 0.6  # share of the steps after which batch normalization keeps its moments: those that use will have


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a run, beside the data.

    Args:
        steps: optimizer steps; the learning rate falls linearly to 0 over the last ``decay`` share of them.
        batch: photos a step.
        size_px: side of their crops, a multiple of 8.
        style_px: longest side at which a style is looked at.
        rate: Adam's learning rate.
        decay: see ``steps``.
        content: weight of the content term at relu3_3.
        style: weight of the style term.
        patch: weight of the patch term.
        variation: weight of total variation.
        seed: of weights and crops.
        is_bf16: autocast to bfloat16 (where the processor has it natively it halves the time).
    """

    steps: int = 400
    batch: int = 2
    size_px: int = 144
    style_px: int = 512
    rate: float = 1e-3
    decay: float = 0.6
    content: float = 1.0
    style: float = 25.0
    patch: float = 30.0
    variation: float = 0.1
    seed: int = 0
    is_bf16: bool = True

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: short warm-up, constant, linear fall."""
        left = (self.steps - step) / max(1, self.steps * self.decay)
        return self.rate * min(1.0, (step + 1) / 50, left)

    @property
    def weights(self) -> dict[str, float]:
        """Of the loss terms."""
        own = {"content": self.content, "style": self.style, "patch": self.patch, "variation": self.variation}
        return own | {"grid": 5.0, "peaks": 4.0, "range": 20.0}


class Pictures(Protocol):
    """Photos to train on. ``PictureFolder`` is one."""

    def __len__(self) -> int: ...

    def crop(
        self, rng: np.random.Generator, size_px: int, zoom: tuple[float, float], index: int | None = None
    ) -> Tensor:
        """A random crop (3, size_px, size_px) in [0, 1]."""


class Training:
    """A run: network, goals, optimizer, random numbers. What a network paints is its subclass's business.

    Args:
        recipe: see there.
        net: to be trained.
        backbone: sees the features.
        photos: to be painted.
        device: where to compute.
    """

    title = ""
    file = ""

    def __init__(
        self,
        recipe: Recipe,
        net: nn.Module,
        backbone: Backbone,
        photos: Pictures,
        device: torch.device = CPU,
    ) -> None:
        layout = torch.channels_last
        self.recipe, self.photos, self.device = recipe, photos, device
        self.backbone = backbone.to(device, memory_format=layout)  # type: ignore[call-overload]
        self.net = net.to(device, memory_format=layout)  # type: ignore[call-overload]
        self.content_layer = "relu3_3"
        self.optimizer = torch.optim.Adam(net.parameters(), recipe.rate, betas=(0.9, 0.99))
        self.rng = np.random.default_rng(recipe.seed)
        self.step, self.hours, self.typical = 0, 0.0, float("inf")

    def draw_goals(self) -> Sequence[Goal]:
        """A goal for each photo of a step."""
        raise NotImplementedError

    def paint(self, photos: Tensor, goals: Sequence[Goal]) -> Tensor:
        """(B, 3, H, W) painted."""
        raise NotImplementedError

    def weights_to_ship(self) -> dict[str, Tensor]:
        """What goes into the file of weights."""
        return dict(self.net.state_dict())

    def batch(self) -> Tensor:
        """(B, 3, size_px, size_px) crops of photos."""
        recipe = self.recipe
        crops = [self.photos.crop(self.rng, recipe.size_px, (0.5, 1.0)) for _ in range(recipe.batch)]
        return torch.stack(crops).to(self.device).contiguous(memory_format=torch.channels_last)

    def losses(self, photos: Tensor, goals: Sequence[Goal]) -> dict[str, Tensor]:
        """Named loss terms, each (B,)."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.is_bf16):
            painted = self.paint(photos, goals)
            layers = (*objective.STYLE_LAYERS, self.content_layer)
            seen = objective.pyramid(self.backbone, painted, layers)
            with torch.no_grad():
                content = self.backbone(photos, [self.content_layer])[self.content_layer]
            patch = patch_loss(seen, goals)
        painted = painted.float()
        return {
            "content": objective.content_distance(seen[0][self.content_layer], content),
            "style": objective.style_loss(seen, targets_of(goals)),
            "patch": patch,
            "variation": objective.total_variation(painted),
            "grid": objective.grid_energy(painted),
            "peaks": objective.grid_peaks(painted),
            "range": objective.out_of_range(painted),
        }

    def advance(self) -> dict[str, float]:
        """One optimizer step; the loss terms as numbers."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate_at(self.step)
        self.set_mode()
        terms = self.losses(self.batch(), self.draw_goals())
        loss = objective.weighted_sum(terms, self.recipe.weights)
        self.optimizer.zero_grad(set_to_none=True)
        if self.is_usable(float(loss.detach())):
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimizer.step()
        self.step += 1
        return {"loss": float(loss.detach()), **{name: float(value.detach().mean()) for name, value in terms.items()}}

    def set_mode(self) -> None:
        """Training mode, but for batch normalization in the last steps."""
        self.net.train()
        if self.step >= FROZEN * self.recipe.steps:
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def is_usable(self, loss: float) -> bool:
        """Whether a batch is to be learned from: not if its loss is many times the usual; keeps track of that."""
        if not loss < OUTLIER * self.typical:
            return False
        self.typical = loss if self.typical == float("inf") else 0.95 * self.typical + 0.05 * loss
        return True

    def state(self) -> dict[str, object]:
        """Everything to go on from, bit for bit."""
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": json.dumps(self.rng.bit_generator.state),
            "step": self.step,
            "typical": self.typical,
            "hours": self.hours,
        }

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = json.loads(state["rng"])
        self.step, self.typical, self.hours = state["step"], state["typical"], state["hours"]

    def save(self, folder: Path) -> None:
        """Write the checkpoint and the weights; a killed process leaves the former ones."""
        torch.save(self.state(), folder / "checkpoint.tmp")
        os.replace(folder / "checkpoint.tmp", folder / "checkpoint.pt")
        state = {name: stored(name, value) for name, value in self.weights_to_ship().items()}
        notes = {"steps": str(self.step), "recipe": json.dumps(asdict(self.recipe))}
        save_file(state, folder / f"{self.file}.tmp", notes)
        os.replace(folder / f"{self.file}.tmp", folder / f"{self.file}.safetensors")

    def shown_goals(self) -> Sequence[Goal]:
        """The goals of a preview sheet's columns."""
        raise NotImplementedError

    @torch.no_grad()
    def preview(self, path: Path) -> None:
        """A sheet of fixed photos in every style."""
        rng = np.random.default_rng(1)
        size_px, goals = 256, self.shown_goals()
        chosen = rng.integers(len(self.photos), size=4)
        photos = [self.photos.crop(rng, size_px, (0.5, 0.8), int(i)) for i in chosen]
        self.net.eval()
        rows = [[self.paint(p[None].to(self.device), [goal])[0].float().cpu() for goal in goals] for p in photos]
        tops = [nn.functional.interpolate(goal.rgb, (size_px, size_px), mode="area")[0].cpu() for goal in goals]
        save_sheet(path, photos, tops, rows)


def stored(name: str, value: Tensor) -> Tensor:
    """Half precision, but for variances (which exceed its range) and counters."""
    is_half = value.is_floating_point() and "running_" not in name
    return (value.half() if is_half else value).detach().cpu().contiguous()


def in_colors(photos: Tensor, colors: Tensor) -> Tensor:
    """(B, 3, H, W) with the colors (B or 1, 12) of their styles, as networks of ours expect them."""
    return transport_colors(photos, rgb_moments(photos), colors.expand(len(photos), -1))


def run(training: Training, folder: Path, save_every: int = 50, preview_every: int = 250) -> None:
    """Train until the recipe's last step, logging and saving on the way."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe, began, first, hours_before = training.recipe, time.monotonic(), training.step, training.hours
    sums: dict[str, list[float]] = {}
    while training.step < recipe.steps:
        for name, value in training.advance().items():
            sums.setdefault(name, []).append(value)
        is_last = training.step == recipe.steps
        training.hours = hours_before + (time.monotonic() - began) / 3600
        if training.step % 10 == 0 or is_last:
            pace = (time.monotonic() - began) / (training.step - first)
            means = {name: round(sum(values) / len(values), 4) for name, values in sums.items()}
            line = {"step": training.step, "seconds_per_step": round(pace, 3), **means}
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            left_min = pace * (recipe.steps - training.step) / 60
            print(f"step {training.step}/{recipe.steps}  {left_min:.0f} min left  {means}", flush=True)
            sums = {}
        if training.step % save_every == 0 or is_last:
            training.save(folder)
        if training.step % preview_every == 0 or is_last:
            training.preview(folder / f"preview-{training.step:06d}.png")
    write_card(training, folder)


def write_card(training: Training, folder: Path) -> None:
    """What a reader of the weights should know: data, recipe, commit, hours, the losses of the end."""
    n_parameters = sum(parameter.numel() for parameter in training.net.parameters())
    log = folder / "log.jsonl"
    losses = log.read_text("utf-8").splitlines()[-1] if log.exists() else "not logged"
    recipe = ", ".join(f"{name} {value}" for name, value in asdict(training.recipe).items())
    (folder / "card.md").write_text(
        f"# {training.file}: {training.title}\n\n"
        f"- **What it is**: {n_parameters / 1e6:.2f} M parameters, half precision.\n"
        f"- **Trained on**: {len(training.photos)} photos.\n"
        f"- **How**: {recipe}.\n"
        f"- **Steps**: {training.step}, {training.hours:.2f} hours on {training.device}.\n"
        f"- **Commit**: {commit()}.\n"
        f"- **Losses of the last steps**: `{losses}`.\n",
        "utf-8",
    )


def load_anystyle() -> AnyStyle:
    """The any-style network that ships.

    Raises:
        WeightsError: missing or damaged.
    """
    net = AnyStyle()
    weights.fill(net, "anystyle")
    return net.requires_grad_(False).eval()


def add_arguments(parser: argparse.ArgumentParser, recipe: Recipe) -> None:
    """The recipe's values (weights of terms as ``--content-weight`` and so on), where to write, where to compute."""
    parser.add_argument("-o", "--out", type=Path, required=True, help="run folder; an unfinished run in it is resumed")
    for name, value in asdict(recipe).items():
        if not isinstance(value, bool):
            option = f"--{name}-weight" if name in TERMS else f"--{name.replace('_', '-')}"
            parser.add_argument(option, dest=name, type=type(value), default=value, choices=CHOICES.get(name))
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--float32", action="store_true", help="no bfloat16")


def chosen(args: argparse.Namespace, recipe: Recipe) -> dict[str, Any]:
    """The recipe's values that were given."""
    names = [name for name, value in asdict(recipe).items() if not isinstance(value, bool)]
    return {name: getattr(args, name) for name in names} | {"is_bf16": not args.float32}


def go_on(training: Training, folder: Path) -> None:
    """Train, from the folder's checkpoint if it has one."""
    if (folder / "checkpoint.pt").exists():
        training.restore(folder / "checkpoint.pt")
        print(f"going on from step {training.step}", flush=True)
    run(training, folder)
