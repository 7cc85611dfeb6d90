"""Find a thing in a picture: a mask from a rough box or outline, from points, from nothing, or of everything there is.

``object`` is the network that ships; ``grabcut`` needs nothing but the picture; the networks of the Segment Anything
family are a choice where their weights lie. The mask's edge is found at full size, with soft values for hair and fur.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from engine.compute.device import memory_errors
from engine.core.errors import InputError, SettingsError
from engine.core.progress import part
from engine.core.shapes import check_shapes
from engine.core.types import Picture, Progress, silent
from engine.edges import object_edge
from engine.models import shipped
from engine.segmentation import checkpoints
from engine.segmentation.prompt import Box, Point, Prompt

if TYPE_CHECKING:
    from types import ModuleType

    from engine.segmentation import sam

__all__ = ["Box", "Edge", "Found", "Point", "Prompt", "find_all", "find_object", "model_names", "resolve"]

Edge = Literal["auto", "soft", "hard"]
OBJECT, GRABCUT = "object", "grabcut"
MIN_SHARE = 1e-3  # of the picture: what is smaller is no object of its own when all are looked for


@dataclass(frozen=True, eq=False)
class Found:
    """A thing in a picture.

    Args:
        mask: (H, W) in [0, 1].
        box: the tightest (x0, y0, x1, y1) around what is at least half selected.
        model: what found it.
        quality: the overlap with the true mask that the model expects; None = it cannot tell.
        notes: sentences on what did not go as asked.
    """

    mask: Tensor
    box: Box
    model: str
    quality: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def area(self) -> float:
        """The share of the picture that it takes."""
        return float(self.mask.mean())


def model_names() -> tuple[str, ...]:
    """What a model may be called; the path of a file is one too."""
    return ("auto", OBJECT, GRABCUT, *checkpoints.PUBLISHED)


def resolve(model: str) -> str:
    """The model that a name means: "auto" is Segment Anything if its weights are here, else the network that ships,
    else GrabCut.

    Raises:
        SettingsError: no such model.
    """
    if model == "auto":
        ours = OBJECT if shipped.is_here(OBJECT) else GRABCUT
        return next((name for name in checkpoints.PUBLISHED if checkpoints.is_here(name)), ours)
    if model in model_names() or model.endswith((".pth", ".pt")):
        return model
    raise SettingsError(f"The model is one of {', '.join(model_names())} or a .pth file, not {model!r}.")


def find_object(
    picture: Picture, prompt: Prompt, model: str = "auto", edge: Edge = "auto", on_progress: Progress = silent
) -> Found:
    """The thing that a prompt means.

    Args:
        picture: (3, H, W); what is transparent is never part of a thing.
        prompt: where it is, in pixels.
        model: one of ``model_names()``, or the path of a checkpoint.
        edge: "soft": at full size, with soft values; "hard": 0 or 1, as the model has it; "auto": soft, but hard for
            Segment Anything, so that its mask is the published one to the bit.
        on_progress: told the share done; may raise ``Cancelled``.

    Raises:
        InputError: nothing is there, or the prompt does not fit the picture.
        SettingsError: no such model or edge.
        WeightsError: the model's weights are not here, or damaged.
        ResourceError: not enough memory.
    """
    model = _checked(model, edge)
    prompt = prompt.within(picture.size)
    with memory_errors("finding an object in this picture"), torch.inference_mode():
        if model == OBJECT:
            guess = _network().find(_visible(picture), prompt, on_progress)
            if guess.is_sound:
                return _finished(picture, guess.mask, model, guess.quality, edge)
            return _by_color(picture, prompt, edge, on_progress, "The network found nothing there")
        if model == GRABCUT:
            return _by_color(picture, prompt, edge, on_progress)
        if prompt.is_open:
            raise InputError("Say where the object is: give a box around it, or a point on it.")
        found = _looking(picture, model, part(on_progress, 0.0, 0.8)).guess(prompt)
        on_progress(0.8, "Drawing the edge")
        return _finished(picture, found.mask.float(), model, found.quality, edge)


def _by_color(picture: Picture, prompt: Prompt, edge: Edge, on_progress: Progress, reason: str | None = None) -> Found:
    """What GrabCut finds; if the network has failed for a reason, it may also be the box itself.

    Raises:
        InputError: nothing stands out, and the network did not try before or there is no box.
    """
    from engine.segmentation import grabcut, saliency  # noqa: PLC0415  (OpenCV: only when it is needed)

    rgb, found, note = _visible(picture), part(on_progress, 0.0, 0.8), f"{reason}: GrabCut took its place."
    try:
        if prompt.is_open:
            weight = next(iter(saliency.find(rgb, found)), torch.zeros(picture.size))
        else:
            weight = grabcut.find(rgb, prompt, found)
        on_progress(0.8, "Drawing the edge")
        return _finished(picture, weight, GRABCUT, None, edge, (note,) if reason else ())
    except InputError:
        if reason is None or prompt.box is None:
            raise
    if (outline := prompt.region) is None:
        x0, y0, x1, y1 = prompt.box
        outline = torch.zeros(picture.size, dtype=torch.bool)
        outline[y0:y1, x0:x1] = True
    note = f"{reason}, nor did GrabCut: the mask is what was drawn around it."
    return _finished(picture, outline.float(), "hint", None, "hard", (note,))


def find_all(picture: Picture, model: str = "auto", edge: Edge = "auto", on_progress: Progress = silent) -> list[Found]:
    """Everything that can be told apart, largest first; networks also find parts of things.

    Args, Raises: as ``find_object``.
    """
    model = _checked(model, edge)
    with memory_errors("finding the objects of this picture"), torch.inference_mode():
        masks: list[tuple[Tensor, float | None]]
        if model == OBJECT:
            guesses = _network().find_all(_visible(picture), part(on_progress, 0.0, 0.9))
            masks = [(guess.mask, guess.quality) for guess in guesses]
        elif model == GRABCUT:
            from engine.segmentation import saliency  # noqa: PLC0415

            masks = [(mask, None) for mask in saliency.find(_visible(picture), part(on_progress, 0.0, 0.9))]
        else:
            segmenter = _looking(picture, model, part(on_progress, 0.0, 0.3))
            masks = [(g.mask.float(), g.quality) for g in segmenter.guess_all(part(on_progress, 0.3, 0.9))]
        found = [
            _finished(picture, mask, model, quality, edge) for mask, quality in masks if float(mask.mean()) >= MIN_SHARE
        ]
    if not found:
        raise InputError("No object stands out in this picture: draw a box around the one you want.")
    return sorted(found, key=lambda one: -one.area)


def _checked(model: str, edge: str) -> str:
    if edge not in get_args(Edge):
        raise SettingsError(f"The edge is one of {', '.join(get_args(Edge))}, not {edge!r}.")
    return resolve(model)


def _is_soft(edge: Edge, model: str) -> bool:
    return edge == "soft" or (edge == "auto" and model in (OBJECT, GRABCUT))


def _network() -> ModuleType:
    from engine.segmentation import object_finder  # noqa: PLC0415  (OpenCV's and SciPy's load only when they are needed)

    return object_finder


def _looking(picture: Picture, model: str, on_progress: Progress) -> sam.Segmenter:
    """A network that has looked at the picture."""
    from engine.segmentation import sam  # noqa: PLC0415  (it brings torchvision: a second)

    segmenter = sam.segmenter(model)
    segmenter.look_at(_visible(picture), on_progress)
    return segmenter


def _visible(picture: Picture) -> Tensor:
    """(3, H, W) as it looks on gray: colors that nobody sees say nothing."""
    if picture.alpha is None:
        return picture.rgb
    return torch.lerp(torch.full_like(picture.rgb, 0.5), picture.rgb, picture.alpha)


def _finished(
    picture: Picture, weight: Tensor, model: str, quality: float | None, edge: Edge, notes: tuple[str, ...] = ()
) -> Found:
    """A mask with its edge drawn, in what is visible.

    Raises:
        InputError: nothing is left of it.
    """
    if not _is_soft(edge, model):
        mask = (weight >= 0.5).float()
    else:  # the network has found its edge already
        mask = weight if model == OBJECT else object_edge.refine(picture.rgb, weight).weight
    if picture.alpha is not None:
        mask = mask * picture.alpha
    check_shapes(mask=(mask, "H W"))
    inside = mask >= 0.5
    if not bool(inside.any()):
        raise InputError("No object stands out there: draw the box closer around it, or give a point on it.")
    rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
    box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return Found(mask, box, model, quality, notes)
