"""What is where in a photo, and how sure that is: regions that need no painting of label maps.

Bayesian SegNet looks at content and style; what it takes for sky in one feeds what it takes for sky in the other, and
so on. Where its samples disagree, regions melt into each other instead of ending at a line that nobody can be sure of.

Source: Kendall, Badrinarayanan & Cipolla 2015, "Bayesian SegNet".
Departs: classes are grouped by what a photo of any kind has in common with a street scene, on which it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.resize import resize, scaled_size
from engine.core.errors import InputError
from engine.core.progress import part
from engine.core.types import Mask, Picture, Progress, Region, silent
from engine.models import shipped
from engine.networks.segnet import CLASSES, STRIDE_PX, SegNet
from engine.regions.soft_parts import soften

GROUPS: Mapping[str, tuple[str, ...]] = {
    "sky": ("sky",),
    "buildings": ("building", "pole", "sign", "fence"),
    "ground": ("road", "pavement"),
    "plants": ("tree",),
    "cars and people": ("car", "pedestrian", "bicyclist"),
}
ALONE = ("cars and people",)  # never paired: what is no part of a street ends up there too
N_SAMPLES = 8
LOOK_PX = 288  # longest side at which it looks: in the middle of the scales that it was trained on
DAYLIGHT_MEAN, DAYLIGHT_STD = 0.41, 0.28  # of a channel of a photo of the training data, on average
USUAL_MEANS, USUAL_STDS = (0.20, 0.64), (0.19, 0.33)  # 2 % of theirs are below, 2 % above
EDGE_PX = 1024  # longest side at which borders are drawn: they are soft, and cost stays bounded
UNSURE = 0.01  # variance from which on nothing is sure
MIN_SHARE = 0.01  # of a picture: a smaller region is more likely a mistake
MAX_UNSURE = 0.6  # on average over a region: beyond it the network guesses
HALF = 0.5


@dataclass(frozen=True, eq=False)
class Scenery:
    """What was seen in a picture.

    Args:
        names: of the groups.
        weight: (G, H, W) in [0, 1], how much each pixel belongs to each group; sums to 1 over G.
        unsure: (H, W) in [0, 1].
    """

    names: tuple[str, ...]
    weight: Tensor
    unsure: Tensor

    def share(self, name: str) -> float:
        """How much of the picture a group takes."""
        return float(self.weight[self.names.index(name)].mean())

    def is_there(self, name: str) -> bool:
        """Whether a group takes a part of the picture worth a region, and the network does not just guess."""
        weight = self.weight[self.names.index(name)]
        unsure = float((self.unsure * weight).sum() / weight.sum().clamp_min(1e-6))
        return self.share(name) >= MIN_SHARE and unsure <= MAX_UNSURE


def look(rgb: Tensor, n_samples: int = N_SAMPLES, seed: int = 0, on_progress: Progress = silent) -> Scenery:
    """See what is where.

    Args:
        rgb: (3, H, W) in [0, 1].
        n_samples: with dropout; at least 2, or nothing is known about how sure it is.
        seed: of the dropout.
        on_progress: told the share done; may raise ``Cancelled``.

    Raises:
        WeightsError: the network's weights are missing or damaged.
    """
    if n_samples < 2:
        raise InputError(f"It takes at least 2 samples to know how sure the network is, not {n_samples}.")
    on_progress(0.0, "Looking at what is where")
    size = [
        max(STRIDE_PX, round(side * LOOK_PX / max(rgb.shape[1:]) / STRIDE_PX) * STRIDE_PX) for side in rgb.shape[1:]
    ]
    small = resize(rgb[None].clamp(0, 1), size)
    answer = network().answer(in_daylight(small), n_samples, seed, on_progress)
    rows = [torch.tensor([CLASSES.index(name) for name in names]) for names in GROUPS.values()]
    probability = torch.stack([answer.probability[0, row].sum(0) for row in rows])  # (G, h, w)
    unsure = (answer.variance / UNSURE).clamp(0, 1)  # (1, h, w)
    decided = F.one_hot(probability.argmax(0), len(rows)).permute(2, 0, 1)  # (G, h, w)
    weight = torch.lerp(decided.to(probability), probability, unsure)
    guide = _resized(rgb, EDGE_PX)
    weight = torch.stack(soften(list(_scaled(weight, guide.shape[1:])), guide))  # its borders follow the picture's
    weight, unsure = _scaled(weight, rgb.shape[1:]), _scaled(unsure, rgb.shape[1:])
    return Scenery(tuple(GROUPS), weight, unsure[0])


def in_daylight(rgb: Tensor) -> Tensor:
    """Each channel (..., 3, H, W) as bright and as varied as in photos that the network knows: a red dusk has a sky.

    What is within their range already stays as it is: there the network sees no better for it, and ground worse.
    """
    mean, std = rgb.mean((-2, -1), keepdim=True), rgb.std((-2, -1), keepdim=True)
    if all(bool(((low <= x) & (x <= high)).all()) for x, (low, high) in ((mean, USUAL_MEANS), (std, USUAL_STDS))):
        return rgb
    return ((rgb - mean) * (DAYLIGHT_STD / (std + 0.02)) + DAYLIGHT_MEAN).clamp(0, 1)


def _resized(rgb: Tensor, longest_px: int) -> Tensor:
    """A picture of at most this longest side."""
    scale = min(1.0, longest_px / max(rgb.shape[1:]))
    size = scaled_size(rgb.shape[1:], scale)
    return resize(rgb[None].clamp(0, 1), size)[0]


def _scaled(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(G, h, w) in another size."""
    return F.interpolate(maps[None], tuple(size), mode="bilinear", align_corners=False)[0]


def find_regions(content: Picture, style: Picture, seed: int = 0, on_progress: Progress = silent) -> list[Region]:
    """Pairs of what is the same in content and style.

    What only one of them has, or what the network is not sure of, stays without a region: the whole style feeds it.

    Args:
        content, style: (3, H, W), (3, H', W').
        seed: of the dropout.
        on_progress: told the share done; may raise ``Cancelled``.

    Returns:
        Pairs, largest first; none if the pictures have nothing in common that the network knows.

    Raises:
        WeightsError: the network's weights are missing or damaged.
    """
    ours = look(content.rgb, seed=seed, on_progress=part(on_progress, 0.0, HALF))
    theirs = look(style.rgb, seed=seed, on_progress=part(on_progress, HALF, 1.0))
    common = [name for name in GROUPS if name not in ALONE and ours.is_there(name) and theirs.is_there(name)]
    common.sort(key=lambda name: -ours.share(name))
    return [Region(*(Mask(seen.weight[seen.names.index(name)], name) for seen in (ours, theirs))) for name in common]


def describe(regions: Sequence[Region]) -> str:
    """What was paired, for the report."""
    if not regions:
        return "no regions in common were found: the whole style feeds the whole picture"
    shares = (f"{r.content.label} {r.content.weight.mean():.0%} from {r.style.weight.mean():.0%}" for r in regions)
    return f"regions found: {', '.join(shares)} of the style"


@cache
def network() -> SegNet:
    """The network that ships."""
    made = SegNet()
    shipped.fill(made, "segnet")
    return made.requires_grad_(False).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
