"""An object in a rough rectangle, or under a point, by its colors and by where it lies: GrabCut, no network.

Colors of the object and of the rest are mixtures of Gaussians, learned from a labeling; a minimum cut finds the best
labeling for these colors; and so on, until nothing changes. It ends in a local minimum, so it starts twice, once
from where objects usually lie in such a rectangle and once from what OpenCV's GrabCut found there, and the
labeling of less energy is kept.

Source: Rother, Kolmogorov & Blake 2004, "GrabCut" (OpenCV's implementation fits the mixtures and gives one start);
for points the distance of Bai & Sapiro 2007, "A Geodesic Framework for Fast Interactive Image and Video Segmentation".
Departs: Lab instead of RGB; a term for the place in the rectangle, without which the object dissolves as soon as the
rest shares its colors (on real photos it more than doubles the overlap); evidence of color is limited, so that no
single pixel is proof; all of it at a bounded size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from torch import Tensor
from torch.nn import functional as F

from engine.compute.resize import resize, scaled_size
from engine.core.errors import InputError
from engine.core.types import Progress, silent
from engine.edges.min_cut import min_cut
from engine.segmentation.prompt import Box, Point, Prompt

SIDE_PX = 200  # longest side of the box where it is computed
PICTURE_PX = 288  # longest side of the picture where there is no box
MARGIN = 0.35  # surroundings that show the colors of the rest, in sides of the box
N_ROUNDS = 4
CALM = 0.002  # share of pixels that change in the last round
PLACE_WEIGHT, PLACE_EDGE, PLACE_POWER = 3.0, 0.9, 2.5  # a box is filled like a rounded rectangle (nats)
MAX_COLOR = 4.0  # nats
POTTS_WEIGHT = 6.0
SENSOR_VARIANCE = 4.0  # of a channel of 8 bits; no color is exact
GEODESIC_STEP = 0.6  # what a step of one pixel costs beside one of one unit of color
N_GAUSSIANS = 5  # OpenCV's
MIN_PIXELS = 4 * N_GAUSSIANS
SURE = 1e4
NO_BOX = (0, 0, 1, 1)  # OpenCV wants one even where the mask says all
MIN_ISLAND, MAX_HOLE = 0.08, 0.004  # share of the largest part that another must have; of the object that a hole has
NEIGHBORS = ((0, 1), (1, 0), (1, 1), (1, -1))

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Scene:
    """What is to be labeled, at the size at which it is computed.

    Args:
        rgb: (h, w, 3) bytes.
        place: (h, w) what place alone says for the object, in nats; ``-SURE`` and ``SURE`` leave no doubt.
        start: (h, w) a first guess.
    """

    rgb: Bytes
    place: Floats
    start: Bools

    @property
    def is_free(self) -> Bools:
        return np.abs(self.place) < SURE


def find(rgb: Tensor, prompt: Prompt, on_progress: Progress = silent) -> Tensor:
    """The object of a prompt.

    Args:
        rgb: (3, H, W) in [0, 1].
        prompt: within the picture.
        on_progress: told the share done; may raise ``Cancelled``.

    Returns:
        (H, W) in [0, 1], as coarse as it was computed.

    Raises:
        InputError: nothing stands out there.
    """
    height, width = rgb.shape[1:]
    left, top, right, bottom = _surroundings(prompt.box, (height, width))
    window = rgb[:, top:bottom, left:right]
    reference = (0, 0, width, height) if prompt.box is None else prompt.box
    longest = max(reference[2] - reference[0], reference[3] - reference[1])
    scale = min(1.0, (PICTURE_PX if prompt.box is None else SIDE_PX) / longest)
    scene = make_scene(reduced(window, scale), _moved(prompt, left, top), (bottom - top, right - left))
    labels = tidy(label(scene, on_progress), scene.place >= SURE) & (scene.place > -SURE)
    if not labels.any():
        raise InputError("No object stands out there: draw the box closer around it, or give a point on it.")
    found = torch.zeros(height, width)
    small = torch.from_numpy(labels).float()[None, None]
    found[top:bottom, left:right] = F.interpolate(small, window.shape[1:], mode="bilinear", align_corners=False)[0, 0]
    return found


def make_scene(rgb: Bytes, prompt: Prompt, size: tuple[int, int]) -> Scene:
    """The reduced picture, with what the prompt says about the place.

    Args:
        rgb: (h, w, 3).
        prompt: in pixels of the picture before it was reduced.
        size: (H, W) of that.
    """
    down, across = rgb.shape[0] / size[0], rgb.shape[1] / size[1]
    points, others = ([(int(x * across), int(y * down)) for x, y in group] for group in (prompt.points, prompt.others))
    if prompt.box is None:
        place = place_by_points(rgb, points, others)
        start = place > 0
    else:
        x0, y0, x1, y1 = prompt.box
        place = place_in_box(rgb.shape[:2], (x0 * across, y0 * down, x1 * across, y1 * down))
        start = place > 0
    for group, certainty in ((points, SURE), (others, -SURE)):
        for x, y in group:
            near = np.s_[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            place[near], start[near] = certainty, certainty > 0
    return Scene(rgb, place, start)


def place_in_box(size: tuple[int, ...], box: tuple[float, float, float, float]) -> Floats:
    """What the place in a box says for the object: much in the middle, little at its corners, never outside.

    Args:
        size: (h, w).
        box: x0, y0, x1, y1.

    Returns:
        (h, w) in nats.
    """
    x0, y0, x1, y1 = box
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    across, down = np.abs(2 * x - x0 - x1) / (x1 - x0), np.abs(2 * y - y0 - y1) / (y1 - y0)
    away = (across**PLACE_POWER + down**PLACE_POWER) ** (1 / PLACE_POWER)
    place: Floats = np.where((across < 1) & (down < 1), PLACE_WEIGHT * (PLACE_EDGE - away), -SURE)
    return place


def place_by_points(rgb: Bytes, points: list[Point], others: list[Point]) -> Floats:
    """What the place says for the object under some points: how much nearer they are than the border of the picture
    (or points beside the object), when each step costs the change of color that it makes.

    Args:
        rgb: (h, w, 3).
        points, others: (x, y).

    Returns:
        (h, w) in nats.
    """
    height, width = rgb.shape[:2]
    lab = cv2.cvtColor(cv2.GaussianBlur(rgb, (0, 0), 1.0), cv2.COLOR_RGB2LAB).astype(np.float64)
    node = np.arange(height * width, dtype=np.int32).reshape(height, width)
    heads, tails, costs = [], [], []
    for first, second, length in pairs((height, width)):
        change = np.sqrt(np.square(lab[first] - lab[second]).sum(2)) + GEODESIC_STEP * length
        heads.append(node[first].ravel())
        tails.append(node[second].ravel())
        costs.append(change.ravel())
    graph = sparse.csr_array((np.concatenate(costs), (np.concatenate(heads), np.concatenate(tails))), (node.size,) * 2)
    rim = [node[0], node[-1], node[:, 0], node[:, -1]]
    seeds = [[node[y, x] for x, y in points], np.unique(np.concatenate(rim))]
    if others:
        seeds[1] = np.array([node[y, x] for x, y in others])
    near, far = (csgraph.dijkstra(graph, directed=False, indices=nodes, min_only=True) for nodes in seeds)
    share = (far - near) / np.maximum(far + near, 1e-9)
    place: Floats = PLACE_WEIGHT * share.reshape(height, width)
    return place


def label(scene: Scene, on_progress: Progress = silent) -> Bools:
    """The labeling of least energy that two starts lead to: (h, w) bool."""
    lab: Bytes = cv2.cvtColor(scene.rgb, cv2.COLOR_RGB2LAB).astype(np.uint8)
    energy = Energy(lab, scene)
    found = []
    for i, start in enumerate((scene.start, opencv_labels(lab, scene))):
        on_progress(i / 2, "Looking for the object")
        labels = start
        for step in range(N_ROUNDS):
            on_progress(i / 2 + step / (2 * N_ROUNDS), "")
            if not energy.learn(labels):
                break
            before, labels = labels, energy.minimize()
            if (labels != before).mean() < CALM:
                break
        if energy.learn(labels):
            found.append((energy.of(labels), labels))
    return min(found, key=lambda pair: pair[0])[1] if found else np.zeros_like(scene.start)


def opencv_labels(lab: Bytes, scene: Scene) -> Bools:
    """OpenCV's GrabCut from the scene's first guess, tidied: (h, w) bool."""
    mask = trimap(scene, scene.start)
    if not _can_learn(mask):
        return scene.start
    background, foreground = np.zeros((1, 13 * N_GAUSSIANS)), np.zeros((1, 13 * N_GAUSSIANS))
    cv2.setRNGSeed(0)
    cv2.grabCut(lab, mask, NO_BOX, background, foreground, 2, cv2.GC_INIT_WITH_MASK)
    return tidy((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD), scene.place >= SURE)


def trimap(scene: Scene, labels: Bools) -> Bytes:
    """Labels as OpenCV has them: sure where the place is sure."""
    mask = np.where(labels, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    mask[scene.place >= SURE], mask[scene.place <= -SURE] = cv2.GC_FGD, cv2.GC_BGD
    return mask


def _can_learn(mask: Bytes) -> bool:
    """Whether either side has the pixels that a mixture of Gaussians needs."""
    n_inside = int(((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).sum())
    return min(n_inside, mask.size - n_inside) >= MIN_PIXELS


class Energy:
    """What a labeling costs: colors that are unlikely on their side, places, and edges where the picture has none.

    Args:
        lab: (h, w, 3) bytes.
        scene: of the same size.
    """

    def __init__(self, lab: Bytes, scene: Scene) -> None:
        self.lab, self.scene = lab, scene
        self.colors = lab.reshape(-1, 3).astype(np.float64)  # (h*w, 3)
        self.free = np.flatnonzero(scene.is_free.ravel())
        node = np.arange(scene.place.size, dtype=np.int32).reshape(scene.place.shape)
        heads, tails, contrasts, lengths = [], [], [], []
        for first, second, length in pairs(node.shape):
            change = lab[first].astype(np.float64) - lab[second]
            contrasts.append(np.square(change).sum(2).ravel())
            lengths.append(np.full(contrasts[-1].size, length))
            heads.append(node[first].ravel())
            tails.append(node[second].ravel())
        contrast = np.concatenate(contrasts)
        variance = max(float(contrast.mean()), 1e-6)
        costs = POTTS_WEIGHT * np.exp(-contrast / (2 * variance)) / np.concatenate(lengths)
        is_free = scene.is_free.ravel()
        all_heads, all_tails = np.concatenate(heads), np.concatenate(tails)
        matters = is_free[all_heads] | is_free[all_tails]
        self.heads, self.tails, self.costs = all_heads[matters], all_tails[matters], costs[matters]

    def learn(self, labels: Bools) -> bool:
        """Fit the colors of both sides of a labeling; False if one has too few pixels to learn from."""
        mask = trimap(self.scene, labels)
        if not _can_learn(mask):
            return False
        background, foreground = np.zeros((1, 13 * N_GAUSSIANS)), np.zeros((1, 13 * N_GAUSSIANS))
        cv2.setRNGSeed(0)
        cv2.grabCut(self.lab, mask, NO_BOX, background, foreground, 0, cv2.GC_INIT_WITH_MASK)  # 0 rounds: fit only
        self.inside, self.outside = (log_likelihood(self.colors, model[0]) for model in (foreground, background))
        return True

    def minimize(self) -> Bools:
        """The labeling of least energy for the colors learned last."""
        place = self.scene.place.ravel()
        evidence = np.clip(self.inside - self.outside, -MAX_COLOR, MAX_COLOR)
        gain = (evidence + np.clip(place, -SURE, SURE))[self.free]
        number = np.full(place.size, -1, np.int32)
        number[self.free] = np.arange(len(self.free), dtype=np.int32)
        a, b = number[self.heads], number[self.tails]
        for at, other in ((a, self.tails), (b, self.heads)):  # a neighbor that is sure draws to its side
            bound = (at >= 0) & (number[other] < 0)
            pull = np.where(place[other[bound]] > 0, self.costs[bound], -self.costs[bound])
            gain += np.bincount(at[bound], pull, minlength=len(gain))
        both = (a >= 0) & (b >= 0)
        labels = place > 0
        labels[self.free] = min_cut(gain, a[both], b[both], self.costs[both])
        return labels.reshape(self.scene.place.shape)

    def of(self, labels: Bools) -> float:
        """The energy of a labeling, in nats, with the colors learned last; colors that are sure count too, since an
        object that takes the surroundings' colors explains them badly."""
        flat = labels.ravel()
        color = np.where(flat, self.inside, self.outside).sum()
        place = self.scene.place.ravel()[self.free][flat[self.free]].sum()
        return float(self.costs[flat[self.heads] != flat[self.tails]].sum() - color - place)


