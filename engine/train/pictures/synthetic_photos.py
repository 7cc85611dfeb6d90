"""Made-up scenes to train on where there are no photos.

Source: Matheron 1968; Lee, Mumford & Huang 2001: leaves of random size that fall on one another make pictures with the
statistics of natural ones (edges, occlusion, structure at every scale). Departs: leaves are shaded, and grained.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

N_LEAVES = 60
RADII = (0.05, 0.6)  # of the side; small ones are more frequent, as they cover less
MARGIN = 0.2
PIECES = (0.12, 0.45)  # radii of what stands before a plain background
EDGE_PX, SOFT_EDGE_PX = 1.4, 12.0  # of a leaf; of a piece that is out of focus


class DeadLeaves:
    """Scenes by the name ``crop``, as ``PictureFolder`` has it: every one is new.

    Args:
        n_scenes: what ``len`` says, for cards.
    """

    def __init__(self, n_scenes: int = 1000) -> None:
        self.n_scenes = n_scenes

    def __len__(self) -> int:
        return self.n_scenes

    def crop(
        self, rng: np.random.Generator, size_px: int, zoom: tuple[float, float], index: int | None = None
    ) -> Tensor:
        """A scene (3, size_px, size_px) in [0, 1].

        Args:
            rng: the only source of randomness.
            size_px: side.
            zoom: not used: scenes look alike at every scale.
            index: not used.
        """
        del zoom, index
        place = np.linspace(0, 1, size_px, dtype=np.float32)
        y, x = place[:, None], place[None]
        scene = shaded(rng, x, y)  # (3, S, S)
        sizes = 1 / (1 / RADII[0] + rng.random(N_LEAVES) * (1 / RADII[1] - 1 / RADII[0]))
        for radius in np.sort(sizes)[::-1]:  # large ones first, so that some of each size stay in sight
            inside = leaf(rng, x, y, float(radius))  # (S, S) in [0, 1]
            scene += (shaded(rng, x, y) - scene) * inside
        grain = torch.from_numpy(rng.standard_normal((1, 1, size_px // 2, size_px // 2), dtype=np.float32))
        grain = F.interpolate(grain, (size_px, size_px), mode="bilinear", align_corners=False)[0] * 0.03
        return (torch.from_numpy(scene) + grain).clamp(0, 1)


def before_plain(rng: np.random.Generator, rgb: Tensor) -> Tensor:
    """Pieces of a picture before an even background, often black or white, as things are in catalogs and on a stage.

    Args:
        rng: the only source of randomness.
        rgb: (3, S, S) in [0, 1].

    Returns:
        (3, S, S) in [0, 1].
    """
    place = np.linspace(0, 1, rgb.shape[1], dtype=np.float32)
    y, x = place[:, None], place[None]
    light = rng.choice([0.02, 0.98, rng.random()])
    slope = rng.normal(0, 0.04, (2, 1, 1, 1))
    plain = light + rng.normal(0, 0.04, (3, 1, 1)) + slope[0] * (x - 0.5) + slope[1] * (y - 0.5)  # (3, S, S)
    edge_px = rng.choice([EDGE_PX, rng.uniform(EDGE_PX, SOFT_EDGE_PX)])
    inside = np.max([leaf(rng, x, y, rng.uniform(*PIECES), edge_px) for _ in range(rng.integers(1, 6))], 0)  # (S, S)
    whole = rgb.numpy()
    return torch.from_numpy((whole + (plain.clip(0, 1) - whole) * (1 - inside)).astype(np.float32))


def shaded(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A color that changes across the picture, striped now and then: (3, S, S)."""
    light, tint = rng.random(dtype=np.float32), rng.normal(0, 0.12, (3, 1, 1)).astype(np.float32)
    color, slope = light + tint, rng.normal(0, 0.2, (2, 3, 1, 1)).astype(np.float32)
    surface = color + slope[0] * (x - 0.5) + slope[1] * (y - 0.5)
    if rng.random() < 0.3:
        angle, waves = rng.uniform(0, np.pi), rng.uniform(8, 60)
        phase = (np.cos(angle) * x + np.sin(angle) * y) * waves
        surface = surface + np.float32(rng.uniform(0.02, 0.15)) * np.sin(phase * np.float32(2 * np.pi))
    return np.asarray(surface, np.float32)


def leaf(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, radius: float, edge_px: float = EDGE_PX) -> np.ndarray:
    """An ellipse, a box or a bar, turned: (S, S)."""
    center_x, center_y = rng.uniform(-MARGIN, 1 + MARGIN, 2)
    angle, squeeze = rng.uniform(0, np.pi), rng.uniform(0.15, 1.0)
    u = (x - center_x) * np.cos(angle) + (y - center_y) * np.sin(angle)
    v = ((y - center_y) * np.cos(angle) - (x - center_x) * np.sin(angle)) / squeeze
    far = np.maximum(np.abs(u), np.abs(v)) if rng.random() < 0.4 else np.sqrt(u**2 + v**2)
    return np.asarray(np.clip((radius - far) * len(y) / edge_px + 0.5, 0, 1), np.float32)
