"""Whitening and coloring transforms: any style in one pass, by moving the statistics of features.

Source: Li 2017, "Universal Style Transfer via Feature Transforms". Departs: our own encoder and decoders by default,
small enough to ship, whose four levels reach an eighth of the resolution.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from engine.compute.device import memory_errors
from engine.core.errors import SettingsError
from engine.core.method import Job, register
from engine.core.options import Option
from engine.models import shipped
from engine.networks.pairs import Pair, load_embedded, load_folder
from engine.painters.multilevel import transfer

OPTIONS = (
    Option(
        "model",
        "embedded",
        "the encoders and decoders: embedded, or a folder with a published pair for VGG-19",
        names="file",
    ),
    Option(
        "depth",
        3,
        "levels, from this one to the first: more = larger patterns, fewer = more of the photo",
        low=1,
        high=5,
    ),
)


@register(
    "wct",
    title="Whitening and coloring (WCT)",
    paper="Li 2017",
    kind="feed-forward",
    takes=("blend", "pictures", "regions", "size"),
    options=OPTIONS,
    ready=lambda: shipped.is_here("decoders"),
)
def paint(job: Job) -> Tensor:
    """Recolor features level by level, coarse to fine."""
    with torch.inference_mode(), memory_errors("this picture"):
        pair = load_pair(str(job.options["model"]))
        return transfer(pair, job, depth=int(job.options["depth"]))


def load_pair(model: str) -> Pair:
    """The pair that an option names.

    Raises:
        SettingsError: neither ``embedded`` nor a folder.
        WeightsError: its weights are missing or damaged.
    """
    if model == "embedded":
        return load_embedded(is_unpooling=False)
    if not Path(model).is_dir():
        raise SettingsError(
            f"There is no folder {model!r}: model must be embedded or a folder with a published WCT pair."
        )
    return load_folder(Path(model).resolve())
