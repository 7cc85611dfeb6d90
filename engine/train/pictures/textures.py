"""Made-up styles: strokes, dots, tiles, engraved lines and marble, in palettes of their own.

Paintings are few, and each is seen hundreds of times in a training; these are new every time, and they are anybody's to
use, so that the quality bench has styles of its own too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

Plane = NDArray[np.float32]
N_COLORS = (3, 7)


def texture(rng: np.random.Generator, size_px: int, zoom: tuple[float, float], index: int | None = None) -> Tensor:
    """A texture (3, size_px, size_px) in [0, 1].

    Args:
        rng: the only source of randomness.
        size_px: side.
        zoom: the larger, the coarser.
        index: which kind; None = any.
    """
    kinds = list(KINDS.values())
    make = kinds[rng.integers(len(kinds)) if index is None else index % len(kinds)]
    picture = make(rng, size_px, float(rng.uniform(*zoom)))  # (S, S, 3)
    return torch.from_numpy(np.clip(picture, 0, 1)).permute(2, 0, 1).contiguous()


def palette(rng: np.random.Generator) -> Plane:
    """A few colors that go together: (N, 3), dark to light, around two hues."""
    n = int(rng.integers(*N_COLORS))
    light = np.sort(rng.uniform(0.08, 0.95, n))[:, None]
    hues = rng.normal(0, 1, (2, 3))
    hues -= hues.mean(1, keepdims=True)
    tint = hues[rng.integers(2, size=n)] * rng.uniform(0.02, 0.2)
    return np.clip(light + tint + rng.normal(0, 0.03, (n, 3)), 0, 1).astype(np.float32)


def clouds(rng: np.random.Generator, size_px: int, cell_px: float) -> Plane:
    """Smooth noise (S, S), mean 0, deviation 1, with blots of about ``cell_px``."""
    frequency = np.fft.fftfreq(size_px)
    falloff = np.exp(-2 * (np.pi * cell_px * 0.3) ** 2 * (frequency[:, None] ** 2 + frequency[None] ** 2))
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size_px, size_px))) * falloff).real
    return np.asarray((noise - noise.mean()) / (noise.std() + 1e-9), np.float32)


def colored(values: Plane, colors: Plane) -> Plane:
    """(S, S) in [0, 1] to (S, S, 3): a walk through the palette."""
    steps = np.linspace(0, 1, len(colors))
    return np.stack([np.interp(values, steps, channel) for channel in colors.T], -1).astype(np.float32)


def ranked(values: Plane) -> Plane:
    """The same order, spread evenly over [0, 1]."""
    order = np.empty(values.size, np.float32)
    order[np.argsort(values, axis=None)] = np.linspace(0, 1, values.size, dtype=np.float32)
    return order.reshape(values.shape)


def strokes(rng: np.random.Generator, size_px: int, zoom: float, squeeze: float = 0.22) -> Plane:
    """Touches of paint that follow a flow, lighter along their middle."""
    colors, flow = palette(rng), clouds(rng, size_px, size_px / 3) * np.float32(rng.uniform(0.3, 2))
    tone = ranked(clouds(rng, size_px, size_px / 4))
    picture = colored(tone, colors)
    long_px = zoom * rng.uniform(9, 26)
    n = min(3000, int(4 * size_px**2 / (long_px**2 * squeeze)))
    relief, grain = rng.uniform(0, 0.25), rng.uniform(0.02, 0.15)
    angle = rng.uniform(0, np.pi)
    for y, x in rng.integers(size_px, size=(n, 2)):
        reach = int(long_px) + 1
        rows, columns = (
            np.arange(max(0, y - reach), min(size_px, y + reach)),
            np.arange(max(0, x - reach), min(size_px, x + reach)),
        )
        turn = angle + flow[y, x]
        dy, dx = (rows - y)[:, None], (columns - x)[None]
        along, across = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
        far = np.sqrt((along / long_px) ** 2 + (across / (squeeze * long_px)) ** 2)
        cover = np.clip((1 - far) * squeeze * long_px, 0, 1)[..., None].astype(np.float32)
        place = np.clip(tone[y, x] + rng.normal(0, grain), 0, 1)
        color = colored(np.full((1, 1), place, np.float32), colors)[0, 0]
        ridge = (1 - relief * np.abs(across) / (squeeze * long_px))[..., None].astype(np.float32)
        part = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        part += (color * ridge - part) * cover
    return picture


def dots(rng: np.random.Generator, size_px: int, zoom: float) -> Plane:
    """Round touches side by side."""
    return strokes(rng, size_px, zoom * 0.4, squeeze=0.9)


def tiles(rng: np.random.Generator, size_px: int, zoom: float) -> Plane:
    """A mosaic: cells around random points, with joints between them."""
    pitch = zoom * rng.uniform(10, 40)
    n = max(4, int((size_px / pitch) ** 2))
    points = rng.uniform(0, size_px, (n, 2))
    y, x = np.mgrid[:size_px, :size_px]
    far, which = cKDTree(points).query(np.stack([y, x], -1).reshape(-1, 2), k=2)
    tone = ranked(clouds(rng, size_px, size_px / 4))[tuple(points.astype(int).T)]
    tone = np.clip(tone + rng.normal(0, 0.1, n), 0, 1).astype(np.float32)
    colors = palette(rng)
    picture = colored(tone, colors)[which[:, 0]].reshape(size_px, size_px, 3)
    joint = np.clip((far[:, 1] - far[:, 0]) / rng.uniform(1.5, 4), 0, 1).reshape(size_px, size_px, 1)
    return np.asarray(colors[int(rng.integers(2)) - 1] * (1 - joint) + picture * joint, np.float32)


def lines(rng: np.random.Generator, size_px: int, zoom: float) -> Plane:
    """An engraving: lines that bend, as thick as the tone is dark."""
    y, x = np.mgrid[:size_px, :size_px].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), zoom * rng.uniform(5, 14)
    bent = clouds(rng, size_px, size_px / 3) * np.float32(rng.uniform(0, 1.5) * period)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle) + bent) * np.float32(2 * np.pi / period))
    tone = 2 * ranked(clouds(rng, size_px, size_px / 4)) - 1
    ink = np.clip((wave - 0.9 * tone) * period / 4 + 0.5, 0, 1)[..., None]
    colors = palette(rng)
    return np.asarray(colors[-1] * (1 - ink) + colors[0] * ink, np.float32)


def marble(rng: np.random.Generator, size_px: int, zoom: float) -> Plane:
    """Inks that were combed."""
    y, x = np.mgrid[:size_px, :size_px].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), zoom * rng.uniform(20, 60)
    bent = sum(clouds(rng, size_px, size_px / k) * np.float32(period / k) for k in (2, 5, 11))
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle) + bent * 2) * np.float32(2 * np.pi / period))
    return colored(np.asarray(wave / 2 + 0.5, np.float32), palette(rng)[rng.permutation(3)])


KINDS: dict[str, Callable[[np.random.Generator, int, float], Plane]] = {
    "strokes": strokes,
    "dots": dots,
    "tiles": tiles,
    "lines": lines,
    "marble": marble,
}
