"""The contract for finding an object: what is asked and what comes back. Read it through ``wire``.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gimp_plugin.settings import brief
from gimp_plugin.wire.frames import MAX_PIXELS, Plane, require
from gimp_plugin.wire.request import Request, Result, is_alike

SEGMENT_REQUEST = "segment request"
EDGES = ("auto", "soft", "hard")
MAX_POINTS = 64
Point = tuple[int, int]


@dataclass(frozen=True)
class SegmentResult(Result):
    """What was found.

    Args:
        mask: (H, W) in the content's dtype.
        report: JSON values: "model", "box", "area" (share of the picture), "quality" (None: not known), "notes" (what
            did not go as asked; an older engine tells none), "seconds".
    """

    mask: Plane
    report: dict[str, Any]
    kind: ClassVar = "segment result"
    planes: ClassVar = ("mask",)


@dataclass(frozen=True)
class SegmentRequest(Request[SegmentResult]):
    """Where an object is, roughly. Without box, points and lasso: what stands out in the picture.

    Args:
        content: (H, W, 4) R'G'B'A pixels.
        box: (x0, y0, x1, y1) around it, in pixels; x1 and y1 lie beyond the last column and row.
        points: (x, y) on it.
        others: (x, y) beside it.
        model: what looks for it; "auto" leaves that to the engine. A name, never a file.
        edge: one of ``EDGES``: how its mask's edge is drawn.
        lasso: (H, W) in the content's dtype, at least half inside a rough outline of it. It may come with the box
            around it, for models that know boxes only.

    Raises:
        WireError: a value is out of range or of the wrong shape.
    """

    content: Plane
    box: tuple[int, int, int, int] | None = None
    points: tuple[Point, ...] = ()
    others: tuple[Point, ...] = ()
    model: str = "auto"
    edge: str = "auto"
    lasso: Plane | None = None
    kind: ClassVar = SEGMENT_REQUEST
    result: ClassVar = SegmentResult

    def __post_init__(self) -> None:
        require(len(self.content.shape) == 3 and self.content.shape[2] == 4, "The content needs the shape (H, W, 4).")
        require(self.box is None or _are_pixels(self.box, 4), f"A box is four whole numbers, not {brief(self.box)}.")
        points = (*self.points, *self.others)
        require(len(points) <= MAX_POINTS, f"Give at most {MAX_POINTS} points, not {len(points)}.")
        require(all(_are_pixels(point, 2) for point in points), "A point is two whole numbers.")
        is_name = isinstance(self.model, str) and self.model.replace("-", "").isalnum() and len(self.model) <= 64
        require(is_name, f"A model is a name, not {brief(self.model)}.")
        require(self.edge in EDGES, f"edge must be one of {', '.join(EDGES)}, not {brief(self.edge)}.")
        fits = self.lasso is None or (len(self.lasso.shape) == 2 and is_alike(self.lasso, self.content, n_dimensions=2))
        require(fits, "A lasso has the size and the type of the picture, and one channel.")

    @property
    def max_result_bytes(self) -> int:
        return len(self.content.data) // 4

    def _parts(self) -> tuple[dict[str, Any], dict[str, Plane]]:
        names = ("box", "points", "others", "model", "edge")
        lasso = {} if self.lasso is None else {"lasso": self.lasso}
        return {name: getattr(self, name) for name in names}, {"content": self.content, **lasso}

    @classmethod
    def _of(cls, meta: dict[str, Any], planes: dict[str, Plane]) -> SegmentRequest:
        is_known = {"content"} <= planes.keys() <= {"content", "lasso"}
        require(is_known, "The request needs one plane, its content, and may have a lasso.")
        box = None if meta["box"] is None else tuple(meta["box"])
        points, others = (
            tuple(tuple(point) for point in meta[name][: MAX_POINTS + 1]) for name in ("points", "others")
        )
        return cls(planes["content"], box, points, others, meta["model"], meta["edge"], planes.get("lasso"))

    def _fits(self, result: SegmentResult) -> bool:
        return is_alike(result.mask, self.content, n_dimensions=2)


def _are_pixels(values: tuple[Any, ...], n: int) -> bool:
    """Whether these are n coordinates, as far outside the picture as any picture is large."""
    return len(values) == n and all(type(value) is int and abs(value) <= MAX_PIXELS for value in values)
