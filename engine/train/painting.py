"""The training that feed-forward networks of one and of several styles share.

A step paints crops of photos and compares what the feature network sees with the goals of their styles: the survey's
equation (1), W* = argmin E[content + style + total variation].

Source: Johnson 2016 (perceptual losses), Rudin 1992 (total variation). Departs: the style terms are relative and
rooted, at three scales, with a patch term, as for the any-style network; content features are instance-normalized.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engine.features.backbone import Backbone
from engine.networks.moments import rgb_moments, transport_colors
from engine.train.loop import CPU, Card, Part, Run, Usual, size_of
from engine.train.losses import objective
from engine.train.losses.style_targets import Goal, patch_loss, targets_of
from engine.train.pictures.folders import Pictures
from engine.train.preview import save_sheet
from engine.train.recipe import FLOAT32

RHYTHM = {"log_every": 10, "save_every": 50, "preview_every": 250}  # these runs are short
FROZEN = 0.6  # share of the steps after which batch normalization keeps its moments: those that use will have


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a run, beside the data.

    Args:
        steps: optimizer steps; the learning rate falls linearly to 0 over the last ``decay`` share of them.
        batch: photos a step.
        size_px: side of their crops, a multiple of 8.
        style_px: longest side at which a style is looked at.
        rate: Adam's learning rate.
        decay: see ``steps``.
        content: weight of the content term at relu3_3.
        style: weight of the style term.
        patch: weight of the patch term.
        variation: weight of total variation.
        seed: of weights and crops.
        is_bf16: autocast to bfloat16 (where the processor has it natively it halves the time).
    """

    steps: int = 400
    batch: int = 2
    size_px: int = 144
    style_px: int = 512
    rate: float = 1e-3
    decay: float = 0.6
    content: float = field(default=1.0, metadata={"option": "--content-weight"})
    style: float = field(default=25.0, metadata={"option": "--style-weight"})
    patch: float = field(default=30.0, metadata={"option": "--patch-weight"})
    variation: float = field(default=0.1, metadata={"option": "--variation-weight"})
    seed: int = 0
    is_bf16: bool = field(default=True, metadata=FLOAT32)

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: short warm-up, constant, linear fall."""
        left = (self.steps - step) / max(1, self.steps * self.decay)
        return self.rate * min(1.0, (step + 1) / 50, left)

    @property
    def weights(self) -> dict[str, float]:
        """Of the loss terms."""
        own = {"content": self.content, "style": self.style, "patch": self.patch, "variation": self.variation}
        return own | {"grid": 5.0, "peaks": 4.0, "range": 20.0}


class Training(Run):
    """A run: network, goals, optimizer, random numbers. What a network paints is its subclass's business.

    Args:
        recipe: see there.
        net: to be trained.
        backbone: sees the features.
        photos: to be painted.
        device: where to compute.
    """

    recipe: Recipe
    title = ""
    file = ""
    command = ""

    def __init__(
        self,
        recipe: Recipe,
        net: nn.Module,
        backbone: Backbone,
        photos: Pictures,
        device: torch.device = CPU,
    ) -> None:
        super().__init__(recipe, device)
        layout = torch.channels_last
        self.photos = photos
        self.backbone = backbone.to(device, memory_format=layout)  # type: ignore[call-overload]
        self.net = net.to(device, memory_format=layout)  # type: ignore[call-overload]
        self.content_layer = "relu3_3"
        self.optimizer = torch.optim.Adam(net.parameters(), recipe.rate, betas=(0.9, 0.99))
        self.usual = Usual()

    @abstractmethod
    def draw_goals(self) -> Sequence[Goal]:
        """A goal for each photo of a step."""

    @abstractmethod
    def paint(self, photos: Tensor, goals: Sequence[Goal]) -> Tensor:
        """(B, 3, H, W) painted."""

    def batch(self) -> Tensor:
        """(B, 3, size_px, size_px) crops of photos."""
        recipe = self.recipe
        crops = [self.photos.crop(self.rng, recipe.size_px, (0.5, 1.0)) for _ in range(recipe.batch)]
        return torch.stack(crops).to(self.device).contiguous(memory_format=torch.channels_last)

    def losses(self, photos: Tensor, goals: Sequence[Goal]) -> dict[str, Tensor]:
        """Named loss terms, each (B,)."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.is_bf16):
            painted = self.paint(photos, goals)
            layers = (*objective.STYLE_LAYERS, self.content_layer)
            seen = objective.pyramid(self.backbone, painted, layers)
            with torch.no_grad():
                content = self.backbone(photos, [self.content_layer])[self.content_layer]
            patch = patch_loss(seen, goals)
        painted = painted.float()
        return {
            "content": objective.content_distance(seen[0][self.content_layer], content),
            "style": objective.style_loss(seen, targets_of(goals)),
            "patch": patch,
            "variation": objective.total_variation(painted),
            "grid": objective.grid_energy(painted),
            "peaks": objective.grid_peaks(painted),
            "range": objective.out_of_range(painted),
        }

    def advance(self) -> dict[str, float]:
        """One optimizer step; the loss terms as numbers."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate_at(self.step)
        self.set_mode()
        terms = self.losses(self.batch(), self.draw_goals())
        loss = objective.weighted_sum(terms, self.recipe.weights)
        self.optimizer.zero_grad(set_to_none=True)
        if self.usual.takes(float(loss.detach())):
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimizer.step()
        self.step += 1
        return {"loss": float(loss.detach()), **{name: float(value.detach().mean()) for name, value in terms.items()}}

    def set_mode(self) -> None:
        """Training mode, but for batch normalization in the last steps."""
        self.net.train()
        if self.step >= FROZEN * self.recipe.steps:
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def parts(self) -> Mapping[str, Part]:
        return {"net": self.net, "optimizer": self.optimizer, "typical": self.usual}

    def shipped(self) -> dict[str, dict[str, Tensor]]:
        return {self.file: self.net.state_dict()}

    def card(self) -> Card:
        photos = f"{len(self.photos)} photos"
        return Card(f"{self.file}: {self.title}", size_of(self.net), photos, self.command)

    @abstractmethod
    def shown_goals(self) -> Sequence[Goal]:
        """The goals of a preview sheet's columns."""

    @torch.no_grad()
    def preview(self, path: Path) -> None:
        """A sheet of fixed photos in every style."""
        rng = np.random.default_rng(1)
        size_px, goals = 256, self.shown_goals()
        chosen = rng.integers(len(self.photos), size=4)
        photos = [self.photos.crop(rng, size_px, (0.5, 0.8), int(i)) for i in chosen]
        self.net.eval()
        rows = [[self.paint(p[None].to(self.device), [goal])[0].float().cpu() for goal in goals] for p in photos]
        tops = [nn.functional.interpolate(goal.rgb, (size_px, size_px), mode="area")[0].cpu() for goal in goals]
        save_sheet(path, photos, tops, rows)


def in_colors(photos: Tensor, colors: Tensor) -> Tensor:
    """(B, 3, H, W) with the colors (B or 1, 12) of their styles, as networks of ours expect them."""
    return transport_colors(photos, rgb_moments(photos), colors.expand(len(photos), -1))
