"""Translating a picture with a trained network: finding the network's file, painting large pictures in tiles."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from engine.compute.precision import USUAL, Arithmetic
from engine.compute.resize import pad_sides
from engine.compute.tiles import Tile, paint_tiles, spread_crops
from engine.core.errors import WeightsError
from engine.core.method import Job
from engine.core.progress import part, watched
from engine.core.types import Progress
from engine.models import shipped
from engine.models.user_models import find_model
from engine.networks.measured import Measured
from engine.networks.translators import Generator, build, load_generator

WHOLE_PX = 1152 * 1152  # up to this many pixels a picture is painted whole
TILE_PX = 1024
CROP_PX, N_CROPS = 256, 24
MIN_SIDE_PX = 64


def load(name: str, kind: str) -> Generator:
    """The network that an option names; "" = the one that ships, if one does.

    Raises:
        SettingsError: there is no such network.
        WeightsError: it is not readable, or of the other kind.
    """
    if not name and shipped.is_here(kind):
        return build(shipped.load_shipped(kind), kind)
    path = find_model(name, kind).resolve()
    network = load_generator(path, shipped.stamp_of(path))
    if network.kind != kind:
        raise WeightsError(f"{path.name} is a network of {network.kind}: choose that method, or another file.")
    return network


def translate(job: Job, network: Generator) -> Tensor:
    """The content as the network translates it: (3, H, W) in [0, 1]."""
    content = job.content.rgb[None].clamp(0, 1)
    painted = paint_measured(content, network, job.device, job.on_progress)
    return painted[0].contiguous()


def paint_measured(
    rgb: Tensor, network: Measured, device: torch.device, on_progress: Progress, how: Arithmetic = USUAL
) -> Tensor:
    """A picture through a network that normalizes by it: a large one is measured on crops, then painted in tiles; so
    is one that does not fit into memory whole.

    Args:
        rgb: (1, 3, H, W), any size.
        network: takes (B, 3, h, w) with h and w divisible by its stride; it is not changed.
        device: where to compute.
        on_progress: told before each layer; may raise to stop.
        how: in which layout and precision.

    Returns:
        (1, 3, H, W) in [0, 1], on the CPU.
    """
    large = pad_sides(rgb, MIN_SIDE_PX)
    network = how.fit(deepcopy(network).to(device))  # type: ignore[assignment]  # it will remember this picture's moments
    is_small, longest = large[0, 0].numel() <= WHOLE_PX, max(large.shape[2:])
    looked = 0.0  # share of the time

    def measure(tile_px: int) -> None:
        nonlocal looked
        if network.norms() and not (is_small and tile_px >= longest):
            looked = 0.2
            with watched(network, part(on_progress, 0.0, looked, "Looking at the picture")), how.active():
                crops = crops_of(large, network.stride_px, is_small=is_small)
                network.measure(how.lay_out(crops.to(device)))

    done = (0, 1)

    def on_tile(n_done: int, n_tiles: int) -> None:
        nonlocal done
        done = (n_done, n_tiles)

    def paint(rgb: Tensor, tile: Tile) -> Tensor:
        report = part(on_progress, looked, 1.0, "Painting")
        with watched(network, lambda share, _text: report((done[0] + share) / done[1], "")), how.active():
            painted = network(how.lay_out(rgb.to(device)))
        return tile.cut(painted).float().clamp_(0, 1).cpu()

    stride_px = network.stride_px
    wanted_px = longest if is_small else TILE_PX, network.margin_px
    tile_px, margin_px = (-(-px // stride_px) * stride_px for px in wanted_px)
    return paint_tiles(
        large,
        paint,
        tile_px=tile_px,
        margin_px=margin_px,
        stride_px=stride_px,
        beyond_px=network.beyond_px,
        prepare=measure,
        on_tile=on_tile,
    )[:, :, : rgb.shape[2], : rgb.shape[3]]


def crops_of(rgb: Tensor, stride_px: int, *, is_small: bool) -> Tensor:
    """What is measured of a picture (1, 3, H, W) in tiles: (K, 3, h, w), of a small one half of what did not fit."""
    crop_px = min(CROP_PX, *(side // stride_px * stride_px for side in rgb.shape[2:]))
    n_pixels = rgb[0, 0].numel() // 2 if is_small else N_CROPS * CROP_PX**2
    return spread_crops(rgb, crop_px, n_pixels // crop_px**2)
