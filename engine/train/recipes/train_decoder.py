"""Train the decoders of the embedded network: ``impasto train decoder PICTURES ... -o RUN``.

Every decoder learns to give back the picture whose features it is shown (Li 2017: pixels and features again). Block 4
of the encoder, which the embedded network lacks, learns with them; a head on it that is thrown away afterwards imitates
a deep layer of SqueezeNet, so that the block sees things and not only pixels.

The run folder holds ``checkpoint.pt`` (everything to go on from, bit for bit), ``log.jsonl``, preview sheets,
``decoders.safetensors`` and ``card.md``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from engine.compute.torchvision_compat import import_torchvision
from engine.core.errors import WeightsError
from engine.features.backbone import IMAGENET_MEAN, IMAGENET_STD
from engine.features.backbones import load_backbone
from engine.features.embedded import Embedded
from engine.networks.decoders import CHANNELS, LEVELS, Decoders, encode
from engine.train.loop import Card, Part, Run, follow, run, size_of
from engine.train.pictures.folders import PictureFolder
from engine.train.preview import save_sheet
from engine.train.recipe import FLOAT32, add_arguments, recipe_of

FEATURE_LAYERS = ("relu1_1", "relu2_1", "relu3_1")
HINT_CHANNELS = 256  # of SqueezeNet's fire5, at an eighth of the resolution


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a run, beside the data.

    Args:
        steps: optimizer steps; even ones train the plain decoders, odd ones those that unpool.
        batch: crops a step.
        size_px: their side, a multiple of 8.
        rate: Adam's learning rate at its highest; warm-up, then a cosine to 0.
        feature_weight: of the features' distance against the pixels'.
        hint_weight: of the imitation of SqueezeNet.
        average: factor of the moving average of the weights that ships.
        seed: of weights and crops.
        is_bf16: autocast to bfloat16.
    """

    steps: int = 1300
    batch: int = 4
    size_px: int = 160
    rate: float = 2e-3
    feature_weight: float = 0.5
    hint_weight: float = 0.2
    average: float = 0.995
    seed: int = 0
    is_bf16: bool = field(default=True, metadata=FLOAT32)

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        return self.rate * min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def load_hint(path: Path | None) -> nn.Module | None:
    """SqueezeNet 1.1 up to fire5, from its state dict with torchvision's names."""
    if path is None:
        return None
    import_torchvision()
    from torchvision.models import squeezenet1_1  # noqa: PLC0415  (seconds to import)

    features = squeezenet1_1().features
    try:
        features.load_state_dict({k.removeprefix("features."): v for k, v in load_file(path).items()})
    except RuntimeError as error:
        raise WeightsError(f"{path.name} does not hold SqueezeNet 1.1's features.") from error
    return features[:8].requires_grad_(False).eval()


