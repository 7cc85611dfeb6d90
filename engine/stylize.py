"""The pipeline: content, styles and settings in, picture out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine import methods, semantics, strokes
from engine.account import Box, is_refined, own_smoothing, report
from engine.boundary import refine
from engine.clock import Clock
from engine.color import recolor
from engine.composite import mask_box, paint_over
from engine.device import choose_device, memory_errors
from engine.errors import InputError, SettingsError
from engine.lightness import keep_chroma
from engine.methods import Job, MethodInfo
from engine.options import resolve
from engine.progress import part
from engine.recent import AFTERWARDS, Recent, digest_of, is_reusable
from engine.series import Series
from engine.smooth import smooth_photoreal
from engine.strength import choose_strength
from engine.types import BlendMode, Mask, Picture, Progress, Region, Settings, Style, silent

Range = tuple[float, float]
N_TRIED = 8  # pictures of a series that a strength is tried on
PAD_PX = 64  # surroundings of a selection that are computed with it
# What the pipeline does with a painting; that no method sees it makes paintings reusable.
NOT_THE_METHODS: dict[str, Any] = {field.name: field.default for field in fields(Settings) if field.name in AFTERWARDS}


@dataclass(frozen=True, eq=False)
class Stylized:
    """A result and the account of how it came about.

    Args:
        picture: same size as the content, with its alpha.
        report: JSON values: "method", "device", "strength", "strength_chosen" (by us), "color", "photoreal", "blend",
            "seed", "options", "size", "reused" (whether the painting was at hand from an earlier job), "seconds" by
            stage, "peak_bytes" (of the device, CUDA only), "notes".
        mask: (H, W), by which the painting is blended, where ``settings.blend`` gives the mask another edge than it
            came with; else None.
    """

    picture: Picture
    report: dict[str, Any]
    mask: Mask | None = None


def stylize(
    content: Picture,
    styles: Sequence[Style],
    settings: Settings = Settings(),  # noqa: B008  (frozen)
    *,
    mask: Mask | None = None,
    regions: Sequence[Region] = (),
    on_progress: Progress = silent,
    recent: Recent | None = None,
    series: Series | None = None,
) -> Stylized:
    """Paint a picture, or the selected part of it, in one or several styles.

    Args:
        content: (3, H, W) pixels; alpha is kept.
        styles: blended by their weights.
        settings: how.
        mask: (H, W); with ``settings.composite`` pixels of weight 0 come back untouched to the bit and only the
            selection with its surroundings is computed.
        regions: which part of the style feeds which part of the content; content masks (H, W), style masks in the
            size of the (first) style's picture.
        on_progress: told the share done; raises ``Cancelled`` to stop between two layers.
        recent: paintings of earlier jobs: one of the same picture, styles and method is taken from there, whatever
            color, smoothing and edge it is to have now; a new one is put there.
        series: pictures that are to look alike, this one among them: the any-style network paints all by the same
            statistics and strength.

    Raises:
        InputError: no style, empty mask, sizes that do not match.
        SettingsError: unknown method or one that cannot do what is asked.
        WeightsError: weights missing or damaged.
        ResourceError: not enough memory even in small tiles.
        Cancelled: raised by ``on_progress``, passed on.
    """
    method = methods.get(settings.method)
    options = resolve(method.name, method.options, settings.options)
    content_range = check_inputs(content, styles, mask, regions, settings.auto_regions)
    is_chosen = settings.auto_strength and settings.strength == 1
    clock = Clock()
    with memory_errors("this picture"), torch.inference_mode():
        if settings.auto_regions and styles[0].picture is not None:
            with clock.stage("regions"):
                stretch = part(on_progress, 0.0, 0.02)
                regions = semantics.find_regions(content, styles[0].picture, settings.seed, stretch)
        part_of, box = crop_to_selection(content, mask, regions, settings, content_range)
        if recent is not None:
            recent.know_part(part_of.content.rgb, content.rgb, box)
            if mask is not None and part_of.mask is not None:
                recent.know_part(part_of.mask.weight, mask.weight, box)
        with clock.stage("prepare"):
            small = shrink(part_of, settings.size_px)
            job = Job(
                content=without_hidden(small.content),
                styles=recolored(styles, small, settings),
                settings=replace(settings, auto_strength=False, **NOT_THE_METHODS),
                mask=small.mask,
                regions=small.regions,
                device=choose_device(settings.device),
                options=options,
                on_progress=part(on_progress, 0.02, 0.85, "Painting"),
                series=series,
            )
        if is_chosen:
            with clock.stage("strength"):
                settings = replace(settings, strength=recall_strength(method, job, recent), auto_strength=False)
                job = replace(job, settings=replace(settings, **NOT_THE_METHODS))
        with clock.stage("paint"):
            painted, is_reused = recall(method, job, recent)
            as_it_left_the_method = painted
            if recent is not None and recent.keeps(painted):
                recent.lightness(painted)  # so that the first change of colors is as quick as the next
        with clock.stage("color"):
            painted = restore_colors(painted, small, styles, settings, recent)
            painted = enlarge(painted, part_of.content)
        if settings.photoreal > 0 and own_smoothing(job) < 1:
            with clock.stage("smooth"):
                stretch = part(on_progress, 0.85, 0.98, "Smoothing")
                painted = smooth_photoreal(painted, part_of.content.rgb, settings.photoreal, stretch)
        with clock.stage("composite"):
            edge = edge_of(content, mask, settings.blend)
            picture = put_back(painted, edge, part_of, content, box, settings)
    if recent is not None and picture.rgb is as_it_left_the_method:
        picture = replace(picture, rgb=picture.rgb.clone())  # the caller may write to his, not to the one that is kept
    on_progress(1.0, "Done")
    account = report(job, settings, clock, picture, box) | {"reused": is_reused, "strength_chosen": is_chosen}
    return Stylized(picture, account, None if edge is mask else edge)


def recall_strength(method: MethodInfo, job: Job, recent: Recent | None) -> float:
    """The strength that is right for a job, from an earlier one like it where there was one."""
    if recent is None or not is_reusable(method.options, job):
        return strength_for(job, method)
    return recent.strength(digest_of(job, recent.sources), lambda: strength_for(job, method))


def strength_for(job: Job, method: MethodInfo) -> float:
    """As much strength as the picture bears. A method that optimizes weighs content against style itself: full."""
    if method.kind != "feed-forward" or job.regions:
        return 1.0
    at_hand: dict[Picture, Tensor] = {}  # of a method that fades, one painting serves all strengths

    def paint(content: Picture, mask: Mask | None, strength: float) -> Tensor:
        trial = replace(job, content=content, mask=mask, on_progress=silent)
        if not method.fades:
            return method.paint(replace(trial, settings=replace(job.settings, strength=strength)))
        if content not in at_hand:
            at_hand[content] = method.paint(trial)
        return torch.lerp(content.rgb, at_hand[content], strength)

    series = job.series
    if series is None:
        return choose_strength(job.content, job.mask, paint)
    if "strength" not in series.known:  # what the one that bears least bears
        job = replace(job, series=None)
        series.known["strength"] = min(choose_strength(p, None, paint) for p in series.pictures[:N_TRIED])
    return float(series.known["strength"])


def warm_up() -> None:
    """Load the default method and run it once on a small picture, so that the first job does not wait for it."""
    gray = Picture(torch.full((3, 64, 64), 0.5))
    stylize(gray, [Style("warm-up", picture=gray)], Settings(color="luminance"))  # which computes its table, too


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
        if style.picture is not None and not is_finite(range_of(style.picture.rgb)):
            raise InputError(f"The style {style.name!r} holds values that are not numbers (NaN or infinite).")
    return content_range


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
        small = F.interpolate(flat, size, mode="bilinear", antialias=True, align_corners=False)
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
    large = F.interpolate(painted[None], content.size, mode="bicubic", align_corners=False)
    return large[0].clamp(0, 1)


def recolored(styles: Sequence[Style], work: Work, settings: Settings) -> list[Style]:
    """In "match" mode the style pictures with the content's colors (Gatys 2016); else the styles as they are."""
    if settings.color != "match":
        return list(styles)
    return [
        style
        if style.picture is None
        else replace(style, code=None, picture=_recolored_picture(style.picture, work, settings))
        for style in styles
    ]


