"""An object by the network that ships: from a box, clicks, a rough outline, or nothing (what stands out).

It looks twice: at the whole picture, and again at the surroundings of what it found, so that small things are seen as
well as large ones. What the trunk saw is kept, so that a further click asks the head alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from engine import weights
from engine.boundary import Labels, matte
from engine.networks.object import HINT_STRIDE, Hint, ObjectNet, Sight, hint_planes
from engine.segmentation import grabcut
from engine.segmentation.prompt import Point, Prompt
from engine.types import Progress, silent

NAME = "object"
SIDE_PX, GRAIN_PX = 320, 32  # longest side at which the network looks, and what sides are multiples of
MIN_WINDOW_PX = 48
MARGIN = 0.3  # around an object, in its sides, when it is looked at again
CLOSE = 0.75  # of the picture's sides: what is larger than this was seen well enough the first time
N_KEPT = 6  # looks: 3 MB each
MIN_ISLAND, MAX_HOLE = 0.04, 0.004  # share of the largest part that another must have; of the object that a hole has
MIN_CELLS = 12  # of an answer
MAX_BEYOND, MAX_ALL = 0.35, 0.97  # of a mask: outside of its box; of the picture, where nothing was said
CUT_PX, N_CUTS, MAX_CHANCE = 192, 2, 6.0  # longest side of the cut, how often, and what the network says at most (nats)
EDGE_PX = 768  # longest side at which the edge is found
EDGE_CELLS = 5.0  # half the width of the band in which it is, in pixels at which the network looked
GRID = 6  # of points, along a side, where everything is looked for
MIN_QUALITY, MAX_OVERLAP = 0.8, 0.5

Bools = NDArray[np.bool_]
Window = tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True, eq=False)
class Guess:
    """A soft mask (H, W), the overlap with the truth that it expects, and whether it can be meant."""

    mask: Tensor
    quality: float
    is_sound: bool


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
    weights.fill(net, NAME)
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


def find(rgb: Tensor, prompt: Prompt, on_progress: Progress = silent) -> Guess:
    """The object of a prompt.

    Args:
        rgb: (3, H, W) in [0, 1].
        prompt: within the picture.
        on_progress: told the share done; may raise ``Cancelled``.
    """
    height, width = rgb.shape[1:]
    whole = look_at(rgb, (0, 0, height, width))
    on_progress(0.4, "Looking at the object")
    share = answer(whole, prompt)
    window = surroundings(share, whole.window, prompt)
    if window is not None:
        before, whole = (share, whole.window), look_at(rgb, window)
        on_progress(0.8, "")
        share = answer(whole, prompt, before)
    quality, mask = expected_overlap(share), torch.zeros(height, width)
    if not is_sound(share, whole, prompt, (height, width)):
        return Guess(mask, quality, False)
    on_progress(0.85, "Drawing the edge")
    share = tidy(by_color(share, whole), whole, prompt)
    top, left, bottom, right = whole.window
    mask[top:bottom, left:right] = finished(rgb, share, whole)
    return Guess(mask, quality, is_sound(share, whole, prompt, (height, width)))


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


def by_color(share: Tensor, look: Look) -> Tensor:
    """An answer whose outline follows the colors: the network's chances are GrabCut's place term, the rest is its own.

    Returns:
        (h, w) above 0.5 where the cut says so, and as soft as before.
    """
    scale = min(1.0, CUT_PX / max(look.pixels.shape))
    pixels = grabcut.reduced(look.pixels.float() / 255, scale)  # (h', w', 3)
    chances = F.interpolate(share[None, None], pixels.shape[:2], mode="bilinear", align_corners=False)[0, 0]
    place = chances.double().clamp(1e-9, 1 - 1e-9).logit().clamp(-MAX_CHANCE, MAX_CHANCE).numpy()
    labels = place > 0
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.uint8)
    energy = grabcut.Energy(lab, grabcut.Scene(pixels, place, labels))
    for _ in range(N_CUTS):
        if not energy.learn(labels):
            return share
        labels = energy.minimize()
    cut = F.interpolate(torch.from_numpy(labels).float()[None, None], share.shape, mode="bilinear", align_corners=False)
    return (share + (cut[0, 0] > 0.5)) / 2


def tidy(share: Tensor, look: Look, prompt: Prompt) -> Tensor:
    """Without islands and pinholes, and with what was clicked on its side."""
    inside = (share > 0.5).numpy()
    keep = without_islands(inside)
    hint = hint_of(prompt, look)
    scale = share.shape[0] / look.cells[0]
    result = torch.where(torch.from_numpy(keep & ~inside), share.clamp_min(0.75), share)
    lost = ndimage.binary_dilation(inside & ~keep)
    result = torch.where(torch.from_numpy(lost & ~keep), torch.zeros(()), result)
    for clicks, value in ((hint.on, 1.0), (hint.beside, 0.0)):
        for row, column in clicks:
            y, x = round((row + 0.5) * scale), round((column + 0.5) * scale)
            if (float(result[min(y, len(result) - 1), min(x, result.shape[1] - 1)]) > 0.5) != (value > 0.5):
                result[max(0, y - 2) : y + 2, max(0, x - 2) : x + 2] = value
    return result


def without_islands(inside: Bools) -> Bools:
    """A labeling without parts that are small beside the largest, and without pinholes."""
    parts, n = ndimage.label(inside)
    if n == 0:
        return inside
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    kept: Bools = (sizes >= MIN_ISLAND * sizes.max())[parts]
    holes, _ = ndimage.label(~kept)
    is_pinhole = np.bincount(holes.ravel()) < MAX_HOLE * kept.sum()
    is_pinhole[0] = False
    return kept | is_pinhole[holes]


def expected_overlap(share: Tensor) -> float:
    """Intersection over union with the truth, if the network's shares are the chances that they say they are."""
    inside = share > 0.5
    union = float(inside.sum()) + float(share[~inside].sum())
    return float(share[inside].sum()) / union if union else 0.0


