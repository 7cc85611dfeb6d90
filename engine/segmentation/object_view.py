"""What the network that finds objects sees in a window of a picture, and what it answers to a hint there.

What the trunk saw is kept, so that a further click asks the head alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from engine.compute.resize import resize
from engine.core.types import Progress, silent
from engine.models import shipped
from engine.networks.object_network import HINT_STRIDE, Hint, ObjectNet, Sight, hint_planes
from engine.segmentation.prompt import Box, Point, Prompt

NAME = "object"
GRAIN_PX = 32  # what the sides are multiples of at which the network looks
VIEWS = (320, False), (320, True), (224, False), (224, True)  # longest side, whether mirrored
MIN_WINDOW_PX = 48
MARGIN = 0.3  # around an object, in its sides, when it is looked at again
CLOSE = 0.75  # of the picture's sides: what is larger than this was seen well enough the first time
N_KEPT, N_FIRST = 3, 16  # looks, 30 MB each; first answers of a look
MIN_CELLS = 12  # of an answer

Bools = NDArray[np.bool_]
Window = tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True, eq=False)
class View:
    """What the trunk saw of a window at one size, perhaps mirrored.

    Args:
        sight: the trunk's maps.
        cells: (h, w) of the hints' planes.
        is_mirrored: left is right.
    """

    sight: Sight
    cells: tuple[int, int]
    is_mirrored: bool


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen in a window of a picture.

    Args:
        window: of the picture.
        pixels: (3, h, w) bytes: the window at the size of the first view.
        views: their answers are averaged.
        first_answers: to hints that were corrected later, by box and points.
    """

    window: Window
    pixels: Tensor
    views: tuple[View, ...]
    first_answers: dict[tuple[Box | None, tuple[Point, ...]], Tensor] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[int, int]:
        return self.views[0].cells

    @property
    def quick(self) -> Look:
        """With its first view alone."""
        return Look(self.window, self.pixels, self.views[:1])


@cache
def network() -> ObjectNet:
    """The network that ships."""
    net = ObjectNet()
    shipped.fill(net, NAME)
    return net.requires_grad_(False).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


_kept: OrderedDict[bytes, Look] = OrderedDict()


def look_at(rgb: Tensor, window: Window, on_progress: Progress = silent) -> Look:
    """See a window of a picture in all ``VIEWS``, or remember it.

    Args:
        rgb: (3, H, W) in [0, 1].
        window: within it.
        on_progress: told the share done; may raise ``Cancelled``.
    """
    pixels = _reduced(rgb, window, _size_of(window, VIEWS[0][0])).mul(255).round_().to(torch.uint8)
    key = repr((window, rgb.shape)).encode() + pixels.numpy().tobytes()
    look = _kept.pop(key, None)
    if look is None:
        views = []
        for i, (side_px, is_mirrored) in enumerate(VIEWS):
            on_progress(i / len(VIEWS), "Looking at the picture")
            views.append(_view(pixels, _size_of(window, side_px), is_mirrored))
        look = Look(window, pixels, tuple(views))
    _kept[key] = look
    while len(_kept) > N_KEPT:
        _kept.popitem(last=False)
    return look


