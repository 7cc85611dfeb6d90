"""Who paints: ours (shipped or with candidate weights), peers, and nobody (the photo itself), behind one call."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.lengstrom import Lengstrom
from benchmarks.microast import MicroAst
from engine.core.errors import WeightsError
from engine.core.types import Picture, Settings, Style
from engine.files import read_picture, write_picture
from engine.methods import anystyle
from engine.models.shipped import unpacked
from engine.networks.anystyle_network import AnyStyle
from engine.pipeline.stylize import stylize

Painter = Callable[[Tensor, Tensor], Tensor]
"""(1, 3, H, W) content and (1, 3, h, w) style in [0, 1] -> (1, 3, H, W) in [0, 1]."""


def leave(content: Tensor, _style: Tensor) -> Tensor:
    """The photo itself: what the figures say of no painting at all."""
    return content


def ours(settings: Settings) -> Painter:
    """The product's own pipeline."""

    def paint(content: Tensor, style: Tensor) -> Tensor:
        return stylize(Picture(content[0]), [Style("style", Picture(style[0]))], settings).picture.rgb[None]

    return paint


def candidate(path: Path, settings: Settings) -> Painter:
    """The product's pipeline with weights of an any-style network that do not ship (yet), of a training run say."""
    net = AnyStyle()
    try:
        net.load_state_dict(unpacked(load_file(path)))
    except RuntimeError as error:
        raise WeightsError(f"{path} holds weights of another version of the network.") from error
    net.requires_grad_(False).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    paint_with_ours = ours(settings)

    def paint(content: Tensor, style: Tensor) -> Tensor:
        shipped = anystyle.network
        anystyle.network = lambda _device: net  # type: ignore[assignment]
        try:
            return paint_with_ours(content, style)
        finally:
            anystyle.network = shipped

    return paint


def microast(folder: Path) -> Painter:
    """MicroAST, from its published weights."""
    network = MicroAst(folder)

    def paint(content: Tensor, style: Tensor) -> Tensor:
        return network(content, style)[:, :, : content.shape[2], : content.shape[3]].clamp(0, 1)

    return paint


def lengstrom(path: Path) -> Painter:
    """A network of one style, The Great Wave, whatever style it is given."""
    network = Lengstrom(path)

    def paint(content: Tensor, _style: Tensor) -> Tensor:
        with torch.inference_mode():
            return network(content)

    return paint


def gmic(command: str = "gmic") -> Painter:
    """G'MIC's ``stylize``, a patch-based method, at its own defaults (the program must be installed)."""

    def paint(content: Tensor, style: Tensor) -> Tensor:
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("content.png", "style.png", "painted.png")]
            for path, rgb in zip(paths, (content, style), strict=False):
                write_picture(path, Picture(rgb[0]))
            words = [*map(str, paths[:2]), "+stylize[0]", "[1],5", "-o[2]", str(paths[2])]
            subprocess.run([command, *words], check=True, capture_output=True)
            return read_picture(paths[2]).rgb[None]

    return paint
