"""Train the any-style network: ``impasto train anystyle PHOTOS ART --features VGG19.safetensors -o RUN``.

The run folder holds ``checkpoint.pt`` (everything to go on from, bit for bit), ``log.jsonl``, preview sheets and
the averaged weights as ``anystyle.safetensors``. Source of the objective: Gatys 2016 (Gram matrices), Huang &
Belongie 2017 (channel moments), instance-normalized content after Li 2017.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import time
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.device import choose_device
from engine.errors import WeightsError
from engine.features import Backbone, load_vgg19_file
from engine.networks.anystyle import AnyStyle
from engine.train import objective
from engine.train.data import PictureFolder
from engine.train.preview import save_sheet
from engine.train.textures import Textures

CPU = torch.device("cpu")
WEIGHTS = {
    "content": 1.0,
    "identity": 5.0,
    "variation": 0.1,
    "grid": 5.0,
    "peaks": 4.0,
    "range": 20.0,
}  # the rest is the recipe's

OUTLIER = 4.0  # a batch whose loss is so many times the usual one teaches nothing: its step is left out


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a run, beside the data.

    Args:
        copy_steps: first steps, in which every style is the content itself: encoder and decoder learn to pass a picture
            through the bottleneck, so that recolored features mean something from the first styled step on.
        steps: optimizer steps in all; the learning rate falls linearly to 0 over the last ``decay`` share of them.
        batch: contents a step.
        sharing: contents that share one style, which saves the loss network its most costly pass.
        size_px: side of the content crops.
        style_px: side of the style crops.
        rate: Adam's learning rate.
        decay: share of the steps with falling rate.
        average: factor of the moving average of the weights that is shipped.
        identity: share of steps whose styles are the contents themselves.
        made_up: share of styles that are made-up textures.
        style_weight: weight of the style term against the content term.
        patch_weight: weight of the patch term against the content term.
        seed: of weights and crops.
        is_bf16: autocast to bfloat16 (where the processor has it natively it halves the time).
    """

    copy_steps: int = 400
    steps: int = 20_000
    batch: int = 4
    sharing: int = 2
    size_px: int = 160
    style_px: int = 192
    rate: float = 1.5e-3
    decay: float = 0.3
    average: float = 0.998
    identity: float = 0.04
    made_up: float = 0.1
    style_weight: float = 25.0
    patch_weight: float = 38.0
    seed: int = 0
    is_bf16: bool = True

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: short warm-up, constant, linear fall."""
        left = (self.steps - step) / max(1, self.steps * self.decay)
        return self.rate * min(1.0, (step + 1) / 100, left)


class Training:
    """A run: network, its average, optimizer, random numbers."""

    def __init__(
        self,
        recipe: Recipe,
        backbone: Backbone,
        photos: PictureFolder,
        art: PictureFolder,
        device: torch.device = CPU,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.backbone, self.photos, self.art, self.device = recipe, backbone, photos, art, device
        self.backbone.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net = AnyStyle().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = deepcopy(self.net).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.net.parameters(), recipe.rate, betas=(0.9, 0.99))
        self.textures = Textures()
        self.rng = np.random.default_rng(recipe.seed)
        self.step = 0
        self.typical = float("inf")  # loss of late
        self.hours = 0.0  # of training, over all runs

    def batch(self) -> tuple[Tensor, Tensor]:
        """Contents (B, 3, size_px, size_px) and styles (B / sharing, 3, style_px, style_px)."""
        recipe = self.recipe
        n_styles = recipe.batch // recipe.sharing
        content = [self.photos.crop(self.rng, recipe.size_px, (0.5, 1.0)) for _ in range(recipe.batch)]
        style = [self.style_crop() for _ in range(n_styles)]
        pictures, styles = (
            torch.stack(crops).to(self.device).contiguous(memory_format=torch.channels_last)
            for crops in (content, style)
        )
        return pictures, styles

    def style_crop(self) -> Tensor:
        """A style (3, style_px, style_px): a piece of art, or a texture made up for the occasion."""
        source = self.textures if self.rng.random() < self.recipe.made_up else self.art
        return source.crop(self.rng, self.recipe.style_px, (0.5, 1.0))

    def losses(self, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        """Named loss terms, each (B,)."""
        sharing = self.recipe.sharing
        is_identity = bool(self.rng.random() < self.recipe.identity) or self.step < self.recipe.copy_steps
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.is_bf16):
            if is_identity:
                painted = self.net(content, self.net.encode_style(content))
                return {"identity": objective.picture_distance(painted.float(), content)}
            painted = self.net(content, self.net.encode_style(style).repeat_interleave(sharing, 0))
            seen = objective.pyramid(self.backbone, painted)
            with torch.no_grad():
                style_seen = objective.pyramid(self.backbone, style)
                targets = objective.style_targets(style_seen, sharing)
                content_seen = self.backbone(content, [objective.CONTENT_LAYER])
            patch = objective.patch_loss(seen, style_seen, sharing)
        layer = objective.CONTENT_LAYER
        return {
            "content": objective.content_distance(seen[0][layer], content_seen[layer]),
            "style": objective.style_loss(seen, targets),
            "patch": patch,
            "variation": objective.total_variation(painted.float()),
            "grid": objective.grid_energy(painted.float()),
            "peaks": objective.grid_peaks(painted.float()),
            "range": objective.out_of_range(painted.float()),
        }

    def advance(self) -> dict[str, float]:
        """One optimizer step; the loss terms as numbers."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate_at(self.step)
        terms = self.losses(*self.batch())
        weights = WEIGHTS | {"style": self.recipe.style_weight, "patch": self.recipe.patch_weight}
        loss = objective.weighted_sum(terms, weights)
        self.optimizer.zero_grad(set_to_none=True)
        if self.is_usable(float(loss.detach()), is_copying="identity" in terms):
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimizer.step()
        self.step += 1
        keep = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)
        return {"loss": float(loss.detach()), **{name: float(value.detach().mean()) for name, value in terms.items()}}

    def is_usable(self, loss: float, *, is_copying: bool) -> bool:
        """Whether a batch is to be learned from; keeps track of what is usual for batches that are not mere copies."""
        if is_copying:
            return np.isfinite(loss)
        if not loss < OUTLIER * self.typical:
            return False
        self.typical = loss if self.typical == float("inf") else 0.95 * self.typical + 0.05 * loss
        return True

    def state(self) -> dict[str, object]:
        """Everything to go on from, bit for bit."""
        return {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": json.dumps(self.rng.bit_generator.state),
            "torch_rng": torch.get_rng_state(),
            "step": self.step,
            "typical": self.typical,
            "hours": self.hours,
        }

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = json.loads(state["rng"])
        torch.set_rng_state(state["torch_rng"].cpu())
        self.step, self.typical = state["step"], state.get("typical", float("inf"))
        self.hours = state.get("hours", 0.0)

    def start_from(self, path: Path) -> None:
        """Begin with the weights of an earlier run whose checkpoint is gone; the optimizer begins anew.

        Args:
            path: safetensors, such as the file that ships.

        Raises:
            WeightsError: they are of another network.
        """
        state = {name: value.float() for name, value in load_file(path).items()}
        try:
            self.net.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(f"{path} holds weights of another version of the network.") from error
        self.average.load_state_dict(state)

    def save(self, folder: Path) -> None:
        """Write the checkpoint and the averaged weights; a killed process leaves the former ones."""
        torch.save(self.state(), folder / "checkpoint.tmp")
        os.replace(folder / "checkpoint.tmp", folder / "checkpoint.pt")
        half = {name: value.half().contiguous() for name, value in self.average.state_dict().items()}
        save_file(half, folder / "anystyle.tmp", {"steps": str(self.step), "recipe": json.dumps(asdict(self.recipe))})
        os.replace(folder / "anystyle.tmp", folder / "anystyle.safetensors")

    @torch.no_grad()
    def preview(self, path: Path) -> None:
        """A sheet of fixed contents and styles, painted by the averaged network."""
        rng = np.random.default_rng(1)
        contents = [self.photos.crop(rng, 256, (0.5, 0.8), i) for i in rng.integers(len(self.photos), size=4)]
        styles = [self.art.crop(rng, 256, (0.5, 0.8), i) for i in rng.integers(len(self.art), size=6)]
        codes = [self.average.encode_style(s[None].to(self.device)) for s in styles]
        rows = [[self.average(c[None].to(self.device), code)[0].cpu() for code in codes] for c in contents]
        save_sheet(path, contents, styles, rows)


