"""The parts of a picture and what of a style feeds each: the one place where regions are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

from engine.core.errors import InputError
from engine.core.method import Job
from engine.core.types import Picture, Region, Style

Accepts = Callable[[Tensor, Tensor], bool]
"""Whether a region's parts, of content and of style, are fit for each other."""


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the picture and what feeds it.

    Args:
        weight: (H, W) of the content, where it is painted.
        counted: (H, W), where its statistics are taken from.
        styles: (h, w) a style: where that one's statistics are taken from; empty = the part stays as it is.
    """

    weight: Tensor
    counted: Tensor
    styles: Sequence[Tensor]


def parts_of(job: Job, accepts: Accepts | None = None) -> list[Part]:
    """One part a region, and one for what no region covers.

    Raises:
        InputError: a style is a preset, its regions do not have its size, or nothing of one is visible.
    """
    everywhere = torch.ones(job.content.size)
    visible = everywhere if job.mask is None or not bool((job.mask.weight > 0).any()) else job.mask.weight
    parts, rest = [], everywhere
    for region in job.regions:
        weight = region.content.weight
        if bool((weight > 0).any()):
            styles = [counted_of(style, region) for style in job.styles]
            is_fit = accepts is None or all(accepts(weight, style) for style in styles)
            parts.append(Part(weight, seen_of(weight, visible), styles if is_fit else ()))
            rest = (rest - weight).clamp_min(0)
    if not parts or bool((rest > 1e-3).any()):
        parts.append(Part(rest, seen_of(rest, visible), [counted_of(style, None) for style in job.styles]))
    return parts


def seen_of(weight: Tensor, visible: Tensor) -> Tensor:
    """What of a part counts: what is visible, or all of it if nothing is."""
    both = weight * visible
    return both if bool((both > 1e-3).any()) else weight


def counted_of(style: Style, region: Region | None) -> Tensor:
    """Which pixels of a style feed a region, or everything: (h, w). Raises as ``counted_in`` does."""
    picture = style.require_picture()
    weight = torch.ones(picture.size) if region is None else region.style.weight
    counted = counted_in(picture, weight, style.name)
    return weight if counted is None else counted


@overload
def counted_in(picture: Picture, weight: Tensor, name: str = "") -> Tensor: ...
@overload
def counted_in(picture: Picture, weight: Tensor | None, name: str = "") -> Tensor | None: ...
def counted_in(picture: Picture, weight: Tensor | None, name: str = "") -> Tensor | None:
    """Which pixels of a style picture count: those of a region that are visible.

    Args:
        picture: the style.
        weight: (h, w) of the region; None = the whole picture.
        name: of the style, for messages.

    Returns:
        (h, w); None where all count alike.

    Raises:
        InputError: picture and weight differ in size, or nothing counts.
    """
    which = f"style {name!r}" if name else "style"
    if weight is not None and tuple(weight.shape) != picture.size:
        raise InputError(
            f"The style regions are {weight.shape[1]} x {weight.shape[0]} pixels, the {which} "
            f"{picture.size[1]} x {picture.size[0]}: they must have the same size."
        )
    if picture.alpha is not None and bool((picture.alpha < 1).any()):
        weight = picture.alpha if weight is None else weight * picture.alpha
    if weight is not None and not bool((weight > 0).any()):
        raise InputError(f"Nothing of the {which} is visible in a region: give it at least one pixel.")
    return weight
