"""Distil the deep embedded feature network from VGG-16.

    python -m engine.train.recipes.train_deep PICTURES --features VGG16.safetensors -o FILE

It goes on from its checkpoint beside FILE. ``--measure`` prints how the features of FILE correlate with the teacher's
on the pictures that are held out.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.features.backbone import Backbone
from engine.features.embedded import DEEP_LAYERS, Deep
from engine.features.vgg import Vgg16
from engine.models import shipped
from engine.train.loop import replacing
from engine.train.losses.objective import gram
from engine.train.muon import Steepest
from engine.train.pictures.folders import SUFFIXES, PictureFolder, is_held_out, read_upright
from engine.train.pruning import start_from

HELD_OUT = 20  # one picture in so many is for measuring
GRAM_SHARE = 0.1  # of the loss beside the features' own
ZOOM = (0.35, 1.0)  # of a picture's own pixels: large things small as well
MEASURED_PX = 384
USUAL = ("convs.relu1_1.weight",)  # Adam's: the filters next to the pixels


def distances(student: dict[str, Tensor], teacher: dict[str, Tensor]) -> dict[str, Tensor]:
    """Per layer the squared distance of the features, as a share of the teacher's variance, and that of their Gram
    matrices (scalars).

    The variance is about each channel's own mean: what a layer has everywhere is no achievement.
    """
    terms = {}
    for name, target in teacher.items():
        wanted, found = target.float(), student[name].float()  # (B, C, H, W)
        spread = (wanted - wanted.mean((0, 2, 3), keepdim=True)).square().mean()
        terms[name] = (found - wanted).square().mean() / spread
        g_wanted, g_found = gram(wanted), gram(found)
        terms[f"gram {name}"] = ((g_found - g_wanted).square().sum() / g_wanted.square().sum() + 1e-6).sqrt()
    return terms


def rate_at(step: int, steps: int, rate: float) -> float:
    """A short rise, then half a cosine down to a hundredth."""
    rise = min(1.0, step / (0.03 * steps))
    return rate * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))


class Distillation:
    """A student on its way.

    Args:
        teacher: answers for the student's layers.
        pictures: what both look at.
        recipe: "steps", "batch", "size_px", "rate", "seed".
    """

    def __init__(self, teacher: Vgg16, pictures: list[PictureFolder], recipe: dict[str, Any]) -> None:
        torch.manual_seed(recipe["seed"])
        self.teacher, self.pictures, self.recipe = teacher, pictures, recipe
        self.step = 0
        self.student = Deep().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        start_from(teacher, self.student, self.crops())
        self.optimizer = Steepest(self.student, recipe["rate"], 1.0, USUAL)

    def crops(self) -> Tensor:
        """A batch (B, 3, H, W), the folders in turn. The step alone decides, so that a run can stop and go on."""
        rng = np.random.default_rng((self.recipe["seed"], self.step))
        n, size_px = self.recipe["batch"], self.recipe["size_px"]
        chosen = [self.pictures[i % len(self.pictures)].crop(rng, size_px, ZOOM) for i in range(n)]
        return torch.stack(chosen).contiguous(memory_format=torch.channels_last)

    def advance(self) -> dict[str, Tensor]:
        """One step; its terms."""
        self.step += 1
        self.optimizer.set_rate(rate_at(self.step, self.recipe["steps"], self.recipe["rate"]))
        rgb = self.crops()
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                wanted = self.teacher(rgb, DEEP_LAYERS)
            terms = distances(self.student(rgb, DEEP_LAYERS), wanted)
        loss = torch.stack([value * (GRAM_SHARE if " " in name else 1.0) for name, value in terms.items()]).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return terms

    def save(self, checkpoint: Path) -> None:
        state = {"student": self.student.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        with replacing(checkpoint) as path:
            torch.save(state, path)

    def go_on_from(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, weights_only=True)
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def held_out(folders: list[Path]) -> Iterator[Tensor]:
    """The pictures that no training saw: (1, 3, H, W), longest side ``MEASURED_PX`` at most."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in SUFFIXES or not is_held_out(path.name, HELD_OUT):
                continue
            picture = read_upright(path)
            if picture is not None and min(picture.size) >= 200:
                picture.thumbnail((MEASURED_PX, MEASURED_PX), Image.Resampling.LANCZOS)
                yield torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


@torch.no_grad()
def correlations(student: Backbone, teacher: Backbone, pictures: Iterator[Tensor]) -> dict[str, float]:
    """Per layer the median over pictures of Pearson's correlation between the features of both, each channel about
    its mean over the picture.
    """
    found: dict[str, list[float]] = {name: [] for name in DEEP_LAYERS}
    for rgb in pictures:
        ours, theirs = student(rgb, DEEP_LAYERS), teacher(rgb, DEEP_LAYERS)
        for name in DEEP_LAYERS:
            a, b = (x[name][0].flatten(1).double() for x in (ours, theirs))  # (C, H*W)
            a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
            found[name].append(float((a * b).sum() / (a.norm() * b.norm()).clamp_min(1e-9)))
    return {name: round(float(np.median(values)), 4) for name, values in found.items()}


def train(run: Distillation, out: Path) -> None:
    """All steps that are left; the checkpoint beside ``out`` is written every 250, ``out`` at the end."""
    checkpoint = out.with_suffix(".checkpoint.pt")
    if checkpoint.exists():
        run.go_on_from(checkpoint)
    began, first, steps = time.monotonic(), run.step, run.recipe["steps"]
    while run.step < steps:
        terms = run.advance()
        if run.step % 50 == 0:
            means = {name: round(float(value.detach()), 3) for name, value in terms.items() if " " not in name}
            pace_s = (time.monotonic() - began) / (run.step - first)
            print(f"step {run.step}/{steps}  {pace_s:.2f} s/step  {means}", flush=True)
        if run.step % 250 == 0:
            run.save(checkpoint)
    with replacing(out) as path:
        save_file(shipped.packed(run.student.state_dict()), path, {"recipe": json.dumps(run.recipe)})


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Distil the deep embedded feature network from VGG-16.")
    parser.add_argument("pictures", type=Path, nargs="+", help="folders; a batch takes from each in turn")
    parser.add_argument("--features", type=Path, required=True, help="VGG-16 to relu5_1 as safetensors")
    parser.add_argument("-o", "--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--measure", action="store_true", help="train nothing: compare FILE with the teacher")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--size-px", type=int, default=144)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    teacher = Vgg16(load_file(args.features)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if args.measure:
        student = Deep()
        student.load_state_dict(shipped.unpacked(load_file(args.out)))
        print(json.dumps(correlations(student.eval(), teacher, held_out(args.pictures)), indent=2))
        return 0
    recipe = {name: getattr(args, name) for name in ("steps", "batch", "size_px", "rate", "seed")}
    folders = [PictureFolder(folder, held_out=HELD_OUT) for folder in args.pictures]
    train(Distillation(teacher, folders, recipe), args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
