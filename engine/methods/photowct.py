"""PhotoWCT: the colors and the light of one photo for another, without its textures.

Source: Li 2018, "A Closed-form Solution to Photorealistic Image Stylization". Whitening and coloring as in WCT, with
decoders that put values back where the encoder's poolings had found them, so that edges stay where they are; then the
photorealistic smoothing. Departs: our own encoder and decoders; features are moved at up to ``WORK_PX``, because what
the smoothing keeps of them, an affine map of the photo's colors, is smooth anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from engine.compute.device import memory_errors
from engine.compute.resize import resize, resize_weight, scaled_size
from engine.core.method import Job, register
from engine.core.options import Option
from engine.core.progress import part
from engine.core.types import Mask, Picture
from engine.edges.smoothing import smooth_photoreal
from engine.models import shipped
from engine.networks.pairs import load_embedded
from engine.painters.multilevel import transfer
from engine.regions.soft_parts import is_fit

WORK_PX = 768

OPTIONS = (
    Option("depth", 4, "levels, from this one to the first", low=1, high=4),
    Option("smoothing", 1.0, "amount of the photorealistic smoothing", low=0, high=1),
)


@register(
    "photowct",
    title="Photo to photo (PhotoWCT)",
    paper="Li 2018",
    kind="photorealistic",
    takes=("blend", "pictures", "regions", "size"),
    options=OPTIONS,
    ready=lambda: shipped.is_here("decoders"),
)
def paint(job: Job) -> Tensor:
    """Recolor features with poolings kept, then give the photo's edges back."""
    content = job.content.rgb
    with torch.inference_mode(), memory_errors("this picture"):
        small = shrunk(job)
        pair = load_embedded(is_unpooling=True)
        work = replace(small, on_progress=part(job.on_progress, 0.0, 0.6))
        painted = transfer(pair, work, depth=int(job.options["depth"]), accepts=is_fit)
        painted = resized(painted, job.content.size)
        amount = float(job.options["smoothing"])
        return smooth_photoreal(painted, content, amount, part(job.on_progress, 0.6, 1.0, "Smoothing"))


def shrunk(job: Job) -> Job:
    """The job at ``WORK_PX``, or as it is if it is no larger."""
    factor = WORK_PX / max(job.content.size)
    if factor >= 1:
        return job
    size = scaled_size(job.content.size, factor)

    def small(mask: Mask) -> Mask:
        return replace(mask, weight=resize_weight(mask.weight, size))

    return replace(
        job,
        content=Picture(resized(job.content.rgb, size)),
        mask=None if job.mask is None else small(job.mask),
        regions=[replace(region, content=small(region.content)) for region in job.regions],
    )


def resized(rgb: Tensor, size: Sequence[int]) -> Tensor:
    """(3, H, W) at another size."""
    if tuple(rgb.shape[1:]) == tuple(size):
        return rgb
    return resize(rgb, tuple(size)).clamp(0, 1)
