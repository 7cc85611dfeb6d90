"""What a method is asked, what it says of itself, and the decorator that registers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.core.options import Option, Value
from engine.core.types import Mask, Picture, Progress, Region, Series, Settings, Style, silent


@dataclass(frozen=True, eq=False)
class Job:
    """What a method is asked to paint.

    Args:
        content: rgb (3, H, W) of ``content`` is painted whole; alpha is the pipeline's business.
        styles: at least one, already recolored where the color mode asks for it.
        settings: color, photoreal and composite are the pipeline's; strength too if the method fades, else its own. It
            is above 0: at 0 no method is asked.
        mask: what of the content counts in its statistics; None = all of it.
        regions: pairs of content and style parts; empty = one style for the whole picture.
        device: where to compute.
        options: every option of the method with its value.
        on_progress: called between layers; raises ``Cancelled`` to stop.
        series: pictures that are to look alike, this one among them; None = this one stands alone.
    """

    content: Picture
    styles: Sequence[Style]
    settings: Settings
    mask: Mask | None = None
    regions: Sequence[Region] = ()
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    options: Mapping[str, Value] = field(default_factory=dict)
    on_progress: Progress = silent
    series: Series | None = None


Paint = Callable[[Job], Tensor]
"""Paints a job: (3, H, W) float32 on the CPU, nominally [0, 1], same size as the content."""


@dataclass(frozen=True)
class MethodInfo:
    """A registered method.

    Args:
        name: as users type it.
        title: as users read it.
        paper: author, year and short title; "" for what no paper describes.
        kind: "feed-forward", "optimization" or "photorealistic".
        takes: of "blend" (several styles), "pictures" (it looks at a style picture), "presets" (style codes without a
            picture), "regions", "size", "quality" (strokes of the style picture are laid over its painting), "series"
            (several pictures that are to look alike).
        paint: the method itself.
        options: what can be chosen beyond the settings that all methods have.
        fades: strength is how opaque the painting is: the method always paints at full strength, the pipeline fades.
        is_ready: tells whether everything that it needs (weights) is here.
        known: names of the presets that it can read, where it takes presets but not all of them.
    """

    name: str
    title: str
    paper: str
    kind: str
    takes: tuple[str, ...]
    paint: Paint = field(repr=False)
    options: tuple[Option, ...] = ()
    ready: Callable[[], bool] = field(default=lambda: True, repr=False)
    fades: bool = False
    known: Callable[[], Sequence[str]] | None = field(default=None, repr=False)

    @property
    def is_ready(self) -> bool:
        return self.ready()

    def readable(self, presets: Sequence[str]) -> list[str]:
        """Those of the shipped presets, by name, that can be its style."""
        if "presets" not in self.takes:
            return []
        return [name for name in presets if self.known is None or name in self.known()]


_registry: dict[str, MethodInfo] = {}


def register(  # noqa: PLR0913  (what is told of a method)
    name: str,
    *,
    title: str,
    paper: str,
    kind: str,
    takes: tuple[str, ...] = (),
    options: tuple[Option, ...] = (),
    ready: Callable[[], bool] = lambda: True,
    fades: bool = False,
    known: Callable[[], Sequence[str]] | None = None,
) -> Callable[[Paint], Paint]:
    """Register a painting function under a name; the arguments are those of ``MethodInfo``.

    Raises:
        ValueError: the name is taken.
    """

    def add(paint: Paint) -> Paint:
        if name in _registry:
            raise ValueError(f"The method name {name!r} is registered twice.")
        _registry[name] = MethodInfo(name, title, paper, kind, takes, paint, options, ready, fades, known)
        return paint

    return add
