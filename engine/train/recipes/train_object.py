"""Train the network that finds objects: ``python -m engine.train.recipes.train_object PHOTOS MASKS -o RUN``.

MASKS holds a soft mask (PNG, 8 bits) of the object in many of the PHOTOS, of the same stem. One photo in ``--held-out``
is for measuring. An unfinished run in RUN is resumed.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.models import shipped
from engine.networks.object_network import HINT_STRIDE, Hint, ObjectNet, Sight, hint_planes
from engine.train.loop import Card, Part, Run, follow, run, size_of
from engine.train.muon import Steepest
from engine.train.pictures import cutouts, hints
from engine.train.preview import save_sheet
from engine.train.recipe import add_arguments, recipe_of

SHAPES = ((192, 192), (160, 224), (224, 160), (256, 256), (160, 160), (192, 256), (256, 192))
PIXELS = 192 * 192  # of a picture of a usual step; a batch of larger ones has fewer
TUNED = ("relu4_1", "relu4_2", "relu4_3", "relu5_1")  # what edges and textures are does not change
USUAL = ("near.weight", "hint4.0.weight", "out2.weight", "out8.weight", "out16.weight")
MEASURED_PX, N_MEASURED = 320, 32
COARSE = 0.3  # weight of the coarse answers' losses
EDGE_WEIGHT = 2.0  # of pixels at the object's outline, beside the usual 1


@dataclass(frozen=True)
class Recipe:
    """What a run depends on, besides the data.

    Args:
        steps, batch: how long, and pictures of 192 px a step.
        rate: of the head; constant after a short rise, then falling to 0 over the last ``cooldown``.
        trunk_share: the trunk's rate, as a share of that.
        cooldown: share of the steps.
        frozen: steps before the trunk's last two blocks learn too.
        keep: of the weights' moving average.
        held_out: one photo in so many is for measuring.
        seed: of samples, hints and the first weights.
        is_continued: begin with the network that ships.
    """

    steps: int = 3000
    batch: int = 8
    rate: float = 2e-3
    trunk_share: float = 0.2
    cooldown: float = 0.35
    frozen: int = 500
    keep: float = 0.99
    held_out: int = 5
    seed: int = 0
    is_continued: bool = field(default=False, metadata={"option": "--go-on", "help": "begin with what ships"})

    def rate_at(self, step: int) -> float:
        rise = min(1.0, (step + 1) / 60)
        return self.rate * rise * min(1.0, (1 - step / self.steps) / self.cooldown + 0.005)


class Training(Run):
    """A run that can stop and go on.

    Args:
        recipe: how.
        scenes: what to learn from.
        measured: photos that are held out.
    """

    recipe: Recipe

    def __init__(self, recipe: Recipe, scenes: cutouts.Scenes, measured: list[cutouts.Labeled]) -> None:
        super().__init__(recipe)
        torch.manual_seed(recipe.seed)
        self.scenes, self.measured = scenes, [one for one in measured if one.is_clear]
        self.net = ObjectNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        deep = shipped.load_shipped("deep")
        self.net.trunk.load_state_dict({k.removeprefix("convs."): v for k, v in deep.items() if k.startswith("convs.")})
        if recipe.is_continued:
            shipped.fill(self.net, "object")
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.trunk = Steepest(self.net.trunk, recipe.rate * recipe.trunk_share, 1.0)
        self.head = Steepest(self.net.head, recipe.rate, 1.0, USUAL)
        self.net.trunk.requires_grad_(False)

    def advance(self) -> dict[str, float]:
        """One step: a first answer to each hint, perhaps corrected by clicks, and what it is worth."""
        rate = self.recipe.rate_at(self.step)
        for name in TUNED if self.step >= self.recipe.frozen else ():
            self.net.trunk[name].requires_grad_(True)
        self.trunk.set_rate(rate * self.recipe.trunk_share)
        self.head.set_rate(rate)
        size = SHAPES[self.rng.integers(len(SHAPES))]
        n = max(2, round(self.recipe.batch * PIXELS / (size[0] * size[1])))
        samples = [self.scenes.sample(self.rng, size) for _ in range(n)]
        rgb = torch.from_numpy(np.stack([s.rgb for s in samples])).permute(0, 3, 1, 2)  # channels-last as it is
        label, weight = (
            torch.from_numpy(np.stack(x))[:, None] for x in ([s.label for s in samples], [s.weight for s in samples])
        )
        cells = size[0] // HINT_STRIDE, size[1] // HINT_STRIDE
        goals = [cv2.resize(s.label, cells[::-1], interpolation=cv2.INTER_AREA) > 0.5 for s in samples]
        said = [hints.drawn(goal, self.rng, self._kind(s.is_salient)) if goal.any() else Hint()
                for goal, s in zip(goals, samples, strict=True)]  # fmt: skip
        sight = self.net.look(rgb)
        for _ in range(int(self.rng.choice((0, 1, 2, 3), p=(0.5, 0.25, 0.15, 0.1)))):
            self._go_on(sight, said, goals, cells)
        answers = self.net.head(sight, hints.stacked(said, cells))
        terms = [loss(answer, label, weight) for answer in answers]
        total = terms[0] + COARSE * (terms[1] + terms[2])
        for optimizer in (self.trunk, self.head):
            optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
        for optimizer in (self.trunk, self.head):
            optimizer.step()
        self.step += 1
        follow(self.average, self.net, self.recipe.keep, self.step)
        with torch.no_grad():
            found = answers[0].sigmoid() > 0.5
            half = F.interpolate(label, found.shape[2:], mode="area") > 0.5
            overlap = (found & half).sum((1, 2, 3)) / (found | half).sum((1, 2, 3)).clamp_min(1)
        return {"loss": float(total.detach()), "fine": float(terms[0].detach()), "iou": float(overlap.mean())}

    def _kind(self, is_salient: bool) -> str:
        kinds = {k: p for k, p in hints.KINDS.items() if is_salient or k != "nothing"}
        share = np.array(list(kinds.values()))
        return str(self.rng.choice(list(kinds), p=share / share.sum()))

    @torch.no_grad()
    def _go_on(self, sight: Sight, said: list[Hint], goals: list[np.ndarray], cells: tuple[int, int]) -> None:
        """Answer, and let the user see it: most click on the largest error, some look again."""
        found = self.net.head(sight, hints.stacked(said, cells))[0].sigmoid()
        found = F.interpolate(found, cells, mode="area")[:, 0]
        for one, goal, hint in zip(found, goals, said, strict=True):
            if self.rng.random() < 0.8:
                hints.corrected(hint, one.numpy(), goal)
            hint.before = one

    def parts(self) -> Mapping[str, Part]:
        return {"net": self.net, "average": self.average, "trunk": self.trunk, "head": self.head}

    def shipped(self) -> dict[str, dict[str, Tensor]]:
        return {"object": self.average.state_dict()}

    def preview(self, path: Path) -> None:
        """Print how well the held-out photos are found, and draw the first of them: box, click, nothing, two clicks."""
        rows, scores = [], []
        for i, one in enumerate(self.measured[:N_MEASURED]):
            masks = measured(self.average, one)
            scores.append([overlap_of(mask, one.label) for mask in masks])
            if i < 8:
                tiles = [torch.from_numpy(cv2.resize(m, (160, 160))).float().expand(3, -1, -1) for m in masks]
                picture, label = (
                    torch.from_numpy(cv2.resize(a, (160, 160))).float() / 255 for a in (one.rgb, one.label)
                )
                rows.append([picture.permute(2, 0, 1), label.expand(3, -1, -1), *tiles])
        save_sheet(path, [r[0] for r in rows], [torch.ones_like(rows[0][0])] * 5, [r[1:] for r in rows])
        means, worst = np.mean(scores, 0), np.min(scores, 0)
        line = f"held out {self.step}: box, click, nothing, two corrections {means.round(3)}; worst {worst.round(2)}"
        print(line, flush=True)

    def card(self) -> Card:
        return Card(
            "object: the network that finds objects",
            f"`engine/networks/object_network.py`, {size_of(self.net)}",
            f"{len(self.scenes.labeled)} photos with soft masks",
            "object PHOTOS MASKS -o RUN",
        )


def loss(logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy and soft overlap, with more weight at outlines and less where the label is unsure."""
    label = F.interpolate(label, logits.shape[2:], mode="area")
    weight = F.interpolate(weight, logits.shape[2:], mode="area")
    around = F.max_pool2d(label, 5, 1, 2) + F.max_pool2d(-label, 5, 1, 2)  # 1 at outlines
    entropy = F.binary_cross_entropy_with_logits(logits, label, reduction="none")
    weighted = weight * (1 + EDGE_WEIGHT * around)
    entropy = (entropy * weighted).sum((1, 2, 3)) / weighted.sum((1, 2, 3))
    share = logits.sigmoid()
    both = (torch.minimum(share, label) * weight).sum((1, 2, 3))
    either = (torch.maximum(share, label) * weight).sum((1, 2, 3))
    return (entropy + 1 - both / either.clamp_min(1e-6)).mean()


