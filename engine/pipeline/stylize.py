"""The pipeline: content, styles and settings in, picture out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from engine import methods
from engine.color.lightness import keep_chroma
from engine.color.recolor import recolor
from engine.compute import gpu_check
from engine.compute.device import choose_device, memory_errors, note_on
from engine.compute.memory_need import check_room
from engine.core.clock import Clock
from engine.core.errors import ImpastoError, ResourceError
from engine.core.method import Job, MethodInfo
from engine.core.options import Value, resolve
from engine.core.progress import part
from engine.core.types import DeviceName, Mask, Picture, Progress, Region, Series, Settings, Style, silent
from engine.edges.smoothing import smooth_photoreal
from engine.features.backbones import check_backbone
from engine.painters import strokes
from engine.pipeline.cache import AFTERWARDS, Recent, digest_of, is_reusable
from engine.pipeline.crop import (
    Work,
    check_inputs,
    crop_to_selection,
    edge_of,
    enlarge,
    give_back_range,
    in_range,
    is_apart,
    put_back,
    shrink,
    without_hidden,
)
from engine.pipeline.report import Box, is_refined, own_smoothing, report
from engine.pipeline.strength import choose_strength
from engine.regions import semantics

N_TRIED = 8  # pictures of a series that a strength is tried on
# What the pipeline does with a painting; that no method sees it makes paintings reusable.
NOT_THE_METHODS: dict[str, Any] = {field.name: field.default for field in fields(Settings) if field.name in AFTERWARDS}


@dataclass(frozen=True, eq=False)
class Stylized:
    """A result and the account of how it came about.

    Args:
        picture: same size as the content, with its alpha.
        report: JSON values: "method", "device", "strength", "strength_chosen" (by us), "color", "photoreal", "blend",
            "seed", "options", "size", "reused" (whether the painting was at hand from an earlier job), "seconds" by
            stage, "peak_bytes" (the most that this process has held on the device so far, CUDA only), "needed_bytes"
            (of memory, as estimated before), "notes".
        mask: (H, W), by which the painting is blended, where ``settings.blend`` gives the mask another edge than it
            came with; else None.
    """

    picture: Picture
    report: dict[str, Any]
    mask: Mask | None = None


@dataclass(frozen=True, eq=False)
class Order:
    """The arguments of ``stylize``."""

    content: Picture
    styles: Sequence[Style]
    settings: Settings
    mask: Mask | None
    regions: Sequence[Region]
    on_progress: Progress
    recent: Recent | None
    series: Series | None


@dataclass(frozen=True, eq=False)
class Place:
    """Where a painting belongs.

    Args:
        work: the part of the content that is painted.
        small: the same at the size at which it is computed.
        box: where it lies in the content.
        content_range: lowest and highest value of the content.
    """

    work: Work
    small: Work
    box: Box
    content_range: tuple[float, float]


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

    order = Order(content, styles, settings, mask, regions, on_progress, recent, series)
    try:
        return _stylize(order)
    except Exception as error:
        if not _is_of_the_card(error, settings.device):
            raise
        if not isinstance(error, ResourceError):
            gpu_check.distrust(error)
        note = gpu_check.note_of(gpu_check.reason_of(error))
    # Out here nothing holds the tensors of the painting that failed.
    done = _stylize(replace(order, settings=replace(settings, device="cpu")))
    done.report["notes"].append(note)
    return done


def _is_of_the_card(error: Exception, device: DeviceName) -> bool:
    """Whether a job that failed is worth another try without the graphics card."""
    is_ours = isinstance(error, ImpastoError) and not isinstance(error, ResourceError)
    return not is_ours and device != "cpu" and gpu_check.works()


def _stylize(order: Order) -> Stylized:
    content, settings, recent = order.content, order.settings, order.recent
    method = methods.get(settings.method)
    options = resolve(method.name, method.options, settings.options)
    check_backbone(settings.backbone)
    content_range = check_inputs(content, order.styles, order.mask, order.regions, settings.auto_regions)
    clock = Clock()
    with memory_errors("this picture"), torch.inference_mode():
        if settings.strength == 0:
            return untouched(order, options, clock)
        order = replace(order, styles=[within_range(style) for style in order.styles])
        order = replace(order, regions=_regions(order, clock))
        work, box = crop_to_selection(content, order.mask, order.regions, settings, content_range)
        is_on_card = choose_device(settings.device).type == "cuda"
        need = check_room(settings, content.size, work.content.size, is_on_card=is_on_card)
        if need.is_large:
            order.on_progress(0.0, need.sentence)
        if recent is not None:
            if need.is_tight:
                recent.clear()
            know(recent, work, content, order.mask, box)
        with clock.stage("prepare"):
            small = shrink(work, settings.size_px)
            styles = recolored(order.styles, small, settings)
            job = job_of(small, styles, settings, options, order.on_progress, order.series)
        is_chosen = settings.auto_strength and settings.strength == 1
        if is_chosen:
            with clock.stage("strength"):
                settings = replace(settings, strength=recall_strength(method, job, recent), auto_strength=False)
                job = replace(job, settings=replace(settings, **NOT_THE_METHODS))
        with clock.stage("paint"):
            kept, is_reused = recall(method, job, recent)
            if is_known(kept, recent) and recent is not None:
                recent.lightness(kept)  # so that the first change of colors is as quick as the next
        job = replace(job, content=small.content)  # what was made for the method alone may go
        place = Place(work, small, box, content_range)
        picture, edge = _finish(kept, place, replace(order, settings=settings), job, clock)
    order.on_progress(1.0, "Done")
    account = report(job, settings, clock, picture, box, is_chosen) | {"reused": is_reused}
    account["notes"] += [note for note in (note_on(settings.device), need.note) if note is not None]
    return Stylized(picture, account | {"needed_bytes": need.n_bytes}, None if edge is order.mask else edge)


def _regions(order: Order, clock: Clock) -> Sequence[Region]:
    """The regions that were given, or those found."""
    if not order.settings.auto_regions or order.styles[0].picture is None:
        return order.regions
    with clock.stage("regions"):
        stretch = part(order.on_progress, 0.0, 0.02)
        return semantics.find_regions(order.content, order.styles[0].picture, order.settings.seed, stretch)


def _finish(kept: Tensor, place: Place, order: Order, job: Job, clock: Clock) -> tuple[Picture, Mask | None]:
    """A painting with the colors, edges and range that it is to have, in its place; and the mask that it has there."""
    settings, recent, work = order.settings, order.recent, place.work
    with clock.stage("color"):
        painted = enlarge(restore_colors(kept, place.small, order.styles, settings, recent), work.content)
    if settings.photoreal > 0 and own_smoothing(job) < 1:
        with clock.stage("smooth"):
            stretch = part(order.on_progress, 0.85, 0.98, "Smoothing")
            painted = smooth_photoreal(painted, work.content.rgb, settings.photoreal, stretch)
    with clock.stage("composite"):
        painted = give_back_range(painted, order.content, place.box, place.content_range, settings.strength)
        edge = edge_of(order.content, order.mask, settings.blend)
        is_ours = painted is not kept or not is_known(kept, recent)
        picture = put_back(painted, edge, work, order.content, place.box, settings, is_ours=is_ours)
    if is_known(kept, recent) and picture.rgb is kept:
        picture = replace(picture, rgb=kept.clone())  # the caller may write to his, not to the one that is kept
    return picture, edge


def untouched(order: Order, options: Mapping[str, Value], clock: Clock) -> Stylized:
    """The content itself: strength 0 leaves every value as it is, whatever its range and the other settings."""
    content, settings = order.content, order.settings
    picture = replace(content, rgb=content.rgb.clone())
    job = Job(content, order.styles, settings, device=choose_device(settings.device), options=options)
    account = report(job, settings, clock, picture, (0, 0, *content.size)) | {"reused": False}
    notes = ["strength 0 leaves the picture as it is", note_on(settings.device)]
    return Stylized(picture, account | {"notes": [note for note in notes if note is not None], "needed_bytes": 0})


def within_range(style: Style) -> Style:
    """A style whose picture lies in [0, 1]: the squares of what a float file may hold are no numbers."""
    if style.picture is None:
        return style
    rgb = in_range(style.picture.rgb)
    return style if rgb is style.picture.rgb else replace(style, picture=replace(style.picture, rgb=rgb))


def is_known(painted: Tensor, recent: Recent | None) -> bool:
    """Whether a painting is kept for later jobs, and so must not be written to."""
    return recent is not None and recent.keeps(painted)


def know(recent: Recent, work: Work, content: Picture, mask: Mask | None, box: Box) -> None:
    """Let the recent paintings know of which pictures the work is a part: a part is known by its whole."""
    recent.know_part(work.content.rgb, content.rgb, box)
    if mask is not None and work.mask is not None:
        recent.know_part(work.mask.weight, mask.weight, box)


def job_of(
    work: Work,
    styles: Sequence[Style],
    settings: Settings,
    options: Mapping[str, Value],
    on_progress: Progress,
    series: Series | None,
) -> Job:
    """What the method gets to see."""
    return Job(
        content=without_hidden(work.content),
        styles=styles,
        settings=replace(settings, auto_strength=False, **NOT_THE_METHODS),
        mask=work.mask,
        regions=work.regions,
        device=choose_device(settings.device),
        options=options,
        on_progress=part(on_progress, 0.02, 0.85, "Painting"),
        series=series,
    )


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
        can_write = not is_known(painted, recent) and is_apart(painted, content)
        return keep_chroma(painted, content, weight, lightness, out=painted if can_write else None)  # it clips, too
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
        can_write = not is_known(full, recent) and is_apart(full, job.content.rgb)
        return torch.lerp(job.content.rgb, full, strength, out=full if can_write else None), is_reused
    if not is_refined(job):
        return method.paint(job), False
    painted = method.paint(replace(job, on_progress=part(job.on_progress, 0.0, 0.1)))
    return strokes.refine(replace(job, on_progress=part(job.on_progress, 0.1, 1.0)), painted), False
