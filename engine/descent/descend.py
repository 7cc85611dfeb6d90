"""Painting by descent: pixels follow the gradient of a loss, coarse sizes first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.options import Option
from engine.core.types import Progress

Loss = Callable[[Tensor], Tensor]
"""(1, 3, H, W) pixels -> scalar."""

OPTIMIZER = Option("optimizer", "lbfgs", "how the pixels follow the gradient", choices=("lbfgs", "adam"))
SCALES = Option("scales", 3, "picture sizes, each half the next", low=1, high=6)
SMALLEST_PX = 96
HISTORY = 10  # steps that L-BFGS remembers: each costs two pictures of memory
ADAM_RATE = 0.02
BAND_WIDTHS, COLOR_WIDTHS = (1, 2, 4, 8), (4, 8)
LUMA_CHROMA = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))


def sizes_from_coarse(size: tuple[int, int], n_scales: int) -> list[tuple[int, int]]:
    """Picture sizes (H, W), each twice the one before, the last ``size`` itself; none with a side too small to see."""
    sizes = [size]
    while len(sizes) < n_scales:
        height, width = (max(1, round(side / 2 ** len(sizes))) for side in size)
        if min(height, width) < SMALLEST_PX:
            break
        sizes.append((height, width))
    return sizes[::-1]


def shared_out(n_steps: int, n_sizes: int, shares: Sequence[float]) -> list[int]:
    """Steps of each size, at least one.

    Args:
        n_steps: in all.
        n_sizes: from coarse to fine.
        shares: of the finest sizes, the finest last; what is coarser than these has the first.
    """
    of_each = [*[shares[0]] * (n_sizes - len(shares)), *shares[-n_sizes:]]
    return [max(1, round(n_steps * share / sum(of_each))) for share in of_each]


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


def descend_in_bands(start: Tensor, loss: Loss, n_steps: int, finest: int, on_progress: Progress) -> Tensor:
    """Follow the gradient from a picture, but no farther into detail than wanted: light and color in bands.

    A descent over pixels answers a network's pooling with noise of one or two pixels, and with noise of colors sooner
    still. Here the change is a sum of small pictures of light, and smaller ones of color, made larger; what is finer
    stays as it was.

    Args:
        start: (1, 3, H, W), sides of at least 8 pixels; not changed.
        loss: what is to become small, of pixels that may leave [0, 1].
        n_steps: evaluations of the loss and its gradient.
        finest: 1, 2, 4 or 8, how many pixels wide the finest detail of the change is.
        on_progress: told after each evaluation; may raise to stop.

    Returns:
        (1, 3, H, W) in [0, 1], the best found.
    """
    with torch.inference_mode(False), torch.enable_grad():
        bands = _Bands(start.detach().clone(), finest)
        flat = start.new_zeros(bands.n_values).requires_grad_(True)
        best = _lbfgs(flat, lambda values: loss(bands.picture(values)), n_steps, on_progress)
        with torch.no_grad():
            return bands.picture(best).clamp(0, 1)


class _Bands:
    """A picture and its changes, band by band, as one vector.

    Args:
        start: (1, 3, H, W), what no change leaves.
        finest: the width of the finest band of light.
    """

    def __init__(self, start: Tensor, finest: int) -> None:
        self.start = start
        bands = [(1, width) for width in BAND_WIDTHS if width >= finest]
        bands += [(2, width) for width in COLOR_WIDTHS]
        height, width = start.shape[2:]
        self.shapes = [(n, max(1, height // k), max(1, width // k), k) for n, k in bands]
        self.n_values = sum(n * h * w for n, h, w, _ in self.shapes)
        self.to_rgb = torch.linalg.inv(start.new_tensor(LUMA_CHROMA))

    def picture(self, values: Tensor) -> Tensor:
        """(1, 3, H, W): the start with the changes."""
        size = self.start.shape[2:]
        light, color = self.start.new_zeros(1, 1, *size), self.start.new_zeros(1, 2, *size)
        parts = values.split([n * h * w for n, h, w, _ in self.shapes])
        for part, (n, h, w, k) in zip(parts, self.shapes, strict=True):
            band = part.reshape(1, n, h, w) / k  # a coarse value moves k^2 pixels: without this it would rule
            large = F.interpolate(band, size, mode="bilinear", align_corners=False)
            light, color = (light + large, color) if n == 1 else (light, color + large)
        return self.start + torch.einsum("ij,bjhw->bihw", self.to_rgb, torch.cat([light, color], 1))


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