def _view(pixels: Tensor, size: tuple[int, int], is_mirrored: bool) -> View:
    small = resize(pixels[None].float() / 255, size)  # (1, 3, h, w)
    small = small.flip(3) if is_mirrored else small
    sight = network().look(small.contiguous(memory_format=torch.channels_last))
    return View(sight, (size[0] // HINT_STRIDE, size[1] // HINT_STRIDE), is_mirrored)


def answer(look: Look, prompt: Prompt, before: tuple[Tensor, Window] | None = None) -> Tensor:
    """The share of the object in a look's window: (h/2, w/2) in [0, 1].

    Clicks beyond the first correct the answer to it, as they did in training.

    Args:
        look: what was seen.
        prompt: in pixels of the picture.
        before: an earlier answer and its window.
    """
    n_first = int(prompt.box is None)
    if before is None and len(prompt.points) + len(prompt.others) > n_first:
        before = _first_answer(look, Prompt(prompt.box, prompt.points[:n_first], (), prompt.region)), look.window
    size = 2 * look.cells[0], 2 * look.cells[1]
    logits = torch.stack([resize_logits(_asked(view, prompt, look.window, before), size) for view in look.views])
    return logits.mean(0).sigmoid()


def _first_answer(look: Look, prompt: Prompt) -> Tensor:
    """What was answered before the user corrected it; kept, since each further click needs it."""
    if prompt.region is not None:
        return answer(look, prompt)
    key = prompt.box, prompt.points
    if key not in look.first_answers:
        if len(look.first_answers) >= N_FIRST:
            look.first_answers.clear()
        look.first_answers[key] = answer(look, prompt)
    return look.first_answers[key]


def _asked(view: View, prompt: Prompt, window: Window, before: tuple[Tensor, Window] | None) -> Tensor:
    """The logits of one view, as the picture lies: (h, w)."""
    hint = hint_of(prompt, window, view.cells)
    if before is not None:
        hint.before = resampled(*before, window, view.cells)
    planes = hint_planes(hint, view.cells)
    logits = network().head(view.sight, (planes.flip(2) if view.is_mirrored else planes)[None])[0][0, 0]
    return logits.flip(1) if view.is_mirrored else logits


def resize_logits(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """(h, w) at a size near it."""
    if tuple(logits.shape) == size:
        return logits
    return F.interpolate(logits[None, None], size, mode="bilinear", align_corners=False)[0, 0]


def hint_of(prompt: Prompt, window: Window, cells: tuple[int, int]) -> Hint:
    """A prompt in cells (h, w) of a window; what lies outside of it is left out."""
    top, left, bottom, right = window
    down, across = cells[0] / (bottom - top), cells[1] / (right - left)

    def cells_of(points: Iterable[Point]) -> list[tuple[int, int]]:
        return [
            (int((y - top + 0.5) * down), int((x - left + 0.5) * across))
            for x, y in points
            if top <= y < bottom and left <= x < right
        ]

    region: Bools | None = None
    if prompt.region is not None:
        part = prompt.region[top:bottom, left:right].float()[None, None]
        region = (F.interpolate(part, cells, mode="area")[0, 0] > 0.5).numpy()  # (h, w)
    elif prompt.box is not None:
        x0, y0, x1, y1 = prompt.box
        region = np.zeros(cells, bool)
        rows, columns = ((y0 - top) * down, (y1 - top) * down), ((x0 - left) * across, (x1 - left) * across)
        region[_span(*rows, cells[0]), _span(*columns, cells[1])] = True
    return Hint(cells_of(prompt.points), cells_of(prompt.others), region)


def _span(low: float, high: float, limit: int) -> slice:
    first = min(limit - 1, max(0, round(low)))
    return slice(first, max(first + 1, min(limit, round(high))))


def surroundings(share: Tensor, window: Window, prompt: Prompt) -> Window | None:
    """The window to look at again; None: the first look was close enough, or showed nothing.

    Args:
        share: (h, w), what was found in ``window``.
    """
    top, left, bottom, right = window
    inside = share > 0.5
    if prompt.box is not None:
        x0, y0, x1, y1 = prompt.box
        margin = MARGIN / 2  # a box is loose already
    elif int(inside.sum()) >= MIN_CELLS:
        margin = MARGIN
        rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
        down, across = (bottom - top) / share.shape[0], (right - left) / share.shape[1]
        y0, y1 = top + int(rows[0]) * down, top + (int(rows[-1]) + 1) * down  # type: ignore[assignment]
        x0, x1 = left + int(columns[0]) * across, left + (int(columns[-1]) + 1) * across  # type: ignore[assignment]
    else:
        return None
    for x, y in prompt.points:
        x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x + 1), max(y1, y + 1)
    spans = [_grown(y0, y1, margin, bottom - top), _grown(x0, x1, margin, right - left)]
    if all(high - low > CLOSE * side for (low, high), side in zip(spans, (bottom - top, right - left), strict=True)):
        return None
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]


def _grown(low: float, high: float, margin: float, limit: int) -> tuple[int, int]:
    """A span with a margin on either side, of a least length, within 0 and a limit."""
    more = max(margin * (high - low), (MIN_WINDOW_PX - (high - low)) / 2)
    return max(0, int(low - more)), min(limit, int(high + more) + 1)


def resampled(share: Tensor, window: Window, other: Window, size: tuple[int, int]) -> Tensor:
    """An answer for a window in cells of another: (h, w); 0 outside of it."""
    top, left, bottom, right = window
    y = torch.linspace(other[0], other[2], 2 * size[0] + 1)[1::2]  # middles of cells
    x = torch.linspace(other[1], other[3], 2 * size[1] + 1)[1::2]
    down, across = (y - top) / (bottom - top) * 2 - 1, (x - left) / (right - left) * 2 - 1
    grid = torch.stack((across.expand(size), down[:, None].expand(size)), 2)[None]  # (1, h, w, 2)
    return F.grid_sample(share[None, None], grid, align_corners=False)[0, 0]


def _size_of(window: Window, side_px: int) -> tuple[int, int]:
    """(h, w) at which a window is looked at."""
    height, width = window[2] - window[0], window[3] - window[1]
    scale = side_px / max(height, width)
    h, w = (max(2 * GRAIN_PX, round(side * scale / GRAIN_PX) * GRAIN_PX) for side in (height, width))
    return h, w


def _reduced(rgb: Tensor, window: Window, size: tuple[int, int]) -> Tensor:
    """A window at a size: means over squares first, which is many times faster than one antialiased step."""
    part = rgb[:, window[0] : window[2], window[1] : window[3]]
    factor = max(1, min(part.shape[1] // size[0], part.shape[2] // size[1]))
    small = F.interpolate(means(part, factor)[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
    return small.nan_to_num(0.0).clamp(0, 1)


def means(x: Tensor, factor: int) -> Tensor:
    """(C, H, W) -> (C, H / factor, W / factor), rounded up: means over squares, of what there is of them at the rim.

    Four times as fast as ``avg_pool2d``, which large pictures are waiting for.
    """
    return x if factor == 1 else _line_means(_line_means(x, factor, 1), factor, 2)


def _line_means(x: Tensor, factor: int, dim: int) -> Tensor:
    n, rest = divmod(x.shape[dim], factor)
    parts = [x.narrow(dim, 0, n * factor).unflatten(dim, (n, factor)).mean(dim + 1)] if n else []
    if rest:
        parts.append(x.narrow(dim, n * factor, rest).mean(dim, keepdim=True))
    return torch.cat(parts, dim) if len(parts) > 1 else parts[0]
