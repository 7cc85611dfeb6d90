"""Translation: a network that was trained, without pairs, to turn pictures of one kind into another.

Sources: CycleGAN (Zhu 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks") and
DiscoGAN (Kim 2017, "Learning to Discover Cross-Domain Relations with Generative Adversarial Networks").

The network is the user's own (``impasto train unpaired``) or a file; the style picture is not looked at.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from engine.compute.device import memory_errors
from engine.core.method import Job, register
from engine.core.options import Option
from engine.models import shipped
from engine.painters.translate import load, translate

MODEL = Option("model", "", "the trained network: a file, or its name in the models folder", names="network")


def paint(kind: str, job: Job) -> Tensor:
    """Translate the picture with a network of a kind."""
    with torch.inference_mode(), memory_errors("this picture"):
        return translate(job, load(str(job.options["model"]), kind))


for name, title, paper in (("cyclegan", "CycleGAN", "Zhu 2017"), ("discogan", "DiscoGAN", "Kim 2017")):
    register(
        name,
        title=f"Translation ({title})",
        paper=paper,
        kind="feed-forward",
        takes=("size",),
        options=(MODEL,),
        fades=True,
        ready=partial(shipped.is_here, name),
    )(partial(paint, name))
