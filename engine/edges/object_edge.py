"""Where a selected object ends: inside a narrow band around the mask's edge, the edge is found again.

Two steps. A Markov random field relabels every pixel of the band as painted or original: near its own side of the
mask's edge, alike in color to what lies on that side, and changing labels where the picture has an edge; the labeling
of least energy is a minimum cut. Then the guided filter turns labels into the soft alpha of hair and glass. Outside the
band the mask stays as it was, to the bit.

Source: Castillo et al. 2017, "Son of Zorn's Lemma: Targeted Style Transfer Using Instance-aware Semantic Segmentation",
which gives no parameters; the energy is that of Boykov & Jolly 2001 and Rother et al. 2004 (GrabCut), the matting that
of He et al. 2013.
Departs: labels are cut on a reduced picture where the band is wide, so that cost grows with the length of the edge and
not with the picture; the alpha has the full resolution, because the filter's coefficients meet the pixels there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from engine.core.shapes import check_shapes
from engine.edges.min_cut import min_cut
from engine.edges.smoothing import box_mean, fit_affine

BAND_SHARE = 0.08  # half the band's width over the root of the selected area
THIN_SHARE = 0.6  # and over area by length of edge: a thin thing must not vanish in its own band
MIN_BAND_PX, MAX_BAND_PX = 4, 64
COARSE_BAND = 24  # the cut is made where half the band has at most this many pixels
MAX_NODES = 100_000  # of a cut: about half a second
MARGIN = 3  # surroundings that color models and windows see, in half widths of the band
COLOR_EPS = 4e-4  # variance that every color model has at least: noise, and what one Gaussian does not say
MAX_COLOR = 4.0  # where the color term saturates, in nats: one pixel is never proof
DISTANCE_WEIGHT = 2.0
POTTS_WEIGHT = 5.0
MATTE_RADIUS, MATTE_EPS = 0.75, 1e-4  # the filter's window in half widths of the band
MATTE_LOW, MATTE_HIGH = 0.1, 0.9  # alpha beyond these is the filter's blur: empty or full
RIM = 0.75  # from this share of the band's half width on the mask as given comes back
TILE_PX = 256

NEIGHBORS = ((0, 1), (1, 0), (1, 1), (1, -1))  # of half of the eight: each pair once


@dataclass(frozen=True, eq=False)
class Boundary:
    """A mask with a new edge.

    Args:
        weight: (H, W) in [0, 1].
        band: (H, W) bool: where ``weight`` may differ from the mask as it was.
    """

    weight: Tensor
    band: Tensor


def refine(content: Tensor, weight: Tensor) -> Boundary:
    """Find the edge of a selected object.

    Args:
        content: (3, H, W) in [0, 1].
        weight: (H, W) in [0, 1], the mask as it was given; its edge is where it passes one half.

    Returns:
        The mask with the object's own edge. Without an edge the mask itself and an empty band.
    """
    check_shapes(content=(content, "3 H W"), weight=(weight, "H W"))
    result, band = weight.clone(), torch.zeros_like(weight, dtype=torch.bool)
    edge = _edge_box(weight >= 0.5)
    if edge is None:
        return Boundary(result, band)
    radius_px = band_radius_px(weight)
    rows, columns = (_grown(span, MARGIN * radius_px, side) for span, side in zip(edge, weight.shape, strict=True))
    labels = cut_labels(content[:, rows, columns], weight[rows, columns], radius_px)
    found = matte(content[:, rows, columns], weight[rows, columns], labels)
    result[rows, columns], band[rows, columns] = found.weight, found.band
    return Boundary(result, band)


def band_radius_px(weight: Tensor) -> int:
    """Half the width of the band: by the size of the object, and no less than a soft edge needs.

    Args:
        weight: (H, W) in [0, 1], with an edge.
    """
    inside = weight >= 0.5
    length = sum(count(a != b) for a, b in ((inside[1:], inside[:-1]), (inside[:, 1:], inside[:, :-1])))
    n_soft = count((weight > 0) & (weight < 1))
    softness_px = n_soft / (2 * length)
    area = count(inside)
    wanted_px = max(min(BAND_SHARE * math.sqrt(area), THIN_SHARE * area / length), 1.5 * softness_px)
    return round(min(MAX_BAND_PX, max(MIN_BAND_PX, wanted_px)))


def count(x: Tensor) -> int:
    """How many are true, at a tenth of the time that their sum takes."""
    return int(torch.count_nonzero(x))


@dataclass(frozen=True, eq=False)
class Labels:
    """What was decided on the reduced picture of (h, w) = (H, W) / factor, rounded up.

    Args:
        inside: (h, w) float32, 1 = painted.
        distance: (h, w) float32: from the mask's edge in half widths of the band, positive inside.
        content: (3, h, w).
        factor: how far it is reduced.
        radius: half the band's width in its pixels.
    """

    inside: Tensor
    distance: Tensor
    content: Tensor
    factor: int
    radius: float


def cut_labels(content: Tensor, weight: Tensor, radius_px: int) -> Labels:
    """Label the band by a minimum cut.

    Args:
        content: (3, H, W).
        weight: (H, W), with an edge.
        radius_px: half the band's width.
    """
    factor = math.ceil(radius_px / COARSE_BAND)
    while True:
        small, mask = _reduced(content, factor), _reduced(weight[None], factor)[0]
        distance = _signed_distance(mask.numpy() >= 0.5) * (factor / radius_px)  # (h, w)
        if int((np.abs(distance) < 1).sum()) <= MAX_NODES:
            break
        factor += 1
    radius = radius_px / factor
    unary = color_evidence(small, torch.from_numpy(distance), radius).numpy() + DISTANCE_WEIGHT * distance
    inside = relabel(small.numpy(), unary, distance)
    return Labels(torch.from_numpy(inside).float(), torch.from_numpy(distance), small, factor, radius)


def color_evidence(content: Tensor, distance: Tensor, radius: float) -> Tensor:
    """How much more a pixel's color is like the inside's than like the outside's, nearby.

    Around each pixel each side has a Gaussian of the colors that lie on it; what is close to the edge counts less,
    because that is what is in doubt.

    Args:
        content: (3, h, w).
        distance: (h, w) from the mask's edge in half widths of the band, positive inside.
        radius: half the band's width in pixels.

    Returns:
        (h, w) log-likelihood ratio, at most ``MAX_COLOR`` in size; 0 outside the band.
    """
    window = max(2, round(2 * radius))
    band = distance.abs() < 1
    inside = _log_likelihood(content, distance.clamp(0, 1), band, window)
    outside = _log_likelihood(content, (-distance).clamp(0, 1), band, window)
    evidence = torch.zeros_like(distance)
    evidence[band] = (inside - outside).clamp(-MAX_COLOR, MAX_COLOR).to(evidence)
    return evidence


def _log_likelihood(content: Tensor, share: Tensor, band: Tensor, window: int) -> Tensor:
    """Of the color of each of the band's n pixels in the Gaussian of the window around it, (n,)."""
    x, w = content.double(), share.double() + 1e-6  # a window without any of a side says what the picture says
    total = box_mean(w, window)[band]

    def mean_of(values: Tensor) -> Tensor:
        return box_mean(values * w, window)[band] / total

    mean = torch.stack([mean_of(channel) for channel in x], 1)  # (n, 3)
    second = torch.stack([mean_of(x[i] * x[j]) for i in range(3) for j in range(i + 1)], 1)  # (n, 6)
    lower = second[:, [0, 1, 3, 1, 2, 4, 3, 4, 5]].view(-1, 3, 3)  # rows and columns of the 6 of the triangle
    cov = lower - mean[:, :, None] * mean[:, None] + COLOR_EPS * torch.eye(3, dtype=x.dtype)
    root = torch.linalg.cholesky(cov)
    away = x[:, band].T - mean  # (n, 3)
    white = torch.linalg.solve_triangular(root, away[:, :, None], upper=False)[..., 0]
    return -0.5 * white.square().sum(1) - root.diagonal(dim1=1, dim2=2).log().sum(1)


