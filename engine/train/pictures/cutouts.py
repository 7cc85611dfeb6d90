"""Pictures with a labeled object, and objects cut out of them and pasted onto other pictures.

Labels are soft masks (8 bits, the photo's size and name, PNG). Where they are unsure they weigh less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from engine.core.errors import InputError
from engine.train.pictures.folders import SUFFIXES, is_held_out, read_upright

Bytes = NDArray[np.uint8]
Floats = NDArray[Any]  # float32; what OpenCV returns is typed as any number
SIDE_PX, GROUND_PX = 420, 320  # longest sides of what is kept
MIN_AREA, MAX_AREA = 0.01, 0.85  # share of the picture that a labeled object has
CLEAR_PART, CLEAR_UNSURE = 0.8, 0.5  # of a clear object: its largest part's share, and what is unsure beside it
UNSURE = 0.1, 0.9
UNSURE_WEIGHT = 0.25
MIN_PART = 0.12  # share of the labels' area from which a part is an object of its own
VEHICLES = {8: "car", 9: "pedestrian", 10: "bicyclist"}  # CamVid's classes of things


@dataclass(frozen=True, eq=False)
class Labeled:
    """A picture and its object.

    Args:
        name: of the picture's file.
        rgb: (H, W, 3).
        label: (H, W), 255 is the object.
    """

    name: str
    rgb: Bytes
    label: Bytes

    @property
    def is_clear(self) -> bool:
        """Whether there is one object, and the label is sure of it."""
        inside = self.label > 127
        parts, n = ndimage.label(inside)
        if n == 0:
            return False
        largest = np.bincount(parts.ravel())[1:].max() / inside.sum()
        unsure = ((self.label > 255 * UNSURE[0]) & (self.label < 255 * UNSURE[1])).sum() / inside.sum()
        return bool(largest >= CLEAR_PART and unsure <= CLEAR_UNSURE)


@dataclass(frozen=True, eq=False)
class Sample:
    """What a step sees: (h, w, 3) and the object (h, w), both in [0, 1]; (h, w) weights; whether it is what stands
    out, so that no hint is needed."""

    rgb: Floats
    label: Floats
    weight: Floats
    is_salient: bool


def read_labeled(
    photos: Path, masks: Path, held_out: int, is_for_measuring: bool, side_px: int = SIDE_PX
) -> list[Labeled]:
    """The photos with a label that are (not) held out, at most ``side_px`` long.

    Raises:
        InputError: none is left.
    """
    found = []
    for path in sorted(p for p in photos.rglob("*") if p.suffix.lower() in SUFFIXES):
        mask = masks / f"{path.stem}.png"
        if not mask.is_file() or is_held_out(path.name, held_out) != is_for_measuring:
            continue
        picture = read_upright(path)
        if picture is None:
            continue
        with Image.open(mask) as file:
            label = file.convert("L").resize(picture.size)
        for image in (picture, label):
            image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
        one = Labeled(path.name, np.array(picture), np.array(label))
        if MIN_AREA < (one.label > 127).mean() < MAX_AREA:
            found.append(one)
    if not found:
        raise InputError(f"No photo in {photos} has a label of the same name in {masks}.")
    return found


def read_grounds(folders: list[Path], masks: Path) -> list[Bytes]:
    """Pictures without a labeled object, to paste onto."""
    found = []
    for path in (p for folder in folders for p in sorted(folder.rglob("*")) if p.suffix.lower() in SUFFIXES):
        if (masks / f"{path.stem}.png").is_file():
            continue
        picture = read_upright(path)
        if picture is not None and min(picture.size) >= 160:
            picture.thumbnail((GROUND_PX, GROUND_PX), Image.Resampling.LANCZOS)
            found.append(np.array(picture))
    return found


def read_streets(folder: Path, every: int = 3) -> list[tuple[Bytes, Bytes]]:
    """Street scenes with their classes (CamVid's layout)."""
    found = []
    for path in sorted((folder / "train").glob("*"))[::every]:
        labels = folder / "trainannot" / f"{path.stem}.png"
        if labels.is_file() and (picture := read_upright(path)) is not None:
            with Image.open(labels) as file:
                found.append((np.array(picture), np.array(file)))
    return found


class Scenes:
    """Samples to train on, drawn from labeled pictures.

    Args:
        labeled: pictures with their objects.
        grounds: pictures to paste onto.
        streets: pictures and class maps.
    """

    def __init__(self, labeled: list[Labeled], grounds: list[Bytes], streets: list[tuple[Bytes, Bytes]]) -> None:
        self.labeled, self.grounds, self.streets = labeled, grounds, streets
        self.clear = [i for i, one in enumerate(labeled) if one.is_clear]

    def sample(self, rng: np.random.Generator, size: tuple[int, int]) -> Sample:
        """One of the kinds of scenes, at a size."""
        for _ in range(20):
            kind = rng.random()
            if kind < 0.30 and self.clear:
                found = self._pasted(rng, size)
            elif kind < 0.37 and self.streets:
                found = self._street(rng, size)
            else:
                found = self._photo(rng, size)
            if found is not None and (found.label > 0.5).sum() >= 120:
                return found
        return self.sample(rng, size)

    def _photo(self, rng: np.random.Generator, size: tuple[int, int]) -> Sample | None:
        one = self.labeled[rng.integers(len(self.labeled))]
        label = one.label.astype(np.float32) / 255
        chosen, is_whole = _part(label, rng)
        return _framed(one.rgb, chosen, _weight(label), rng, size, is_whole)

    def _street(self, rng: np.random.Generator, size: tuple[int, int]) -> Sample | None:
        rgb, classes = self.streets[rng.integers(len(self.streets))]
        parts, n = ndimage.label(classes == rng.choice(list(VEHICLES)))
        sizes = np.bincount(parts.ravel())[1:]
        large = np.flatnonzero(sizes >= 0.004 * parts.size) + 1
        if n == 0 or not len(large):
            return None
        label = (parts == rng.choice(large)).astype(np.float32)
        weight = np.where(classes == 11, np.float32(UNSURE_WEIGHT), np.float32(1))
        return _framed(rgb, label, weight, rng, size, False)

    def _pasted(self, rng: np.random.Generator, size: tuple[int, int]) -> Sample | None:
        """Objects on another picture; the last ones hide the first. One of them is meant."""
        if rng.random() < 0.5 or not self.grounds:
            below = self.labeled[rng.integers(len(self.labeled))]
            rgb, under = below.rgb, below.label.astype(np.float32) / 255
        else:
            rgb = self.grounds[rng.integers(len(self.grounds))]
            under = np.zeros(rgb.shape[:2], np.float32)
        long, short = max(size), min(size)
        side = 1.3 * long
        scale = side / max(rgb.shape[:2])
        canvas: Floats = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32)
        layers: list[Floats] = [cv2.resize(under, (canvas.shape[1], canvas.shape[0]))]
        weight = _weight(layers[0])
        for _ in range(int(rng.integers(1, 4))):
            canvas, layers = _paste(canvas, layers, self.labeled[self.clear[rng.integers(len(self.clear))]], rng, short)
        visible = [i for i, layer in enumerate(layers) if (layer > 0.5).sum() > 0.004 * layer.size]
        if not visible:
            return None
        chosen = layers[visible[rng.integers(len(visible))] if rng.random() < 0.3 else visible[-1]]
        is_salient = len(visible) == 1
        if len(visible) > 1 and chosen is layers[0]:
            chosen = _part(chosen, rng)[0]
        return _framed(canvas.clip(0, 255).astype(np.uint8), chosen, weight, rng, size, is_salient)


