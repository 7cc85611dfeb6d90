"""What is computed of a picture, and where it goes: cutting out, making smaller, putting back; and what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.compute.resize import enlarge_smoothly, resize
from engine.core.errors import InputError, SettingsError
from engine.core.types import BlendMode, Mask, Picture, Region, Settings, Style
from engine.edges.object_edge import refine
from engine.pipeline.composite import mask_box, paint_over
from engine.pipeline.report import Box

Range = tuple[float, float]
PAD_PX = 64  # surroundings of a selection that are computed with it
ROWS = 64  # worked on at a time


@dataclass(frozen=True, eq=False)
class Work:
    """The part of a job that is computed: content, and mask and regions in its size."""

    content: Picture
    mask: Mask | None
    regions: Sequence[Region]


def check_inputs(
    content: Picture, styles: Sequence[Style], mask: Mask | None, regions: Sequence[Region], auto_regions: bool
) -> Range:
    """Refuse what cannot be painted, in one sentence each; the range of the content's values."""
    if not styles:
        raise InputError("Give at least one style.")
    if auto_regions and (regions or len(styles) != 1 or styles[0].picture is None):
        raise SettingsError("Regions are found for exactly one style, and that a picture: a preset has no regions.")
    for weight in [m.weight for m in [mask, *(region.content for region in regions)] if m is not None]:
        if tuple(weight.shape) != content.size:
            raise InputError(
                f"The mask is {weight.shape[1]} x {weight.shape[0]} pixels, the picture {content.size[1]} x "
                f"{content.size[0]}: they must have the same size."
            )
    if mask is not None and not float(mask.weight.max()) > 0:
        raise InputError("The mask selects nothing: paint some of it white.")
    content_range = range_of(content.rgb)
    if not is_finite(content_range):
        raise InputError("The picture holds values that are not numbers (NaN or infinite).")
    for style in styles:
        if style.picture is not None:
            check_style(style.name, style.picture)
        if style.code is not None and not is_finite(range_of(style.code)):
            raise InputError(f"The style {style.name!r} holds values that are not numbers (NaN or infinite).")
    return content_range


def check_style(name: str, picture: Picture) -> None:
    """Refuse a style picture in which there is nothing to see, or no numbers."""
    if not is_finite(range_of(picture.rgb)):
        raise InputError(f"The style {name!r} holds values that are not numbers (NaN or infinite).")
    if picture.alpha is not None and not bool((picture.alpha > 0).any()):
        raise InputError(f"The style {name!r} is transparent all over: choose one that shows something.")


def range_of(values: Tensor) -> Range:
    """The lowest and the highest of all values; not a number if any is none."""
    low, high = torch.aminmax(values)
    return float(low), float(high)


def is_finite(extremes: Range) -> bool:
    """Whether all values are numbers. The extremes tell, at a twentieth of the time that asking every value takes."""
    return all(math.isfinite(extreme) for extreme in extremes)


def crop_to_selection(
    content: Picture, mask: Mask | None, regions: Sequence[Region], settings: Settings, content_range: Range
) -> tuple[Work, Box]:
    """The selection with its surroundings, or all of the content where that is wanted back."""
    box: Box = (0, 0, *content.size)
    if mask is not None and settings.composite:
        box = mask_box(mask.weight, PAD_PX, 8)

    def cut(x: Tensor) -> Tensor:
        return inside(x, box)

    picture = Picture(in_range(cut(content.rgb), content_range), None if content.alpha is None else cut(content.alpha))
    cut_mask = visible(None if mask is None else replace(mask, weight=cut(mask.weight)), picture.alpha)
    cut_regions = [replace(r, content=replace(r.content, weight=cut(r.content.weight))) for r in regions]
    return Work(picture, cut_mask, cut_regions), box


def in_range(rgb: Tensor, extremes: Range | None = None) -> Tensor:
    """Clamped to [0, 1]; not copied if it is in range already, which every integer picture is.

    Args:
        rgb: any shape.
        extremes: between which its values are known to lie.
    """
    low, high = range_of(rgb) if extremes is None else extremes
    return rgb if low >= 0 and high <= 1 else rgb.clamp(0, 1)


def visible(mask: Mask | None, alpha: Tensor | None) -> Mask | None:
    """The mask less what is transparent: colors that nobody sees must not count in any statistics."""
    if alpha is None or bool((alpha == 1).all()):
        return mask
    seen = alpha if mask is None else mask.weight * alpha
    if not bool((seen > 0).any()):
        return mask
    return Mask(seen, "visible")


