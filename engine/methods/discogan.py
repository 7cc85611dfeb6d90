"""Translation (DiscoGAN): a network that was trained, without pairs, to turn pictures of one kind into another.

Source: Kim 2017, "Learning to Discover Cross-Domain Relations with Generative Adversarial Networks".
The network is the user's own (``impasto train unpaired``) or a file; the style picture is not looked at.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.compute.device import memory_errors
from engine.core.method import Job, register
from engine.core.options import Option
from engine.models import shipped
from engine.painters.translate import load, translate

OPTIONS = (Option("model", "", "the trained network: a file, or its name in the models folder", names="network"),)


@register(
    "discogan",
    title="Translation (DiscoGAN)",
    paper="Kim 2017",
    kind="feed-forward",
    takes=("size",),
    options=OPTIONS,
    fades=True,
    ready=lambda: shipped.is_here("discogan"),
)
def paint(job: Job) -> Tensor:
    """Translate the picture."""
    with torch.inference_mode(), memory_errors("this picture"):
        return translate(job, load(str(job.options["model"]), "discogan"))
