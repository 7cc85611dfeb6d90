"""Painting out of patches: every patch of the result's features should be one that the style has.

Source: Li & Wand 2016, "Combining Markov Random Fields and Convolutional Neural Networks for Image Synthesis".
Departs: matches are looked up again after some steps of the optimizer, not at each; the loss that holds between two
look-ups is then a squared difference (``markov``), and L-BFGS sees one function. What is matched at relu3_1 also
says what the finer layers and the pixels should be: features of block 3 alone leave color and contrast open. It starts
from the content in the style's colors, painted over with the patches that are found first. Every term is relative to
its own energy, so that one set of weights serves every network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.device import memory_errors
from engine.compute.resize import enlarge_smoothly, pad_sides, resize, scaled_size
from engine.core.method import Job, register
from engine.core.options import Option
from engine.core.progress import part
from engine.core.types import Picture, Progress
from engine.descent.descend import OPTIMIZER, SCALES, descend, shared_out, sizes_from_coarse
from engine.descent.start import start_of
from engine.descent.style_loss import variation
from engine.features.backbone import Backbone, block_of
from engine.features.backbones import load_backbone
from engine.features.extractor import FeatureExtractor
from engine.matching.markov import SIZE, Source, Target, find
from engine.regions.pairing import Pairing, allowed_positions, pair_up, pooled

MATCHED_LAYERS = ("relu3_1", "relu4_1")  # as far as the network goes
PAINTED_LAYERS = {"rgb": 2.0, "relu2_1": 1.0, "relu3_1": 1.0, "relu4_1": 1.0}  # with their weights
CONTENT_LAYERS = ("relu4_2", "relu3_4")  # the first that the network has
START = 0.7  # share of the patches found first in the picture that the descent begins with
GUIDANCE = 0.2  # share of the content's own features in what is looked up: keeps matches from drifting
SHARES = (0.5, 0.3, 0.2)  # of the iterations, coarse to fine
N_PER_LOOKUP = 12  # iterations between two look-ups
STRIDES = {3: 2, 4: 1}  # by block, between patches of the picture
MAX_PRODUCTS = 1 << 27  # more pairs of patches than this are halved twice by taking every second row and column
WORK_PX = 1280  # longest side that is painted; larger pictures are enlarged from it
VARIATION_WEIGHT = 0.5
ANGLE, ZOOM = math.pi / 24, 1.05  # of one copy of the style to the next
MIN_SIDE_PX = 32  # of what the networks look at: three positions of block 4

OPTIONS = (
    Option("iterations", 100, "evaluations of the loss, over all sizes", low=1, high=5000),
    SCALES,
    Option("content", 0.25, "weight of the photo's content; less = freer", low=0, high=100),
    Option("copies", 1, "turned and scaled copies of the style on either side", low=0, high=3),
    OPTIMIZER,
)


@register(
    "cnnmrf",
    title="Patches (CNNMRF)",
    paper="Li & Wand 2016",
    kind="optimization",
    takes=("blend", "pictures", "regions", "size"),
    options=OPTIONS,
)
def paint(job: Job) -> Tensor:
    """Optimize the pixels, coarse to fine, between looking up patches."""
    with memory_errors("this picture"), torch.inference_mode(False), torch.no_grad():
        height, width = job.content.size
        pairings = [pair_up(job.content.size, style, style.require_picture(), job.regions) for style in job.styles]
        factor = min(1.0, WORK_PX / max(height, width))
        work_size = max(1, round(height * factor)), max(1, round(width * factor))
        content = pad_sides(resize(job.content.rgb[None].clone(), work_size), MIN_SIDE_PX).to(job.device)
        extractor = LayerExtractor(job.settings.backbone, job.device)
        sizes = sizes_from_coarse((content.shape[2], content.shape[3]), int(job.options["scales"]))
        steps = shared_out(int(job.options["iterations"]), len(sizes), SHARES)
        start = pad_sides(resize(start_of(job), work_size), MIN_SIDE_PX).to(job.device)
        pixels: Tensor | None = None
        for i, (size, n_steps) in enumerate(zip(sizes, steps, strict=True)):
            done, then = sum(steps[:i]) / sum(steps), sum(steps[: i + 1]) / sum(steps)
            report = part(job.on_progress, done, then, f"Painting at {size[1]} x {size[0]}")
            scale = Scale(job, extractor, pairings, resize(content, size), resize(start, size))
            first = scale.painted_over(resize(start, size), report) if pixels is None else resize(pixels, size)
            pixels = scale.paint(first, n_steps, report)
        painted = (start if pixels is None else pixels)[..., : work_size[0], : work_size[1]].cpu()
        if factor < 1:
            painted = enlarge_smoothly(painted, (height, width)).clamp_(0, 1)
        return painted[0]


class LayerExtractor:
    """The feature network as this method looks through it.

    Args:
        name: of the backbone.
        device: where it computes.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self.backbone: Backbone = load_backbone(name, device)
        # Of a network without any the first is asked for, so that it says what it lacks.
        self.matched = tuple(layer for layer in MATCHED_LAYERS if layer in self.backbone.layers) or MATCHED_LAYERS[:1]
        self.painted = tuple(layer for layer in PAINTED_LAYERS if layer in ("rgb", *self.backbone.layers))
        self.content_layer = next((x for x in CONTENT_LAYERS if x in self.backbone.layers), self.backbone.layers[-1])
        self.inner = FeatureExtractor(self.backbone, device, self.backbone.poolings[-1])

    def see(self, rgb: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Features (C, h, w) of (1, 3, H, W), as if the picture went on beyond its borders."""
        seen = self.inner.wide(rgb, {layer for layer in layers if layer != "rgb"})
        found = {name: x[0] for name, x in seen.items()}
        return found | ({"rgb": rgb[0]} if "rgb" in layers else {})


class Scale:
    """The work at one size of the picture.

    Args:
        job: styles, regions and options.
        extractor: sees the features.
        pairings: regions of the picture and of each style.
        content: (1, 3, h, w), the picture at this size.
        start: (1, 3, h, w), the same in the style's colors.
    """

    def __init__(
        self, job: Job, extractor: LayerExtractor, pairings: Sequence[Pairing], content: Tensor, start: Tensor
    ) -> None:
        self.job, self.extractor = job, extractor
        self.content = extractor.see(content, [extractor.content_layer])[extractor.content_layer]
        self.own = extractor.see(start, extractor.matched)
        self.content_weight = float(job.options["content"]) * (2 / job.settings.strength - 1)
        scale = min(1.0, max(content.shape[2:]) / max(job.content.size))  # a tiny content has been enlarged
        longest = (job.settings.style_size_px or max(job.content.size)) * scale
        self.styles = [
            sources_of(job, style.require_picture(), pairing.style.to(job.device), extractor, longest)
            for style, pairing in zip(job.styles, pairings, strict=True)
        ]
        self.parts = pad_sides(pairings[0].content[None], MIN_SIDE_PX)[0].to(job.device)  # (P, H, W)

    def paint(self, pixels: Tensor, n_steps: int, on_progress: Progress) -> Tensor:
        """Follow the loss from (1, 3, h, w)."""
        n_lookups = max(1, round(n_steps / N_PER_LOOKUP))
        bounds = [round(n * n_steps / n_lookups) for n in range(n_lookups + 1)]
        optimizer = str(self.job.options["optimizer"])
        for first, end in pairwise(bounds):
            report = part(on_progress, first / n_steps, end / n_steps)
            targets = self.look_up(pixels, part(report, 0.0, 0.3))
            pixels = descend(pixels, Loss(self, targets), end - first, optimizer, part(report, 0.3, 1.0))
        return pixels

    def painted_over(self, start: Tensor, on_progress: Progress) -> Tensor:
        """(1, 3, h, w) under the patches that are found for it."""
        targets = self.look_up(start, part(on_progress, 0.0, 0.0))["rgb"]
        found = torch.stack([target.mean * share for target, share in targets]).sum(0)
        return torch.where(targets[0][0].counts > 0, start.lerp(found[None], START), start)

    def look_up(self, pixels: Tensor, on_progress: Progress) -> dict[str, list[tuple[Target, float]]]:
        """For each layer what each style would have there, and that one's share."""
        features = self.extractor.see(pixels, self.extractor.painted)
        total = sum(style.weight for style in self.job.styles)
        jobs = [(layer, n) for layer in self.extractor.matched for n in range(len(self.styles))]
        found: dict[str, list[tuple[Target, float]]] = {layer: [] for layer in self.extractor.painted}
        for i, (layer, n) in enumerate(jobs):
            here = pooled(self.parts, features[layer].shape[1:]).argmax(0)
            nearest = find(
                torch.lerp(features[layer], self.own[layer], GUIDANCE),
                self.styles[n],
                layer,
                here,
                strides=strides_of(layer, features[layer], self.styles[n][0].features[layer]),
                is_half=self.extractor.inner.arithmetic.is_half,
                on_progress=part(on_progress, i / len(jobs), (i + 1) / len(jobs)),
            )
            for finer in self.extractor.painted if layer == self.extractor.matched[0] else (layer,):
                if finer == layer or finer not in self.extractor.matched:
                    block = 1 if finer == "rgb" else block_of(finer)
                    factor = 2 ** (block_of(layer) - block)
                    target = nearest.target(finer, factor, (features[finer].shape[1], features[finer].shape[2]))
                    found[finer].append((target, self.job.styles[n].weight / total))
        return found


def strides_of(layer: str, features: Tensor, source: Tensor) -> tuple[int, int]:
    """Between patches of the picture and of the style."""
    stride = STRIDES[block_of(layer)]
    n_products = features[0].numel() // stride**2 * source[0].numel()
    return stride, 1 if n_products <= MAX_PRODUCTS else 2


def sources_of(job: Job, picture: Picture, parts: Tensor, extractor: LayerExtractor, longest: float) -> list[Source]:
    """A style and its copies.

    Args:
        job: how many copies.
        picture: the style.
        parts: (P, H, W), what of it feeds each part of the content.
        extractor: sees the features.
        longest: side of the style at this scale, in pixels.
    """
    rgb = picture.rgb[None].clone().to(job.device).clamp(0, 1)
    found = []
    for turn, zoom in copies(int(job.options["copies"])):
        factor = longest * zoom / max(picture.size)
        size = scaled_size(picture.size, factor, MIN_SIDE_PX)
        seen = extractor.see(turned(resize(rgb, size), turn), extractor.painted)
        weights = turned(parts[None], turn)[0]
        allowed = {layer: allowed_positions(weights, seen[layer].shape[1:], SIZE // 2) for layer in extractor.matched}
        found.append(Source(seen, allowed))
    return found


def copies(n: int) -> list[tuple[float, float]]:
    """Angle and zoom of the style and of its copies: turned ones, and scaled ones."""
    steps = [step for k in range(1, n + 1) for step in (k, -k)]
    return [(0.0, 1.0), *((step * ANGLE, 1.0) for step in steps), *((0.0, ZOOM**step) for step in steps)]


def turned(picture: Tensor, angle: float) -> Tensor:
    """(1, C, H, W) turned around its middle; what comes in at the corners is mirrored."""
    if angle == 0:
        return picture
    height, width = picture.shape[2:]
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = picture.new_tensor([[cos, -sin * height / width, 0], [sin * width / height, cos, 0]])
    grid = F.affine_grid(matrix[None], [1, 1, height, width], align_corners=False)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


@dataclass(frozen=True, eq=False)
class Loss:
    """Patches, content and smoothness of a picture.

    Args:
        scale: content features and weights.
        targets: what was looked up.
    """

    scale: Scale
    targets: Mapping[str, Sequence[tuple[Target, float]]]

    def __call__(self, rgb: Tensor) -> Tensor:
        """The loss of (1, 3, h, w)."""
        extractor = self.scale.extractor
        seen = extractor.see(rgb, (*self.targets, extractor.content_layer))
        total = sum(PAINTED_LAYERS[layer] for layer in self.targets)
        terms = [
            PAINTED_LAYERS[layer] / total * share * target.distance(seen[layer]) / target.energy
            for layer, targets in self.targets.items()
            for target, share in targets
        ]
        content = (seen[extractor.content_layer] - self.scale.content).square().sum()
        content = content / self.scale.content.square().sum().clamp_min(1e-8)
        return torch.stack(terms).sum() + self.scale.content_weight * content + VARIATION_WEIGHT * variation(rgb)
