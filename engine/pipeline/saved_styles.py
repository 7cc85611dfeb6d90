"""Styles of a user's own: what a style file keeps of a picture, and when what it keeps can be used."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from engine.compute.device import memory_errors
from engine.compute.resize import resize, scaled_size
from engine.core.types import Picture, Style
from engine.files.presets import STYLE_SIZE_PX
from engine.methods import anystyle
from engine.models import shipped
from engine.networks.anystyle_network import CODE_SIZE
from engine.pipeline.crop import check_style, in_range

MAX_NUMBER = 1000.0  # in a code; those of the presets stay below 8
NETWORK = "anystyle"


@cache
def network_stamp() -> str:
    """What tells our network from every other version of it: its name and the first half of its weights' digest."""
    return f"{NETWORK}:{shipped.manifest()[NETWORK].sha256[:32]}"


def encode(name: str, picture: Picture) -> Tensor:
    """A style picture's code, (CODE_SIZE,), as painting with the picture would find it.

    Computed on the processor, so that one picture has one code on every computer, to rounding.

    Raises:
        InputError: nothing of the picture can be seen, or it holds no numbers.
    """
    check_style(name, picture)
    device = torch.device("cpu")
    picture = Picture(in_range(picture.rgb), picture.alpha)
    with torch.inference_mode(), memory_errors("this style"):
        return anystyle.encode_picture(anystyle.network(device), picture, None, STYLE_SIZE_PX, device).clone()


def is_readable(code: Tensor, network: str) -> bool:
    """Whether our network can paint in a code: its own, and whole."""
    is_ours = network == network_stamp() and code.shape == (CODE_SIZE,)
    return is_ours and bool(torch.isfinite(code).all()) and float(code.abs().max()) <= MAX_NUMBER


def style_of_saved(name: str, picture: Picture, code: Tensor, network: str, weight: float = 1.0) -> Style:
    """A saved style; of another version of the network only its picture counts."""
    return Style(name, picture, code if is_readable(code, network) else None, weight)


def flat(picture: Picture, longest_px: int) -> Tensor:
    """A picture without its transparency, no side longer than that: (3, h, w) in [0, 1].

    What cannot be seen gets the mean color of what can, so that it says nothing of its own.
    """
    rgb = in_range(picture.rgb)
    if picture.alpha is not None:
        mean = (rgb * picture.alpha).sum((1, 2)) / picture.alpha.sum().clamp_min(1e-6)  # (3,)
        rgb = mean[:, None, None].lerp(rgb, picture.alpha)
    factor = min(1.0, longest_px / max(picture.size))
    return resize(rgb, scaled_size(picture.size, factor)).clamp(0, 1)