def is_sound(share: Tensor, look: Look, prompt: Prompt, size: tuple[int, int]) -> bool:
    """Whether an answer can be meant: it is something, not everything, and hardly outside of the box."""
    inside = (share > 0.5).numpy()
    if int(inside.sum()) < MIN_CELLS:
        return False
    if prompt.box is None:
        top, left, bottom, right = look.window
        return bool(inside.mean() * (bottom - top) * (right - left) < MAX_ALL * size[0] * size[1])
    region = hint_of(prompt, look).region
    if region is None:
        return True
    near = F.interpolate(torch.from_numpy(region).float()[None, None], share.shape, mode="nearest")[0, 0].numpy() > 0.5
    return bool((inside & ~near).sum() <= MAX_BEYOND * inside.sum()) and bool((inside & near).any())


def finished(rgb: Tensor, share: Tensor, look: Look) -> Tensor:
    """The answer at the size of the window, its edge where the picture has one: (bottom - top, right - left)."""
    top, left, bottom, right = look.window
    content = rgb[:, top:bottom, left:right]
    size = bottom - top, right - left
    factor = max(1, -(-max(size) // EDGE_PX))
    small = [-(-side // factor) for side in size]
    reduced = _means(content, factor)
    logits = F.interpolate(share.clamp(1e-4, 1 - 1e-4).logit()[None, None], small, mode="bilinear", align_corners=False)
    inside = (logits[0, 0] > 0).numpy()
    radius = max(2.0, EDGE_CELLS * max(small) / max(look.pixels.shape))
    within, beyond = (ndimage.distance_transform_edt(side) for side in (inside, ~inside))
    distance = torch.from_numpy(np.where(inside, within - 0.5, 0.5 - beyond).astype(np.float32) / radius)
    weight = F.interpolate(logits, size, mode="bilinear", align_corners=False)[0, 0].sigmoid_()
    return matte(content, weight, Labels(logits[0, 0].sigmoid(), distance, reduced, factor, radius)).weight


def _means(x: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return x
    down, right = (-side % factor for side in x.shape[1:])
    return F.avg_pool2d(F.pad(x[None], (0, right, 0, down), mode="replicate"), factor)[0]


def find_all(rgb: Tensor, on_progress: Progress = silent) -> list[Guess]:
    """What stands out, and what lies under a grid of points; what overlaps an earlier one is left out."""
    height, width = rgb.shape[1:]
    grid = [(int((i + 0.5) / GRID * width), int((j + 0.5) / GRID * height)) for j in range(GRID) for i in range(GRID)]
    prompts = [Prompt(), *(Prompt(points=(point,)) for point in grid)]
    look = look_at(rgb, (0, 0, height, width))
    rough: list[tuple[float, Prompt, Tensor]] = []
    for i, prompt in enumerate(prompts):
        on_progress(0.7 * i / len(prompts), "Looking for objects")
        share = answer(look, prompt)
        if is_sound(share, look, prompt, (height, width)):
            rough.append((expected_overlap(share), prompt, share > 0.5))
    chosen: list[tuple[Prompt, Tensor]] = []
    for quality, prompt, inside in sorted(rough, key=lambda one: -one[0]):
        if quality >= MIN_QUALITY and all(_overlap(inside, other) <= MAX_OVERLAP for _, other in chosen):
            chosen.append((prompt, inside))
    found = []
    for i, (prompt, _) in enumerate(chosen):
        on_progress(0.7 + 0.3 * i / len(chosen), "")
        found.append(find(rgb, prompt))
    return [guess for guess in found if guess.is_sound]


def _overlap(a: Tensor, b: Tensor) -> float:
    """Of the smaller of two masks, the share that lies in the other."""
    return float((a & b).sum()) / max(1, min(int(a.sum()), int(b.sum())))


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
    small = F.interpolate(_means(part, factor)[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
    return small.nan_to_num(0.0).clamp(0, 1)
