"""Train the any-style network: ``impasto train anystyle PHOTOS ART --features VGG19.safetensors -o RUN``.

The run folder holds ``checkpoint.pt`` (everything to go on from, bit for bit), ``log.jsonl``, preview sheets and
the averaged weights as ``anystyle.safetensors``. Source of the objective: Gatys 2016 (Gram matrices), Huang &
Belongie 2017 (channel moments), instance-normalized content after Li 2017.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from engine.color.grain import PERIOD_PX, grained
from engine.color.tone import stain_distance, tone_distance
from engine.compute.device import choose_device
from engine.core.errors import WeightsError
from engine.features.backbone import Backbone
from engine.features.backbones import load_vgg19_file
from engine.models.shipped import unpacked
from engine.networks.anystyle_network import AnyStyle, StyleEncoder
from engine.networks.moments import rgb_moments, transport_colors
from engine.train.anystyle_recipe import Recipe
from engine.train.loop import CPU, Card, Part, Run, TorchRandom, Usual, follow, run, size_of
from engine.train.losses import objective
from engine.train.losses.artifact_losses import halo, speckle, unrest
from engine.train.losses.spikes import SpikeWatch
from engine.train.muon import Steepest
from engine.train.pictures.batches import Batch, Batches
from engine.train.pictures.folders import PictureFolder
from engine.train.preview import save_sheet
from engine.train.recipe import add_arguments, recipe_of

WEIGHTS = {
    "content": 1.0,
    "layout": 0.5,
    "tone": 8.0,
    "stain": 4.0,
    "unrest": 4.0,
    "speckle": 2.0,
    "halo": 1.0,
    "identity": 5.0,
    "variation": 0.1,
    "grid": 5.0,
    "peaks": 8.0,
    "range": 20.0,
    "stripes": 0.5,
    "weave": 1.5,
    "spikes": 2.0,
}  # the rest is the recipe's
GROWING = ("blocks.", "quarter_blocks.")  # parts of a network that may be deeper than that which it begins with
USUAL_STEPS = ("content.stem.weight", "affine.weight", "paint.weight")  # weights that ``Steepest`` leaves to Adam


class Training(Run):
    """A run: network, its average, optimizer, random numbers."""

    recipe: Recipe

    def __init__(
        self,
        recipe: Recipe,
        backbone: Backbone,
        photos: PictureFolder,
        art: PictureFolder,
        device: torch.device = CPU,
        n_workers: int = 0,
    ) -> None:
        super().__init__(recipe, device)
        torch.manual_seed(recipe.seed)
        self.backbone, self.photos, self.art = backbone, photos, art
        self.backbone.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net = AnyStyle().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = deepcopy(self.net).requires_grad_(False).eval()
        self.spikes = SpikeWatch(self.net)
        self.optimizer = Steepest(self.net, recipe.rate, recipe.muon, USUAL_STEPS)
        self.usual = Usual()
        self.batches, self.n_workers = Batches(recipe, photos, art), n_workers
        self.feed: Iterator[Batch] | None = None

    def batch(self) -> Batch:
        """The next step's batch, as ``Batches`` has it."""
        if self.feed is None:
            self.feed = self.batches.from_step(self.step, self.n_workers)
        contents, are_portraits, styles = (part.to(self.device, non_blocking=True) for part in next(self.feed))
        contents, styles = (crops.contiguous(memory_format=torch.channels_last) for crops in (contents, styles))
        return contents, are_portraits, styles

    def look_at_styles(self, encoder: StyleEncoder) -> Tensor:
        """The moments of many style crops: (looked_at, N_MOMENTS)."""
        rng = self.batches.random(self.step, use=1)
        crops = (self.batches.style_crop(rng)[None].to(self.device) for _ in range(self.recipe.looked_at))
        return torch.cat([encoder(crop) for crop in crops])

    def losses(self, content: Tensor, is_portrait: Tensor, style: Tensor) -> dict[str, Tensor]:
        """Named loss terms, each (B,), of a batch."""
        rng = self.batches.random(self.step, use=2)
        is_identity = rng.random() < self.recipe.identity or self.step < self.recipe.copy_steps
        top, left = (int(start) for start in rng.integers(PERIOD_PX, size=2))
        canvas = grained(content, top, left)
        with self.half():
            codes = self.net.encode_style(content if is_identity else style)
            painted = self.net(canvas, codes if is_identity else codes.repeat_interleave(self.recipe.sharing, 0))
        if is_identity:
            terms = {"identity": objective.picture_distance(painted.float(), content)}
        else:
            terms = self.of_features(painted, content, is_portrait, style)
            terms |= self.of_pixels(painted.float(), content, is_portrait, style)
        return terms | {"spikes": self.spikes.take()}

    def half(self) -> torch.autocast:
        """Where networks compute in half precision, if they are to; what compares features does not."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.is_bf16)

    def of_features(self, painted: Tensor, content: Tensor, is_portrait: Tensor, style: Tensor) -> dict[str, Tensor]:
        """The terms that the feature network sees."""
        sharing, layer = self.recipe.sharing, objective.CONTENT_LAYER
        with self.half():
            seen = objective.pyramid(self.backbone, painted)
            with torch.no_grad():
                style_seen = objective.pyramid(self.backbone, style)
                content_seen = objective.pyramid(self.backbone, content, (layer,))
            patch = objective.patch_loss(seen, style_seen, sharing)
        care = self.care(is_portrait)
        finest, *coarser = [
            objective.content_distance(ours[layer], theirs[layer])
            for ours, theirs in zip(seen, content_seen, strict=True)
        ]
        return {
            "content": care * finest,
            "layout": care * torch.stack(coarser).mean(0),
            "style": objective.style_loss(seen, objective.style_targets(style_seen, sharing)),
            "patch": patch,
        }

    def of_pixels(self, painted: Tensor, content: Tensor, is_portrait: Tensor, style: Tensor) -> dict[str, Tensor]:
        """The terms that need no network."""
        shown = style.repeat_interleave(self.recipe.sharing, 0)
        recolored = transport_colors(content, rgb_moments(content), rgb_moments(shown))
        return {
            "tone": self.care(is_portrait) * tone_distance(painted, recolored),
            "stain": is_portrait * stain_distance(painted, recolored),
            "unrest": unrest(painted, recolored, shown),
            "speckle": speckle(painted, recolored, shown),
            "halo": halo(painted, recolored),
            "variation": objective.total_variation(painted),
            "grid": objective.grid_energy(painted),
            "peaks": objective.grid_peaks(painted),
            "range": objective.out_of_range(painted),
            "stripes": objective.striped_spots(painted),
            "weave": objective.weave(painted, content, shown),
        }

    def care(self, is_portrait: Tensor) -> Tensor:
        """How much contents count: (B,)."""
        return 1 + (self.recipe.care - 1) * is_portrait

    def weighed(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The scalar loss."""
        weights = WEIGHTS | {"style": self.recipe.style_weight, "patch": self.recipe.patch_weight}
        return objective.weighted_sum(terms, weights)

    def advance(self) -> dict[str, float]:
        """One optimizer step; the loss terms as numbers."""
        self.optimizer.set_rate(self.recipe.rate_at(self.step))
        if self.step >= self.recipe.copy_steps and not bool(self.net.style.basis.any()):
            self.net.style.learn(self.net, self.look_at_styles)
            self.average.load_state_dict(self.net.state_dict())
        terms = self.losses(*self.batch())
        loss = self.weighed(terms)
        self.optimizer.zero_grad()
        numbers = torch.stack([loss.detach(), *(term.detach().float().mean() for term in terms.values())]).tolist()
        value, is_copying = numbers[0], "identity" in terms  # the loss of copies is of another size
        is_usable = np.isfinite(value) if is_copying else self.usual.takes(value)
        if is_usable:
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimizer.step()
        self.step += 1
        follow(self.average, self.net, self.recipe.average, self.step)
        return dict(zip(("loss", *terms), numbers, strict=True))

    def parts(self) -> Mapping[str, Part]:
        return {
            "net": self.net,
            "average": self.average,
            "optimizer": self.optimizer,
            "torch_rng": TorchRandom(),
            "typical": self.usual,
        }

    def start_from(self, path: Path) -> None:
        """Begin with the weights of an earlier run whose checkpoint is gone; the optimizer begins again.

        Args:
            path: safetensors, such as the file that ships. Residual blocks that its network did not have yet stay the
                identity that they begin as.

        Raises:
            WeightsError: they are of another network.
        """
        state = unpacked(load_file(path))
        known = {_block_of(name) for name in state}
        state |= {
            name: tensor
            for name, tensor in self.net.state_dict().items()
            if name.startswith(GROWING) and _block_of(name) not in known
        }
        if set(state) != set(self.net.state_dict()):
            raise WeightsError(f"{path} holds weights of another network: give it those of an any-style network.")
        try:
            self.net.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(f"{path} holds weights of another version of the network.") from error
        self.average.load_state_dict(self.net.state_dict())

    def shipped(self) -> dict[str, dict[str, Tensor]]:
        return {"anystyle": self.average.state_dict()}

    @torch.no_grad()
    def preview(self, path: Path) -> None:
        """A sheet of fixed contents and styles, painted by the averaged network."""
        rng = np.random.default_rng(1)
        contents = [self.photos.crop(rng, 256, (0.5, 0.8), i) for i in rng.integers(len(self.photos), size=4)]
        styles = [self.art.crop(rng, 256, (0.5, 0.8), i) for i in rng.integers(len(self.art), size=6)]
        codes = [self.average.encode_style(s[None].to(self.device)) for s in styles]
        rows = [[self.average(c[None].to(self.device), code)[0].cpu() for code in codes] for c in contents]
        save_sheet(path, contents, styles, rows)

    def card(self) -> Card:
        return Card(
            "anystyle: the any-style network",
            f"`engine/networks/anystyle_network.py`, {size_of(self.net)}",
            f"{len(self.photos)} content pictures, {len(self.art)} style pictures",
            "anystyle PHOTOS ART --features VGG19.safetensors -o RUN",
        )


