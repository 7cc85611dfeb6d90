"""The pipeline: content, styles and settings in, picture out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine import methods
from engine.compute import gpu_check
from engine.compute.device import choose_device, memory_errors, note_on
from engine.compute.memory_need import Need, check_room
from engine.core.clock import Clock
from engine.core.errors import ImpastoError, ResourceError
from engine.core.method import Job
from engine.core.options import Value, resolve
from engine.core.progress import part
from engine.core.types import DeviceName, Mask, Picture, Progress, Region, Series, Settings, Style, silent
from engine.edges.smoothing import smooth_photoreal
from engine.features.backbones import check_backbone
from engine.pipeline.cache import PaintingCache
from engine.pipeline.colors import recolored, restore_colors
from engine.pipeline.crop import (
    Work,
    check_inputs,
    crop_to_selection,
    edge_of,
    enlarge,
    give_back_range,
    in_range,
    put_back,
    shrink,
    without_hidden,
)
from engine.pipeline.digest import AFTERWARDS
from engine.pipeline.paint import paint
from engine.pipeline.report import Box, own_smoothing, report
from engine.pipeline.strength import strength_for
from engine.regions import semantics

# What the pipeline does with a painting; that no method sees it makes paintings reusable.
NOT_THE_METHODS: dict[str, Any] = {field.name: field.default for field in fields(Settings) if field.name in AFTERWARDS}


@dataclass(frozen=True, eq=False)
class Stylized:
    """A result and the account of how it came about.

    Args:
        picture: same size as the content, with its alpha.
        report: JSON values: "method", "device", "strength", "strength_chosen" (by us), "color", "photoreal", "blend",
            "seed", "options", "size", "reused" (whether an earlier job's painting served), "seconds" by
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
    cache: PaintingCache
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
    cache: PaintingCache | None = None,
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
        cache: paintings of earlier jobs: one of the same picture, styles and method is taken from there, whatever
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

    cache = PaintingCache(0) if cache is None else cache
    order = Order(content, styles, settings, mask, regions, on_progress, cache, series)
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
    method = methods.get(order.settings.method)
    options = resolve(method.name, method.options, order.settings.options)
    check_backbone(order.settings.backbone)
    content_range = check_inputs(order.content, order.styles, order.mask, order.regions, order.settings.auto_regions)
    clock, cache = Clock(), order.cache
    with memory_errors("this picture"), torch.inference_mode():
        if order.settings.strength == 0:
            return untouched(order, options, clock)
        order = replace(order, styles=[within_range(style) for style in order.styles])
        order = replace(order, regions=regions_of(order, clock))
        work, box = crop_to_selection(order.content, order.mask, order.regions, order.settings, content_range)
        need = make_room(order, work, box)
        with clock.stage("prepare"):
            place = Place(work, shrink(work, order.settings.size_px), box, content_range)
            job = job_of(order, place.small, options)
        is_chosen = order.settings.auto_strength and order.settings.strength == 1
        if is_chosen:
            with clock.stage("strength"):
                strength = cache.strength(job, method.options, partial(strength_for, job, method))
                order = replace(order, settings=replace(order.settings, strength=strength, auto_strength=False))
                job = replace(job, settings=replace(job.settings, strength=strength))
        with clock.stage("paint"):
            painting, is_reused = paint(method, job, cache)
            cache.lightness(painting)  # so that the first change of colors is as quick as the next
        job = replace(job, content=place.small.content)  # what was made for the method alone may go
        picture, edge = finish(painting, place, order, job, clock)
    order.on_progress(1.0, "Done")
    account = report(job, order.settings, clock, picture, box, is_chosen) | {"reused": is_reused}
    account["notes"] += [note for note in (note_on(order.settings.device), need.note) if note is not None]
    return Stylized(picture, account | {"needed_bytes": need.n_bytes}, None if edge is order.mask else edge)


def regions_of(order: Order, clock: Clock) -> Sequence[Region]:
    """The regions that were given, or those found."""
    if not order.settings.auto_regions or order.styles[0].picture is None:
        return order.regions
    with clock.stage("regions"):
        stretch = part(order.on_progress, 0.0, 0.02)
        return semantics.find_regions(order.content, order.styles[0].picture, order.settings.seed, stretch)


def make_room(order: Order, work: Work, box: Box) -> Need:
    """Judge the memory that the work needs, and say so if it is much; kept paintings go where it is tight."""
    is_on_card = choose_device(order.settings.device).type == "cuda"
    need = check_room(order.settings, order.content.size, work.content.size, is_on_card=is_on_card)
    if need.is_large:
        order.on_progress(0.0, need.sentence)
    if need.is_tight:
        order.cache.clear()
    order.cache.know_part(work.content.rgb, order.content.rgb, box)
    if order.mask is not None and work.mask is not None:
        order.cache.know_part(work.mask.weight, order.mask.weight, box)
    return need


def finish(kept: Tensor, place: Place, order: Order, job: Job, clock: Clock) -> tuple[Picture, Mask | None]:
    """A painting with the colors, edges and range that it is to have, in its place; and the mask that it has there."""
    settings, cache, work = order.settings, order.cache, place.work
    with clock.stage("color"):
        painted = enlarge(restore_colors(kept, place.small, order.styles, settings, cache), work.content)
    if settings.photoreal > 0 and own_smoothing(job) < 1:
        with clock.stage("smooth"):
            stretch = part(order.on_progress, 0.85, 0.98, "Smoothing")
            painted = smooth_photoreal(painted, work.content.rgb, settings.photoreal, stretch)
    with clock.stage("composite"):
        painted = give_back_range(painted, order.content, place.box, place.content_range, settings.strength)
        edge = edge_of(order.content, order.mask, settings.blend)
        is_ours = painted is not kept or not cache.keeps(kept)
        picture = put_back(painted, edge, work, order.content, place.box, settings, is_ours=is_ours)
    if cache.keeps(kept) and picture.rgb is kept:
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


def job_of(order: Order, work: Work, options: Mapping[str, Value]) -> Job:
    """What the method gets to see of the work at its size."""
    settings = order.settings
    return Job(
        content=without_hidden(work.content),
        styles=recolored(order.styles, work, settings),
        settings=replace(settings, auto_strength=False, **NOT_THE_METHODS),
        mask=work.mask,
        regions=work.regions,
        device=choose_device(settings.device),
        options=options,
        on_progress=part(order.on_progress, 0.02, 0.85, "Painting"),
        series=order.series,
    )


def warm_up() -> None:
    """Load the default method and run it once on a small picture, so that the first job does not wait for it."""
    gray = Picture(torch.full((3, 64, 64), 0.5))
    stylize(gray, [Style("warm-up", picture=gray)], Settings(color="luminance"))  # which computes its table, too