def log_likelihood(colors: Floats, model: Floats) -> Floats:
    """Of colors in a mixture of Gaussians.

    Args:
        colors: (n, 3).
        model: (65,), as OpenCV keeps it: weights, means, covariances.

    Returns:
        (n,).
    """
    weights, means, covariances = np.split(model, [N_GAUSSIANS, 4 * N_GAUSSIANS])
    likelihood = np.full(len(colors), 1e-12)
    for weight, mean, covariance in zip(weights, means.reshape(-1, 3), covariances.reshape(-1, 3, 3), strict=True):
        if weight > 0:
            full = covariance + SENSOR_VARIANCE * np.eye(3)
            away = colors - mean
            distance = (away @ np.linalg.inv(full) * away).sum(1)
            likelihood += weight / np.sqrt(np.linalg.det(full)) * np.exp(-distance / 2)
    return np.log(likelihood)


def tidy(labels: Bools, seeds: Bools) -> Bools:
    """Without islands and pinholes.

    Args:
        labels: (h, w).
        seeds: (h, w), what surely belongs to the object; where there is any, only parts that hold some are kept.
    """
    parts, n = ndimage.label(labels)
    if n == 0:
        return labels
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    keep = sizes >= MIN_ISLAND * sizes.max()
    if (labels & seeds).any():
        keep = np.zeros(n + 1, bool)
        keep[np.unique(parts[labels & seeds])] = True
    kept: Bools = keep[parts]
    holes, _ = ndimage.label(~kept)
    sizes = np.bincount(holes.ravel())
    is_pinhole = sizes < MAX_HOLE * kept.sum()
    is_pinhole[np.unique(np.concatenate((holes[0], holes[-1], holes[:, 0], holes[:, -1])))] = False
    is_pinhole[0] = False
    return kept | is_pinhole[holes]


