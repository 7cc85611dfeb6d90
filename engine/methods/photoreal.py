"""A photo in the colors and the light of another, region by region: no network, nothing that no camera would make.

In each region the colors are moved to the style's by optimal transport (``engine.transport``); the closed-form
smoothing (``engine.smooth``) then makes that a map which changes slowly over the picture, so that every edge stays the
photo's.

Source: Li et al. 2018, "A Closed-form Solution to Photorealistic Image Stylization", for the two steps. Departs: colors
are moved, not the features of a network, whose textures the smoothing would have to take away again.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.device import memory_errors
from engine.errors import InputError
from engine.methods import Job, register
from engine.options import Option
from engine.progress import part
from engine.regions import parts_of
from engine.smooth import recolor_smoothly, shrunk, solved_size
from engine.transport import transport
from engine.types import Mask, Region, Style

OPTIONS = (
    Option("detail", 0.7, "how closely colors follow the style's beyond means and covariances", low=0, high=1),
    Option("smoothing", 1.0, "amount of the photorealistic smoothing", low=0, high=1),
)


@register(
    "photoreal",
    title="Photo to photo",
    paper="Li 2018",
    kind="photorealistic",
    takes=("blend", "regions", "size"),
    options=OPTIONS,
    fades=True,
)
def paint(job: Job) -> Tensor:
    """Move the colors of a small copy, smooth, and apply the same to the photo."""
    content = job.content.rgb
    with memory_errors("this picture"):
        small = shrunk(content)
        moved = move_colors(small, job)
        amount = float(job.options["smoothing"])
        stretch = part(job.on_progress, 0.3, 1.0, "Smoothing")
        result = recolor_smoothly(moved, content, stretch) if amount > 0 else content
        if amount < 1:
            result = torch.lerp(content + resized(moved - small, job.content.size), result, amount)
        return result.clamp_(0, 1)


def move_colors(small: Tensor, job: Job) -> Tensor:
    """Every part of the picture in its style's colors, styles blended by their weights: (3, h, w).

    Args:
        small: (3, h, w), the content at ``solved_size``.
        job: the rest, in full size.
    """
    total = sum(style.weight for style in job.styles)
    mask = None if job.mask is None else Mask(fit(job.mask.weight))
    moved = torch.zeros_like(small)
    for i, style in enumerate(job.styles):
        rgb, alpha = seen(style)
        regions = [Region(Mask(fit(r.content.weight)), Mask(fit(r.style.weight))) for r in job.regions]
        parts = parts_of(small, regions, mask, alpha)
        for k, each in enumerate(parts):
            job.on_progress(0.3 * (i + k / len(parts)) / len(job.styles), "Moving colors")
            colors = transport(small, rgb, each.counted, each.style, float(job.options["detail"]), job.settings.seed)
            moved.addcmul_(colors, each.share, value=style.weight / total)
    return moved


def seen(style: Style) -> tuple[Tensor, Tensor | None]:
    """A style's pixels (3, h, w), and what of them is visible, small enough to count.

    Raises:
        InputError: it is a preset.
    """
    if style.picture is None:
        raise InputError(f"This method needs a style picture; the preset {style.name!r} is only a code.")
    alpha = style.picture.alpha
    return shrunk(style.picture.rgb.clamp(0, 1)), None if alpha is None else fit(alpha)


def fit(weight: Tensor) -> Tensor:
    """(H, W) at the size at which colors are moved."""
    height, width = weight.shape
    size = solved_size((height, width))
    if size == (height, width):
        return weight
    return F.interpolate(weight[None, None], size, mode="area")[0, 0]


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(3, h, w) enlarged."""
    return F.interpolate(x[None], size, mode="bilinear", align_corners=False)[0]
