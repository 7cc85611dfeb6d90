"""Objects found from a loose box, beside OpenCV's own GrabCut: ``python -m benchmarks.segmentation [-o SHEET.jpg]``.

The box is the object's own, each side moved out by a tenth of its length. Prints intersection over union and seconds
for each scene of ``benchmarks.objects``: outlines in the sample photos were drawn by hand, the masks of cut-outs are
exact. With ``--model`` another model takes the place of ours.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw

from benchmarks.objects import Scene, composites, iou, photos
from engine.core.errors import InputError
from engine.core.types import Picture
from engine.segmentation.segment import Prompt, find_object

OPENCV_ROUNDS = 5
CELL_PX, COLUMNS, GAP_PX = 150, 3, 4


def ours(scene: Scene, model: str = "grabcut") -> np.ndarray:
    """(H, W) in [0, 1]; nothing where nothing was found."""
    rgb = torch.from_numpy(scene.rgb.copy()).permute(2, 0, 1).float() / 255
    try:
        return find_object(Picture(rgb), Prompt(scene.loose_box()), model).mask.numpy()
    except InputError:
        return np.zeros(scene.mask.shape, np.float32)


def opencv(scene: Scene) -> np.ndarray:
    """As its documentation shows it: from a rectangle, five rounds, at the picture's own size."""
    x0, y0, x1, y1 = scene.loose_box()
    mask, models = np.zeros(scene.mask.shape, np.uint8), (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(scene.rgb[..., ::-1])
    try:
        cv2.grabCut(bgr, mask, (x0, y0, x1 - x0, y1 - y0), *models, OPENCV_ROUNDS, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # a box as large as the picture leaves it nothing to learn the rest from
        return np.zeros(scene.mask.shape, np.float32)
    return ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.float32)


def timed(find: Callable[[Scene], np.ndarray], scene: Scene) -> tuple[np.ndarray, float]:
    """What is found, and processor seconds."""
    began = time.process_time()
    return find(scene), time.process_time() - began


def outlined(scene: Scene, mask: np.ndarray) -> Image.Image:
    """The picture where the mask is, dimmed elsewhere, with the box that was given."""
    dimmed = scene.rgb * (0.2 + 0.8 * mask[..., None])
    image = Image.fromarray(dimmed.astype(np.uint8))
    ImageDraw.Draw(image).rectangle(scene.loose_box(), outline=(255, 220, 0), width=3)
    image.thumbnail((CELL_PX, CELL_PX), Image.Resampling.LANCZOS)
    return image


def draw(pairs: Sequence[tuple[Image.Image, Image.Image]]) -> Image.Image:
    """A sheet: OpenCV's mask and ours side by side, some pairs a row."""
    step_x, step_y = 2 * CELL_PX + 3 * GAP_PX, CELL_PX + GAP_PX
    n_rows = -(-len(pairs) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * step_x, n_rows * step_y), "white")
    for i, pair in enumerate(pairs):
        for j, image in enumerate(pair):
            sheet.paste(image, (i % COLUMNS * step_x + j * (CELL_PX + GAP_PX), i // COLUMNS * step_y))
    return sheet


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.segmentation", description=__doc__)
    parser.add_argument("--model", default="grabcut", metavar="NAME", help="of impasto segment")
    parser.add_argument("-o", "--output", type=Path, metavar="SHEET.jpg")
    options = parser.parse_args(argv)
    pairs = []
    print(f"| scene | {options.model} | OpenCV | seconds | OpenCV's |\n|---|---|---|---|---|")
    for name, scenes in (("photos", photos()), ("cut-outs", composites())):
        rows = []
        for scene in scenes:
            found, seconds = timed(lambda scene: ours(scene, options.model), scene)
            theirs, their_seconds = timed(opencv, scene)
            rows.append((iou(found, scene.mask), iou(theirs, scene.mask), seconds, their_seconds))
            print(f"| {scene.name} | " + " | ".join(f"{value:.2f}" for value in rows[-1]) + " |")
            pairs.append((outlined(scene, theirs), outlined(scene, found)))
        means = [statistics.mean(column) for column in zip(*rows, strict=True)]
        print(f"| **mean of {name}** | " + " | ".join(f"**{value:.3f}**" for value in means) + " |")
    if options.output is not None:
        draw(pairs).save(options.output, quality=85)
    return 0


if __name__ == "__main__":
    sys.exit(main())