def relabel(
    content: NDArray[np.float32], unary: NDArray[np.float32], distance: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """The labeling of least energy: sum of -unary over what is inside, plus the cost of neighbors that differ.

    Neighbors that differ cost ``POTTS_WEIGHT`` exp(-|dI|^2 / 2 sigma^2) over their distance, sigma^2 being the mean of
    |dI|^2 in the band.

    Args:
        content: (3, h, w).
        unary: (h, w), how much better inside is than outside, in nats.
        distance: (h, w); from 1 in size on a pixel keeps its side.

    Returns:
        (h, w) bool: inside.
    """
    is_free = np.abs(distance) < 1
    inside: NDArray[np.bool_] = distance > 0
    node = np.full(distance.shape, -1, np.int32)
    node[is_free] = np.arange(int(is_free.sum()), dtype=np.int32)
    gain = unary[is_free].astype(np.float64)
    heads, tails, costs = [], [], []
    for first, second, cost in _pairs(content, node):
        a, b = node[first], node[second]
        free = (a >= 0) & (b >= 0)
        heads.append(a[free])
        tails.append(b[free])
        costs.append(cost[free])
        for at, other in ((a, inside[second]), (b, inside[first])):  # a neighbor that keeps its side draws to it
            bound = (at >= 0) & ~free
            gain += np.bincount(at[bound], np.where(other, cost, -cost)[bound], minlength=len(gain))
    labels = inside.copy()
    labels[is_free] = min_cut(gain, np.concatenate(heads), np.concatenate(tails), np.concatenate(costs))
    return labels


Window = tuple[slice, slice]
Pairs = Iterator[tuple[Window, Window, NDArray[np.float64]]]


def _pairs(content: NDArray[np.float32], node: NDArray[np.int32]) -> Pairs:
    """Neighbors at the four offsets, as two windows of the picture, and what it costs if their labels differ."""
    height, width = node.shape
    found = []
    for down, right in NEIGHBORS:
        first = (slice(0, height - down), slice(max(0, -right), width - max(0, right)))
        second = (slice(down, height), slice(max(0, right), width + min(0, right)))
        change = content[:, first[0], first[1]] - content[:, second[0], second[1]]
        contrast = np.square(change).sum(0, dtype=np.float64)
        in_band = (node[first] >= 0) | (node[second] >= 0)
        found.append((first, second, contrast, in_band, math.hypot(down, right)))
    variance = np.concatenate([contrast[in_band] for _, _, contrast, in_band, _ in found]).mean()
    for first, second, contrast, _, length in found:
        yield first, second, POTTS_WEIGHT * np.exp(-contrast / (2 * max(variance, 1e-8))) / length


def matte(content: Tensor, weight: Tensor, labels: Labels) -> Boundary:
    """Alpha at full size from labels of the reduced picture.

    The guided filter fits alpha as an affine function of color in each window; applied to the full picture it follows
    every hair that the reduced one does not show.

    Args:
        content: (3, H, W).
        weight: (H, W), the mask as it was given: toward the band's rim it comes back, so that nothing jumps there.
        labels: of the same picture, reduced.
    """
    window = max(1, round(MATTE_RADIUS * labels.radius))
    affine = fit_affine(labels.content, labels.inside[None], window, MATTE_EPS)
    table = torch.cat((affine.slope[0], affine.offset, labels.distance[None]))  # (5, h, w)
    result, band = weight.clone(), torch.zeros_like(weight, dtype=torch.bool)
    for rows, columns, near in _enlarged_tiles(table, labels.factor, weight.shape):
        at = near[4].abs() < 1  # (tile height, tile width)
        alpha = (near[:3] * content[:, rows, columns]).sum(0) + near[3]
        alpha = ((alpha - MATTE_LOW) / (MATTE_HIGH - MATTE_LOW)).clamp(0, 1)
        given = weight[rows, columns]
        alpha = torch.lerp(alpha, given, ((near[4].abs() - RIM) / (1 - RIM)).clamp(0, 1))
        result[rows, columns] = torch.where(at, alpha, given)
        band[rows, columns] = at
    return Boundary(result, band)


def _enlarged_tiles(table: Tensor, factor: int, size: torch.Size) -> Iterator[tuple[slice, slice, Tensor]]:
    """The tiles that the band touches, each with (K, h, w) enlarged to its pixels; the last plane is the distance."""
    step = max(1, TILE_PX // factor)
    height, width = table.shape[1:]
    for top in range(0, height, step):
        for left in range(0, width, step):
            up, back = min(1, top), min(1, left)  # a pixel of margin, that what is between two is right at tile edges
            near = table[:, top - up : top + step + 1, left - back : left + step + 1]
            if float(near[-1].abs().min()) >= 1:
                continue
            large = near
            if factor > 1:
                large = F.interpolate(near[None], scale_factor=factor, mode="bilinear", align_corners=False)[0]
            bottom, right = min(size[0], (top + step) * factor), min(size[1], (left + step) * factor)
            rows, columns = slice(top * factor, bottom), slice(left * factor, right)
            first, start = up * factor, back * factor
            inner = large[:, first : first + bottom - rows.start, start : start + right - columns.start]
            yield rows, columns, inner


def _reduced(x: Tensor, factor: int) -> Tensor:
    """Means over squares of a side: (C, H, W) -> (C, H / factor, W / factor), rounded up."""
    if factor == 1:
        return x
    down, right = (-side % factor for side in x.shape[1:])
    return F.avg_pool2d(F.pad(x[None], (0, right, 0, down), mode="replicate"), factor)[0]


def _signed_distance(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """To the edge between two pixels, positive inside: (h, w)."""
    within, beyond = (ndimage.distance_transform_edt(side) for side in (inside, ~inside))
    return np.where(inside, within - 0.5, 0.5 - beyond).astype(np.float32)


def _edge_box(inside: Tensor) -> tuple[slice, slice] | None:
    """Rows and columns that hold all pixels with a neighbor on the other side; None if there is none."""
    across, down = inside[:, 1:] != inside[:, :-1], inside[1:] != inside[:-1]
    rows = torch.cat((across.any(1).nonzero()[:, 0], down.any(1).nonzero()[:, 0]))
    columns = torch.cat((across.any(0).nonzero()[:, 0], down.any(0).nonzero()[:, 0]))
    if len(rows) == 0:
        return None
    return slice(int(rows.min()), int(rows.max()) + 2), slice(int(columns.min()), int(columns.max()) + 2)


def _grown(span: slice, by: int, side: int) -> slice:
    return slice(max(0, span.start - by), min(side, span.stop + by))
