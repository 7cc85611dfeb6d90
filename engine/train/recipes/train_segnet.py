"""Train Bayesian SegNet on street scenes: ``python -m engine.train.recipes.train_segnet CAMVID -o RUN``.

CAMVID holds ``train`` and ``trainannot`` (``val``, ``valannot``): pictures, and label maps of the same stem whose
values are the class, 11 = not labeled. An unfinished run in RUN is resumed, bit for bit on a CPU.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from engine.compute.device import choose_device
from engine.compute.resize import resize
from engine.core.errors import InputError
from engine.models import shipped
from engine.networks.segnet import CLASSES, SegNet, take_over
from engine.train.loop import Card, Part, Run, TorchRandom, run, size_of
from engine.train.preview import save_sheet
from engine.train.recipe import FLOAT32, add_arguments, recipe_of

IGNORED = 11
COLORS = torch.tensor(
    [
        *([128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [60, 40, 222], [128, 128, 0]),
        *([192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0], [0, 128, 192], [0, 0, 0]),
    ]
)  # CamVid's own, and black for what is not labeled


@dataclass(frozen=True)
class Recipe:
    """What a run depends on, besides the data.

    Args:
        steps, batch: how long, and pictures a step.
        crop_h_px, crop_w_px: what a step sees of a picture, divisible by 32.
        low, high: scales at which pictures are seen, drawn log-uniformly.
        rate: at its highest, a tenth into the run (one cycle).
        decay: of the weights.
        balance: 1 weighs classes by their median frequency (Eigen & Fergus 2015), 0 not at all.
        seed: of crops, dropout and the first weights.
        is_bf16: convolutions in bfloat16.
    """

    steps: int = 2400
    batch: int = 6
    crop_h_px: int = 160
    crop_w_px: int = 224
    low: float = 0.4
    high: float = 0.8
    rate: float = 2e-3
    decay: float = 0.02
    balance: float = 0.5
    seed: int = 0
    is_bf16: bool = field(default=True, metadata=FLOAT32)

    def rate_at(self, step: int) -> float:
        """One cycle: up over the first tenth, down along a cosine."""
        share = step / self.steps
        return self.rate * (share / 0.1 if share < 0.1 else 0.5 * (1 + math.cos(math.pi * (share - 0.1) / 0.9)))


class Scenes:
    """Labeled pictures of a folder, all in memory.

    Args:
        folder: CamVid's.
        split: "train" or "val".

    Raises:
        InputError: no pictures there that can be read, a label map is missing, or not of its picture's size.
    """

    def __init__(self, folder: Path, split: str) -> None:
        paths = sorted(p for p in (folder / split).glob("*") if p.suffix.lower() in (".jpg", ".png"))
        if not paths:
            raise InputError(f"There are no pictures in {folder / split}.")
        self.names: list[str] = []
        self.pictures: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []
        for path in paths:
            labels = folder / f"{split}annot" / f"{path.stem}.png"
            if not labels.is_file():
                raise InputError(f"{labels} is missing: every picture needs a label map of the same name.")
            if (scene := _read_scene(path, labels)) is not None:
                self.names.append(path.stem)
                self.pictures.append(scene[0])
                self.labels.append(scene[1])
        if not self.names:
            raise InputError(f"None of the pictures in {folder / split} can be read.")

    def __len__(self) -> int:
        return len(self.pictures)

    def frequencies(self) -> Tensor:
        """(K,): a class's pixels over all pixels of the pictures that show it."""
        counts, seen = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
        for labels in self.labels:
            found = np.bincount(labels.ravel(), minlength=256)[: len(CLASSES)]
            counts += found
            seen += (found > 0) * (labels != IGNORED).sum()
        return torch.from_numpy(counts / np.maximum(seen, 1)).float()

    def item(self, index: int) -> tuple[Tensor, Tensor]:
        """(3, H, W) in [0, 1] and (H, W) int64."""
        rgb = torch.from_numpy(self.pictures[index].copy()).permute(2, 0, 1).float() / 255
        return rgb, torch.from_numpy(self.labels[index].copy()).long()

    def crop(self, rng: np.random.Generator, recipe: Recipe) -> tuple[Tensor, Tensor]:
        """A piece of a picture at a drawn scale, perhaps mirrored, in other light."""
        rgb, labels = self.item(int(rng.integers(len(self))))
        scale = math.exp(rng.uniform(math.log(recipe.low), math.log(recipe.high)))
        scale = max(scale, recipe.crop_h_px / rgb.shape[1], recipe.crop_w_px / rgb.shape[2])
        size = [math.ceil(side * scale) for side in rgb.shape[1:]]
        top = int(rng.integers(size[0] - recipe.crop_h_px + 1))
        left = int(rng.integers(size[1] - recipe.crop_w_px + 1))
        rgb = resize(rgb, size)
        labels = F.interpolate(labels[None, None].float(), size, mode="nearest-exact")[0, 0].long()
        rows, columns = slice(top, top + recipe.crop_h_px), slice(left, left + recipe.crop_w_px)
        rgb, labels = rgb[:, rows, columns], labels[rows, columns]
        if rng.random() < 0.5:
            rgb, labels = rgb.flip(2), labels.flip(1)
        gain = torch.from_numpy(rng.uniform(0.8, 1.2, (3, 1, 1)).astype(np.float32)) * float(rng.uniform(0.7, 1.3))
        return (rgb.clamp_min(1e-4) ** float(rng.uniform(0.75, 1.33)) * gain).clamp(0, 1), labels


