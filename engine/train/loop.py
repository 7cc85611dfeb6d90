"""What all trainings share: they log, save, go on where they were stopped, and leave a card.

A trainer is a ``Run``: it says what a step is, which parts it consists of and what ships. ``run`` drives it and fills
the run folder: ``checkpoint.pt`` (everything to go on from, bit for bit), ``log.jsonl``, preview sheets, the weights as
safetensors, ``card.md``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.train.recipe import AnyRecipe, told

CPU = torch.device("cpu")
CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"
OUTLIER = 4.0  # a batch whose loss is so many times the usual one teaches nothing: its step is left out


class Part(Protocol):
    """A piece of a checkpoint: a network, an optimizer, anything that can tell its state and take it back."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state_dict: Any, /) -> Any: ...


@dataclass(frozen=True)
class Card:
    """What a reader of the weights should know, beside recipe, commit, hours and losses.

    Args:
        title: name of the weights: what they are for.
        what: where the network is defined, how large it is.
        data: what it was trained on.
        command: words after ``python -m engine.train.recipes.train_``.
    """

    title: str
    what: str
    data: str
    command: str


class Run(ABC):
    """A training that can stop and go on.

    Args:
        recipe: how; subclasses narrow its type.
        device: where to compute.
    """

    def __init__(self, recipe: AnyRecipe, device: torch.device = CPU) -> None:
        self.recipe, self.device = recipe, device
        self.rng = np.random.default_rng(recipe.seed)
        self.step = 0
        self.hours = 0.0  # of training, over all sittings

    @abstractmethod
    def advance(self) -> dict[str, float]:
        """One optimizer step, counted in ``step``; the loss terms as numbers."""

    @abstractmethod
    def parts(self) -> Mapping[str, Part]:
        """All that changes from step to step beside ``rng``, ``step`` and ``hours``, by its name in the checkpoint."""

    @abstractmethod
    def shipped(self) -> dict[str, dict[str, Tensor]]:
        """The weights to keep: name of the file -> state dict."""

    @abstractmethod
    def preview(self, path: Path) -> None:
        """Write a sheet that shows the progress, the same pictures each time; draws nothing from ``rng``."""

    @abstractmethod
    def card(self) -> Card:
        """What the card says of this training alone."""

    def save(self, folder: Path) -> None:
        """Write the checkpoint and the weights; a killed process leaves the former ones."""
        state = {name: part.state_dict() for name, part in self.parts().items()}
        state |= {"rng": json.dumps(self.rng.bit_generator.state), "step": self.step, "hours": self.hours}
        with replacing(folder / CHECKPOINT) as path:
            torch.save(state, path)
        notes = {"steps": str(self.step), "recipe": json.dumps(asdict(self.recipe))}
        for name, tensors in self.shipped().items():
            with replacing(folder / f"{name}.safetensors") as path:
                save_file(as_stored(tensors), path, notes)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.rng.bit_generator.state = json.loads(state["rng"])
        self.step, self.hours = state["step"], state["hours"]

    def resume(self, folder: Path) -> bool:
        """Go on from the folder's checkpoint; whether it has one."""
        path = folder / CHECKPOINT
        if path.exists():
            self.restore(path)
            print(f"going on from step {self.step}", flush=True)
        return path.exists()