def _recolored_picture(style: Picture, work: Work, settings: Settings) -> Picture:
    weight = None if work.mask is None else work.mask.weight
    rgb = recolor(style.rgb, work.content.rgb, style_weight=style.alpha, content_weight=weight, map=settings.color_map)
    return Picture(rgb.clamp(0, 1), style.alpha)


def restore_colors(
    painted: Tensor, work: Work, styles: Sequence[Style], settings: Settings, recent: Recent | None
) -> Tensor:
    """Give the painting the colors that the color mode asks for.

    A style code has its colors baked in: in "match" mode the painting itself is recolored where there is no picture
    to recolor before.
    """
    content = work.content.rgb
    weight = None if work.mask is None else work.mask.weight
    if settings.color == "luminance":
        lightness = None if recent is None else recent.lightness(painted)
        return keep_chroma(painted, content, weight, lightness)  # which clips on its way
    painted = in_range(painted)
    if settings.color == "match" and any(style.picture is None for style in styles):
        moved = recolor(painted, content, style_weight=weight, content_weight=weight, map=settings.color_map)
        return moved.clamp_(0, 1)
    return painted


def recall(method: MethodInfo, job: Job, recent: Recent | None) -> tuple[Tensor, bool]:
    """The painting of a job, and whether it was painted before."""
    if recent is None or not is_reusable(method.options, job):
        return paint(method, job, None)
    digest = digest_of(job, recent.sources)
    found = recent.find(digest)
    if found is not None:
        return found, True
    painted, is_reused = paint(method, job, recent)
    recent.keep(digest, painted)
    return painted, is_reused