def _read_scene(path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """A picture (H, W, 3) and its labels (H, W); None, and a line about it, if one of them cannot be read."""
    try:
        with Image.open(path) as file, Image.open(labels_path) as labels_file:
            picture, labels = np.asarray(file.convert("RGB")), np.asarray(labels_file)
    except MemoryError:
        raise
    except Exception as error:  # what decoders raise at damaged files is not documented
        print(f"{path} or its label map cannot be read and is left out: {error}.")
        return None
    if labels.shape != picture.shape[:2]:
        raise InputError(
            f"{labels_path} has the shape {labels.shape}, its picture {picture.shape[:2]}: one value a pixel, please."
        )
    return picture, labels


class Training(Run):
    """A run that can stop and go on.

    Args:
        recipe: how.
        scenes: pictures to learn from.
        device: where to compute.
    """

    recipe: Recipe

    def __init__(self, recipe: Recipe, scenes: Scenes, device: torch.device) -> None:
        super().__init__(recipe, device)
        torch.manual_seed(recipe.seed)
        self.scenes = scenes
        self.net = SegNet()
        take_over(self.net, shipped.load_shipped("embedded"))
        self.net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(self.net.parameters(), recipe.rate, weight_decay=recipe.decay)
        frequency = scenes.frequencies().clamp_min(1e-6)
        self.class_weights = ((frequency.median() / frequency) ** recipe.balance).clamp(max=8).to(device)

    def advance(self) -> dict[str, float]:
        """One optimizer step; the loss."""
        self.net.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate_at(self.step)
        crops = [self.scenes.crop(self.rng, self.recipe) for _ in range(self.recipe.batch)]
        rgb = torch.stack([crop[0] for crop in crops]).to(self.device, memory_format=torch.channels_last)
        labels = torch.stack([crop[1] for crop in crops]).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.is_bf16):
            logits = self.net(rgb)
        loss = F.cross_entropy(logits.float(), labels, self.class_weights, ignore_index=IGNORED)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return {"loss": float(loss.detach())}

    def parts(self) -> Mapping[str, Part]:
        return {"net": self.net, "optimizer": self.optimizer, "torch_rng": TorchRandom()}

    def shipped(self) -> dict[str, dict[str, Tensor]]:
        return {"segnet": self.net.state_dict()}

    def preview(self, path: Path) -> None:
        """A sheet: pictures, their labels, ours, and where the network is not sure."""
        columns, height, width = [], 192, 256
        for index in np.linspace(0, len(self.scenes) - 1, 5).astype(int):
            rgb, labels = self.scenes.item(int(index))
            small = resize(rgb[None], (height, width))
            answer = self.net.answer(small.to(self.device), 8)
            truth = F.interpolate(labels[None, None].float(), (height, width), mode="nearest-exact")[0, 0].long()
            unsure = (answer.variance[0].cpu() / 0.02).clamp(0, 1).expand(3, -1, -1)
            columns.append([small[0], paint_labels(truth), paint_labels(answer.probability[0].argmax(0).cpu()), unsure])
        save_sheet(path, [c[0] for c in columns], [torch.ones_like(columns[0][0])] * 3, [c[1:] for c in columns])

    def card(self) -> Card:
        return Card(
            "segnet: Bayesian SegNet",
            f"`engine/networks/segnet.py`, {size_of(self.net)}",
            f"{len(self.scenes)} labeled street scenes (CamVid), from the embedded network's first stages",
            "segnet CAMVID -o RUN",
        )


def paint_labels(labels: Tensor) -> Tensor:
    """(H, W) classes as (3, H, W) colors in [0, 1]."""
    return COLORS[labels.clamp(0, IGNORED)].permute(2, 0, 1).float() / 255


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="impasto train segnet", description="Train Bayesian SegNet.")
    parser.add_argument("data", type=Path, help="folder with train and trainannot")
    add_arguments(parser, Recipe)
    args = parser.parse_args(argv)
    training = Training(recipe_of(args, Recipe), Scenes(args.data, "train"), choose_device(args.device))
    training.resume(args.out)
    run(training, args.out, preview_every=400)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