def _block_of(name: str) -> tuple[str, ...]:
    """The residual block that a weight called "blocks.3.conv1.bias" is of."""
    return tuple(name.split(".")[:2])


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="impasto train anystyle", description="Train the any-style network.")
    parser.add_argument("photos", type=Path, help="folder of content pictures")
    parser.add_argument("art", type=Path, help="folder of style pictures")
    parser.add_argument("--features", type=Path, required=True, help="VGG-19 (prefix) as safetensors")
    parser.add_argument(
        "--workers", type=int, help="processes that draw crops ahead; by default none without a GPU, else most cores"
    )
    parser.add_argument(
        "--start-from", type=Path, metavar="FILE", help="weights to begin with (then --copy-steps 0); not for resuming"
    )
    add_arguments(parser, Recipe)
    args = parser.parse_args(argv)
    backbone, device = load_vgg19_file(args.features), choose_device(args.device)
    recipe = recipe_of(args, Recipe)
    photos, art = (PictureFolder(folder, held_out=recipe.held_out) for folder in (args.photos, args.art))
    spare = max(0, (os.cpu_count() or 1) - 2) if device.type == "cuda" else 0
    n_workers = spare if args.workers is None else args.workers
    torch.backends.cudnn.benchmark = True  # all crops are of one size
    training = Training(recipe, backbone, photos, art, device, n_workers)
    if not training.resume(args.out) and args.start_from is not None:
        training.start_from(args.start_from)
    run(training, args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
