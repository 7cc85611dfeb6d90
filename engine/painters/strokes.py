"""The quality ladder: a painting made more painterly with the real strokes of the style picture.

"fast" is the any-style network's painting as it is. "better" finds for every patch of it the patch of the style that
looks most alike, lays those pieces of the style picture over each other, and then moves the result for a few steps to
where the matched patches, and the photo's own structure, want it: pieces alone lose the content, features alone have no
strokes. "best" goes on from there, laying and matching anew again and again, at last at two sizes of the picture and
with the style's statistics as a third term.

Sources: Li & Wand 2016 (patches of features as the style term), Kwatra 2005 (overlapping pieces of an example,
matched anew after each round), Gatys 2016 (Gram matrices). Departs: the matched patches are averaged into one map of
features, which is the same least-squares problem at a tenth of the time; the descent changes bands of the picture, not
pixels, so that all of the finest detail comes from the style picture itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.device import memory_errors
from engine.compute.resize import enlarge_smoothly, rescale, resize, scaled_size
from engine.core.method import Job
from engine.core.progress import part
from engine.core.types import Mask, Region
from engine.descent.descend import descend_in_bands
from engine.descent.style_loss import Loss as Statistics
from engine.features.backbone import Backbone, block_of
from engine.features.backbones import load_backbone
from engine.features.extractor import FeatureExtractor
from engine.matching.patches import Preference, compress, grid_size, match_exactly, vote
from engine.regions.pairing import pair_up

LAYERS = ("relu2_1", "relu3_1")
CONTENT_LAYER = "relu3_1"
STROKE_LAYER = "relu2_1"  # its patches say which pieces are laid
SIZE = 3  # of patches, in positions of a layer
STRIDES = {"relu2_1": (3, 2), "relu3_1": (2, 1)}  # between patches of the painting and of the style
N_CHANNELS = 64  # of the features, as compared
STYLE_PX = 512  # longest side at which the style is looked at
WORK_PX = 768  # longest side at which strokes are laid; of a larger picture the change is made larger
MIN_SIDE_PX = 64
PIECE_PX, PIECE_DEVIATION_PX = 18, 3.5  # of a piece of the style, which fades from its middle
COLOR_PX = 8  # colors of what is coarser than this stay the painting's
OUT_OF_RANGE_WEIGHT = 10.0
CONTENT_LIMIT, LOST_WEIGHT = 0.8, 12.0  # how far the photo may be left (unrelated: 2), and what more of it costs
REACH = 5.0  # deviations of a feature, which are no spike
MOST_SPIKED, MOST_GROWN, SPIKE_WEIGHT = 0.01, 2.0, 10.0  # what a descent may hide, and what more costs in another
MAX_GAIN = 2.0  # of the contrast that averaging takes away
STYLE_LEAD = 0.1  # what a style without any share lacks in a blend, in correlation


@dataclass(frozen=True)
class Round:
    """One round of matching and descent.

    Args:
        n_steps: evaluations of the loss.
        laid: share of the pieces in the picture that the descent begins with.
        content, statistics, variation: weights; the patches' is 1.
        factors: sizes of the picture at which patches are matched, of its own.
        finest: width in pixels of the finest detail that the descent changes.
    """

    n_steps: int
    laid: float
    content: float = 0.2
    statistics: float = 0.0
    variation: float = 0.1
    factors: tuple[float, ...] = (1.0,)
    finest: int = 1


# Fewer and fewer pieces are laid anew, so that what the descent has joined stays joined. It changes single pixels only
# after the first round: in few steps they would be noise.
BETTER = (Round(8, laid=1.0, variation=0.2, finest=2),)
ROUNDS = {
    "better": BETTER,
    "best": (
        *BETTER,
        *(Round(20, laid) for laid in (0.6, 0.5, 0.4, 0.3)),
        Round(20, 0.2, statistics=0.1, factors=(1.0, 0.5)),
    ),
}


def refine(job: Job, painted: Tensor) -> Tensor:
    """Go up the ladder as far as the settings' quality says.

    Args:
        job: of the any-style network; every style with its picture.
        painted: (3, H, W) of the network.

    Returns:
        (3, H, W) in [0, 1], on the CPU.
    """
    rounds = ROUNDS.get(job.settings.quality, ())
    if not rounds or min(painted.shape[1:]) < MIN_SIDE_PX:
        return painted
    with memory_errors("this picture"), torch.inference_mode(False):
        small = at_work_size(job)
        size = small.content.size
        before = resize(painted.detach().clone()[None], size).to(job.device)
        after = before
        n_steps = sum(r.n_steps for r in rounds)
        done = 0
        features = StrokeFeatures(small, load_backbone(job.settings.backbone, job.device))
        for r in rounds:
            stretch = part(job.on_progress, done / n_steps, (done + r.n_steps) / n_steps, "Laying strokes")
            after = go_round(features, after, r, stretch)
            done += r.n_steps
        change = enlarge_smoothly(after - before, painted.shape[1:])
        return (painted + change[0].cpu()).clamp_(0, 1)


def at_work_size(job: Job) -> Job:
    """The job with a content of at most ``WORK_PX``; tensors without the marks of inference, for gradients."""
    height, width = job.content.size
    factor = min(1.0, WORK_PX / max(height, width))
    size = (max(MIN_SIDE_PX, round(height * factor)), max(MIN_SIDE_PX, round(width * factor)))

    def shrunk(x: Tensor) -> Tensor:
        return resize(x.detach().clone().reshape(1, -1, *x.shape[-2:]), size).reshape(*x.shape[:-2], *size)

    def smaller(mask: Mask) -> Mask:
        return replace(mask, weight=shrunk(mask.weight).clamp(0, 1))

    styles = [
        style
        if style.picture is None
        else replace(style, code=None, picture=replace(style.picture, rgb=style.picture.rgb.detach().clone()))
        for style in job.styles
    ]
    return replace(
        job,
        content=replace(job.content, rgb=shrunk(job.content.rgb).clamp(0, 1), alpha=None),
        mask=None if job.mask is None else smaller(job.mask),
        regions=[Region(smaller(region.content), region.style) for region in job.regions],
        styles=styles,
        options={"statistic": "gram", "pooling": "auto"},
    )


def go_round(features: StrokeFeatures, picture: Tensor, r: Round, on_progress: Callable[[float, str], None]) -> Tensor:
    """Match, lay pieces, descend: (1, 3, H, W) to the same."""
    on_progress(0.0, "")
    with torch.no_grad():
        targets = [features.targets(picture, factor) for factor in r.factors]
        if r.laid > 0:
            picture = picture.lerp(features.lay(picture, targets[0].places), r.laid)
    on_progress(0.2, "")

    def loss(rgb: Tensor, spike_weight: float = 0.0) -> Tensor:
        terms = [OUT_OF_RANGE_WEIGHT * (rgb - rgb.clamp(0, 1)).square().mean()]
        for factor, target in zip(r.factors, targets, strict=True):
            seen = features.see(scaled(rgb, factor))
            terms += [target.distance(seen, layer) / len(r.factors) for layer in LAYERS]
            if factor == 1:
                moved = (F.instance_norm(seen[CONTENT_LAYER], eps=1e-3) - features.content).square().mean()
                lost = (moved - CONTENT_LIMIT).clamp_min(0)
                terms.append(r.content * moved + LOST_WEIGHT * lost.square())
                if spike_weight > 0:
                    terms.append(spike_weight * features.spikes(seen[CONTENT_LAYER]))
        if r.statistics > 0:
            terms.append(r.statistics * features.statistics(rgb))
        return torch.stack(terms).sum() + r.variation * variation(rgb)

    found = descend_in_bands(picture, loss, r.n_steps, r.finest, part(on_progress, 0.2, 1.0))
    with torch.no_grad():
        before, after = (float(features.spikes(features.see(x)[CONTENT_LAYER])) for x in (picture, found))
    if after < max(MOST_SPIKED, MOST_GROWN * before):
        return found
    wary = part(on_progress, 0.9, 1.0)
    return descend_in_bands(picture, lambda rgb: loss(rgb, SPIKE_WEIGHT), r.n_steps, r.finest, wary)


def scaled(rgb: Tensor, factor: float) -> Tensor:
    """(1, 3, H, W) at another size."""
    return rescale(rgb, factor, MIN_SIDE_PX // 2)


def variation(rgb: Tensor) -> Tensor:
    """Mean absolute difference of neighbors."""
    return (rgb[..., 1:, :] - rgb[..., :-1, :]).abs().mean() + (rgb[..., 1:] - rgb[..., :-1]).abs().mean()


def with_contrast(mean: Tensor, mean_square: Tensor) -> Tensor:
    """The means of patches, spread as widely as the patches themselves: averages alone are duller, and so would the
    painting be.

    Args:
        mean, mean_square: (C, h, w), at each position over the patches that cover it.
    """
    middle = mean.mean((1, 2), keepdim=True)
    wide = (mean_square.mean((1, 2), keepdim=True) - middle.square()).clamp_min(0)
    narrow = (mean - middle).square().mean((1, 2), keepdim=True)
    gain = (wide / narrow.clamp_min(1e-6)).sqrt().clamp(1, MAX_GAIN)
    return (middle + (mean - middle) * gain).clamp_min(0)


@dataclass(frozen=True, eq=False)
class Target:
    """What the matched patches want of a picture's features.

    Args:
        wanted: by layer (C, h, w), the mean of the matched patches over each position.
        is_covered: by layer (h, w), where there is one.
        energy: by layer, mean square of the style's features.
        places: (S, 3, H', W') of ``STROKE_LAYER``: per style, row and column of the match and whether it is this
            style's.
    """

    wanted: dict[str, Tensor]
    is_covered: dict[str, Tensor]
    energy: dict[str, Tensor]
    places: Tensor

    def distance(self, seen: dict[str, Tensor], layer: str) -> Tensor:
        """Mean squared distance at a layer, in units of the style's energy."""
        off = (seen[layer][0] - self.wanted[layer]) * self.is_covered[layer]
        return off.square().mean() / self.energy[layer]