Window = tuple[slice, slice]


def pairs(size: tuple[int, ...]) -> Iterator[tuple[Window, Window, float]]:
    """Neighbors at the four offsets that name each pair once: two windows of a picture, and how far apart they are."""
    height, width = size[:2]
    for down, right in NEIGHBORS:
        first = (slice(0, height - down), slice(max(0, -right), width - max(0, right)))
        second = (slice(down, height), slice(max(0, right), width + min(0, right)))
        yield first, second, float(np.hypot(down, right))


def _surroundings(box: Box | None, size: tuple[int, int]) -> Box:
    """A box and what lies around it."""
    height, width = size
    if box is None:
        return 0, 0, width, height
    x0, y0, x1, y1 = box
    across, down = (max(8, round(MARGIN * side)) for side in (x1 - x0, y1 - y0))
    return max(0, x0 - across), max(0, y0 - down), min(width, x1 + across), min(height, y1 + down)


def _moved(prompt: Prompt, left: int, top: int) -> Prompt:
    """The same prompt in a window of the picture."""
    box = prompt.box
    if box is not None:
        box = box[0] - left, box[1] - top, box[2] - left, box[3] - top
    points, others = (
        tuple((x - left, y - top) for x, y in group if x >= left and y >= top)
        for group in (prompt.points, prompt.others)
    )
    return Prompt(box, points, others)


def reduced(rgb: Tensor, scale: float) -> Bytes:
    """(3, H, W) in [0, 1] as (h, w, 3) bytes."""
    if scale < 1:
        size = scaled_size(rgb.shape[1:], scale, 2)
        rgb = resize(rgb, size)
    pixels = rgb.nan_to_num(0.0).clamp(0, 1).mul(255).round_().to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())  # (h, w, 3)
