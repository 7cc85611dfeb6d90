"""Painting by optimization: the pixels themselves are changed until their features fit content and style.

Source: Gatys, Ecker & Bethge 2016; the style statistic can be any of ``features.statistics`` (Li 2017 and others).
Departs: every style term is rooted and in units of the content's own distance, so that its gradient has one size near
and far and one set of weights serves all pictures, layers and statistics; the statistics are compared
at three scales of the picture, because a network's receptive field is smaller than a brush stroke of a large one;
optimization goes from coarse to fine (Gatys 2017).
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.compute.device import memory_errors
from engine.compute.resize import pad_sides, resize
from engine.core.method import Job, register
from engine.core.options import Option
from engine.core.progress import part
from engine.descent.descend import OPTIMIZER, SCALES, descend, shared_out, sizes_from_coarse
from engine.descent.start import start_of
from engine.descent.style_loss import MIN_SIDE_PX, Loss
from engine.features.backbones import load_backbone
from engine.features.statistics import STATISTICS

SHARES = (0.35, 0.35, 0.3)  # of the iterations, coarse to fine

OPTIONS = (
    Option("statistic", "gram", "what makes a style", choices=tuple(STATISTICS)),
    OPTIMIZER,
    Option("pooling", "auto", "of the feature network; auto: average where it can", choices=("auto", "max", "average")),
    Option("iterations", 200, "evaluations of the loss, over all sizes", low=1, high=5000),
    SCALES,
)


@register(
    "gatys",
    title="Optimization (Gatys)",
    paper="Gatys 2016",
    kind="optimization",
    takes=("blend", "pictures", "regions", "size"),
    options=OPTIONS,
)
def paint(job: Job) -> Tensor:
    """Optimize the pixels, coarse to fine."""
    with memory_errors("this picture"), torch.inference_mode(False):
        backbone = load_backbone(job.settings.backbone, job.device)
        height, width = job.content.size
        content = pad_sides(job.content.rgb[None].clone(), MIN_SIDE_PX).to(job.device)  # (1, 3, H, W)
        sizes = sizes_from_coarse((content.shape[2], content.shape[3]), int(job.options["scales"]))
        steps = shared_out(int(job.options["iterations"]), len(sizes), SHARES)
        pixels = pad_sides(start_of(job), MIN_SIDE_PX).to(job.device)
        for i, (size, n_steps) in enumerate(zip(sizes, steps, strict=True)):
            loss = Loss(job, backbone, resize(content, size))
            start, end = sum(steps[:i]) / sum(steps), sum(steps[: i + 1]) / sum(steps)
            report = part(job.on_progress, start, end, f"Painting at {size[1]} x {size[0]}")
            pixels = descend(resize(pixels, size), loss, n_steps, str(job.options["optimizer"]), report)
        return pixels[0, :, :height, :width].cpu()
