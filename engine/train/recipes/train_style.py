"""Train a network for one style: ``impasto train style --style FILE [--photos DIR] -o RUN``.

It starts from the any-style network that ships, the style's code folded into its weights: usable at once, and better
with every minute that it learns what the feature network sees in the style picture itself. ``--base none`` starts from
nothing. The run folder holds ``checkpoint.pt`` (everything to go on from, bit for bit), ``log.jsonl``, preview sheets,
a card, and ``johnson.safetensors`` or ``ulyanov.safetensors``, which the method takes as ``--option model=FILE``.

Source: Johnson 2016; Ulyanov 2017 (``--kind ulyanov``).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.compute.device import choose_device
from engine.core.errors import InputError, SettingsError
from engine.features.backbone import Backbone
from engine.features.backbones import load_backbone
from engine.files import read_picture
from engine.networks.anystyle_network import AnyStyle, load_anystyle
from engine.networks.feedforward import KINDS, Painter
from engine.networks.moments import rgb_moments
from engine.train import painting
from engine.train.folding import fold
from engine.train.loop import CPU, run
from engine.train.losses.style_targets import Goal, goal_of
from engine.train.painting import RHYTHM, in_colors
from engine.train.pictures.folders import PictureFolder, Pictures
from engine.train.pictures.synthetic_photos import DeadLeaves
from engine.train.recipe import add_arguments, recipe_of

N_BATCHES = 12  # of photos, from which it is known what folded layers see
MIN_PHOTOS = 20  # fewer would be learned by heart


@dataclass(frozen=True)
class Recipe(painting.Recipe):
    """See there.

    Args:
        kind: "johnson" or "ulyanov".
    """

    kind: str = field(default="johnson", metadata={"choices": KINDS})

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"kind must be one of {', '.join(KINDS)}, not {self.kind!r}.")


class Training(painting.Training):
    """A run of one network in one style.

    Args:
        style: (1, 3, H, W).
    """

    net: Painter
    command = "style --style FILE --photos PHOTOS -o RUN"

    def __init__(
        self,
        recipe: Recipe,
        backbone: Backbone,
        photos: Pictures,
        style: Tensor,
        device: torch.device = CPU,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.title, self.file = f"one style in a network of {recipe.kind.title()}'s kind", recipe.kind
        super().__init__(recipe, Painter(recipe.kind), backbone, photos, device)
        self.goal = goal_of(self.backbone, style.to(device), recipe.style_px, recipe.seed)
        with torch.no_grad():
            self.net.colors.copy_(rgb_moments(self.goal.rgb)[0])

    def start_from(self, source: AnyStyle) -> None:
        """Take the any-style network's weights, in this style."""
        with torch.no_grad():
            fold(source, source.encode_style(self.goal.rgb), self.net, [self.batch() for _ in range(N_BATCHES)])
        self.rng = np.random.default_rng(self.recipe.seed)

    def draw_goals(self) -> Sequence[Goal]:
        return [self.goal] * self.recipe.batch

    def paint(self, photos: Tensor, goals: Sequence[Goal]) -> Tensor:
        del goals
        painted: Tensor = self.net(in_colors(photos, self.net.colors[None]))
        return painted

    def shown_goals(self) -> Sequence[Goal]:
        return [self.goal]


def read_photos(folder: Path | None, size_px: int) -> Pictures:
    """The user's photos, or made-up scenes.

    Raises:
        InputError: too few photos.
    """
    if folder is None:
        print("No --photos: training on made-up scenes. A folder of your own photos (100 or more) does better.")
        return DeadLeaves()
    photos = PictureFolder(folder, min_side_px=min(200, size_px))
    if len(photos) < MIN_PHOTOS:
        raise InputError(
            f"{folder} has {len(photos)} usable photos; at least {MIN_PHOTOS} are needed, so that the network does not "
            "learn them by heart. Give a larger folder, or leave --photos out to train on made-up scenes."
        )
    return photos


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="impasto train style", description="Train a fast network for one style.")
    parser.add_argument("--style", type=Path, required=True, dest="picture", help="the style picture")
    parser.add_argument("--photos", type=Path, help="folder of photos, 100 or more; without, made-up scenes are used")
    parser.add_argument("--features", default="embedded", help="embedded, vgg19 or a .safetensors file of VGG-19")
    parser.add_argument("--base", default="shipped", choices=("shipped", "none"), help="what to start from")
    add_arguments(parser, Recipe)
    args = parser.parse_args(argv)
    recipe = recipe_of(args, Recipe)
    backbone, photos = load_backbone(args.features), read_photos(args.photos, recipe.size_px)
    style = read_picture(args.picture).rgb[None]
    training = Training(recipe, backbone, photos, style, choose_device(args.device))
    if not training.resume(args.out) and args.base == "shipped":
        training.start_from(load_anystyle())
    run(training, args.out, **RHYTHM)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