def run(training: Training, folder: Path, save_every: int = 100, preview_every: int = 500) -> None:
    """Train until the recipe's last step, logging and saving on the way."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe, began, first, hours_before = training.recipe, time.monotonic(), training.step, training.hours
    sums: dict[str, list[float]] = {}
    while training.step < recipe.steps:
        for name, value in training.advance().items():
            sums.setdefault(name, []).append(value)
        if training.step % 20 == 0:
            pace = (time.monotonic() - began) / (training.step - first)
            means = {name: round(sum(values) / len(values), 4) for name, values in sums.items()}
            line = {"step": training.step, "seconds_per_step": round(pace, 3), **means}
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            left_h = pace * (recipe.steps - training.step) / 3600
            print(f"step {training.step}/{recipe.steps}  {left_h:.1f} h left  {means}", flush=True)
            sums = {}
        training.hours = hours_before + (time.monotonic() - began) / 3600
        if training.step % save_every == 0 or training.step == recipe.steps:
            training.save(folder)
        if training.step % preview_every == 0 or training.step == recipe.steps:
            training.preview(folder / f"preview-{training.step:06d}.png")
    write_card(training, folder / "card.md")


def write_card(training: Training, path: Path) -> None:
    """What a reader of the weights should know: data, recipe, commit, hours, the losses of the end."""
    n_parameters = sum(parameter.numel() for parameter in training.net.parameters())
    log = path.parent / "log.jsonl"
    losses = log.read_text("utf-8").splitlines()[-1] if log.exists() else "not logged"
    recipe = ", ".join(f"{name} {value}" for name, value in asdict(training.recipe).items())
    path.write_text(
        f"# anystyle: the any-style network\n\n"
        f"- **What it is**: `engine/networks/anystyle.py`, {n_parameters / 1e6:.1f} M parameters, half precision.\n"
        f"- **Trained on**: {len(training.photos)} content pictures, {len(training.art)} style pictures.\n"
        f"- **How**: `python -m engine.train.anystyle PHOTOS ART --features VGG19.safetensors -o RUN`: {recipe}.\n"
        f"- **Steps**: {training.step}, {training.hours:.1f} hours on {training.device}.\n"
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


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="impasto train anystyle", description="Train the any-style network.")
    parser.add_argument("photos", type=Path, help="folder of content pictures")
    parser.add_argument("art", type=Path, help="folder of style pictures")
    parser.add_argument("--features", type=Path, required=True, help="VGG-19 (prefix) as safetensors")
    parser.add_argument("-o", "--out", type=Path, required=True, help="run folder; an unfinished run in it is resumed")
    parser.add_argument(
        "--start-from", type=Path, metavar="FILE", help="weights to begin with (then --copy-steps 0); not for resuming"
    )
    for name, value in asdict(Recipe()).items():
        if not isinstance(value, bool):
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--float32", action="store_true", help="no bfloat16")
    args = parser.parse_args(argv)
    names = [name for name in asdict(Recipe()) if name != "is_bf16"]
    recipe = Recipe(**{name: getattr(args, name) for name in names}, is_bf16=not args.float32)
    backbone, device = load_vgg19_file(args.features), choose_device(args.device)
    training = Training(recipe, backbone, PictureFolder(args.photos), PictureFolder(args.art), device)
    if (args.out / "checkpoint.pt").exists():
        training.restore(args.out / "checkpoint.pt")
    elif args.start_from is not None:
        training.start_from(args.start_from)
    run(training, args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