def paint(method: MethodInfo, job: Job, recent: Recent | None) -> tuple[Tensor, bool]:
    """What the method paints, with the strokes that the quality asks for; and whether nothing was painted for it."""
    strength = job.settings.strength
    if method.fades and strength < 1:
        full, is_reused = recall(method, replace(job, settings=replace(job.settings, strength=1.0)), recent)
        return torch.lerp(job.content.rgb, full, strength), is_reused
    if not is_refined(job):
        return method.paint(job), False
    painted = method.paint(replace(job, on_progress=part(job.on_progress, 0.0, 0.1)))
    return strokes.refine(replace(job, on_progress=part(job.on_progress, 0.1, 1.0)), painted), False


def edge_of(content: Picture, mask: Mask | None, blend: BlendMode) -> Mask | None:
    """The mask with the edge that is asked for; the very same object where that is its own."""
    if mask is None or blend == "feather":
        return mask
    if blend == "hard":
        return replace(mask, weight=(mask.weight >= 0.5).to(mask.weight))
    return replace(mask, weight=refine(in_range(content.rgb), mask.weight).weight)


def put_back(painted: Tensor, edge: Mask | None, work: Work, content: Picture, box: Box, settings: Settings) -> Picture:
    """The painted part in its place in the content."""
    mask = visible(None if edge is None else replace(edge, weight=inside(edge.weight, box)), work.content.alpha)
    if not settings.composite or (mask is None and content.alpha is None):
        return Picture(painted, content.alpha)
    rgb = content.rgb.clone()
    paint_over(inside(rgb, box), painted, work.content.alpha, mask)
    return Picture(rgb, content.alpha)


def inside(x: Tensor, box: Box) -> Tensor:
    """A part of (..., H, W), as a view; all of it as the very same tensor, by which its source is known."""
    top, left, height, width = box
    if (height, width) == tuple(x.shape[-2:]):
        return x
    return x[..., top : top + height, left : left + width]
