"""Methods whose style is in one trained network: of a style, or of a kind of pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from engine.compute.device import memory_errors
from engine.core.method import Job, register
from engine.core.options import Option
from engine.models import shipped


def register_network(kind: str, title: str, paper: str, model: Option, paint: Callable[[str, Job], Tensor]) -> None:
    """Register a method for networks of a kind. It looks at no style picture, and fades.

    Args:
        kind: of network; the method has its name, and so have weights that ship.
        title, paper: as ``MethodInfo`` has them.
        model: the option that names the network.
        paint: paints a job with a network of a kind.
    """

    def painted(job: Job) -> Tensor:
        with torch.inference_mode(), memory_errors("this picture"):
            return paint(kind, job)

    register(
        kind,
        title=title,
        paper=paper,
        kind="feed-forward",
        takes=("size",),
        options=(model,),
        fades=True,
        ready=partial(shipped.is_here, kind),
    )(painted)