class Training(Run):
    """A run: decoders, their average, optimizer, random numbers."""

    recipe: Recipe

    def __init__(self, recipe: Recipe, folders: Sequence[PictureFolder], hint: nn.Module | None = None) -> None:
        super().__init__(recipe)
        torch.manual_seed(recipe.seed)
        self.folders, self.hint = folders, hint
        embedded = load_backbone("embedded")
        if not isinstance(embedded, Embedded):
            raise WeightsError("The decoders are those of the embedded network.")
        self.embedded = embedded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net = Decoders().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = nn.Conv2d(CHANNELS[4], HINT_CHANNELS, 1)
        self.average = deepcopy(self.net).requires_grad_(False)
        self.optimizer = torch.optim.Adam([*self.net.parameters(), *self.head.parameters()], recipe.rate)

    def batch(self) -> Tensor:
        """Crops (B, 3, size_px, size_px), evenly from all folders."""
        crops = []
        for _ in range(self.recipe.batch):
            folder = self.folders[int(self.rng.integers(len(self.folders)))]
            crops.append(folder.crop(self.rng, self.recipe.size_px, (0.5, 1.0)))
        return torch.stack(crops).contiguous(memory_format=torch.channels_last)

    def losses(self, rgb: Tensor) -> dict[str, Tensor]:
        """Named terms, scalars: per level pixels and features, and the imitation."""
        is_unpooling = self.step % 2 == 1
        levels = LEVELS[1:] if is_unpooling else LEVELS
        terms: dict[str, Tensor] = {}
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.is_bf16):
            encoded = encode(self.embedded, self.net, rgb, LEVELS[-1])
            lifted = self.net.lift(encoded[4], is_unpooling=is_unpooling)
            shallow = [self.net.decode(encoded[level], level, is_unpooling=is_unpooling) for level in levels[:-1]]
            painted = [*shallow, self.net.decode(lifted, 3, is_unpooling=is_unpooling)]
            terms["lift"] = relative(lifted.features, encoded[3].features)
            seen = self.embedded(torch.cat(painted), FEATURE_LAYERS)
            with torch.no_grad():
                wanted = self.embedded(rgb, FEATURE_LAYERS)
            if self.hint is not None:
                terms["hint"] = relative(self.head(encoded[4].features), self.imitated(rgb, encoded[4].features))
        for i, level in enumerate(levels):
            rows = slice(i * len(rgb), (i + 1) * len(rgb))
            terms[f"pixels {level}"] = (painted[i].float() - rgb).abs().mean()
            distances = [relative(seen[name][rows], wanted[name]) for name in FEATURE_LAYERS]
            terms[f"features {level}"] = torch.stack(distances).mean()
        return terms

    @torch.no_grad()
    def imitated(self, rgb: Tensor, like: Tensor) -> Tensor:
        """What SqueezeNet's fire5 says, at the size of ``like``."""
        assert self.hint is not None  # noqa: S101  (for the type checker)
        mean, std = (rgb.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
        seen = self.hint((rgb - mean) / std)
        return F.interpolate(seen.float(), like.shape[2:], mode="bilinear", align_corners=False)

    def advance(self) -> dict[str, float]:
        """One optimizer step; the loss terms as numbers."""
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate_at(self.step)
        terms = self.losses(self.batch())
        weights = {"pixels": 10.0, "lift": 3.0, "features": recipe.feature_weight, "hint": recipe.hint_weight}
        loss = torch.stack([weights[name.split()[0]] * value for name, value in terms.items()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
        self.optimizer.step()
        self.step += 1
        follow(self.average, self.net, recipe.average, self.step)
        family = "unpooling" if "pixels 1" not in terms else "plain"
        return {name if name == "hint" else f"{family} {name}": float(value.detach()) for name, value in terms.items()}

    def parts(self) -> Mapping[str, Part]:
        return {"net": self.net, "head": self.head, "average": self.average, "optimizer": self.optimizer}

    def shipped(self) -> dict[str, dict[str, Tensor]]:
        return {"decoders": self.average.state_dict()}

    @torch.no_grad()
    def preview(self, path: Path) -> None:
        """A sheet: pictures at the left, then levels 1 to 4 of the plain decoders, 2 to 4 of those that unpool."""
        rng = np.random.default_rng(1)
        rows, contents = [], []
        for i in range(4):
            folder = self.folders[i % len(self.folders)]
            rgb = folder.crop(rng, 192, (0.5, 0.8), int(rng.integers(len(folder))))
            encoded = encode(self.embedded, self.average, rgb[None], LEVELS[-1])
            row = [self.average.decode(encoded[n], n, is_unpooling=False)[0] for n in LEVELS]
            row += [self.average.decode(encoded[n], n, is_unpooling=True)[0] for n in LEVELS[1:]]
            contents.append(rgb)
            rows.append(row)
        save_sheet(path, contents, [torch.ones_like(contents[0])] * len(rows[0]), rows)

    def card(self) -> Card:
        n_pictures = " and ".join(str(len(pictures)) for pictures in self.folders)
        return Card(
            "decoders: from the embedded network's features back to pixels",
            f"`engine/networks/decoders.py`, {size_of(self.net)}: "
            "block 4 of the encoder, four plain decoders, three that unpool",
            f"{n_pictures} pictures (photos, paintings; not part of this repository)",
            "decoder PICTURES ... --hint SQUEEZENET.safetensors -o RUN",
        )


def relative(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared distance in units of what is wanted."""
    return (found.float() - wanted.float()).square().mean() / wanted.float().square().mean().clamp_min(1e-8)


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="impasto train decoder", description="Train the decoders of the embedded feature network."
    )
    parser.add_argument("pictures", type=Path, nargs="+", help="folders of pictures, drawn from evenly")
    parser.add_argument("--hint", type=Path, help="SqueezeNet 1.1's features as safetensors, imitated by block 4")
    add_arguments(parser, Recipe, has_device=False)
    args = parser.parse_args(argv)
    folders = [PictureFolder(path) for path in args.pictures]
    training = Training(recipe_of(args, Recipe), folders, load_hint(args.hint))
    training.resume(args.out)
    run(training, args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
