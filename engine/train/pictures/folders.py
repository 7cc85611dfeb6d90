"""Folders of pictures, decoded once and cropped at random."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Protocol
from zlib import crc32

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from engine.compute.resize import resize
from engine.core.errors import InputError
from engine.files import presets

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
PORTRAITS = Path(__file__).with_name("portraits.json")


@cache
def preset_works() -> frozenset[str]:
    """File names of the works whose style codes ship."""
    works = json.loads((presets.FOLDER / "works.json").read_text("utf-8"))
    return frozenset(work["file"] for work in works)


@cache
def portraits() -> frozenset[str]:
    """File names of the photos that show people from near by."""
    return frozenset(json.loads(PORTRAITS.read_text("utf-8")))


def is_held_out(name: str, one_in: int) -> bool:
    """Whether a picture is for measuring, not for training.

    A digest of the name decides, so that a training, one that goes on from it and the bench agree without a list.

    Args:
        name: of its file. The presets' works are never held out: they are to be learned.
        one_in: how many pictures one of is held out; 0 = none is.
    """
    return one_in > 0 and name not in preset_works() and crc32(name.encode()) % one_in == 0


def read_upright(path: Path) -> Image.Image | None:
    """A picture in RGB, turned as its EXIF data say; None, and a line about it, if it cannot be read."""
    try:
        with Image.open(path) as file:
            return ImageOps.exif_transpose(file).convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # what decoders raise at damaged files is not documented
        print(f"{path} cannot be read and is left out: {error}.")
        return None


class Pictures(Protocol):
    """Pictures to train on. ``PictureFolder`` is one."""

    def __len__(self) -> int: ...

    def crop(
        self, rng: np.random.Generator, size_px: int, zoom: tuple[float, float], index: int | None = None
    ) -> Tensor:
        """A random crop (3, size_px, size_px) in [0, 1]."""


class PictureFolder:
    """Every picture below a folder that can be read, in memory as bytes, in the order of names.

    Args:
        folder: searched recursively.
        min_side_px: smaller pictures are left out: enlarged, they would teach blur.
        max_side_px: larger ones are scaled down once.
        held_out: one picture in so many is left out (``is_held_out``); 0 = none.

    Raises:
        InputError: no picture is left.
    """

    def __init__(self, folder: Path, min_side_px: int = 200, max_side_px: int = 640, held_out: int = 0) -> None:
        self.pictures: list[Tensor] = []
        self.names: list[str] = []
        paths = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES)
        for path in (path for path in paths if not is_held_out(path.name, held_out)):
            picture = read_upright(path)
            if picture is None:
                continue
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
            part = resize(part, (size_px, size_px))
        part = part[0]
        return part.flip(2) if rng.random() < 0.5 else part
