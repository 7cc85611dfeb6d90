"""A photo in the colors and the light of another, region by region: no network, nothing that no camera would make.

In each region the colors are moved to the style's by optimal transport (``color.transport``); the closed-form
smoothing (``edges.smoothing``) then makes that a map which changes slowly over the picture, so that every edge stays
the photo's.

Source: Li et al. 2018, "A Closed-form Solution to Photorealistic Image Stylization", for the two steps. Departs: colors
are moved, not the features of a network, whose textures the smoothing would have to take away again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.color.tone import luma
from engine.color.transport import refine, transport
from engine.compute.device import memory_errors
from engine.compute.resize import resize_weight
from engine.core.method import Job, register
from engine.core.options import Option
from engine.core.progress import part as part_of
from engine.core.types import Mask, Progress, Region, Style, silent
from engine.edges.smoothing import guided_filter, recolor_smoothly, shrunk, solved_size
from engine.regions.soft_parts import SoftPart, soft_parts_of

APPROACH, N_APPROACHES = 0.2, 4  # share of each of some more moves toward the style's colors, after smoothing
KEPT_DETAIL = 0.6  # of the photo's own fine contrast
DETAIL_RADIUS, DETAIL_EPS = 1 / 100, 0.04  # what is fine: radius in longest sides, and variance of what is no edge


@dataclass(frozen=True, eq=False)
class Feed:
    """A style's pixels (3, h', w'), its share in the blend, and the parts of the picture that it feeds."""

    rgb: Tensor
    weight: float
    parts: Sequence[SoftPart]


OPTIONS = (
    Option("detail", 0.7, "how closely colors follow the style's beyond means and covariances", low=0, high=1),
    Option("smoothing", 1.0, "amount of the photorealistic smoothing", low=0, high=1),
)


@register(
    "photoreal",
    title="Photo to photo",
    paper="Li 2018",
    kind="photorealistic",
    takes=("blend", "pictures", "regions", "size"),
    options=OPTIONS,
    fades=True,
)
def paint(job: Job) -> Tensor:
    """Move the colors of a small copy, smooth, and apply the same to the photo."""
    content = job.content.rgb
    with memory_errors("this picture"):
        small = shrunk(content)
        feeds = feeds_of(small, job)
        moved = move_colors(small, feeds, job)
        amount = float(job.options["smoothing"])
        stretch = part_of(job.on_progress, 0.3, 1.0, "Smoothing")
        result = content
        if amount > 0:
            result = recolor_smoothly(moved, content, stretch, finish=lambda solved: finish(solved, small, feeds, job))
        if amount < 1:
            result = torch.lerp(content + resized(moved - small, job.content.size), result, amount)
        return result.clamp_(0, 1)


def move_colors(small: Tensor, feeds: Sequence[Feed], job: Job) -> Tensor:
    """Every part of the picture in its style's colors, styles blended by their weights: (3, h, w).

    Args:
        small: (3, h, w), the content at ``solved_size``.
        feeds: its parts and their styles.
        job: the rest.
    """
    detail = float(job.options["detail"])

    def move(rgb: Tensor, part: SoftPart) -> Tensor:
        return transport(small, rgb, part.counted, part.style, detail, job.settings.seed)

    return by_parts(feeds, move, part_of(job.on_progress, 0.0, 0.3, "Moving colors"))


def finish(solved: Tensor, small: Tensor, feeds: Sequence[Feed], job: Job) -> Tensor:
    """Mend what smoothing took away: the colors' distribution drifted, fine contrast is the map's and not the photo's.

    Contrast is the photo's again as far as it is finer than a region's edge: what differs in lightness, less what the
    guided filter keeps of that, so that large edges get no halo. After Xiao & Ma 2009, "Gradient-Preserving Color
    Transfer", who solve for it.

    Args:
        solved, small: (3, h, w), the smoothed picture and the content.
        feeds: its parts and their styles.
        job: what is painted.
    """
    amount = APPROACH * float(job.options["detail"])
    solved = solved.clamp(0, 1)

    def approach(rgb: Tensor, part: SoftPart) -> Tensor:
        ours, theirs = (None if x is None else x.flatten() for x in (part.counted, part.style))
        flat = refine(solved.flatten(1), rgb.flatten(1), ours, theirs, amount, job.settings.seed, N_APPROACHES)
        return flat.view_as(solved)

    near = by_parts(feeds, approach) if amount > 0 else solved
    missing = luma(small - near)  # (1, h, w)
    coarse = guided_filter(small, missing, max(1, round(DETAIL_RADIUS * max(small.shape[1:]))), DETAIL_EPS)
    return near + KEPT_DETAIL * (missing - coarse)


def by_parts(
    feeds: Sequence[Feed], move: Callable[[Tensor, SoftPart], Tensor], on_progress: Progress = silent
) -> Tensor:
    """What a function of style and part makes of each part of the picture, styles by their weights: (3, h, w)."""
    moved = torch.zeros(())
    for i, feed in enumerate(feeds):
        for k, each in enumerate(feed.parts):
            on_progress((i + k / len(feed.parts)) / len(feeds), "")
            moved = moved + move(feed.rgb, each) * (each.share * feed.weight)
    return moved


def feeds_of(small: Tensor, job: Job) -> list[Feed]:
    """Every style with the parts of the picture (3, h, w) that it feeds."""
    total = sum(style.weight for style in job.styles)
    mask = None if job.mask is None else Mask(fit(job.mask.weight))
    regions = [Region(Mask(fit(r.content.weight)), Mask(fit(r.style.weight))) for r in job.regions]
    feeds = []
    for style in job.styles:
        rgb, alpha = seen(style)
        feeds.append(Feed(rgb, style.weight / total, soft_parts_of(small, regions, mask, alpha)))
    return feeds


def seen(style: Style) -> tuple[Tensor, Tensor | None]:
    """A style's pixels (3, h, w), and what of them is visible, small enough to count.

    Raises:
        InputError: it is a preset.
    """
    picture = style.require_picture()
    return shrunk(picture.rgb.clamp(0, 1)), None if picture.alpha is None else fit(picture.alpha)


def fit(weight: Tensor) -> Tensor:
    """(H, W) at the size at which colors are moved."""
    height, width = weight.shape
    size = solved_size((height, width))
    if size == (height, width):
        return weight
    return resize_weight(weight, size)


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(3, h, w) enlarged."""
    return F.interpolate(x[None], size, mode="bilinear", align_corners=False)[0]
