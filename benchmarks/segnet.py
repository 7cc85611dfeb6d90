"""Bayesian SegNet on CamVid: ``python -m benchmarks.segnet CAMVID [--split val] [--weights FILE] [--samples 8]``.

CAMVID holds ``val`` and ``valannot`` (or another split of that layout). Prints class average, global accuracy and mean
intersection over union of one deterministic pass and of the mean of N samples with dropout, at the size of the labels,
and how well the uncertainty ranks errors: the area under the ROC curve, 0.5 = not at all, 1 = every error is less sure
than every hit. Published figures stand below, of networks ten times as wide, measured on the test split.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from engine.networks.segnet import CLASSES, Answer, SegNet
from engine.regions.semantics import LOOK_PX, network
from engine.train.recipes.train_segnet import IGNORED, Scenes

RANK_EVERY = 7  # pixels that the ranking looks at: one of so many
K = len(CLASSES)
# Kendall et al. 2015 and Badrinarayanan et al. 2017, CamVid test: class average, global accuracy, mean IoU.
PUBLISHED = {"SegNet": (65.2, 88.5, 55.6), "Bayesian SegNet": (76.3, 86.9, 63.1)}


@dataclass
class Score:
    """Counts of a classifier: rows are the truth."""

    counts: Tensor = field(default_factory=lambda: torch.zeros(K, K))

    def add(self, labels: Tensor, found: Tensor) -> None:
        """Count (H, W) classes against the truth, where that is known."""
        known = labels != IGNORED
        self.counts += torch.bincount(labels[known] * K + found[known], minlength=K * K).view(K, K)

    @property
    def recall(self) -> Tensor:
        """(K,) share of each class that is found; NaN where there is none of it."""
        return self.counts.diagonal() / self.counts.sum(1)

    @property
    def iou(self) -> Tensor:
        """(K,)."""
        hits = self.counts.diagonal()
        return hits / (self.counts.sum(0) + self.counts.sum(1) - hits)

    def figures(self) -> tuple[float, float, float]:
        """Class average, global accuracy, mean IoU, in percent."""
        overall = self.counts.diagonal().sum() / self.counts.sum()
        return tuple(100 * float(value) for value in (self.recall.nanmean(), overall, self.iou.nanmean()))  # type: ignore[return-value]


def auroc(score: np.ndarray, is_positive: np.ndarray) -> float:
    """The chance that a positive has a higher score than a negative (ties count half)."""
    _values, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    n_positive = int(is_positive.sum())
    n_negative = len(score) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    ranks = mean_rank[inverse]
    return float((ranks[is_positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def look(net: SegNet, rgb: Tensor, n_samples: int, size: tuple[int, int], mirrors: bool = True) -> Answer:
    """The network's answer about a picture (3, H, W), at the picture's size."""
    small = F.interpolate(rgb[None], size, mode="bilinear", antialias=True, align_corners=False)
    answer = net.answer(small, n_samples, mirrors=mirrors)

    def enlarged(x: Tensor) -> Tensor:
        return F.interpolate(x, rgb.shape[1:], mode="bilinear", align_corners=False)

    return Answer(enlarged(answer.probability), enlarged(answer.variance[:, None])[:, 0])


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.segnet", description=__doc__)
    parser.add_argument("data", type=Path, metavar="CAMVID")
    parser.add_argument("--split", default="val")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="safetensors; default: those that ship")
    parser.add_argument("--samples", type=int, default=8, metavar="N")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth picture")
    options = parser.parse_args(argv)
    net = network()
    if options.weights is not None:
        net = SegNet()
        net.load_state_dict({name: value.float() for name, value in load_file(options.weights).items()})
    scenes = Scenes(options.data, options.split)
    single, plain, mean = Score(), Score(), Score()
    unsure, is_wrong = [], []
    began = time.process_time()
    for i in range(0, len(scenes), options.every):
        rgb, labels = scenes.item(i)
        size = tuple(round(side * LOOK_PX / max(labels.shape) / 32) * 32 for side in labels.shape)
        single.add(labels, look(net, rgb, 0, size).probability[0].argmax(0))  # type: ignore[arg-type]
        plain.add(labels, look(net, rgb, options.samples, size, False).probability[0].argmax(0))  # type: ignore[arg-type]
        answer = look(net, rgb, options.samples, size)  # type: ignore[arg-type]
        found = answer.probability[0].argmax(0)
        mean.add(labels, found)
        known = labels != IGNORED
        unsure.append(answer.variance[0][known][::RANK_EVERY].numpy())
        is_wrong.append((found != labels)[known][::RANK_EVERY].numpy())
    seconds = time.process_time() - began
    print("| | class average | global | mean IoU |\n|---|---|---|---|")
    rows = {
        "one pass, no dropout": single.figures(),
        f"mean of {options.samples} samples": plain.figures(),
        f"mean of {options.samples} samples, every second one mirrored": mean.figures(),
    }
    for name, figures in (rows | {f"{name} (published, test)": value for name, value in PUBLISHED.items()}).items():
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in figures) + " |")
    print("\n| class | " + " | ".join(CLASSES) + " |\n|" + "---|" * (K + 1))
    print("| IoU | " + " | ".join(f"{100 * float(value):.0f}" for value in mean.iou) + " |")
    ranked = auroc(np.concatenate(unsure), np.concatenate(is_wrong))
    print(f"\nAUROC of the variance, errors from hits: {ranked:.3f}; {seconds:.0f} s of the processor")
    return 0


if __name__ == "__main__":
    with torch.inference_mode():
        sys.exit(main())
