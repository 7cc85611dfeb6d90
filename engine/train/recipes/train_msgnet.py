"""Train one network for several styles: ``impasto train msgnet PHOTOS ART... -o RUN``.

The run folder holds ``checkpoint.pt`` (everything to go on from, bit for bit), ``log.jsonl``, preview sheets, a card,
and ``msgnet.safetensors`` with the codes of the styles, which the method takes as ``--option model=FILE``.

It starts from the network that ships, which knows what the Gram matrices of any picture ask for (``--base anystyle``
made that one: the any-style network's weights, and a map that was fitted to many pictures).

Source: Zhang & Dana 2018: styles in three sizes, so that the brush follows the style's size at use.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.compute.device import choose_device
from engine.core.errors import InputError
from engine.features.backbone import Backbone
from engine.features.backbones import load_backbone
from engine.files import read_picture
from engine.models import shipped
from engine.networks.anystyle_network import AnyStyle, load_anystyle
from engine.networks.msgnet_network import MsgNet, StyleCode
from engine.train import painting
from engine.train.folding import fold_many
from engine.train.loop import CPU, run
from engine.train.losses.style_targets import Goal, goal_of
from engine.train.painting import RHYTHM, Recipe, in_colors
from engine.train.pictures.folders import PictureFolder, Pictures
from engine.train.recipe import add_arguments, recipe_of

N_BATCHES = 2  # of photos, for each style, from which it is known what folded layers see
PICTURE_PX = 256  # size of the pictures from which codes are learned
SHARES = (0.5, 0.75, 1.0)  # of ``style_px``: the sizes in which a style is shown


class Training(painting.Training):
    """A run of one network in several styles.

    Args:
        styles: name -> picture (1, 3, H, W).
    """

    title = "many styles in one network (CoMatch)"
    file = "msgnet"
    command = "msgnet PHOTOS ART... -o RUN"
    net: MsgNet

    def __init__(
        self,
        recipe: Recipe,
        backbone: Backbone,
        photos: Pictures,
        styles: Mapping[str, Tensor],
        device: torch.device = CPU,
    ) -> None:
        torch.manual_seed(recipe.seed)
        super().__init__(recipe, MsgNet(), backbone, photos, device)
        self.net.latent.requires_grad_(False)  # fitted to many pictures; a few styles would spoil it for all others
        self.names = list(styles)
        self.goals = [
            [goal_of(self.backbone, rgb.to(device), round(share * recipe.style_px), recipe.seed) for share in SHARES]
            for rgb in styles.values()
        ]  # by style, by size

    def start_from(self, source: AnyStyle, pictures: Pictures) -> None:
        """Take the any-style network's weights; of ``pictures`` it is learned how any style's code looks."""
        photos = [self.batch() for _ in range(N_BATCHES * len(self.names))]
        styles = [goal.rgb for goals in self.goals for goal in goals]
        more = [pictures.crop(self.rng, PICTURE_PX, (0.5, 1.0), i)[None].to(self.device) for i in range(len(pictures))]
        fold_many(source, self.net, photos, styles, more)
        self.rng = np.random.default_rng(self.recipe.seed)

    def start_again(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of a trained network, without its styles."""
        self.net.load_state_dict({name: value for name, value in state.items() if not name.startswith("styles.")})

    def draw_goals(self) -> Sequence[Goal]:
        size = int(self.rng.integers(len(SHARES)))
        chosen = self.rng.permutation(len(self.goals))
        return [self.goals[chosen[i % len(chosen)]][size] for i in range(self.recipe.batch)]

    def paint(self, photos: Tensor, goals: Sequence[Goal]) -> Tensor:
        code = self.code_of(goals)
        return self.net(in_colors(photos, code.colors), code)

    def code_of(self, goals: Sequence[Goal]) -> StyleCode:
        """The codes of the photos' styles."""
        known: dict[Goal, StyleCode] = {}
        for goal in goals:
            if goal not in known:
                known[goal] = self.net.encode_style(goal.rgb)
        codes = [known[goal] for goal in goals]
        return StyleCode(torch.cat([code.colors for code in codes]), torch.cat([code.gram for code in codes]))

    def shown_goals(self) -> Sequence[Goal]:
        return [goals[-1] for goals in self.goals]

    @torch.no_grad()
    def shipped(self) -> dict[str, dict[str, Tensor]]:
        """The network, and the code of each style in each size."""
        state = dict(self.net.state_dict())
        for name, goals in zip(self.names, self.goals, strict=True):
            for goal in goals:
                code = self.net.encode_style(goal.rgb)
                place = f"styles.{name}.{max(goal.rgb.shape[2:])}"
                state[f"{place}.colors"], state[f"{place}.gram"] = code.colors[0], code.gram[0]
        return {self.file: state}


def read_styles(paths: Sequence[Path]) -> dict[str, Tensor]:
    """Style pictures by the names of their files; of a folder, all pictures.

    Raises:
        InputError: two of one name, or none.
    """
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    styles = {file.stem: read_picture(file).rgb[None] for file in files if not file.name.startswith(".")}
    if not styles or len(styles) < len([file for file in files if not file.name.startswith(".")]):
        raise InputError("Give one or more style pictures, each with a name of its own: they are called by it at use.")
    return styles


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="impasto train msgnet", description="Train one network that paints in several styles."
    )
    parser.add_argument("photos", type=Path, help="folder of photos, a few hundred or more")
    parser.add_argument("art", type=Path, nargs="+", help="style pictures, or folders of them; names become styles")
    parser.add_argument("--features", default="embedded", help="embedded, vgg19 or a .safetensors file of VGG-19")
    parser.add_argument("--base", default="shipped", choices=("shipped", "anystyle"), help="what to start from")
    parser.add_argument("--pictures", type=Path, help="with --base anystyle: many pictures, to learn what codes mean")
    add_arguments(parser, Recipe)
    args = parser.parse_args(argv)
    recipe, photos = recipe_of(args, Recipe), PictureFolder(args.photos)
    styles, device = read_styles(args.art), choose_device(args.device)
    training = Training(recipe, load_backbone(args.features), photos, styles, device)
    if not training.resume(args.out):
        if args.base == "shipped":
            training.start_again(shipped.load_shipped("msgnet"))
        else:
            pictures = PictureFolder(args.pictures, min_side_px=PICTURE_PX // 2) if args.pictures else photos
            training.start_from(load_anystyle(), pictures)
    run(training, args.out, **RHYTHM)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
