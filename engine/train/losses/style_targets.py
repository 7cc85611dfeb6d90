"""What a style asks of paintings, measured once: Gram matrices and moments at every scale, and a bank of its patches.

Networks of few styles are trained toward whole style pictures, which never change: nothing of a style has to be seen
again in a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.resize import resize
from engine.features.backbone import Backbone
from engine.train.losses import objective
from engine.train.losses.objective import Features, LayerTarget, Targets

N_PATCHES = 1000  # of a style, at each layer and scale
MIN_SIDE_PX = 64


@dataclass(frozen=True, eq=False)
class Goal:
    """What one style picture, looked at in one size, asks for.

    Args:
        rgb: (1, 3, h, w) the picture in that size.
        targets: statistics at every scale.
        patches: normalized patches (N, 9 C) of each layer at the finest scales.
    """

    rgb: Tensor
    targets: Targets
    patches: list[dict[str, Tensor]]


@torch.no_grad()
def goal_of(backbone: Backbone, rgb: Tensor, longest_px: int, seed: int = 0) -> Goal:
    """The goal that a picture (1, 3, H, W) sets when its longest side is ``longest_px``."""
    rgb = at_longest(rgb, longest_px)
    seen = objective.pyramid(backbone, rgb)
    generator = torch.Generator().manual_seed(seed)
    patches = []
    for level in seen[: objective.PATCH_SCALES]:
        bank = {}
        for layer in objective.PATCH_STRIDES:
            all_of_them = unfolded(level[layer], 2)[0]  # (N, 9 C)
            chosen = torch.randperm(len(all_of_them), generator=generator)[:N_PATCHES]
            bank[layer] = F.normalize(all_of_them[chosen], dim=1, eps=1e-6)
        patches.append(bank)
    return Goal(rgb, objective.style_targets(seen), patches)


def at_longest(rgb: Tensor, longest_px: int) -> Tensor:
    """(1, 3, H, W) with its longest side at a length, sides a multiple of 8."""
    factor = longest_px / max(rgb.shape[2:])
    size = [max(MIN_SIDE_PX, round(side * factor / 8) * 8) for side in rgb.shape[2:]]
    return resize(rgb, size).clamp(0, 1)


def unfolded(features: Tensor, stride: int) -> Tensor:
    """3x3 patches of (B, C, H, W): (B, N, 9 C)."""
    return F.unfold(features, 3, stride=stride).transpose(1, 2)


def targets_of(goals: Sequence[Goal]) -> Targets:
    """The targets of several pictures, one each, as one batch."""
    first = goals[0].targets
    return [
        {
            layer: LayerTarget(
                *(torch.cat([getattr(g.targets[i][layer], part) for g in goals]) for part in ("gram", "mean", "std"))
            )
            for layer in first[i]
        }
        for i in range(len(first))
    ]


def patch_loss(seen: Features, goals: Sequence[Goal]) -> Tensor:
    """1 - mean best cosine of each picture's 3x3 patches with those of its style: (B,).

    Source: Li & Wand 2016, as in ``objective.patch_loss``; here against a bank.
    """
    terms = []
    for i, level in enumerate(seen[: objective.PATCH_SCALES]):
        for layer, (stride, _) in objective.PATCH_STRIDES.items():
            ours = F.normalize(unfolded(level[layer], stride), dim=2, eps=1e-6)  # (B, N, 9 C)
            best = [(o @ goal.patches[i][layer].to(o.dtype).T).amax(1) for o, goal in zip(ours, goals, strict=True)]
            terms.append(1 - torch.stack(best).float().mean(1))
    return torch.stack(terms).mean(0)
