"""Where a descent begins."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.color.recolor import recolor
from engine.core.method import Job
from engine.regions.parts import parts_of


def start_of(job: Job) -> Tensor:
    """Where the descent begins: the content in the styles' colors, part by part: (1, 3, H, W).

    A ReLU that is off everywhere passes no gradient: from its own colors a picture would never find what it lacks.
    """
    content = job.content.rgb
    total, shares = torch.zeros_like(content), torch.zeros(job.content.size)
    for p in parts_of(job):
        for style, counted in zip(job.styles, p.styles, strict=True):
            rgb = style.require_picture().rgb
            colored = recolor(content, rgb, style_weight=p.counted, content_weight=counted)
            share = style.weight * p.weight
            total, shares = total + colored * share, shares + share
    painted = (total / shares).clamp(0, 1)
    return content.lerp(painted, job.settings.strength)[None].clone()