class StrokeFeatures:
    """What the photo and the styles look like to the feature network.

    Args:
        job: of ``at_work_size``.
        backbone: on the job's device.
    """

    def __init__(self, job: Job, backbone: Backbone) -> None:
        self.job, self.backbone = job, backbone
        self.extractor = FeatureExtractor(backbone, job.device)
        self.pairings = [pair_up(job.content.size, style, style.require_picture(), job.regions) for style in job.styles]
        self._statistics: Statistics | None = None
        self._styles: dict[float, list[dict[str, Tensor]]] = {}
        with torch.no_grad():
            content = self.see(self.rgb, (CONTENT_LAYER,))[CONTENT_LAYER]
            self.content = F.instance_norm(content, eps=1e-3)
            self.reach = self.content.abs().amax((2, 3), keepdim=True).clamp_min(REACH)  # (1, C, 1, 1)

    def spikes(self, features: Tensor) -> Tensor:
        """How far (1, C, h, w) features of ``CONTENT_LAYER`` reach beyond all of the photo's: mean square deviations.

        A spot of noise that a descent hides somewhere widens the deviations by which all the rest is normalized, and
        so brings it nearer to the photo at once. It happens in pale styles, seldom.
        """
        return (F.instance_norm(features, eps=1e-3).abs() - self.reach).clamp_min(0).square().mean()

    @property
    def rgb(self) -> Tensor:
        """(1, 3, H, W), the photo."""
        return self.job.content.rgb[None].to(self.job.device)

    def statistics(self, rgb: Tensor) -> Tensor:
        """How far a picture's Gram matrices are from the styles', at three sizes, with the content term of Gatys."""
        if self._statistics is None:
            self._statistics = Statistics(self.job, self.backbone, self.rgb)
        return self._statistics(rgb)

    def see(self, rgb: Tensor, layers: Sequence[str] = LAYERS) -> dict[str, Tensor]:
        """Features of (1, 3, h, w), as if the picture went on beyond its borders."""
        return self.extractor.wide(rgb, layers)

    def style_rgb(self, index: int) -> Tensor:
        """(1, 3, h, w), a style at the size at which it is looked at."""
        picture = self.job.styles[index].require_picture()
        wanted = self.job.settings.style_size_px or STYLE_PX
        factor = min(wanted, WORK_PX) / max(picture.size)
        size = scaled_size(picture.size, factor, MIN_SIDE_PX // 2)
        return resize(picture.rgb[None].to(self.job.device), size).clamp(0, 1)

    def styles(self, factor: float) -> list[dict[str, Tensor]]:
        """Features of every style at a factor of its size."""
        if factor not in self._styles:
            self._styles[factor] = [self.see(scaled(self.style_rgb(i), factor)) for i in range(len(self.job.styles))]
        return self._styles[factor]

    def targets(self, picture: Tensor, factor: float) -> Target:
        """What the best patches of all styles want of the picture at a factor of its size."""
        seen = self.see(scaled(picture, factor))
        styles = self.styles(factor)
        wanted, covered, energy, places = {}, {}, {}, torch.empty(0)
        for layer in LAYERS:
            ours, sources = seen[layer][0], [features[layer][0] for features in styles]
            found = torch.stack([self.match(ours, source, layer, i) for i, source in enumerate(sources)])
            best = found[:, 2].argmax(0)  # (H', W')
            found[:, 2] = torch.stack([(best == i).to(found.dtype) for i in range(len(sources))])
            total, weight = torch.zeros_like(ours), ours.new_zeros(ours.shape[1:])
            squares = torch.zeros_like(ours)
            for source, place in zip(sources, found, strict=True):
                mean, share = self.voted(source, place, layer, ours)
                total, weight = total + mean * share, weight + share
                squares = squares + self.voted(source.square(), place, layer, ours)[0] * share
            count = weight.clamp_min(1e-6)
            wanted[layer] = with_contrast(total / count, squares / count)
            covered[layer] = (weight > 0).to(ours.dtype)
            energy[layer] = torch.stack([source.square().mean() for source in sources]).mean().clamp_min(1e-6)
            places = found if layer == STROKE_LAYER else places
        return Target(wanted, covered, energy, places)

    def match(self, ours: Tensor, source: Tensor, layer: str, index: int) -> Tensor:
        """(3, H', W'): row, column and score of a style's patches; a style of a greater share is preferred."""
        query, candidates = compress(ours, source, N_CHANNELS)
        strides = STRIDES[layer]
        grids = grid_size(ours, SIZE, strides[0]), grid_size(source, SIZE, strides[1])
        found = match_exactly(
            query,
            candidates,
            size=SIZE,
            strides=strides,
            preference=self.preference(
                index, *grids
            ),  # no bfloat16 beside it: near patches would tie, and strokes fade
            on_progress=lambda _share, _message: self.job.on_progress(0.0, ""),
        )
        share = self.job.styles[index].weight / max(style.weight for style in self.job.styles)
        return torch.cat([found.indices.to(ours.dtype), (found.scores + STYLE_LEAD * (share - 1))[None]])

    def preference(self, index: int, ours: tuple[int, int], theirs: tuple[int, int]) -> Preference | None:
        """Only what is visible of a style; a region's patches come from its own part of it."""
        pairing = self.pairings[index]
        allowed = pairing.allowed(theirs)
        if bool(allowed.all()):
            return None
        penalty = torch.where(allowed, 0.0, torch.inf)
        return Preference(penalty.to(self.job.device), pairing.part(ours).to(self.job.device))

    def voted(self, source: Tensor, place: Tensor, layer: str, like: Tensor) -> tuple[Tensor, Tensor]:
        """A style's matched patches, averaged: features like ours, and how many there are at a position."""
        return vote(source, place[:2].long(), SIZE, like.shape[1:], stride=STRIDES[layer][0], weight=place[2])

    def lay(self, picture: Tensor, places: Tensor) -> Tensor:
        """The pieces of the styles, over each other, where their patches were matched: (1, 3, H, W).

        Their own colors stay in detail; those of what is coarser are the picture's, so that no seam shows.
        """
        size, per_position = picture.shape[2:], 2 ** (block_of(STROKE_LAYER) - 1)
        edge = (PIECE_PX - SIZE * per_position) // 2
        ramp = torch.arange(PIECE_PX, device=picture.device) - (PIECE_PX - 1) / 2
        bell = torch.exp(-ramp.square() / (2 * PIECE_DEVIATION_PX**2))
        total, weight = torch.zeros_like(picture[0]), picture.new_zeros(size)
        framed = (size[0] + 2 * edge + per_position, size[1] + 2 * edge + per_position)
        for i, place in enumerate(places):
            wide = F.pad(self.style_rgb(i), (edge, edge + per_position) * 2, mode="replicate")[0]
            mean, share = vote(
                wide,
                place[:2].long() * per_position,
                PIECE_PX,
                framed,
                stride=STRIDES[STROKE_LAYER][0] * per_position,
                weight=place[2],
                window=bell[:, None] * bell,
            )
            mean, share = (x[..., edge : edge + size[0], edge : edge + size[1]] for x in (mean, share))
            total, weight = total + mean * share, weight + share
        laid = torch.where(weight > 1e-6, total / weight.clamp_min(1e-6), picture[0])[None]
        coarse = [max(1, side // COLOR_PX) for side in size]
        off = resize(picture, coarse) - resize(laid, coarse)
        return (laid + enlarge_smoothly(off, size)).clamp(0, 1)
