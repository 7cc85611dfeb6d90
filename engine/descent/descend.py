"""Painting by descent: pixels follow the gradient of a loss, coarse sizes first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.resize import resize
from engine.core.types import Progress

Loss = Callable[[Tensor], Tensor]
"""(1, 3, H, W) pixels -> scalar."""

SMALLEST_PX = 96
HISTORY = 10  # steps that L-BFGS remembers: each costs two pictures of memory
ADAM_RATE = 0.02
BAND_RATE, SMALLEST_BAND_PX = 0.006, 16


def sizes_from_coarse(size: tuple[int, int], n_scales: int) -> list[tuple[int, int]]:
    """Picture sizes (H, W), each twice the one before, the last ``size`` itself; none with a side too small to see."""
    sizes = [size]
    while len(sizes) < n_scales:
        height, width = (max(1, round(side / 2 ** len(sizes))) for side in size)
        if min(height, width) < SMALLEST_PX:
            break
        sizes.append((height, width))
    return sizes[::-1]


def descend(start: Tensor, loss: Loss, n_steps: int, optimizer: str, on_progress: Progress) -> Tensor:
    """Follow the gradient from a picture.

    Args:
        start: (1, 3, H, W); not changed.
        loss: what is to become small.
        n_steps: evaluations of the loss and its gradient.
        optimizer: "lbfgs" or "adam".
        on_progress: told after each evaluation; may raise to stop.

    Returns:
        (1, 3, H, W) in [0, 1], the best found.
    """
    with torch.inference_mode(False), torch.enable_grad():
        flat = start.detach().clone(memory_format=torch.contiguous_format)  # L-BFGS views it so
        pixels = flat.requires_grad_(True)
        follow = _lbfgs if optimizer == "lbfgs" else _adam
        best = follow(pixels, loss, n_steps, on_progress)
    return best.clamp(0, 1)


def descend_in_bands(start: Tensor, loss: Loss, n_steps: int, on_progress: Progress, n_bands: int = 6) -> Tensor:
    """Follow the gradient from a picture by the bands of its Laplacian pyramid (Burt & Adelson 1983).

    Broad changes then come in as few steps as fine ones, and with less noise than over pixels.

    Args:
        start: (1, 3, H, W); not changed.
        loss: what is to become small, of pixels that may leave [0, 1].
        n_steps: evaluations of the loss and its gradient.
        on_progress: told after each evaluation; may raise to stop.
        n_bands: at most.

    Returns:
        (1, 3, H, W) in [0, 1], the last one.
    """
    with torch.inference_mode(False), torch.enable_grad():
        bands = [band.requires_grad_(True) for band in split_in_bands(start.detach(), n_bands)]
        optimizer = torch.optim.Adam(bands, BAND_RATE, betas=(0.9, 0.99))
        for step in range(n_steps):
            on_progress(step / n_steps, "")
            optimizer.param_groups[0]["lr"] = BAND_RATE * min(1.0, 2.1 - 2 * step / n_steps)
            optimizer.zero_grad()
            loss(join_bands(bands)).backward()
            optimizer.step()
        return join_bands(bands).detach().clamp(0, 1)


def split_in_bands(picture: Tensor, n_bands: int) -> list[Tensor]:
    """(1, 3, H, W) as what each halving loses, fine to coarse, and what is left."""
    bands: list[Tensor] = []
    while len(bands) < n_bands - 1 and min(picture.shape[2:]) >= SMALLEST_BAND_PX:
        small = resize(picture, [-(-side // 2) for side in picture.shape[2:]])
        bands.append(picture - _enlarged(small, picture))
        picture = small
    return [*bands, picture.clone()]


def join_bands(bands: Sequence[Tensor]) -> Tensor:
    """The picture that was split."""
    picture = bands[-1]
    for band in reversed(bands[:-1]):
        picture = band + _enlarged(picture, band)
    return picture


def _enlarged(small: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(small, like.shape[2:], mode="bilinear", align_corners=False)


class _Best:
    """The lowest loss so far and its pixels."""

    def __init__(self, loss: Loss, n_steps: int, on_progress: Progress) -> None:
        self.loss, self.n_steps, self.on_progress = loss, n_steps, on_progress
        self.n_seen, self.lowest, self.pixels = 0, float("inf"), torch.empty(0)

    def evaluate(self, pixels: Tensor) -> Tensor:
        """Loss with gradients filled in."""
        self.on_progress(self.n_seen / self.n_steps, "")
        self.n_seen += 1
        pixels.grad = None
        value = self.loss(pixels)
        value.backward()
        if float(value.detach()) < self.lowest:
            self.lowest, self.pixels = float(value.detach()), pixels.detach().clone()
        return value


def _lbfgs(pixels: Tensor, loss: Loss, n_steps: int, on_progress: Progress) -> Tensor:
    best = _Best(loss, n_steps, on_progress)
    optimizer = torch.optim.LBFGS([pixels], max_iter=n_steps, max_eval=n_steps, history_size=HISTORY, tolerance_grad=0,
                                  tolerance_change=0)  # fmt: skip
    while best.n_seen < n_steps:
        before = best.n_seen
        optimizer.step(lambda: best.evaluate(pixels))
        if best.n_seen == before:
            break
    return best.pixels


def _adam(pixels: Tensor, loss: Loss, n_steps: int, on_progress: Progress) -> Tensor:
    best = _Best(loss, n_steps, on_progress)
    optimizer = torch.optim.Adam([pixels], ADAM_RATE, betas=(0.9, 0.99))
    for step in range(n_steps):
        optimizer.param_groups[0]["lr"] = ADAM_RATE * min(1.0, 2 * (1 - step / n_steps))
        best.evaluate(pixels)
        optimizer.step()
        with torch.no_grad():
            pixels.clamp_(0, 1)
    return best.pixels
