"""The loss of Gatys: content, style statistics at three scales, smoothness, for each part of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.compute.resize import pad_sides, rescale, resize
from engine.core.method import Job
from engine.core.types import Style
from engine.features.backbone import Backbone
from engine.features.extractor import FeatureExtractor
from engine.features.statistics import STATISTICS, Samples, Statistic, samples_of
from engine.regions.parts import Part, parts_of

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu3_4", "relu4_1", "relu5_1")  # as far as the network goes
CONTENT_LAYERS = ("relu4_2", "relu3_4")  # the first that the network has
PYRAMID = (1.0, 0.5, 0.25)
CONTENT_WEIGHT = 0.4
VARIATION_WEIGHT = 0.3
ROOT_EPS = 1e-4
MIN_UNIT = 0.02  # a content that is this near the style already has nothing to gain there
MIN_SIDE_PX = 16


@dataclass(frozen=True)
class Target:
    """What one part of the picture should have at one layer and scale.

    Args:
        wanted: the style's statistics and its share in a blend.
        weight: (h, w) which part of the picture; None = all of it.
        share: of this part in the loss.
        unit: the content's own distance from the style.
    """

    wanted: Sequence[tuple[Tensor, float]]
    weight: Tensor | None
    share: float
    unit: float


class Loss:
    """Content, style and smoothness of a picture of one size.

    Args:
        job: styles, regions and options.
        backbone: sees the features.
        content: (1, 3, h, w), the picture at this size.
    """

    def __init__(self, job: Job, backbone: Backbone, content: Tensor) -> None:
        self.seed = job.settings.seed
        wanted = str(job.options["pooling"])
        self.see = FeatureExtractor(backbone, job.device, backbone.poolings[-1] if wanted == "auto" else wanted)
        self.statistic: Statistic = STATISTICS[str(job.options["statistic"])]
        self.style_layers = tuple(layer for layer in STYLE_LAYERS if layer in backbone.layers)
        self.content_layer = next((x for x in CONTENT_LAYERS if x in backbone.layers), CONTENT_LAYERS[-1])
        self.content_weight = CONTENT_WEIGHT * (2 / job.settings.strength - 1)
        self.parts = parts_of(job)
        scale = min(1.0, max(content.shape[2:]) / max(job.content.size))  # a tiny content has been enlarged
        with torch.no_grad():
            self.content = self.see.wide(content, [self.content_layer])[self.content_layer]
            self.content_energy = self.content.square().mean().clamp_min(1e-8)
            self.targets = [self.targets_at(job, content, scale, factor) for factor in PYRAMID]

    def targets_at(self, job: Job, content: Tensor, scale: float, factor: float) -> dict[str, list[Target]]:
        """Per layer the targets of all parts of the picture.

        Args:
            job: what is painted.
            content: (1, 3, h, w), the picture now.
            scale: its size over the full one.
            factor: of the pyramid.
        """
        own = self.see(scaled(content, factor), self.style_layers)
        seen = [self.see_style(style, job, scale * factor) for style in job.styles]
        return {
            layer: [self.target(job, p, own[layer], [features[layer] for features in seen]) for p in self.parts]
            for layer in self.style_layers
        }

    def target(self, job: Job, p: Part, content: Tensor, styles: Sequence[Tensor]) -> Target:
        """What one part should have, from the features of content and styles at one layer."""
        total = sum(style.weight for style in job.styles)
        wanted = []
        for style, counted, features in zip(job.styles, p.styles, styles, strict=True):
            samples = self.samples(features, unless_all(counted, job.device))
            wanted.append((self.statistic.describe(samples), style.weight / total))
        weight = unless_all(pad_sides(p.counted[None, None], MIN_SIDE_PX)[0, 0], job.device)
        unit = max(MIN_UNIT, float(self.distance(content, wanted, weight)))
        return Target(wanted, weight, float(p.weight.mean()), unit)

    def see_style(self, style: Style, job: Job, scale: float) -> dict[str, Tensor]:
        """Features of a style at the size that fits the picture's."""
        rgb = style.require_picture().rgb[None].to(job.device).clamp(0, 1)
        longest = (job.settings.style_size_px or max(job.content.size)) * scale
        height, width = (max(MIN_SIDE_PX, round(side * longest / max(rgb.shape[2:]))) for side in rgb.shape[2:])
        return self.see(resize(rgb, (height, width)), self.style_layers)

    def __call__(self, rgb: Tensor) -> Tensor:
        """The loss of (1, 3, h, w)."""
        terms = []
        for factor, targets in zip(PYRAMID, self.targets, strict=True):
            layers = (*self.style_layers, self.content_layer) if factor == 1 else self.style_layers
            seen = self.see(scaled(rgb, factor), layers)
            if factor == 1:
                moved = (seen[self.content_layer].float() - self.content).square().mean()
                content = moved / self.content_energy
            terms += [self.part_distance(seen[layer], part) for layer, parts in targets.items() for part in parts]
        style = torch.stack(terms).sum() / (len(PYRAMID) * len(self.style_layers))
        return style + self.content_weight * content + VARIATION_WEIGHT * variation(rgb)

    def part_distance(self, features: Tensor, target: Target) -> Tensor:
        """How far one part of the picture is from its style at one layer: 1 for the content itself."""
        distance = self.distance(features, target.wanted, target.weight)
        return target.share * (distance / target.unit + ROOT_EPS).sqrt()

    def distance(self, features: Tensor, wanted: Sequence[tuple[Tensor, float]], weight: Tensor | None) -> Tensor:
        """Of the part of the features that a weight covers, from a blend of styles."""
        samples = self.samples(features, weight)
        return torch.stack([share * self.statistic.distance(samples, w) for w, share in wanted]).sum()

    def samples(self, features: Tensor, weight: Tensor | None) -> Samples:
        """The positions of (1, C, h, w) features that a weight covers, as precise as the statistic needs them."""
        return samples_of(features if self.statistic.takes_half else features.float(), weight, self.seed)


def unless_all(weight: Tensor, device: torch.device) -> Tensor | None:
    """(H, W) on a device; None where everything counts alike, which is computed faster."""
    return None if bool((weight == 1).all()) else weight.to(device)


def scaled(rgb: Tensor, factor: float) -> Tensor:
    """A level of the pyramid."""
    return rescale(rgb, factor, MIN_SIDE_PX)


def variation(rgb: Tensor) -> Tensor:
    """Mean absolute difference of neighbors."""
    return (rgb[..., 1:, :] - rgb[..., :-1, :]).abs().mean() + (rgb[..., 1:] - rgb[..., :-1]).abs().mean()
