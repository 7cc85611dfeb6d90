"""What the any-style training sees at each step: contents and styles, drawn from the seed and the step alone.

So a resumed training goes on with the same batches, and other processes can draw them ahead, as a GPU needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from engine.train.pictures.folders import PictureFolder, portraits, preset_works
from engine.train.pictures.synthetic_photos import before_plain
from engine.train.pictures.textures import texture

if TYPE_CHECKING:
    from engine.train.anystyle_recipe import Recipe

AHEAD = 2  # batches that each process has ready

Batch = tuple[Tensor, Tensor, Tensor]


class Batches(Dataset[Batch]):
    """The batch of every step, by its number: contents (B, 3, size_px, size_px), whether each is a portrait (B,) as 0
    or 1, styles (B / sharing, 3, style_px, style_px).

    Args:
        recipe: how large they are, and what they are of.
        photos: contents.
        art: styles.
    """

    def __init__(self, recipe: Recipe, photos: PictureFolder, art: PictureFolder) -> None:
        self.recipe, self.photos, self.art = recipe, photos, art
        self.presets = [i for i, name in enumerate(art.names) if name in preset_works()]
        self.portraits = [i for i, name in enumerate(photos.names) if name in portraits()]

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> Batch:
        recipe, rng = self.recipe, self.random(step)
        crops, are_portraits = zip(*[self.content_crop(rng) for _ in range(recipe.batch)], strict=True)
        styles = torch.stack([self.style_crop(rng) for _ in range(recipe.batch // recipe.sharing)])
        return torch.stack(crops), torch.tensor(are_portraits, dtype=torch.float32), styles

    def random(self, step: int, use: int = 0) -> np.random.Generator:
        """The random numbers of a step; each use of them has its own."""
        return np.random.default_rng((self.recipe.seed, step, use))

    def content_crop(self, rng: np.random.Generator) -> tuple[Tensor, bool]:
        """A content (3, size_px, size_px), and whether it is of a portrait."""
        is_asked_for = bool(self.portraits) and rng.random() < self.recipe.portraits
        which = int(rng.choice(self.portraits) if is_asked_for else rng.integers(len(self.photos)))
        crop = self.photos.crop(rng, self.recipe.size_px, (self.recipe.least_zoom, 1.0), which)
        crop = before_plain(rng, crop) if rng.random() < self.recipe.plain else crop
        return crop, which in self.portraits

    def style_crop(self, rng: np.random.Generator) -> Tensor:
        """A style (3, style_px, style_px): a piece of art, or a texture made up for the occasion."""
        size_px, zoom, kind = self.recipe.style_px, (self.recipe.least_zoom, 1.0), rng.random()
        if kind < self.recipe.made_up:
            return texture(rng, size_px, zoom)
        if self.presets and kind < self.recipe.made_up + self.recipe.presets:
            return self.art.crop(rng, size_px, zoom, int(rng.choice(self.presets)))
        crop = self.art.crop(rng, size_px, zoom)
        return crop[rng.permutation(3)] if rng.random() < self.recipe.swapped else crop

    def from_step(self, first: int, n_workers: int) -> Iterator[Batch]:
        """The batches from a step on.

        Args:
            first: the step.
            n_workers: processes that draw them; 0 = this one does, when asked.
        """
        ahead = AHEAD if n_workers else None
        steps = range(first, len(self))
        is_pinned = n_workers > 0 and torch.cuda.is_available()
        return iter(
            DataLoader(self, None, sampler=steps, num_workers=n_workers, prefetch_factor=ahead, pin_memory=is_pinned)
        )