def _paste(
    canvas: Floats, layers: list[Floats], one: Labeled, rng: np.random.Generator, short: int
) -> tuple[Floats, list[Floats]]:
    rows, columns = (np.flatnonzero((one.label > 127).any(axis)) for axis in (1, 0))
    window = slice(max(0, rows[0] - 2), rows[-1] + 3), slice(max(0, columns[0] - 2), columns[-1] + 3)
    rgb: Floats = one.rgb[window].astype(np.float32)
    alpha: Floats = one.label[window].astype(np.float32) / 255
    if rng.random() < 0.6:  # without the rim of its old ground
        alpha = cv2.erode(alpha, np.ones((3, 3), np.uint8))
    scale = short * math.exp(rng.uniform(math.log(0.25), math.log(1.0))) / max(alpha.shape)
    across = max(8, round(alpha.shape[1] * scale)), max(8, round(alpha.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    rgb, alpha = cv2.resize(rgb, across, interpolation=how), cv2.resize(alpha, across, interpolation=how)
    if rng.random() < 0.5:
        rgb, alpha = rgb[:, ::-1], alpha[:, ::-1]
    if rng.random() < 0.5:
        rgb = rgb * rng.uniform(0.6, 1.25) + rng.uniform(-15, 15)
    if rng.random() < 0.3:
        alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.5, 1.2))
    h, w = alpha.shape
    top = int(rng.integers(-h // 5, max(1, canvas.shape[0] - 4 * h // 5)))
    left = int(rng.integers(-w // 5, max(1, canvas.shape[1] - 4 * w // 5)))
    y0, x0, y1, x1 = max(0, top), max(0, left), min(canvas.shape[0], top + h), min(canvas.shape[1], left + w)
    if y1 - y0 < 8 or x1 - x0 < 8:
        return canvas, layers
    here, there = np.s_[y0:y1, x0:x1], np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    layer = np.zeros(canvas.shape[:2], np.float32)
    layer[here] = alpha[there]
    canvas[here] += alpha[there][..., None] * (rgb[there] - canvas[here])
    return canvas, [*(old * (1 - layer) for old in layers), layer]


def _weight(label: Floats) -> Floats:
    is_unsure = (label > UNSURE[0]) & (label < UNSURE[1])
    return np.where(is_unsure, np.float32(UNSURE_WEIGHT), np.float32(1))


def _part(label: Floats, rng: np.random.Generator) -> tuple[Floats, bool]:
    """All of a label, or half of the time one of its large parts; and whether it is all."""
    parts, n = ndimage.label(label > 0.5)
    sizes = np.bincount(parts.ravel(), minlength=2)[1:]
    large = np.flatnonzero(sizes >= MIN_PART * sizes.sum()) + 1
    if n < 2 or len(large) < 2 or rng.random() < 0.4:
        return label, True
    others = ndimage.binary_dilation((parts > 0) & (parts != rng.choice(large)), iterations=3)
    return np.where(others, np.float32(0), label), False


def _framed(
    rgb: Bytes, label: Floats, weight: Floats, rng: np.random.Generator, size: tuple[int, int], is_salient: bool
) -> Sample | None:
    """A window of a scene, from all of it to little more than the object, at a size, mirrored, in other light."""
    inside = label > 0.5
    if not inside.any():
        return None
    y0, y1, x0, x1 = _window(inside, rng, size)
    is_salient = is_salient and bool(inside[y0:y1, x0:x1].sum() > 0.9 * inside.sum())
    frame = np.s_[y0:y1, x0:x1]
    across = size[1], size[0]
    how = cv2.INTER_AREA if y1 - y0 > size[0] else cv2.INTER_LINEAR
    planes: list[Floats] = [cv2.resize(plane[frame], across, interpolation=how) for plane in (rgb, label, weight)]
    if rng.random() < 0.5:
        planes = [np.ascontiguousarray(plane[:, ::-1]) for plane in planes]
    light = _relit(planes[0].astype(np.float32) / 255, rng)
    return Sample(light, planes[1], planes[2], is_salient)


def _window(inside: NDArray[np.bool_], rng: np.random.Generator, size: tuple[int, int]) -> tuple[int, int, int, int]:
    height, width = inside.shape
    kind = rng.random()
    if kind < 0.3:
        return 0, height, 0, width
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    spans = [[float(rows[0]), float(rows[-1] + 1)], [float(columns[0]), float(columns[-1] + 1)]]
    low, high = (-0.25, 0.5) if kind > 0.9 else (0.05, 0.9)
    for span in spans:
        length = max(span[1] - span[0], 24)
        span[:] = span[0] - rng.uniform(low, high) * length, span[1] + rng.uniform(low, high) * length
    down, right = spans[0][1] - spans[0][0], spans[1][1] - spans[1][0]
    missing = size[0] / size[1] - down / right  # grow to the shape that is wanted
    grow = spans[0] if missing > 0 else spans[1]
    more = (right * size[0] / size[1] - down) if missing > 0 else (down * size[1] / size[0] - right)
    share = rng.random()
    grow[0], grow[1] = grow[0] - share * more, grow[1] + (1 - share) * more
    y0, y1 = max(0, round(spans[0][0])), min(height, round(spans[0][1]))
    x0, x1 = max(0, round(spans[1][0])), min(width, round(spans[1][1]))
    if y1 - y0 < 24 or x1 - x0 < 24:
        return 0, height, 0, width
    return y0, y1, x0, x1


def _relit(rgb: Floats, rng: np.random.Generator) -> Floats:
    """Other light, color, sharpness and noise."""
    gain = rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, 3)
    rgb = np.maximum(rgb, 1e-4) ** np.float32(rng.uniform(0.75, 1.33)) * gain.astype(np.float32)
    if rng.random() < 0.3:
        gray = rgb.mean(2, keepdims=True)
        rgb = gray + np.float32(rng.uniform(0.0, 1.4)) * (rgb - gray)
    if rng.random() < 0.15:
        rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < 0.15:
        rgb = rgb + rng.normal(0, rng.uniform(0.01, 0.05), rgb.shape).astype(np.float32)
    return np.clip(rgb, 0, 1).astype(np.float32)
