"""Painting with a network that knows one style: finding its file, colors first, tiles, strength."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import torch
from torch import Tensor

from engine.compute.precision import USUAL, Arithmetic, fastest
from engine.core.errors import WeightsError
from engine.core.method import Job
from engine.core.options import Option
from engine.models import shipped
from engine.models.user_models import find_model
from engine.networks.feedforward import Painter
from engine.networks.moments import rgb_moments, transport_colors
from engine.networks.network_files import SUFFIXES, build_one_style, read_file
from engine.networks.others_networks import PublishedPainter
from engine.painters.translate import paint_measured

OneStyle = Painter | PublishedPainter

MODEL = Option(
    "model", "", "the trained network: a file, or its name in the models folder; none: the one shipped", names="network"
)


def load_one_style(name: str, kind: str) -> OneStyle:
    """The network that an option names; "" = the one that ships.

    Raises:
        SettingsError: there is no such network.
        WeightsError: it is not readable, or of another kind.
    """
    if not name and shipped.is_here(kind):
        return _shipped(kind)
    path = find_model(name, kind, f"impasto train style --style FILE --kind {kind}", SUFFIXES).resolve()
    network = _of_file(path, shipped.stamp_of(path))
    if isinstance(network, Painter) and network.kind != kind:
        raise WeightsError(f"{path.name} is a network of {network.kind}: choose that method, or another file.")
    return network


@cache
def _shipped(kind: str) -> OneStyle:
    return build_one_style(shipped.load_shipped(kind), kind)


@lru_cache(maxsize=2)
def _of_file(path: Path, _stamp: object) -> OneStyle:
    return build_one_style(read_file(path), path.name)


def paint_one_style(job: Job, network: OneStyle) -> Tensor:
    """The content in the network's style: (3, H, W) in [0, 1]."""
    content = job.content.rgb[None].clamp(0, 1)  # (1, 3, H, W)
    how, rgb = USUAL, content
    if isinstance(network, Painter):
        how = arithmetic_for(network, job.device)
        rgb = in_colors(content, network.colors, job)
    painted = paint_measured(rgb, network, job.device, job.on_progress, how)
    return painted[0].contiguous()


def arithmetic_for(network: Painter, device: torch.device) -> Arithmetic:
    """What is fastest on this processor."""
    return fastest(network, network) if device.type == "cpu" else USUAL


def in_colors(content: Tensor, colors: Tensor, job: Job) -> Tensor:
    """(1, 3, H, W) with a style's colors (12,), as networks of ours expect it; not clamped."""
    mask = None if job.mask is None or not bool((job.mask.weight > 0).any()) else job.mask.weight[None, None]
    return transport_colors(content, rgb_moments(content, mask), colors[None].to(content))
