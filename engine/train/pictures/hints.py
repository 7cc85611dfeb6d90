"""Hints as users give them: loose boxes, clicks, rough lassos, and clicks that correct a mask.

All in cells of the hints' planes (``engine.networks.object_network.HINTS``), a quarter of the picture's pixels.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.networks.object_network import Hint, hint_planes

Bools = NDArray[np.bool_]
Floats = NDArray[Any]  # float32; what OpenCV returns is typed as any number
KINDS = {"box": 0.36, "click": 0.38, "lasso": 0.08, "both": 0.06, "nothing": 0.12}
MIN_LOOSE, MAX_LOOSE = 0.03, 0.15


def drawn(mask: Bools, rng: np.random.Generator, kind: str) -> Hint:
    """A hint of a kind for a mask that is not empty: (h, w) at the planes' size."""
    hint = Hint()
    if kind in ("box", "both"):
        hint.region = boxed(mask, rng)
    if kind == "lasso":
        hint.region = lassoed(mask, rng)
    if kind in ("click", "both"):
        hint.on.append(clicked(mask, rng))
    return hint


def boxed(mask: Bools, rng: np.random.Generator) -> Bools:
    """A box around a mask: mostly loose, now and then far too large, or cutting a side off."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    spans = [(rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)]
    region, window = np.zeros(mask.shape, bool), []
    wild = rng.random() < 0.15
    for (low, high), limit in zip(spans, mask.shape, strict=True):
        loose = [rng.uniform(-0.06, 0.3) if wild else rng.uniform(MIN_LOOSE, MAX_LOOSE) for _ in range(2)]
        first, last = low - loose[0] * (high - low), high + loose[1] * (high - low)
        window.append(slice(max(0, round(first)), min(limit, max(round(last), round(first) + 1))))
    region[tuple(window)] = True
    return region


def lassoed(mask: Bools, rng: np.random.Generator) -> Bools:
    """A rough outline: near the mask's own, here too far out and there too far in."""
    side = float(np.sqrt(mask.sum()))
    away: Floats = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    away = away - cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    noise: Floats = rng.standard_normal(mask.shape).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), max(2.0, 0.15 * side))
    noise = noise / max(float(noise.std()), 1e-6)
    away = cv2.GaussianBlur(away, (0, 0), max(1.0, 0.05 * side))
    region: Bools = away < side * (rng.uniform(0.02, 0.14) + 0.05 * noise)
    return region if region.any() else mask


def clicked(mask: Bools, rng: np.random.Generator) -> tuple[int, int]:
    """A place (row, column) on a mask: half of the time well inside, else anywhere."""
    if rng.random() < 0.55:
        depth = inside(mask)
        mask = depth >= rng.uniform(0.6, 1.0) * depth.max()
    places = np.argwhere(mask)
    row, column = places[rng.integers(len(places))]
    return int(row), int(column)


def inside(mask: Bools) -> NDArray[np.float32]:
    """How far each place of a mask is from what is not in it; the picture's border counts as outside."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)
    return depth[1:-1, 1:-1].astype(np.float32)


def corrected(hint: Hint, found: NDArray[np.float32], mask: Bools) -> bool:
    """Click on the middle of the largest error of a found mask; False if there is none worth a click."""
    wrong = (found > 0.5) != mask
    depth = inside(wrong)
    if depth.max() < 1.5:
        return False
    row, column = (int(i) for i in np.unravel_index(int(depth.argmax()), depth.shape))
    (hint.on if mask[row, column] else hint.beside).append((row, column))
    return True


def stacked(hints: list[Hint], size: tuple[int, int]) -> Tensor:
    """(B, P, h, w) planes."""
    return torch.stack([hint_planes(hint, size) for hint in hints])
