"""The painting stage: the method, the strokes that the quality asks for, and the strength of methods that fade."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from engine.core.method import Job, MethodInfo
from engine.core.progress import part
from engine.painters import strokes
from engine.pipeline.cache import PaintingCache
from engine.pipeline.crop import is_apart
from engine.pipeline.report import is_refined


def paint(method: MethodInfo, job: Job, cache: PaintingCache) -> tuple[Tensor, bool]:
    """The painting of a job, (3, H, W), and whether it was painted before. It must not be written to if it is kept."""
    return cache.get(job, method.options, lambda: _paint(method, job, cache))


def _paint(method: MethodInfo, job: Job, cache: PaintingCache) -> tuple[Tensor, bool]:
    strength = job.settings.strength
    if method.fades and strength < 1:
        full, is_reused = paint(method, replace(job, settings=replace(job.settings, strength=1.0)), cache)
        can_write = not cache.keeps(full) and is_apart(full, job.content.rgb)
        return torch.lerp(job.content.rgb, full, strength, out=full if can_write else None), is_reused
    if not is_refined(job):
        return method.paint(job), False
    painted = method.paint(replace(job, on_progress=part(job.on_progress, 0.0, 0.1)))
    return strokes.refine(replace(job, on_progress=part(job.on_progress, 0.1, 1.0)), painted), False
