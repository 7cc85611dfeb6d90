"""Many styles in one network (MSG-Net): its features are matched to the second moments of a style's.

Source: Zhang & Dana 2018, "Multi-style Generative Network for Real-time Transfer" (CoMatch layer, brush size by the
style's size). Departs: see ``engine.networks.msgnet_network``.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from engine.compute.device import memory_errors
from engine.core.method import Job, register
from engine.core.options import Option
from engine.core.progress import part
from engine.core.types import Region
from engine.models import shipped
from engine.networks.msgnet_network import StyleCode
from engine.painters.multi_style import (
    ManyStyles,
    blended,
    check_trained,
    code_of,
    load_many_styles,
    paint_in,
    shipped_styles,
)
from engine.painters.single_style import MODEL

OPTIONS = (
    MODEL,
    Option("trained", "", "one of the styles that the network was trained in, instead of the style picture"),
)


@register(
    "msgnet",
    title="Many styles (MSG-Net)",
    paper="Zhang & Dana 2018",
    kind="feed-forward",
    takes=("blend", "pictures", "presets", "regions", "size"),
    options=OPTIONS,
    fades=True,
    known=shipped_styles,
    ready=lambda: shipped.is_here("msgnet"),
)
def paint(job: Job) -> Tensor:
    """Paint the content in the styles' blend; each region in its own part's style."""
    content = job.content.rgb.clamp(0, 1)
    with torch.inference_mode(), memory_errors("this picture"):
        known = load_many_styles(str(job.options["model"]))
        check_trained(known, str(job.options["trained"]))
        parts: list[Region | None] = [*job.regions, None] if has_rest(job) else [*job.regions]
        total, shares = torch.zeros_like(content), torch.zeros(job.content.size)
        for i, region in enumerate(parts):
            step = replace(job, on_progress=part(job.on_progress, i / len(parts), (i + 1) / len(parts)))
            counted = job.mask.weight if job.mask else None
            weight = counted if region is None else region.content.weight
            painted = paint_in(known, code_for(known, job, region), step, weight)
            share = region.content.weight if region is not None else (1 - shares).clamp_min(0)
            total, shares = total + painted * share, shares + share
        return total / shares


def has_rest(job: Job) -> bool:
    """Whether something is covered by no region."""
    covered = sum((region.content.weight for region in job.regions), torch.zeros(job.content.size))
    return bool((covered < 1e-3).any())


def code_for(known: ManyStyles, job: Job, region: Region | None) -> StyleCode:
    """The blend of the styles' codes, for one part of the picture."""
    weight = None if region is None else region.style.weight
    codes = [code_of(known, style, job, weight) for style in job.styles]
    return blended(codes, [style.weight for style in job.styles])
