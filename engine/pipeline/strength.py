"""How strong a style may be on a picture: as strong as it can without the picture getting lost.

A small copy of the picture is painted at a few strengths, and how far its features move is measured; bisection finds
the strength at which the movement reaches what a picture bears. Most pairs bear full strength. The
measure is relative to the picture's own features, so that one limit serves all pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.resize import resize, resize_weight, scaled_size
from engine.core.method import Job, MethodInfo
from engine.core.types import Mask, Picture, silent
from engine.features.backbones import load_backbone

Paint = Callable[[Picture, Mask | None, float], Tensor]
"""Picture, its mask and a strength -> (3, h, w)."""

PROBE_PX = 224
LAYER = "relu3_1"
LIMIT = 0.95  # unrelated pictures: 2. One in ten pairs of photos and paintings exceeds it at full strength
WEAKEST = 0.5
N_BISECTIONS = 3
N_TRIED = 8  # pictures of a series that a strength is tried on


def choose_strength(content: Picture, mask: Mask | None, paint: Paint) -> float:
    """The greatest strength, a multiple of 1/16 from one half up, at which the picture is still itself.

    Args:
        content: (3, H, W).
        mask: what of it is painted; None = all.
        paint: the method.

    Returns:
        In [0.5, 1]; the same for the same picture and style.
    """
    small, weight = shrink(content, mask)
    before = seen(small.rgb)
    low, high = WEAKEST, 1.0
    if moved(before, seen(paint(small, weight, high)), weight) <= LIMIT:
        return high
    for _ in range(N_BISECTIONS):
        middle = (low + high) / 2
        if moved(before, seen(paint(small, weight, middle)), weight) <= LIMIT:
            low = middle
        else:
            high = middle
    return low


def shrink(content: Picture, mask: Mask | None) -> tuple[Picture, Mask | None]:
    """Both at the size at which strengths are tried."""
    factor = PROBE_PX / max(content.size)
    if factor >= 1:
        return content, mask
    size = scaled_size(content.size, factor, 8)

    def resized(plane: Tensor) -> Tensor:
        return resize(plane, size).clamp(0, 1)

    alpha = None if content.alpha is None else resized(content.alpha[None])[0]
    return Picture(resized(content.rgb), alpha), None if mask is None else replace(
        mask, weight=resized(mask.weight[None])[0]
    )


def seen(rgb: Tensor) -> Tensor:
    """Instance-normalized features: (1, C, h, w). What is smaller than the network's windows is repeated."""
    missing = [max(0, 32 - side) for side in rgb.shape[1:]]
    whole = F.pad(rgb[None].clamp(0, 1), (0, missing[1], 0, missing[0]), mode="replicate")
    return F.instance_norm(load_backbone("embedded")(whole, [LAYER])[LAYER])


def moved(before: Tensor, after: Tensor, mask: Mask | None) -> float:
    """Mean square difference where the mask is: 0 = the same, 2 = unrelated."""
    difference = (before - after).square().mean(1)[0]  # (h, w)
    if mask is None:
        return float(difference.mean())
    weight = resize_weight(mask.weight, difference.shape)
    return float((difference * weight).sum() / weight.sum().clamp_min(1e-6))


def strength_for(job: Job, method: MethodInfo) -> float:
    """As much strength as the picture bears. A method that optimizes weighs content against style itself: full."""
    if method.kind != "feed-forward" or job.regions:
        return 1.0
    at_hand: dict[Picture, Tensor] = {}  # of a method that fades, one painting serves all strengths

    def paint(content: Picture, mask: Mask | None, strength: float) -> Tensor:
        trial = replace(job, content=content, mask=mask, on_progress=silent)
        if not method.fades:
            return method.paint(replace(trial, settings=replace(job.settings, strength=strength)))
        if content not in at_hand:
            at_hand[content] = method.paint(trial)
        return torch.lerp(content.rgb, at_hand[content], strength)

    series = job.series
    if series is None:
        return choose_strength(job.content, job.mask, paint)
    if "strength" not in series.known:  # what the one that bears least bears
        job = replace(job, series=None)
        series.known["strength"] = min(choose_strength(p, None, paint) for p in series.pictures[:N_TRIED])
    return float(series.known["strength"])
