"""Distil the embedded feature network from VGG-19.

``python -m engine.train.recipes.train_embedded PICTURES --features VGG19.safetensors -o FILE``
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.features.backbone import Backbone
from engine.features.backbones import load_vgg19_file
from engine.features.embedded import LAYERS, Embedded
from engine.train.loop import as_stored, replacing
from engine.train.losses.objective import gram
from engine.train.pictures.folders import PictureFolder


def distances(student: dict[str, Tensor], teacher: dict[str, Tensor]) -> dict[str, Tensor]:
    """Relative squared distance of the features, and of their Gram matrices, per layer (scalars)."""
    terms = {}
    for name in LAYERS:
        wanted, found = teacher[name].float(), student[name].float()
        terms[name] = (found - wanted).square().mean() / wanted.square().mean()
        g_wanted, g_found = gram(wanted), gram(found)
        terms[f"gram {name}"] = ((g_found - g_wanted).square().sum() / g_wanted.square().sum() + 1e-6).sqrt()
    return terms


def distil(
    teacher: Backbone,
    pictures: PictureFolder,
    checkpoint: Path,
    *,
    steps: int,
    batch: int,
    size_px: int,
    rate: float,
    seed: int,
) -> Embedded:
    """Train a student for ``steps`` steps; one-cycle learning rate, bfloat16.

    Goes on from ``checkpoint`` where it exists, writes it every 250 steps, and removes nothing.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    student = Embedded().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(student.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    parts = {"student": student, "optimizer": optimizer, "schedule": schedule}
    first = 1
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(state[name])
        first = state["step"] + 1
        rng = np.random.default_rng((seed, first))
    began = time.monotonic()
    for step in range(first, steps + 1):
        rgb = torch.stack([pictures.crop(rng, size_px, (0.4, 1.0)) for _ in range(batch)])
        rgb = rgb.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                wanted = teacher(rgb, LAYERS)
            terms = distances(student(rgb, LAYERS), wanted)
        loss = torch.stack([value * (0.1 if name.startswith("gram") else 1.0) for name, value in terms.items()]).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            means = {name: round(float(value.detach()), 3) for name, value in terms.items()}
            pace_s = (time.monotonic() - began) / (step - first + 1)
            print(f"step {step}/{steps}  {pace_s:.2f} s/step  {means}", flush=True)
        if step % 250 == 0:
            with replacing(checkpoint) as path:
                torch.save({name: part.state_dict() for name, part in parts.items()} | {"step": step}, path)
    return student


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Distil the embedded feature network from VGG-19.")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--features", type=Path, required=True, help="VGG-19 to conv3_4 as safetensors")
    parser.add_argument("-o", "--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size-px", type=int, default=128)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    recipe = {name: getattr(args, name) for name in ("steps", "batch", "size_px", "rate", "seed")}
    teacher, pictures = load_vgg19_file(args.features), PictureFolder(args.pictures)
    student = distil(teacher, pictures, args.out.with_suffix(".checkpoint.pt"), **recipe)
    with replacing(args.out) as path:
        save_file(as_stored(student.state_dict()), path, {"recipe": json.dumps(recipe)})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