def without_hidden(content: Picture) -> Picture:
    """The picture with the mean of what is seen in place of colors that nobody sees, which must not count."""
    if content.alpha is None or bool((content.alpha > 0).all()):
        return content
    seen = content.alpha.sum()
    if seen == 0:
        return content
    mean = (content.rgb * content.alpha).sum((1, 2)) / seen  # (3,)
    return replace(content, rgb=torch.where(content.alpha > 0, content.rgb, mean[:, None, None]))


def shrink(work: Work, size_px: int | None) -> Work:
    """The work at the size at which it is to be computed, its longest side ``size_px``."""
    longest = max(work.content.size)
    if size_px is None or size_px >= longest:
        return work
    size = [max(1, round(side * size_px / longest)) for side in work.content.size]

    def scaled(x: Tensor) -> Tensor:
        flat = x.reshape(1, -1, *x.shape[-2:])
        small = resize(flat, size)
        return small.reshape(*x.shape[:-2], *size).clamp(0, 1)

    alpha = work.content.alpha
    return Work(
        Picture(scaled(work.content.rgb), None if alpha is None else scaled(alpha)),
        None if work.mask is None else replace(work.mask, weight=scaled(work.mask.weight)),
        [replace(r, content=replace(r.content, weight=scaled(r.content.weight))) for r in work.regions],
    )


def enlarge(painted: Tensor, content: Picture) -> Tensor:
    """(3, h, w) at the content's size again."""
    if tuple(painted.shape[1:]) == content.size:
        return painted
    large = enlarge_smoothly(painted[None], content.size)
    return large[0].clamp(0, 1)


def edge_of(content: Picture, mask: Mask | None, blend: BlendMode) -> Mask | None:
    """The mask with the edge that is asked for; the very same object where that is its own."""
    if mask is None or blend == "feather":
        return mask
    if blend == "hard":
        return replace(mask, weight=(mask.weight >= 0.5).to(mask.weight))
    return replace(mask, weight=refine(in_range(content.rgb), mask.weight).weight)


def put_back(
    painted: Tensor,
    edge: Mask | None,
    work: Work,
    content: Picture,
    box: Box,
    settings: Settings,
    *,
    is_ours: bool = False,
) -> Picture:
    """The painted part in its place in the content.

    Args:
        painted: (3, h, w), of the box.
        edge: (H, W), the mask to blend by.
        work: what was computed.
        content: the whole.
        box: where the part lies in it.
        settings: whether to blend at all.
        is_ours: the painting may be written to, which saves a copy of the whole.
    """
    mask = None if edge is None else replace(edge, weight=inside(edge.weight, box))
    if not settings.composite or (mask is None and content.alpha is None):
        return Picture(painted, content.alpha)
    if is_ours and tuple(painted.shape) == tuple(content.rgb.shape) and is_apart(painted, content.rgb):
        paint_over(content.rgb, painted, work.content.alpha, mask, out=painted)
        return Picture(painted, content.alpha)
    rgb = content.rgb.clone()
    paint_over(inside(rgb, box), painted, work.content.alpha, mask)
    return Picture(rgb, content.alpha)


def is_apart(x: Tensor, other: Tensor) -> bool:
    """Whether two tensors share no memory: what is written to one does not change the other."""
    return x.untyped_storage().data_ptr() != other.untyped_storage().data_ptr()


def give_back_range(painted: Tensor, content: Picture, box: Box, content_range: Range, strength: float) -> Tensor:
    """A painting with what the content has beyond [0, 1], as far as the strength lets it show.

    Methods see a content within [0, 1]. A fading between it and the painting is to end at the content itself.

    Args:
        painted: (3, h, w), of the box.
        content: (3, H, W), the whole.
        box: where the part lies in it.
        content_range: between which its values lie.
        strength: in [0, 1].

    Returns:
        (3, h, w); the very painting where nothing is beyond.
    """
    low, high = content_range
    if strength >= 1 or (low >= 0 and high <= 1):
        return painted
    own = inside(content.rgb, box)
    result = torch.empty_like(painted)
    for top in range(0, painted.shape[1], ROWS):
        rows = slice(top, top + ROWS)
        beyond = own[:, rows] - own[:, rows].clamp(0, 1)
        torch.add(painted[:, rows], beyond, alpha=1 - strength, out=result[:, rows])
    return result


def inside(x: Tensor, box: Box) -> Tensor:
    """A part of (..., H, W), as a view; all of it as the very same tensor, by which its source is known."""
    top, left, height, width = box
    if (height, width) == tuple(x.shape[-2:]):
        return x
    return x[..., top : top + height, left : left + width]
