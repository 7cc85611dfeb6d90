"""Photorealistic smoothing: a painting whose edges are the content's again.

Everything here fits, around each pixel, an affine map from the content's colors to the painting's, and applies it to
the content: what is not an affine function of the content's colors (brush strokes, bent edges) vanishes, what is
(color, tone, light) stays. ``matting`` solves for all windows of a small picture together. Of a large one it
solves a small copy, whose affine coefficients are enlarged. The guided filter solves each window by itself and
averages: not the same answer, but a quick one.

Source: Li et al. 2018, "A Closed-form Solution to Photorealistic Image Stylization"; He, Sun & Tang 2013, "Guided Image
Filtering", which Li proposes as an approximation; He & Sun 2015, "Fast Guided Filter".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.resize import resize
from engine.core.errors import SettingsError
from engine.core.progress import part
from engine.core.shapes import check_shapes
from engine.core.types import Progress, silent
from engine.edges.matting import smooth_exactly

Way = Literal["exact", "bounded", "guided"]

SOLVE_PX = 512  # longest side at which coefficients are computed
RADIUS = 35 / 512  # window radius as a share of the longest side
EPS = 1e-3
FIT_RADIUS_PX, FIT_EPS = 2, 1e-5  # of the coefficients of what was solved exactly
BLOCK_PIXELS = 1 << 20  # pixels that the exact filter holds coefficients of at a time
APPLY_PIXELS = 1 << 18


@dataclass(frozen=True, eq=False)
class Affine:
    """A map from guide colors to target values at every pixel: value_c = slope_c . color + offset_c.

    Args:
        slope: (C, 3, H, W).
        offset: (C, H, W).
    """

    slope: Tensor
    offset: Tensor


def choose_way(size: tuple[int, int]) -> Way:
    """How a picture of (H, W) is smoothed: what has no window of 3 x 3 pixels is left to the guided filter."""
    if min(size) < 3 or min(solved_size(size)) < 3:
        return "guided"
    return "exact" if max(size) <= SOLVE_PX else "bounded"


def describe_way(way: Way, size: tuple[int, int]) -> str:
    """What a report says of it."""
    height, width = solved_size(size)
    return {
        "exact": "smoothed in closed form, exactly",
        "bounded": f"smoothed in closed form at {width} x {height} pixels, its color maps enlarged",
        "guided": "smoothed by the guided filter",
    }[way]


def solved_size(size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) with its longest side at most ``SOLVE_PX``."""
    factor = min(1.0, SOLVE_PX / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def shrunk(rgb: Tensor) -> Tensor:
    """(3, H, W) at the size at which coefficients are computed."""
    size = solved_size((rgb.shape[1], rgb.shape[2]))
    if size == tuple(rgb.shape[1:]):
        return rgb
    return resize(rgb, size)


def smooth_photoreal(
    painted: Tensor, content: Tensor, amount: float, on_progress: Progress = silent, *, way: Way | None = None
) -> Tensor:
    """Give a painting the content's edges.

    Of a large picture, coefficients are computed at ``SOLVE_PX`` and enlarged: they are smooth at the scale of a
    window, so that cost and memory stay bounded and the details, which come from the content at full size, stay sharp.

    Args:
        painted: (3, H, W), [0, 1].
        content: (3, H, W).
        amount: 0 = as painted, 1 = smoothed.
        on_progress: told the share done; may raise ``Cancelled``.
        way: None = ``choose_way``.

    Returns:
        (3, H, W) in [0, 1].
    """
    check_shapes(painted=(painted, "3 H W"), content=(content, "3 H W"))
    if amount <= 0:
        return painted
    result = recolor_smoothly(shrunk(painted), content, on_progress, way=way)
    return result if amount >= 1 else torch.lerp(painted, result, amount, out=result)


def recolor_smoothly(
    painted: Tensor,
    content: Tensor,
    on_progress: Progress = silent,
    *,
    way: Way | None = None,
    finish: Callable[[Tensor], Tensor] = lambda solved: solved,
) -> Tensor:
    """A content of any size in the colors of a painting of the size at which smoothing is solved.

    Args:
        painted: (3, h, w), [0, 1], of ``solved_size``.
        content: (3, H, W).
        on_progress: told the share done; may raise ``Cancelled``.
        way: None = ``choose_way``.
        finish: what is still to be done to the solved picture (3, h, w), before its color maps are enlarged.

    Returns:
        (3, H, W) in [0, 1].
    """
    on_progress(0.0, "")
    way = way or choose_way((content.shape[1], content.shape[2]))
    if way == "exact":
        return finish(smooth_exactly(painted, content, on_progress=on_progress)).clamp(0, 1)
    small = shrunk(content)
    fitting = part(on_progress, 0.0, 0.8)
    if way == "bounded":
        solved = finish(smooth_exactly(painted, small, on_progress=fitting))
        affine = fit_affine(small, solved, FIT_RADIUS_PX, FIT_EPS)
    else:
        affine = fit_affine(small, painted, max(1, round(RADIUS * max(small.shape[1:]))), EPS, fitting)
    return apply_affine(affine, content, part(on_progress, 0.8, 1.0)).clamp_(0, 1)


def guided_filter(guide: Tensor, target: Tensor, radius_px: int, eps: float) -> Tensor:
    """The guided filter with a color guide, exact to the borders, in blocks of rows.

    Args:
        guide: (3, H, W).
        target: (C, H, W).
        radius_px: windows are 2 r + 1 pixels wide, clipped at the borders; each counts the pixels that it has.
        eps: how much variance of the guide in a window counts as an edge, in squared color units.

    Returns:
        (C, H, W) float32.
    """
    check_shapes(guide=(guide, "3 H W"), target=(target, "C H W"))
    height, width = guide.shape[1:]
    n_rows = max(1, BLOCK_PIXELS // width)
    result = torch.empty_like(target, dtype=torch.float32)
    for top in range(0, height, n_rows):
        bottom = min(height, top + n_rows)
        # a row's value depends on windows r away, and these on pixels 2 r away
        first, last = max(0, top - 2 * radius_px), min(height, bottom + 2 * radius_px)
        affine = fit_affine(guide[:, first:last], target[:, first:last], radius_px, eps)
        inner = slice(top - first, bottom - first)
        block = Affine(affine.slope[:, :, inner], affine.offset[:, inner])
        result[:, top:bottom] = apply_affine(block, guide[:, top:bottom])
    return result


def fit_affine(guide: Tensor, target: Tensor, radius_px: int, eps: float, on_progress: Progress = silent) -> Affine:
    """The guided filter's coefficients: ridge regression in every window, averaged over the windows of a pixel.

    In each window a = (cov(I) + eps 1)^-1 cov(I, p), b = mean(p) - a . mean(I): He 2013, eq. 19 and 20. float64,
    because variances are differences of larger numbers; in an integral image of float32 they drown.

    Args:
        guide: (3, H, W).
        target: (C, H, W).
        radius_px: at least 1.
        eps: above 0.

    Returns:
        Coefficients in float32.

    Raises:
        SettingsError: radius or eps out of range.
    """
    if radius_px < 1 or not eps > 0:
        raise SettingsError(f"The guided filter needs a radius of 1 or more and eps above 0, not {radius_px}, {eps}.")
    guide, target = guide.double(), target.double()
    mean = box_mean(guide, radius_px)  # (3, H, W)
    inverse = _inverse_covariance(guide, mean, radius_px, eps)
    slope = guide.new_empty(len(target), *guide.shape, dtype=torch.float32)  # (C, 3, H, W)
    offset = torch.empty_like(target, dtype=torch.float32)  # (C, H, W)
    for c, p in enumerate(target):
        on_progress(c / len(target), "")
        mean_p = box_mean(p, radius_px)  # (H, W)
        cov = box_mean(guide * p, radius_px) - mean * mean_p  # (3, H, W)
        a = torch.stack([(inverse[i] * cov).sum(0) for i in range(3)])  # (3, H, W)
        slope[c] = box_mean(a, radius_px)
        offset[c] = box_mean(mean_p - (a * mean).sum(0), radius_px)
    return Affine(slope, offset)


def apply_affine(affine: Affine, guide: Tensor, on_progress: Progress = silent) -> Tensor:
    """Map a guide by coefficients that were computed at its own or a smaller size.

    Args:
        affine: coefficients of size (h, w), enlarged bilinearly to the guide's, some rows at a time.
        guide: (3, H, W).
        on_progress: told the share done.

    Returns:
        (C, H, W) float32, not clamped.
    """
    height, width = guide.shape[1:]
    both = torch.cat((affine.slope, affine.offset[:, None]), 1)  # (C, 4, h, w)
    is_same_size = both.shape[2:] == guide.shape[1:]
    result = guide.new_empty(len(both), height, width, dtype=torch.float32)
    n_rows = max(1, APPLY_PIXELS // width)
    for top in range(0, height, n_rows):
        on_progress(top / height, "")
        rows = slice(top, min(height, top + n_rows))
        near = both[:, :, rows] if is_same_size else _enlarged_rows(both, rows, height, width)
        color = guide[:, rows].float()
        for c, (red, green, blue, offset) in enumerate(near):
            part = torch.addcmul(offset, red, color[0], out=result[c, rows])
            part.addcmul_(green, color[1]).addcmul_(blue, color[2])
    return result


def box_mean(x: Tensor, radius_px: int) -> Tensor:
    """Mean over the window around each pixel, clipped at the borders: (..., H, W) -> the same."""
    for dim in (-2, -1):
        n = x.shape[dim]
        at = torch.arange(n)
        first, end = (at - radius_px).clamp_min(0), (at + radius_px + 1).clamp_max(n)
        pad = (1, 0) if dim == -1 else (0, 0, 1, 0)
        sums = F.pad(x, pad).cumsum(dim)  # sums[i] = everything before i
        counts = (end - first).to(x).view(-1, *[1] * (-1 - dim))
        x = (sums.index_select(dim, end) - sums.index_select(dim, first)) / counts
    return x


def _inverse_covariance(guide: Tensor, mean: Tensor, radius_px: int, eps: float) -> list[Tensor]:
    """Rows of (cov(I) + eps 1)^-1 in every window: three of (3, H, W). By cofactors: no solver is as fast for 3 x 3."""

    def cov(i: int, j: int) -> Tensor:
        return box_mean(guide[i] * guide[j], radius_px) - mean[i] * mean[j]

    rr, gg, bb = (cov(i, i) + eps for i in range(3))
    rg, rb, gb = cov(0, 1), cov(0, 2), cov(1, 2)
    #     | rr rg rb |            | gg bb - gb gb   rb gb - rg bb   rg gb - rb gg |
    # M = | rg gg gb |   adj(M) = |      ..         rr bb - rb rb   rb rg - rr gb |
    #     | rb gb bb |            |      ..              ..         rr gg - rg rg |
    m00, m01, m02 = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    m11, m12, m22 = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    determinant = rr * m00 + rg * m01 + rb * m02
    rows = ((m00, m01, m02), (m01, m11, m12), (m02, m12, m22))
    return [torch.stack(row) / determinant for row in rows]


def _enlarged_rows(x: Tensor, rows: slice, height: int, width: int) -> Tensor:
    """Some rows of (C, K, h, w) enlarged to (C, K, height, width), as ``interpolate`` would enlarge it whole."""
    h = x.shape[2]
    at = ((torch.arange(rows.start, rows.stop) + 0.5) * h / height - 0.5).clamp(0, h - 1)
    above = at.long()
    below, share = (above + 1).clamp_max(h - 1), (at - above).to(x)[:, None]
    lines = torch.lerp(x[:, :, above], x[:, :, below], share)  # (C, K, rows, w)
    return F.interpolate(lines, (lines.shape[2], width), mode="bilinear", align_corners=False)
