"""An object in a box or under points by Segment Anything, and all objects of a picture.

Reading a picture takes the network seconds, answering a prompt milliseconds: what it saw in the last pictures is kept.

Source: Kirillov et al. 2023, "Segment Anything", with the authors' own code for the network and the prompts; its
automatic masks (section 5 and appendix B) are found here again, because theirs need compiled operators of torchvision
that a CPU build of torch may lack.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.core.types import Progress, silent
from engine.models.shipped import stamp_of
from engine.segmentation import checkpoints
from engine.segmentation.prompt import Prompt

N_KEPT = 4  # pictures whose embedding is kept: 4 MB each
GRID, N_AT_ONCE = 24, 32  # points along a side, and how many are asked in one pass
MIN_QUALITY, MIN_STABILITY, STABILITY_STEP = 0.88, 0.95, 1.0  # the published thresholds of automatic masks
MAX_OVERLAP = 0.7  # of the boxes of two masks
MAX_FOUND = 64

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Guess:
    """A mask that the network offers.

    Args:
        mask: (H, W) bool.
        quality: the overlap that it expects with the true one, about 0 to 1.
    """

    mask: Tensor
    quality: float


@dataclass(frozen=True, eq=False)
class Embedding:
    """What the network saw in a picture: (1, C, 64, 64), and the sizes (H, W) before and after scaling."""

    features: Tensor
    original_size: tuple[int, int]
    input_size: tuple[int, int]


class Segmenter:
    """Segment Anything with a memory for pictures.

    Args:
        network: ``segment_anything.modeling.Sam``.
        n_kept: how many pictures it remembers.
    """

    def __init__(self, network: nn.Module, n_kept: int = N_KEPT) -> None:
        from segment_anything import SamPredictor  # noqa: PLC0415  (needs torchvision, which the network has loaded)

        self.predictor: Any = SamPredictor(network)
        self.network = network
        self.n_kept = n_kept
        self._kept: OrderedDict[bytes, Embedding] = OrderedDict()

    def look_at(self, rgb: Tensor, on_progress: Progress = silent) -> bool:
        """Make a picture the one that prompts are about.

        Args:
            rgb: (3, H, W) in [0, 1].
            on_progress: told the share done; may raise ``Cancelled``.

        Returns:
            Whether it had to be read; False: it was remembered.
        """
        pixels = as_bytes(rgb)
        key = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
        known = self._kept.pop(key, None)
        if known is None:
            with _watched(self.network, on_progress):
                self.predictor.set_image(pixels)
            predictor = self.predictor
            self._kept[key] = Embedding(predictor.features, predictor.original_size, predictor.input_size)
        else:
            self._kept[key] = known
            self.predictor.features, self.predictor.is_image_set = known.features, True
            self.predictor.original_size, self.predictor.input_size = known.original_size, known.input_size
        while len(self._kept) > self.n_kept:
            self._kept.popitem(last=False)
        return known is None

    def guess(self, prompt: Prompt) -> Guess:
        """The thing that a prompt means in the picture last looked at.

        A single point is ambiguous (a button, the shirt, the person): of three masks the one of highest quality is
        taken, as the paper does; more than that is not, and one mask is asked for.
        """
        points = np.array([*prompt.points, *prompt.others], np.float64).reshape(-1, 2)
        labels = np.array([1] * len(prompt.points) + [0] * len(prompt.others), np.int64)
        is_ambiguous = prompt.box is None and len(points) == 1
        masks, qualities, _ = self.predictor.predict(
            point_coords=points if len(points) else None,
            point_labels=labels if len(points) else None,
            box=None if prompt.box is None else np.array(prompt.box, np.float64),
            multimask_output=is_ambiguous,
        )
        best = int(qualities.argmax())
        return Guess(torch.from_numpy(masks[best]), float(qualities[best]))

    def guess_all(self, on_progress: Progress = silent, n_side: int | None = None) -> list[Guess]:
        """Everything in the picture last looked at: a grid of points is asked, doubtful and double masks are dropped.

        Args:
            on_progress: told the share done; may raise ``Cancelled``.
            n_side: points along a side; None = ``GRID``.

        Returns:
            At most ``MAX_FOUND``, best quality first.
        """
        predictor = self.predictor
        points = predictor.transform.apply_coords(
            point_grid(n_side or GRID, predictor.original_size), predictor.original_size
        )
        found: list[tuple[float, Tensor]] = []
        for first in range(0, len(points), N_AT_ONCE):
            on_progress(first / len(points), "Looking for objects")
            found += self._logits_at(torch.as_tensor(points[first : first + N_AT_ONCE], dtype=torch.float32))
        found.sort(key=lambda pair: -pair[0])
        threshold = predictor.model.mask_threshold
        boxes = torch.tensor([bounds(self._shown(logits) > threshold) for _, logits in found], dtype=torch.float32)
        kept = [found[i] for i in without_doubles(boxes.view(-1, 4), MAX_OVERLAP)[:MAX_FOUND]]
        return [Guess(self._enlarged(logits) > threshold, quality) for quality, logits in kept]

    def _logits_at(self, points: Tensor) -> Iterator[tuple[float, Tensor]]:
        """The quality and the small logits (h, h) of the masks at points (n, 2) that are good and stable enough.

        Not ``predict_torch``: it enlarges every mask to the picture's size at once, which takes gigabytes.
        """
        model = self.predictor.model
        labels = torch.ones(len(points), 1, dtype=torch.int)
        sparse, dense = model.prompt_encoder(points=(points[:, None], labels), boxes=None, masks=None)
        logits, qualities = model.mask_decoder(
            image_embeddings=self.predictor.features,
            image_pe=model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )  # (n, 3, h, h), (n, 3)
        for mask, quality in zip(logits.flatten(0, 1), qualities.flatten().tolist(), strict=True):
            shown = self._shown(mask)
            is_there = bool((shown > model.mask_threshold).any())
            if quality > MIN_QUALITY and is_there and stability(shown, model.mask_threshold) >= MIN_STABILITY:
                yield quality, mask.clone()

    def _shown(self, logits: Tensor) -> Tensor:
        """The part of small logits (h, h) that is picture; the network pads to a square."""
        height, width = (math.ceil(side * logits.shape[0] / checkpoints.INPUT_PX) for side in self.predictor.input_size)
        return logits[:height, :width]

    def _enlarged(self, logits: Tensor) -> Tensor:
        """Small logits (h, h) as large as the picture: (H, W)."""
        predictor = self.predictor
        large = predictor.model.postprocess_masks(logits[None, None], predictor.input_size, predictor.original_size)
        return large[0, 0]


def segmenter(name: str) -> Segmenter:
    """The Segmenter of a published network or of a file; the last one stays in memory.

    Raises:
        WeightsError: see ``checkpoints.load``.
    """
    return _of_file(name, stamp_of(checkpoints.path_of(name) if name in checkpoints.PUBLISHED else Path(name)))


@lru_cache(maxsize=1)
def _of_file(name: str, _stamp: object) -> Segmenter:
    return Segmenter(checkpoints.load(name))


def as_bytes(rgb: Tensor) -> Bytes:
    """(3, H, W) in [0, 1] as the (H, W, 3) bytes that the network was trained on."""
    pixels = rgb.nan_to_num(0.0).clamp(0, 1).mul(255).round_().to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())


def point_grid(n_side: int, size: tuple[int, int]) -> NDArray[np.float64]:
    """The centers of n x n equal cells: (n*n, 2) as (x, y)."""
    centers = (np.arange(n_side) + 0.5) / n_side
    x, y = np.meshgrid(centers * size[1], centers * size[0])
    return np.stack((x.ravel(), y.ravel()), 1)


def stability(logits: Tensor, threshold: float) -> float:
    """How little a mask changes when its threshold does: the overlap of the masks a step above and a step below."""
    inner = int((logits > threshold + STABILITY_STEP).sum())
    outer = int((logits > threshold - STABILITY_STEP).sum())
    return inner / outer if outer else 0.0


def bounds(mask: Tensor) -> tuple[int, int, int, int]:
    """The tightest box (x0, y0, x1, y1) around a mask that is not empty, x1 and y1 beyond it."""
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def without_doubles(boxes: Tensor, max_overlap: float) -> list[int]:
    """Which boxes stay when each one that overlaps an earlier one too much goes (non-maximum suppression).

    Args:
        boxes: (n, 4) as x0, y0, x1, y1, the best first.
        max_overlap: intersection over union.
    """
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    waiting, kept = torch.arange(len(boxes)), []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(int(best))
        near = torch.minimum(boxes[best, 2:], boxes[waiting, 2:]) - torch.maximum(boxes[best, :2], boxes[waiting, :2])
        both = near.clamp_min(0).prod(1)
        waiting = waiting[both <= max_overlap * (area[best] + area[waiting] - both)]
    return kept


@contextmanager
def _watched(network: Any, on_progress: Progress) -> Iterator[None]:
    """Report before each block of the image encoder, so that a cancellation raised there stops at once."""
    blocks = list(network.image_encoder.blocks)
    hooks = [
        block.register_forward_pre_hook(lambda *_, i=i: on_progress(i / len(blocks), "Looking at the picture"))
        for i, block in enumerate(blocks)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
