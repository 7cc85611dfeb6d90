"""Two pictures swap their looks where they show the same: dense correspondence in feature space, from coarse to fine.

The content A and the style B' are seen as halves of an analogy A : A' = B : B', in which A' (A in the looks of B') and
B (B' in the looks of A) are wanted. At every level of features each position of A finds its like in B' and the other
way round, by what both pictures and the unknown two look like so far; then the unknown ones are painted again. With a
pair given (the style was painted after a picture that the option ``pair`` names) nothing is unknown but the result: it
becomes to the content what the style is to that picture.

Source: Liao 2017, "Visual Attribute Transfer through Deep Image Analogy"; Hertzmann 2001, "Image Analogies" (pairs).
Departs: a network that ends with block 3 looks at smaller copies of the pictures for the two coarsest levels;
deconvolution runs to the pixels of the next level's size, which are then looked at again, not from layer to layer; the
place in the picture may count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.device import memory_errors
from engine.compute.resize import pad_sides, resize
from engine.core.errors import InputError
from engine.core.method import Job, register
from engine.core.options import Option
from engine.core.progress import part
from engine.core.types import Progress, Style
from engine.descent.descend import descend
from engine.edges.wls import smooth_by_guide
from engine.features.backbone import Backbone, block_of
from engine.features.backbones import load_backbone
from engine.features.extractor import FeatureExtractor
from engine.files import read_picture
from engine.matching.correspondence import Comparison, aligned, correspond, enlarged, response, warped
from engine.matching.patches import Preference
from engine.matching.patchmatch import Search
from engine.regions.pairing import Pairing, pair_up

WORK_PX = 640  # longest side at which correspondence is looked for; its field is enlarged for larger pictures
N_ROUNDS, FINE_ROUNDS = 2, 1  # of propagation and search: at the coarsest level, and at the others
MIN_SIDE_PX = 32  # of what the networks look at
MIN_POSITIONS = 6  # of a level's shorter side
PAINT_SIZE = 5  # of the patches of pixels that the result is made of


@dataclass(frozen=True)
class Level:
    """One step from coarse to fine.

    Args:
        layer: whose features are compared.
        shrink: how much smaller the pictures are that it sees.
        size: of a patch.
        radius: of the random search; None = everywhere.
        structure: how much of the content's own features stays where they say something (Liao 2017, alpha).
        n_channels: that are compared.
    """

    layer: str
    shrink: int
    size: int
    radius: int | None
    structure: float
    n_channels: int


FINE = (
    Level("relu3_1", 1, 3, 6, 0.7, 64),
    Level("relu2_1", 1, 5, 4, 0.6, 32),
    Level("relu1_1", 1, 5, 4, 0.1, 16),
)
DEEP = (Level("relu5_1", 1, 3, None, 1.0, 128), Level("relu4_1", 1, 3, 6, 0.8, 128), *FINE)
SHALLOW = (Level("relu3_4", 4, 3, None, 1.0, 128), Level("relu3_4", 2, 3, 6, 0.8, 128), *FINE)

OPTIONS = (
    Option("mode", "style", "photo: only light and color change, every edge stays", choices=("style", "photo")),
    Option(
        "pair",
        "",
        "file of the picture that the style was painted after: the result is to the photo as they are",
        names="file",
    ),
    Option("structure", 1.0, "how much of the photo's own structure stays, times the published weights", low=0, high=1),
    Option("place", 0.15, "how much the place in the picture counts, beside what is there", low=0, high=0.9),
    Option("iterations", 6, "steps of deconvolution at each level", low=0, high=200),
)


@register(
    "analogy",
    title="Deep image analogy",
    paper="Liao 2017",
    kind="optimization",
    takes=("blend", "pictures", "regions", "size"),
    options=OPTIONS,
    fades=True,
)
def paint(job: Job) -> Tensor:
    """Look for correspondence, coarse to fine, and paint with what it finds."""
    content = job.content.rgb
    with memory_errors("this picture"), torch.inference_mode(False), torch.no_grad():
        backbone = load_backbone(job.settings.backbone, job.device)
        total = sum(style.weight for style in job.styles)
        painted = torch.zeros_like(content)
        for n, style in enumerate(job.styles):
            report = part(job.on_progress, n / len(job.styles), (n + 1) / len(job.styles))
            painted += Analogy(job, style, backbone).paint(report) * (style.weight / total)
        if job.options["mode"] == "photo":
            # the paper's A + WLS(A') - WLS(A); WLS with one guide is linear
            painted = content + smooth_by_guide(painted - content, content)
        return painted.clamp_(0, 1)


@dataclass(frozen=True, eq=False)
class Half:
    """One half of the analogy.

    Args:
        plain: (1, 3, H, W): A, or B (only an estimate, unless a pair was given).
        styled: (1, 3, H, W): A' or B'.
    """

    plain: Tensor
    styled: Tensor


class Analogy:
    """One style's work.

    Args:
        job: content, regions and options.
        style: B'.
        backbone: sees the features.
    """

    def __init__(self, job: Job, style: Style, backbone: Backbone) -> None:
        self.job, self.backbone = job, backbone
        self.extractor = FeatureExtractor(backbone, job.device, backbone.poolings[-1])
        self.style = style.require_picture()
        self.generator = torch.Generator().manual_seed(job.settings.seed)
        height, width = job.content.size
        factor = min(1.0, WORK_PX / max(height, width))
        self.size = max(1, round(height * factor)), max(1, round(width * factor))
        self.content = pad_sides(resize(job.content.rgb[None].clone(), self.size), MIN_SIDE_PX).to(job.device)
        longest = (job.settings.style_size_px or max(height, width)) * factor
        own = max(self.style.size)
        style_size = [max(1, round(side * longest / own)) for side in self.style.size]
        target = resize(self.style.rgb[None].clone().clamp(0, 1), style_size)
        self.target = pad_sides(target, MIN_SIDE_PX).to(job.device)
        self.pair = read_pair(str(job.options["pair"]), self.target)
        pairing = pair_up(job.content.size, style, self.style, job.regions)
        self.pairing = Pairing(pairing.content.to(job.device), pairing.style.to(job.device))
        self.structure = float(job.options["structure"])
        self.last: dict[bool, Sequence[int]] = {}  # sizes of the maps that the last fields point into

    def paint(self, on_progress: Progress) -> Tensor:
        """A' in the size of the content: (3, H, W)."""
        levels = self.levels()
        ours = Half(self.content, self.content)
        theirs = Half(self.target if self.pair is None else self.pair, self.target)
        there: Tensor | None = None
        back: Tensor | None = None
        for n, level in enumerate(levels):
            report = part(on_progress, n / len(levels), (n + 1) / len(levels), f"Matching {level.layer}")
            seen = self.compare(level, ours, theirs, is_first=n == 0)
            is_last = n == len(levels) - 1
            there = self.match(level, *seen, there, part(report, 0.0, 0.4), is_back=False)
            if not is_last:
                finer = levels[n + 1].shrink
                styled = self.estimate(level, theirs.styled, self.content, there, finer, part(report, 0.4, 0.55))
                ours = Half(self.content, styled)
                if self.pair is None:
                    back = self.match(level, *seen[::-1], back, part(report, 0.55, 0.85), is_back=True)
                    plain = self.estimate(level, self.content, self.target, back, finer, part(report, 0.85, 1.0))
                    theirs = Half(plain, self.target)
        if there is None:
            raise InputError("The picture is too small for this method.")
        return self.assemble(there)

    def levels(self) -> Sequence[Level]:
        """Coarse to fine; only those with enough positions in both pictures."""
        known = DEEP if "relu5_1" in self.backbone.layers else SHALLOW
        levels = [level for level in known if level.layer in self.backbone.layers]
        shortest = min(*self.content.shape[2:], *self.target.shape[2:])
        return [x for x in levels if shortest // (x.shrink * stride_of(x)) >= MIN_POSITIONS] or levels[-1:]

    def compare(self, level: Level, ours: Half, theirs: Half, *, is_first: bool) -> tuple[Tensor, Tensor]:
        """What is compared at a level: (C, H, W) of our half and (C, h, w) of theirs."""
        a, b_styled = self.see(ours.plain, self.content, level), self.see(theirs.styled, self.target, level)
        if is_first:  # nothing is known but A and B'; with a pair, A and B
            return aligned(a), aligned(b_styled if self.pair is None else self.see(theirs.plain, self.target, level))
        a_styled, b = self.see(ours.styled, self.content, level), self.see(theirs.plain, self.target, level)
        if self.pair is not None:
            return together(aligned(a), aligned(a_styled)), together(aligned(b), aligned(b_styled))
        weight = self.structure * level.structure
        mixed_a = F.normalize(torch.lerp(aligned(a_styled), aligned(a), weight * response(a)), dim=0)
        mixed_b = F.normalize(torch.lerp(aligned(b), aligned(b_styled), weight * response(b_styled)), dim=0)
        return together(aligned(a), mixed_a), together(mixed_b, aligned(b_styled))

    def match(
        self, level: Level, query: Tensor, source: Tensor, before: Tensor | None, report: Progress, *, is_back: bool
    ) -> Tensor:
        """The field at a level, from the one of the level before."""
        pairing = self.pairing.reversed if is_back else self.pairing
        start, search = None, Search(N_ROUNDS)
        if before is not None:
            search = Search(FINE_ROUNDS, level.radius)
            start = enlarged(before, self.last[is_back], query.shape[1:], source.shape[1:])
        self.last[is_back] = source.shape[1:]
        return correspond(
            query,
            source,
            self.generator,
            Comparison(level.size, level.n_channels, float(self.job.options["place"]), search),
            start=start,
            preference=preference_of(pairing, query.shape[1:], source.shape[1:]),
            on_progress=report,
        )

    def estimate(
        self, level: Level, values: Tensor, like: Tensor, field: Tensor, shrink: int, on_progress: Progress
    ) -> Tensor:
        """A picture that has, at a level, the features that a field brings: an unknown part of the analogy.

        Args:
            level: of the field.
            values: (1, 3, h, w), where features and pixels come from.
            like: (1, 3, H, W), where the field is.
            field: (2, h', w').
            shrink: how much smaller than the pictures the result is.
            on_progress: told at each step.
        """
        known = self.see(values, values, level)
        wanted = warped(known, field, level.size)
        small, smaller = shrunk(values, shrink), shrunk(like, shrink).shape[2:]
        fine = enlarged(field, known.shape[1:], smaller, small.shape[2:])
        pixels = warped(small[0], fine, PAINT_SIZE)[None]
        n_steps = int(self.job.options["iterations"])
        if n_steps == 0:
            return pixels
        energy = wanted.square().sum().clamp_min(1e-8)
        side = shrunk(like, level.shrink).shape[2:]
        return descend(
            pixels,
            lambda x: (self.look(resize(x, side), level) - wanted).square().sum() / energy,
            n_steps,
            "lbfgs",
            on_progress,
        )

    def assemble(self, field: Tensor) -> Tensor:
        """The result from the field of the finest level: pixels of the style at full size."""
        height, width = self.job.content.size
        rows, columns = self.size
        field = field[:, :rows, :columns]  # less what was added to very small pictures
        size = [max(1, round(side * height / rows)) for side in self.target.shape[2:]]
        full = resize(self.target if max(height, width) <= WORK_PX else self.style.rgb[None].clamp(0, 1), size)
        fine = enlarged(field, self.target.shape[2:], (height, width), size)
        return warped(full[0].to(field.device), fine, PAINT_SIZE).cpu()

    def see(self, rgb: Tensor, like: Tensor, level: Level) -> Tensor:
        """Features (C, h, w) of a picture at a level, as large as those of another."""
        return self.look(resize(rgb, shrunk(like, level.shrink).shape[2:]), level)

    def look(self, rgb: Tensor, level: Level) -> Tensor:
        """Features (C, h, w) of (1, 3, H, W), as if the picture went on beyond its borders."""
        return self.extractor.wide(rgb, [level.layer])[level.layer][0]


def preference_of(pairing: Pairing, size: Sequence[int], source: Sequence[int]) -> Preference | None:
    """Which source positions are for which query positions, at the sizes of a level's maps; None = all for all."""
    allowed = pairing.allowed(source)
    if bool(allowed.all()):
        return None
    return Preference(torch.where(allowed, 0.0, torch.inf), pairing.part(size))


def read_pair(path: str, styled: Tensor) -> Tensor | None:
    """The picture that a style was painted after, as large as the style: (1, 3, h, w).

    Raises:
        InputError: not a readable picture.
    """
    if not path:
        return None
    plain = read_picture(path).rgb[None].clamp(0, 1)
    return resize(plain, styled.shape[2:]).to(styled.device)


def shrunk(rgb: Tensor, factor: int) -> Tensor:
    """(1, 3, H, W) with sides divided by a factor."""
    return resize(rgb, [max(1, round(side / factor)) for side in rgb.shape[2:]])


def stride_of(level: Level) -> int:
    """Pixels a position of a level's features is wide."""
    return int(2 ** (block_of(level.layer) - 1))


def together(first: Tensor, second: Tensor) -> Tensor:
    """Two aligned maps as one, again of length 1."""
    return torch.cat([first, second]) / 2**0.5