def overlap_of(mask: np.ndarray, label: np.ndarray) -> float:
    """Intersection over union of a mask in [0, 1] and a label in bytes."""
    found, goal = mask > 0.5, label > 127
    return float((found & goal).sum() / max(1, (found | goal).sum()))


@torch.no_grad()
def measured(net: ObjectNet, one: cutouts.Labeled) -> list[np.ndarray]:
    """Masks of a photo: from a box 8.5 % loose, a click in the middle, nothing, and that click and two corrections."""
    scale = MEASURED_PX / max(one.rgb.shape[:2])
    size = [round(side * scale / 32) * 32 for side in one.rgb.shape[:2]]
    cells = size[0] // HINT_STRIDE, size[1] // HINT_STRIDE
    small = cv2.resize(one.rgb, size[::-1], interpolation=cv2.INTER_AREA)
    sight = net.look(torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255)
    goal = cv2.resize(one.label, cells[::-1], interpolation=cv2.INTER_AREA) > 127
    depth = hints.inside(goal)
    row, column = (int(i) for i in np.unravel_index(int(depth.argmax()), depth.shape))
    rows, columns = np.flatnonzero(goal.any(1)), np.flatnonzero(goal.any(0))
    region = np.zeros(cells, bool)
    down, across = 0.085 * (rows[-1] + 1 - rows[0]), 0.085 * (columns[-1] + 1 - columns[0])
    region[max(0, round(rows[0] - down)) : round(rows[-1] + 1 + down),
           max(0, round(columns[0] - across)) : round(columns[-1] + 1 + across)] = True  # fmt: skip

    def answer(hint: Hint) -> tuple[np.ndarray, Tensor]:
        share = net.head(sight, hint_planes(hint, cells)[None])[0].sigmoid()
        return cv2.resize(share[0, 0].numpy(), one.label.shape[::-1]), F.interpolate(share, cells, mode="area")[0, 0]

    click = Hint([(row, column)])
    masks = [answer(Hint(region=region))[0], answer(click)[0], answer(Hint())[0]]
    for _ in range(2):
        click.before = answer(click)[1]
        hints.corrected(click, click.before.numpy(), goal)
    return [*masks, answer(click)[0]]


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="impasto train object", description=__doc__)
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("masks", type=Path, help="folder of soft masks (PNG), named as their photos")
    parser.add_argument("--grounds", type=Path, action="append", default=[], help="pictures to paste objects onto")
    parser.add_argument("--streets", type=Path, help="CamVid: folder with train and trainannot")
    add_arguments(parser, Recipe, has_device=False)
    args = parser.parse_args(argv)
    recipe = recipe_of(args, Recipe)
    labeled, held_out = (cutouts.read_labeled(args.photos, args.masks, recipe.held_out, m) for m in (False, True))
    grounds = cutouts.read_grounds([args.photos, *args.grounds], args.masks)
    streets = cutouts.read_streets(args.streets) if args.streets else []
    training = Training(recipe, cutouts.Scenes(labeled, grounds, streets), held_out)
    print(f"{len(labeled)} photos, {len(grounds)} grounds, {len(streets)} streets, {len(training.measured)} held out")
    training.resume(args.out)
    run(training, args.out, save_every=50, preview_every=200)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
