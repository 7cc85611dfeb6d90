"""Where the object ends that the network found: by colors, without islands and pinholes, with hairs at full size."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from engine.edges.object_edge import Labels, matte
from engine.segmentation import grabcut
from engine.segmentation.object_view import Bools, Look, hint_of, means
from engine.segmentation.prompt import Prompt

MIN_ISLAND, MAX_HOLE = 0.04, 0.004  # share of the largest part that another must have; of the object that a hole has
CUT_PX, N_CUTS, MAX_CHANCE = 192, 2, 6.0  # longest side of the cut, how often, and what the network says at most (nats)
EDGE_PX = 768  # longest side at which the edge is found
EDGE_CELLS = 5.0  # half the width of the band in which it is, in pixels at which the network looked


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
