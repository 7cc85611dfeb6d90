"""An object by the network that ships: from a box, clicks, a rough outline, or nothing (what stands out).

It looks twice: at the whole picture, and again at the surroundings of what it found, so that small things are seen as
well as large ones. Each time it looks at two sizes, and in the mirror too, and takes the mean of the four answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.progress import part
from engine.core.types import Progress, silent
from engine.segmentation.object_outline import by_color, finished, tidy
from engine.segmentation.object_view import MIN_CELLS, Look, answer, hint_of, look_at, surroundings
from engine.segmentation.prompt import Prompt

MAX_BEYOND, MAX_ALL = 0.35, 0.97  # of a mask: outside of its box; of the picture, where nothing was said
GRID = 6  # of points, along a side, where everything is looked for
MIN_QUALITY, MAX_OVERLAP = 0.8, 0.5


@dataclass(frozen=True, eq=False)
class Guess:
    """A soft mask (H, W), the overlap with the truth that it expects, and whether it can be meant."""

    mask: Tensor
    quality: float
    is_sound: bool


def find(rgb: Tensor, prompt: Prompt, on_progress: Progress = silent) -> Guess:
    """The object of a prompt.

    Args:
        rgb: (3, H, W) in [0, 1].
        prompt: within the picture.
        on_progress: told the share done; may raise ``Cancelled``.
    """
    height, width = rgb.shape[1:]
    look = look_at(rgb, (0, 0, height, width), part(on_progress, 0.0, 0.4))
    on_progress(0.4, "Looking at the object")
    share = answer(look, prompt)
    before, window = (share, look.window), surroundings(share, look.window, prompt)
    if window is not None:
        look = look_at(rgb, window, part(on_progress, 0.4, 0.7))
        share = answer(look, prompt, before)
    elif prompt.box is None and len(prompt.points) + len(prompt.others) < 2:  # a second thought; more clicks had one
        share = (share + answer(look, prompt, before)) / 2
    on_progress(0.7, "Drawing the edge")
    quality, mask = expected_overlap(share), torch.zeros(height, width)
    if not is_sound(share, look, prompt, (height, width)):
        return Guess(mask, quality, False)
    if prompt.region is None:  # an outline says more of the shape than colors do
        share = by_color(share, look, part(on_progress, 0.7, 0.9))
    share = tidy(share, look, prompt)
    on_progress(0.9, "")
    top, left, bottom, right = look.window
    mask[top:bottom, left:right] = finished(rgb, share, look)
    return Guess(mask, quality, is_sound(share, look, prompt, (height, width)))


def is_sound(share: Tensor, look: Look, prompt: Prompt, size: tuple[int, int]) -> bool:
    """Whether an answer can be meant: it is something, not everything, and hardly outside of the box."""
    inside = (share > 0.5).numpy()
    if int(inside.sum()) < MIN_CELLS:
        return False
    if prompt.box is None:
        top, left, bottom, right = look.window
        return bool(inside.mean() * (bottom - top) * (right - left) < MAX_ALL * size[0] * size[1])
    region = hint_of(prompt, look.window, look.cells).region
    if region is None:
        return True
    near = F.interpolate(torch.from_numpy(region).float()[None, None], share.shape, mode="nearest")[0, 0].numpy() > 0.5
    return bool((inside & ~near).sum() <= MAX_BEYOND * inside.sum()) and bool((inside & near).any())


def expected_overlap(share: Tensor) -> float:
    """Intersection over union with the truth, if the network's shares are the chances that they say they are."""
    inside = share > 0.5
    union = float(inside.sum()) + float(share[~inside].sum())
    return float(share[inside].sum()) / union if union else 0.0


def find_all(rgb: Tensor, on_progress: Progress = silent) -> list[Guess]:
    """What stands out, and what lies under a grid of points; what overlaps an earlier one is left out."""
    height, width = rgb.shape[1:]
    grid = [(int((i + 0.5) / GRID * width), int((j + 0.5) / GRID * height)) for j in range(GRID) for i in range(GRID)]
    prompts = [Prompt(), *(Prompt(points=(point,)) for point in grid)]
    look = look_at(rgb, (0, 0, height, width)).quick
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
