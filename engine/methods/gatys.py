"""Painting by optimization: the pixels themselves are changed until their features fit content and style.

Source: Gatys, Ecker & Bethge 2016; the style statistic can be any of ``features.statistics`` (Li 2017 and others).
Departs: every style term is rooted and in units of the content's own distance, so that its gradient has one size near
and far and one set of weights serves all pictures, layers and statistics; the statistics are compared
at three scales of the picture, because a network's receptive field is smaller than a brush stroke of a large one;
optimization goes from coarse to fine (Gatys 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.color.recolor import recolor
from engine.compute.device import memory_errors
from engine.core.options import Option
from engine.core.progress import part
from engine.core.types import Style
from engine.descent.descend import descend, resized, sizes_from_coarse
from engine.features.backbones import Backbone, load_backbone
from engine.features.extractor import Sight
from engine.features.statistics import STATISTICS, Samples, Statistic, samples_of
from engine.methods import Job, register
from engine.networks.translators import enlarged
from engine.painters.multilevel import Part, parts_of

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu3_4", "relu4_1", "relu5_1")  # as far as the network goes
CONTENT_LAYERS = ("relu4_2", "relu3_4")  # the first that the network has
PYRAMID = (1.0, 0.5, 0.25)
SHARES = (0.35, 0.35, 0.3)  # of the iterations, coarse to fine
CONTENT_WEIGHT = 0.4
VARIATION_WEIGHT = 0.3
ROOT_EPS = 1e-4
MIN_UNIT = 0.02  # a content that is this near the style already has nothing to gain there
MIN_SIDE_PX = 16

OPTIONS = (
    Option("statistic", "gram", "what makes a style", choices=tuple(STATISTICS)),
    Option("optimizer", "lbfgs", "how the pixels follow the gradient", choices=("lbfgs", "adam")),
    Option("pooling", "auto", "of the feature network; auto: average where it can", choices=("auto", "max", "average")),
    Option("iterations", 200, "evaluations of the loss, over all sizes", low=1, high=5000),
    Option("scales", 3, "picture sizes, each half the next", low=1, high=6),
)


@register(
    "gatys",
    title="Optimization (Gatys)",
    paper="Gatys 2016",
    kind="optimization",
    takes=("blend", "pictures", "regions", "size"),
    options=OPTIONS,
)
def paint(job: Job) -> Tensor:
    """Optimize the pixels, coarse to fine."""
    if job.settings.strength == 0:
        return job.content.rgb.clone()
    with memory_errors("this picture"), torch.inference_mode(False):
        backbone = load_backbone(job.settings.backbone, job.device)
        height, width = job.content.size
        content = enlarged(job.content.rgb[None].clone(), MIN_SIDE_PX).to(job.device)  # (1, 3, H, W)
        sizes = sizes_from_coarse((content.shape[2], content.shape[3]), int(job.options["scales"]))
        steps = shared_out(int(job.options["iterations"]), len(sizes))
        pixels = enlarged(start_of(job), MIN_SIDE_PX).to(job.device)
        for i, (size, n_steps) in enumerate(zip(sizes, steps, strict=True)):
            loss = Loss(job, backbone, resized(content, size))
            start, end = sum(steps[:i]) / sum(steps), sum(steps[: i + 1]) / sum(steps)
            report = part(job.on_progress, start, end, f"Painting at {size[1]} x {size[0]}")
            pixels = descend(resized(pixels, size), loss, n_steps, str(job.options["optimizer"]), report)
        return pixels[0, :, :height, :width].cpu()


def start_of(job: Job) -> Tensor:
    """Where the descent begins: the content in the styles' colors, part by part: (1, 3, H, W).

    A ReLU that is off everywhere passes no gradient: from its own colors a picture would never find what it lacks.
    """
    content = job.content.rgb
    total, shares = torch.zeros_like(content), torch.zeros(job.content.size)
    for p in parts_of(job):
        for style, counted in zip(job.styles, p.styles, strict=True):
            rgb = style.require_picture().rgb
            colored = recolor(content, rgb, style_weight=p.counted, content_weight=counted)
            share = style.weight * p.weight
            total, shares = total + colored * share, shares + share
    painted = (total / shares).clamp(0, 1)
    return content.lerp(painted, job.settings.strength)[None].clone()


def shared_out(n_steps: int, n_sizes: int) -> list[int]:
    """Iterations of each size, at least one."""
    shares = SHARES[-n_sizes:] if n_sizes <= len(SHARES) else (SHARES[0],) * (n_sizes - len(SHARES)) + SHARES
    return [max(1, round(n_steps * share / sum(shares))) for share in shares]


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
        self.see = Sight(backbone, job.device, backbone.poolings[-1] if wanted == "auto" else wanted)
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
        weight = unless_all(enlarged(p.counted[None, None], MIN_SIDE_PX)[0, 0], job.device)
        unit = max(MIN_UNIT, float(self.distance(content, wanted, weight)))
        return Target(wanted, weight, float(p.weight.mean()), unit)

    def see_style(self, style: Style, job: Job, scale: float) -> dict[str, Tensor]:
        """Features of a style at the size that fits the picture's."""
        rgb = style.require_picture().rgb[None].to(job.device).clamp(0, 1)
        longest = (job.settings.style_size_px or max(job.content.size)) * scale
        height, width = (max(MIN_SIDE_PX, round(side * longest / max(rgb.shape[2:]))) for side in rgb.shape[2:])
        return self.see(resized(rgb, (height, width)), self.style_layers)

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
    return resized(rgb, [max(MIN_SIDE_PX, round(side * factor)) for side in rgb.shape[2:]])


def variation(rgb: Tensor) -> Tensor:
    """Mean absolute difference of neighbors."""
    return (rgb[..., 1:, :] - rgb[..., :-1, :]).abs().mean() + (rgb[..., 1:] - rgb[..., :-1]).abs().mean()
