"""One style in one pass (Johnson 2016): a network that was trained for a single style picture.

Source: Johnson 2016, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution". Its normalization uses the
moments of the training, not of the picture: nothing has to be measured first, and all tiles and pictures are alike.
The style is in the network, the style picture is not looked at: ``impasto train style --style FILE`` makes a network of
any picture in minutes, and files of others load (see ``engine.networks.network_files``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.compute.device import memory_errors
from engine.core.method import Job, register
from engine.core.options import Option
from engine.models import shipped
from engine.painters.single_style import load_one_style, paint_one_style

OPTIONS = (
    Option(
        "model",
        "",
        "the trained network: a file, or its name in the models folder; none: the one shipped",
        names="network",
    ),
)


@register(
    "johnson",
    title="One style (Johnson)",
    paper="Johnson 2016",
    kind="feed-forward",
    takes=("size",),
    options=OPTIONS,
    fades=True,
    ready=lambda: shipped.is_here("johnson"),
)
def paint(job: Job) -> Tensor:
    """Paint the picture in the network's style."""
    with torch.inference_mode(), memory_errors("this picture"):
        return paint_one_style(job, load_one_style(str(job.options["model"]), "johnson"))
