"""The things that stand out in a picture, without a network: what is not connected with the picture's border.

A background reaches the border on a long front, a thing touches it hardly or not; what differs in color from such
background nearby is a thing. One linear system turns both cues into a smooth map, and GrabCut cuts out each part of it.

Source: Zhu, Liang, Wei & Sun 2014, "Saliency Optimization from Robust Background Detection", equations 1 to 9.
Departs: equal cells instead of superpixels, since GrabCut finds the edges afterwards.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import spsolve
from torch import Tensor

from engine.core.errors import InputError
from engine.core.types import Progress, silent
from engine.segmentation.grabcut import Floats, pairs, reduced
from engine.segmentation.grabcut import find as cut_out
from engine.segmentation.prompt import MIN_BOX_PX, Box, Prompt

CELLS = 40  # along the longest side
COLOR_SIGMA, BORDER_SIGMA, PLACE_SIGMA = 10.0, 1.0, 0.25  # published: Lab units, -, shares of the longest side
SMOOTHNESS = 0.1  # between neighbors of any color
MIN_CONTRAST = 12.0  # Lab units by which a thing must differ from the rest around it on average
MIN_CELLS = 4
LOOSENESS = 0.15  # by which the box around a part of the map is drawn larger
MAX_THINGS = 12
MAX_OVERLAP = 0.5


def find(rgb: Tensor, on_progress: Progress = silent) -> list[Tensor]:
    """Masks of the things that stand out.

    Args:
        rgb: (3, H, W) in [0, 1].
        on_progress: told the share done; may raise ``Cancelled``.

    Returns:
        (H, W) in [0, 1] each, as coarse as ``grabcut.find`` makes them; they hardly overlap.
    """
    on_progress(0.0, "Looking for objects")
    boxes = boxes_of(saliency(cells_of(rgb)), (rgb.shape[1], rgb.shape[2]))
    found: list[Tensor] = []
    for i, box in enumerate(boxes):
        on_progress((i + 1) / (len(boxes) + 1), "")
        try:
            mask = cut_out(rgb, Prompt(box))
        except InputError:
            continue  # no thing after all
        if all(_overlap(mask, other) <= MAX_OVERLAP for other in found):
            found.append(mask)
    return found


def cells_of(rgb: Tensor) -> Floats:
    """Mean colors of equal cells in Lab, L from 0 to 100: (h, w, 3)."""
    small = reduced(rgb, min(1.0, CELLS / max(rgb.shape[1:])))
    lab: Floats = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float64)
    return lab


def saliency(lab: Floats) -> Floats:
    """How much each cell belongs to a thing.

    Args:
        lab: (h, w, 3).

    Returns:
        (h, w), about 0 to 1; all 0 where nothing stands out.
    """
    height, width = lab.shape[:2]
    colors = lab.reshape(-1, 3)
    apart = np.sqrt(np.square(colors[:, None] - colors).sum(2))  # (n, n)
    background = background_share(lab)
    y, x = np.divmod(np.arange(height * width), width)
    distance = np.square(y[:, None] - y) + np.square(x[:, None] - x)
    nearness = np.exp(-distance / (2 * (PLACE_SIGMA * max(height, width)) ** 2))
    weight = nearness * background
    contrast = (apart * weight).sum(1) / np.maximum(weight.sum(1), 1e-9)  # mean difference from the background nearby
    if contrast.max() < MIN_CONTRAST:
        return np.zeros((height, width))
    return optimized(lab, background, contrast / contrast.max())


def background_share(lab: Floats) -> Floats:
    """How much each cell is background, by how long a front of the border its surroundings have: (h*w,) in [0, 1]."""
    height, width = lab.shape[:2]
    graph, steps = neighbor_graph(lab)
    # Small steps are the texture of one thing: they cost nothing, or they would add up to a border. (0 is no edge.)
    graph.data = np.maximum(graph.data - np.median(steps), 1e-6)
    geodesic = csgraph.dijkstra(graph, directed=False)
    alike = np.exp(-np.square(geodesic) / (2 * COLOR_SIGMA**2))
    border = np.zeros((height, width), bool)
    border[[0, -1]], border[:, [0, -1]] = True, True
    connectivity = alike[:, border.ravel()].sum(1) / np.sqrt(alike.sum(1))
    share: Floats = 1 - np.exp(-np.square(connectivity) / (2 * BORDER_SIGMA**2))
    return share


def optimized(lab: Floats, background: Floats, foreground: Floats) -> Floats:
    """The map s that minimizes background s^2 + foreground (s - 1)^2 + smoothness over neighbors alike in color."""
    graph, steps = neighbor_graph(lab)
    ties = graph.copy()
    ties.data = np.exp(-np.square(steps) / (2 * COLOR_SIGMA**2)) + SMOOTHNESS
    ties = ties + ties.T
    laplacian = sparse.diags_array(np.asarray(ties.sum(1)).ravel()) - ties
    system = sparse.csc_array(sparse.diags_array(background + foreground) + laplacian)
    result: Floats = spsolve(system, foreground).reshape(lab.shape[:2])
    return result


def neighbor_graph(lab: Floats) -> tuple[sparse.csr_array, Floats]:
    """Each pair of neighbors once with the difference of their colors, and these differences."""
    node = np.arange(lab.shape[0] * lab.shape[1], dtype=np.int32).reshape(lab.shape[:2])
    heads, tails, steps = [], [], []
    for first, second, _ in pairs(lab.shape):
        heads.append(node[first].ravel())
        tails.append(node[second].ravel())
        steps.append(np.maximum(np.sqrt(np.square(lab[first] - lab[second]).sum(2)).ravel(), 1e-6))
    values = np.concatenate(steps)
    graph = sparse.csr_array((values, (np.concatenate(heads), np.concatenate(tails))), (node.size, node.size))
    return graph, graph.data


def boxes_of(map_: Floats, size: tuple[int, int]) -> list[Box]:
    """Boxes around the connected parts of a map that stand out, largest first, a little loose.

    Args:
        map_: (h, w).
        size: (H, W) of the picture.
    """
    if not map_.any():
        return []
    threshold = float(cv2.threshold(_bytes(map_), 0, 255, cv2.THRESH_OTSU)[0])
    parts, _ = ndimage.label(_bytes(map_) > threshold)
    down, across = size[0] / map_.shape[0], size[1] / map_.shape[1]
    found = []
    for i, (rows, columns) in enumerate(ndimage.find_objects(parts), 1):
        n_cells = int((parts[rows, columns] == i).sum())
        up, left = (LOOSENESS * (span.stop - span.start) + 0.5 for span in (rows, columns))
        box = (
            max(0, round((columns.start - left) * across)),
            max(0, round((rows.start - up) * down)),
            min(size[1], round((columns.stop + left) * across)),
            min(size[0], round((rows.stop + up) * down)),
        )
        if n_cells >= MIN_CELLS and min(box[2] - box[0], box[3] - box[1]) >= MIN_BOX_PX:
            found.append((n_cells, box))
    found.sort(key=lambda pair: -pair[0])
    return [box for _, box in found[:MAX_THINGS]]


def _bytes(map_: Floats) -> NDArray[np.uint8]:
    low, high = float(map_.min()), float(map_.max())
    return np.round((map_ - low) / max(high - low, 1e-9) * 255).astype(np.uint8)


def _overlap(a: Tensor, b: Tensor) -> float:
    """Of the smaller of two masks, the share that lies in the other."""
    smaller = min(float(a.sum()), float(b.sum()))
    return float(torch.minimum(a, b).sum()) / max(smaller, 1e-9)
