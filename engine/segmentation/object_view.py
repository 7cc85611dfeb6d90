"""What the network that finds objects sees in a window of a picture, and what it answers to a hint there.

What the trunk saw is kept, so that a further click asks the head alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from engine.models import shipped
from engine.networks.object_network import HINT_STRIDE, Hint, ObjectNet, Sight, hint_planes
from engine.segmentation.prompt import Point, Prompt

NAME = "object"
SIDE_PX, GRAIN_PX = 320, 32  # longest side at which the network looks, and what sides are multiples of
MIN_WINDOW_PX = 48
MARGIN = 0.3  # around an object, in its sides, when it is looked at again
CLOSE = 0.75  # of the picture's sides: what is larger than this was seen well enough the first time
N_KEPT = 6  # looks: 3 MB each
MIN_CELLS = 12  # of an answer

Bools = NDArray[np.bool_]
Window = tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen in a window of a picture: (3, h, w) bytes."""

    window: Window
    pixels: Tensor
    sight: Sight

    @property
    def cells(self) -> tuple[int, int]:
        return self.pixels.shape[1] // HINT_STRIDE, self.pixels.shape[2] // HINT_STRIDE


@cache
def network() -> ObjectNet:
    """The network that ships."""
    net = ObjectNet()
    shipped.fill(net, NAME)
    return net.requires_grad_(False).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


_kept: OrderedDict[bytes, Look] = OrderedDict()


def look_at(rgb: Tensor, window: Window) -> Look:
    """See a window of a picture, or remember it.

    Args:
        rgb: (3, H, W) in [0, 1].
        window: within it.
    """
    size = _size_of(window)
    pixels = _reduced(rgb, window, size).mul(255).round_().to(torch.uint8)
    key = repr((window, rgb.shape)).encode() + pixels.numpy().tobytes()
    look = _kept.pop(key, None)
    if look is None:
        small = (pixels.float() / 255)[None].contiguous(memory_format=torch.channels_last)
        look = Look(window, pixels, network().look(small))
    _kept[key] = look
    while len(_kept) > N_KEPT:
        _kept.popitem(last=False)
    return look


def answer(look: Look, prompt: Prompt, before: tuple[Tensor, Window] | None = None) -> Tensor:
    """The share of the object in a look's window: (h/2, w/2) in [0, 1].

    Clicks beyond the first correct the answer to it, as they did in training.

    Args:
        look: what was seen.
        prompt: in pixels of the picture.
        before: an earlier answer and its window.
    """
    hint = hint_of(prompt, look)
    if before is not None:
        hint.before = resampled(*before, look.window, look.cells)
    elif len(prompt.points) + len(prompt.others) > (prompt.box is None):
        first = Hint(hint.on[: prompt.box is None], [], hint.region)
        hint.before = F.interpolate(_asked(look, first)[None, None], look.cells, mode="area")[0, 0]
    return _asked(look, hint)


def _asked(look: Look, hint: Hint) -> Tensor:
    logits = network().head(look.sight, hint_planes(hint, look.cells)[None])[0]
    return logits[0, 0].sigmoid()


def hint_of(prompt: Prompt, look: Look) -> Hint:
    """A prompt in cells of a look; what lies outside of its window is left out."""
    top, left, bottom, right = look.window
    down, across = look.cells[0] / (bottom - top), look.cells[1] / (right - left)

    def cells_of(points: Iterable[Point]) -> list[tuple[int, int]]:
        return [
            (int((y - top + 0.5) * down), int((x - left + 0.5) * across))
            for x, y in points
            if top <= y < bottom and left <= x < right
        ]

    region: Bools | None = None
    if prompt.region is not None:
        part = prompt.region[top:bottom, left:right].float()[None, None]
        region = (F.interpolate(part, look.cells, mode="area")[0, 0] > 0.5).numpy()  # (h, w)
    elif prompt.box is not None:
        x0, y0, x1, y1 = prompt.box
        region = np.zeros(look.cells, bool)
        rows, columns = ((y0 - top) * down, (y1 - top) * down), ((x0 - left) * across, (x1 - left) * across)
        region[_span(*rows, look.cells[0]), _span(*columns, look.cells[1])] = True
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


def _size_of(window: Window) -> tuple[int, int]:
    """(h, w) at which a window is looked at."""
    height, width = window[2] - window[0], window[3] - window[1]
    scale = SIDE_PX / max(height, width)
    h, w = (max(2 * GRAIN_PX, round(side * scale / GRAIN_PX) * GRAIN_PX) for side in (height, width))
    return h, w


def _reduced(rgb: Tensor, window: Window, size: tuple[int, int]) -> Tensor:
    """A window at a size: means over squares first, which is many times faster than one antialiased step."""
    part = rgb[:, window[0] : window[2], window[1] : window[3]]
    factor = max(1, min(part.shape[1] // size[0], part.shape[2] // size[1]))
    small = F.interpolate(means(part, factor)[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
    return small.nan_to_num(0.0).clamp(0, 1)


def means(x: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return x
    down, right = (-side % factor for side in x.shape[1:])
    return F.avg_pool2d(F.pad(x[None], (0, right, 0, down), mode="replicate"), factor)[0]