def run(training: Run, folder: Path, *, log_every: int = 20, save_every: int = 100, preview_every: int = 500) -> None:
    """Train until the recipe's last step, which is always logged, saved and shown; then write the card.

    Args:
        training: begins at its ``step``.
        folder: made where it is missing.
        log_every: so many steps are one line of the log, as means.
        save_every: steps from checkpoint to checkpoint.
        preview_every: steps from sheet to sheet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    n_steps, first, hours_before, began = training.recipe.steps, training.step, training.hours, time.monotonic()
    seen: defaultdict[str, list[float]] = defaultdict(list)
    while training.step < n_steps:
        for name, value in training.advance().items():
            seen[name].append(value)
        step, is_last, elapsed_s = training.step, training.step == n_steps, time.monotonic() - began
        training.hours = hours_before + elapsed_s / 3600
        if step % log_every == 0 or is_last:
            pace_s = elapsed_s / (step - first)
            means = {name: round(sum(values) / len(values), 4) for name, values in seen.items()}
            seen.clear()
            with (folder / LOG).open("a", encoding="utf-8") as log:
                log.write(json.dumps({"step": step, "seconds_per_step": round(pace_s, 3), **means}) + "\n")
            print(f"step {step}/{n_steps}  {pace_s * (n_steps - step) / 60:.0f} min left  {means}", flush=True)
        if step % save_every == 0 or is_last:
            training.save(folder)
        if step % preview_every == 0 or is_last:
            training.preview(folder / f"preview-{step:06d}.png")
    write_card(training, folder)


def write_card(training: Run, folder: Path) -> None:
    """Write ``card.md``: what the weights are, and how they came to be."""
    card, log = training.card(), folder / LOG
    losses = log.read_text("utf-8").splitlines()[-1] if log.exists() else "not logged"
    (folder / "card.md").write_text(
        f"# {card.title}\n\n"
        f"- **What it is**: {card.what}.\n"
        f"- **Trained on**: {card.data}.\n"
        f"- **How**: `python -m engine.train.recipes.train_{card.command}`: {told(training.recipe)}.\n"
        f"- **Steps**: {training.step}, {training.hours:.2f} hours on {training.device}.\n"
        f"- **Commit**: {commit()}.\n"
        f"- **Losses of the last steps**: `{losses}`.\n",
        "utf-8",
    )


def commit() -> str:
    """The checkout's commit, or "unknown"."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def size_of(net: nn.Module) -> str:
    """Number of parameters, as a card has it."""
    return f"{sum(parameter.numel() for parameter in net.parameters()) / 1e6:.2f} M parameters, half precision"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside ``path``, which takes its place once it is whole."""
    temporary = path.with_suffix(".tmp")
    yield temporary
    os.replace(temporary, path)


def as_stored(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Half precision, but for running statistics (variances exceed its range) and counters."""

    def stored(name: str, value: Tensor) -> Tensor:
        is_half = value.is_floating_point() and "running_" not in name
        return (value.half() if is_half else value).detach().cpu().contiguous()

    return {name: stored(name, value) for name, value in state.items()}


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, keep: float, step: int) -> None:
    """Move a moving average of weights one step on.

    Args:
        average: changed; of the same class as ``net``.
        net: its parameters are averaged, its buffers are not.
        keep: share of the former average in the new one, after the first steps.
        step: steps that ``net`` has made; the first ones keep less, or random weights would stay for long.
    """
    keep = min(keep, (1 + step) / (10 + step))
    for mean, value in zip(average.parameters(), net.parameters(), strict=True):
        mean.lerp_(value, 1 - keep)


class Usual:
    """The loss of late, against which batches show that teach nothing. A ``Part``: its state is that number."""

    def __init__(self) -> None:
        self.loss = float("inf")  # none seen

    def takes(self, loss: float) -> bool:
        """Whether a batch is to be learned from: not if its loss is many times the usual, or no number."""
        if not loss < OUTLIER * self.loss:
            return False
        self.loss = loss if self.loss == float("inf") else 0.95 * self.loss + 0.05 * loss
        return True

    def state_dict(self) -> float:
        return self.loss

    def load_state_dict(self, state_dict: float) -> None:
        self.loss = state_dict


class TorchRandom:
    """The process's own random numbers, from which dropout draws. A ``Part``."""

    def state_dict(self) -> Tensor:
        return torch.get_rng_state()

    def load_state_dict(self, state_dict: Tensor) -> None:
        torch.set_rng_state(state_dict.cpu())
