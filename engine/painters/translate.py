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
    painting = _Painting(large, network, device, on_progress, how)
    wanted_px = painting.longest_px if painting.is_small else TILE_PX, network.margin_px
    tile_px, margin_px = (-(-px // network.stride_px) * network.stride_px for px in wanted_px)
    return paint_tiles(
        large,
        painting.paint,
        tile_px=tile_px,
        margin_px=margin_px,
        stride_px=network.stride_px,
        beyond_px=network.beyond_px,
        prepare=painting.measure,
        on_tile=painting.on_tile,
    )[:, :, : rgb.shape[2], : rgb.shape[3]]


class _Painting:
    """One picture on its way through a network: what was looked at, how many tiles are done.

    Args:
        large: (1, 3, H, W), what is painted.
        network, device, on_progress, how: as ``paint_measured`` has them.
    """

    def __init__(
        self, large: Tensor, network: Measured, device: torch.device, on_progress: Progress, how: Arithmetic
    ) -> None:
        self.large, self.network, self.device, self.on_progress, self.how = large, network, device, on_progress, how
        self.is_small, self.longest_px = large[0, 0].numel() <= WHOLE_PX, max(large.shape[2:])
        self.looked, self.n_done, self.n_tiles = 0.0, 0, 1  # ``looked``: share of the time

    def measure(self, tile_px: int) -> None:
        """Look at crops, where tiles of this side do not see the whole picture."""
        if not self.network.norms() or (self.is_small and tile_px >= self.longest_px):
            return
        self.looked = 0.2
        report = part(self.on_progress, 0.0, self.looked, "Looking at the picture")
        with watched(self.network, report), self.how.active():
            crops = crops_of(self.large, self.network.stride_px, is_small=self.is_small)
            self.network.measure(self.how.lay_out(crops.to(self.device)))

    def on_tile(self, n_done: int, n_tiles: int) -> None:
        """Remember how far it is."""
        self.n_done, self.n_tiles = n_done, n_tiles

    def paint(self, rgb: Tensor, tile: Tile) -> Tensor:
        """One tile."""
        report = part(self.on_progress, self.looked, 1.0, "Painting")

        def tell(share: float, _text: str) -> None:
            report((self.n_done + share) / self.n_tiles, "")

        with watched(self.network, tell), self.how.active():
            painted = self.network(self.how.lay_out(rgb.to(self.device)))
        return tile.cut(painted).float().clamp_(0, 1).cpu()


def crops_of(rgb: Tensor, stride_px: int, *, is_small: bool) -> Tensor:
    """What is measured of a picture (1, 3, H, W) in tiles: (K, 3, h, w), of a small one half of what did not fit."""
    crop_px = min(CROP_PX, *(side // stride_px * stride_px for side in rgb.shape[2:]))
    n_pixels = rgb[0, 0].numel() // 2 if is_small else N_CROPS * CROP_PX**2
    return spread_crops(rgb, crop_px, n_pixels // crop_px**2)
