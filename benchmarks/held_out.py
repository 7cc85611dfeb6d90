"""Objects of photos that no training saw: ``python -m benchmarks.held_out PHOTOS MASKS [--model NAME ...]``.

One photo in five is held out, by a digest of its name, as in the training; of these, those with one clear object. Each
is found from a box 8.5 % loose, from a click in the object's middle, from nothing, and from that click and two
corrections, each in the middle of the largest error. Prints mean and worst intersection over union, and the boundary's
F-score within 3 pixels.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks.objects import Scene, iou
from engine.core.errors import InputError
from engine.core.types import Picture
from engine.models.shipped import read_state
from engine.segmentation.object_view import network
from engine.segmentation.segment import Prompt, find_object
from engine.train.pictures.cutouts import Labeled, read_labeled
from engine.train.pictures.hints import inside
from engine.train.recipes.train_object import Recipe

LOOSENESS, TOLERANCE_PX = 0.085, 3
SIDE_PX = 512
PROMPTS = ("box", "click", "nothing", "two corrections")


def boundary_f(found: np.ndarray, true: np.ndarray, tolerance_px: int = TOLERANCE_PX) -> float:
    """The F-score of two masks' outlines: what share of each lies near the other."""
    edges = [mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) for mask in (found, true)]
    if not edges[0].any() or not edges[1].any():
        return float(edges[0].any() == edges[1].any())
    away = [cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 5) for edge in edges]
    precision, recall = (away[1][edges[0]] <= tolerance_px).mean(), (away[0][edges[1]] <= tolerance_px).mean()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def middle(mask: np.ndarray) -> tuple[int, int]:
    """The (x, y) that lies deepest in a mask."""
    y, x = np.unravel_index(int(inside(mask).argmax()), mask.shape)
    return int(x), int(y)


def found(picture: Picture, prompt: Prompt, model: str) -> np.ndarray:
    """(H, W) in [0, 1]; nothing where nothing was found."""
    try:
        return find_object(picture, prompt, model).mask.numpy()
    except InputError:
        return np.zeros(picture.size, np.float32)


def masks_of(one: Labeled, model: str) -> dict[str, np.ndarray]:
    """What is found in a photo from each of ``PROMPTS``."""
    picture = Picture(torch.from_numpy(one.rgb).permute(2, 0, 1).float() / 255)
    true = one.label > 127
    points, others = [middle(true)], list[tuple[int, int]]()
    box = Scene(one.name, one.rgb, true).loose_box(LOOSENESS)
    result = {"box": found(picture, Prompt(box), model), "nothing": found(picture, Prompt(), model)}
    mask = result["click"] = found(picture, Prompt(points=tuple(points)), model)
    for _ in range(2):
        wrong = (mask >= 0.5) != true
        if not wrong.any():
            break
        x, y = middle(wrong)
        (points if true[y, x] else others).append((x, y))
        mask = found(picture, Prompt(points=tuple(points), others=tuple(others)), model)
    return result | {"two corrections": mask}


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.held_out", description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("masks", type=Path, help="labels, named as their photos")
    parser.add_argument("--model", action="append", metavar="NAME", help="of impasto segment; repeat it")
    parser.add_argument("--one-in", type=int, default=1, metavar="N", help="of the photos: a quick look")
    parser.add_argument("--first", type=int, default=0, metavar="I", help="of these: some choose, the rest judges")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="of a training, instead of those that ship")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="gets a picture of each photo's masks")
    options = parser.parse_args(argv)
    photos = read_labeled(options.photos, options.masks, Recipe().held_out, True, SIDE_PX)
    photos = [one for one in photos if one.is_clear][options.first :: options.one_in]
    if options.weights is not None:
        network().load_state_dict(read_state(options.weights))
    print(f"| {len(photos)} photos | hint | mean IoU | worst | below 0.7 | boundary F | seconds |\n" + "|---" * 7 + "|")
    for model in options.model or ("object", "grabcut"):
        began, rows = time.process_time(), []
        for one in photos:
            masks = masks_of(one, model)
            true = one.label > 127
            rows.append([(iou(masks[p], true), boundary_f(masks[p] >= 0.5, true)) for p in PROMPTS])
            if options.output is not None:
                save(options.output / f"{Path(one.name).stem}-{model}.jpg", one, masks)
        scores, seconds = np.array(rows), (time.process_time() - began) / len(photos) / 5
        for i, prompt in enumerate(PROMPTS):
            overlap, edge = scores[:, i].T
            print(
                f"| {model} | {prompt} | {overlap.mean():.3f} | {overlap.min():.2f} | {(overlap < 0.7).sum()} "
                f"| {edge.mean():.3f} | {seconds:.2f} |",
                flush=True,
            )
    return 0


def save(path: Path, one: Labeled, masks: dict[str, np.ndarray]) -> None:
    """The label and each mask side by side: the picture where it is, gray elsewhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [one.label / 255, *masks.values()]
    Image.fromarray(
        np.concatenate([(one.rgb * m[..., None] + 96 * (1 - m[..., None])).astype(np.uint8) for m in shown], 1)
    ).save(path, quality=88)


if __name__ == "__main__":
    sys.exit(main())
