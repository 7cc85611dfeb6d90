"""Folders of pictures, decoded once and cropped at random."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from engine.errors import InputError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


class Pictures(Protocol):
    """Pictures to train on. ``PictureFolder`` is one."""

    def __len__(self) -> int: ...

    def crop(
        self, rng: np.random.Generator, size_px: int, zoom: tuple[float, float], index: int | None = None
    ) -> Tensor:
        """A random crop (3, size_px, size_px) in [0, 1]."""


class PictureFolder:
    """Every picture below a folder, in memory as bytes, in the order of names.

    Args:
        folder: searched recursively.
        min_side_px: smaller pictures are left out: enlarged, they would teach blur.
        max_side_px: larger ones are scaled down once.

    Raises:
        InputError: no picture is left.
    """

    def __init__(self, folder: Path, min_side_px: int = 200, max_side_px: int = 640) -> None:
        self.pictures: list[Tensor] = []
        self.names: list[str] = []
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
            with Image.open(path) as file:
                picture = file.convert("RGB")
            picture.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
            if min(picture.size) < min_side_px:
                continue
            self.pictures.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1))  # (3, H, W)
            self.names.append(path.name)
        if not self.pictures:
            raise InputError(f"No picture of at least {min_side_px} px was found in {folder}.")

    def __len__(self) -> int:
        return len(self.pictures)

    def crop(
        self, rng: np.random.Generator, size_px: int, zoom: tuple[float, float], index: int | None = None
    ) -> Tensor:
        """A random crop, mirrored half of the time: (3, size_px, size_px) in [0, 1].

        Args:
            rng: the only source of randomness.
            size_px: side of the crop.
            zoom: range of scales at which the picture is looked at; 1 = its own pixels. The scale is raised where
                the crop would not fit.
            index: which picture; None = any.
        """
        picture = self.pictures[rng.integers(len(self)) if index is None else index]
        scale = max(rng.uniform(*zoom), size_px / min(picture.shape[1:]))
        side = min(round(size_px / scale), *picture.shape[1:])
        top = rng.integers(picture.shape[1] - side + 1)
        left = rng.integers(picture.shape[2] - side + 1)
        part = picture[None, :, top : top + side, left : left + side].float() / 255  # (1, 3, side, side)
        if side != size_px:
            part = F.interpolate(part, (size_px, size_px), mode="bilinear", antialias=True, align_corners=False)
        part = part[0]
        return part.flip(2) if rng.random() < 0.5 else part
