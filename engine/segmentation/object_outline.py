"""Where the object ends that the network found: by colors, without islands and pinholes, with hairs at full size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from engine.core.types import Progress, silent
from engine.edges.object_edge import Labels, matte
from engine.segmentation import grabcut
from engine.segmentation.object_view import Bools, Look, hint_of, means
from engine.segmentation.prompt import Prompt

MIN_ISLAND, MAX_HOLE = 0.04, 0.004  # share of the largest part that another must have; of the object that a hole has
MIN_PART = 0.4  # share of the largest part, where nothing was said
CUT_PX, N_CUTS = 224, 3  # longest side of the cut, and how often
TRUST, MAX_CHANCE = 0.7, 6.0  # what the network's chances count beside colors, and what they are at most (nats)
EDGE_PX = 640  # longest side at which the edge is found
EDGE_CELLS = 5.0  # half the width of the band in which it is, in pixels at which the network looked


def by_color(share: Tensor, look: Look, on_progress: Progress = silent) -> Tensor:
    """An answer whose outline follows the colors: the network's chances are GrabCut's place term, the rest is its own.

    Args:
        share: (h, w), the answer.
        look: what it answers to.
        on_progress: told the share done; may raise ``Cancelled``.

    Returns:
        (h, w) above 0.5 where the cut says so, and as soft as before.
    """
    pixels = grabcut.reduced(look.pixels.float() / 255, min(1.0, CUT_PX / max(look.pixels.shape)))  # (h', w', 3)
    chances = F.interpolate(share[None, None], pixels.shape[:2], mode="bilinear", align_corners=False)[0, 0]
    place = TRUST * chances.double().clamp(1e-9, 1 - 1e-9).logit().clamp(-MAX_CHANCE, MAX_CHANCE).numpy()
    labels = place > 0
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.uint8)
    energy = grabcut.Energy(lab, grabcut.Scene(pixels, place, labels))
    for i in range(N_CUTS):
        on_progress(i / N_CUTS, "")
        if not energy.learn(labels):
            return share
        labels = energy.minimize()
    cut = F.interpolate(torch.from_numpy(labels).float()[None, None], share.shape, mode="bilinear", align_corners=False)
    return (share + (cut[0, 0] > 0.5)) / 2


def tidy(share: Tensor, look: Look, prompt: Prompt) -> Tensor:
    """Without islands and pinholes, and with what was clicked on its side.

    Of an answer to clicks alone, the parts that were clicked on stay; of one to nothing, the large parts; of one to a
    box or an outline, all but specks.
    """
    inside = (share > 0.5).numpy()
    hint, scale = hint_of(prompt, look.window, look.cells), share.shape[0] / look.cells[0]
    places = [[_place(click, scale, inside.shape) for click in clicks] for clicks in (hint.on, hint.beside)]
    keep = without_islands(inside, MIN_PART if prompt.is_open else MIN_ISLAND, [] if prompt.box else places[0])
    result = torch.where(torch.from_numpy(keep & ~inside), share.clamp_min(0.75), share)
    lost = ndimage.binary_dilation(inside & ~keep)
    result = torch.where(torch.from_numpy(lost & ~keep), torch.zeros(()), result)
    for clicks, value in zip(places, (1.0, 0.0), strict=True):
        for y, x in clicks:
            if (float(result[y, x]) > 0.5) != (value > 0.5):
                result[max(0, y - 2) : y + 2, max(0, x - 2) : x + 2] = value
    return result


def _place(click: tuple[int, int], scale: float, size: tuple[int, ...]) -> tuple[int, int]:
    """The middle of a cell in an answer that is larger by a scale."""
    y, x = (min(round((at + 0.5) * scale), side - 1) for at, side in zip(click, size, strict=True))
    return y, x


def without_islands(inside: Bools, min_share: float = MIN_ISLAND, seeds: Sequence[tuple[int, int]] = ()) -> Bools:
    """A labeling without small parts, and without pinholes.

    Args:
        inside: (h, w).
        min_share: of the largest part, that another must have.
        seeds: (y, x); where the labeling holds one of them, only parts with one are kept.
    """
    parts, n = ndimage.label(inside)
    if n == 0:
        return inside
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    chosen = np.isin(np.arange(n + 1), [part for y, x in seeds if (part := parts[y, x])])
    kept: Bools = (chosen if chosen.any() else sizes >= min_share * sizes.max())[parts]
    holes, _ = ndimage.label(~kept)
    is_pinhole = np.bincount(holes.ravel()) < MAX_HOLE * kept.sum()
    is_pinhole[0] = False
    return kept | is_pinhole[holes]


def finished(rgb: Tensor, share: Tensor, look: Look) -> Tensor:
    """The answer at the size of the window, its edge where the picture has one: (bottom - top, right - left)."""
    top, left, bottom, right = look.window
    content = rgb[:, top:bottom, left:right]
    size = bottom - top, right - left
    factor = max(1, -(-max(size) // EDGE_PX))
    small = [-(-side // factor) for side in size]
    reduced = means(content, factor)
    logits = F.interpolate(share.clamp(1e-4, 1 - 1e-4).logit()[None, None], small, mode="bilinear", align_corners=False)
    inside = (logits[0, 0] > 0).numpy()
    radius = max(2.0, EDGE_CELLS * max(small) / max(look.pixels.shape))
    within, beyond = (ndimage.distance_transform_edt(side) for side in (inside, ~inside))
    distance = torch.from_numpy(np.where(inside, within - 0.5, 0.5 - beyond).astype(np.float32) / radius)
    weight = F.interpolate(logits, size, mode="bilinear", align_corners=False)[0, 0].sigmoid_()
    return matte(content, weight, Labels(logits[0, 0].sigmoid(), distance, reduced, factor, radius)).weight
