"""The account that goes with a result: how it came about, how long it took, what a user would not expect."""

from __future__ import annotations

from typing import Any

import torch

from engine import methods
from engine.core.clock import Clock
from engine.core.method import Job
from engine.core.types import Picture, Settings
from engine.edges.smoothing import choose_way, describe_way
from engine.files.presets import STYLE_SIZE_PX
from engine.regions import semantics

LOOKING = ("gatys", "cnnmrf", "analogy")  # methods that see by a backbone; strokes are laid by it, too
Box = tuple[int, int, int, int]
"""Top, left, height, width."""


def own_smoothing(job: Job) -> float:
    """How much a method smooths by itself: photorealistic ones have an option for it."""
    return float(job.options.get("smoothing", 0))


def is_refined(job: Job) -> bool:
    """Whether strokes are laid: not over every method's painting, and not of a code without a picture."""
    is_wanted = job.settings.quality != "fast" and "quality" in methods.get(job.settings.method).takes
    return is_wanted and all(style.picture is not None for style in job.styles)


def report(
    job: Job, settings: Settings, clock: Clock, picture: Picture, box: Box, is_chosen: bool = False
) -> dict[str, Any]:
    """The account that goes with a result; ``is_chosen``: we chose its strength."""
    height, width = job.content.size
    return {
        "method": settings.method,
        "device": str(job.device),
        "strength": settings.strength,
        "strength_chosen": is_chosen,
        "color": settings.color,
        "photoreal": settings.photoreal,
        "blend": settings.blend,
        "quality": settings.quality if is_refined(job) else "fast",
        "seed": settings.seed,
        "options": dict(job.options),
        "size": [width, height],
        "seconds": {name: round(value, 4) for name, value in clock.seconds.items()},
        "peak_bytes": torch.cuda.max_memory_allocated(job.device) if job.device.type == "cuda" else 0,
        "notes": [*held_back(settings.strength, is_chosen), *notes_on(job, settings, picture, box)],
    }


def held_back(strength: float, is_chosen: bool) -> list[str]:
    """That the picture would be lost at full strength, where that is so."""
    is_less = is_chosen and round(strength, 2) < 1
    return [f"held back to a strength of {strength:.0%}: at 100% the picture would be lost"] if is_less else []


def notes_on(job: Job, settings: Settings, picture: Picture, box: Box) -> list[str]:
    """What a user would not expect of a result, in a line each."""
    height, width = job.content.size
    notes = []
    if picture.size != job.content.size:
        notes.append(f"computed at {width} x {height} pixels")
    if (settings.style_size_px or STYLE_SIZE_PX) < STYLE_SIZE_PX and all(style.picture is None for style in job.styles):
        notes.append(f"a preset's brush is no finer than at a style size of {STYLE_SIZE_PX}")
    if settings.quality != "fast" and "quality" not in methods.get(settings.method).takes:
        notes.append("the quality is of the method anystyle; this one has settings of its own")
    elif settings.quality != "fast" and not is_refined(job):
        notes.append("strokes are laid from a style picture: a preset, which is only a code, is painted fast")
    if settings.backbone != "embedded" and settings.method not in LOOKING and not is_refined(job):
        notes.append(f"the method {settings.method} has no use for a backbone: {', '.join(LOOKING)} have")
    if settings.auto_regions:
        notes.append(semantics.describe(job.regions))
    if own_smoothing(job) > 0 or settings.photoreal > 0:
        smoothed = job.content.size if own_smoothing(job) > 0 else box[2:]
        way = choose_way(smoothed)
        notes += [describe_way(way, smoothed)] if way != "exact" else []  # exactly is what everybody expects
    return notes
