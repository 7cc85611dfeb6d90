"""The contract for finding an object: what is asked and what comes back. Read it through ``wire``.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gimp_plugin.wire.frames import (
    MAX_PIXELS,
    Buffer,
    Plane,
    WireError,
    brief,
    outline_frame,
    pack_frame,
    require,
    unpack_frame,
)

SEGMENT_REQUEST, SEGMENT_RESULT = "segment request", "segment result"
EDGES = ("auto", "soft", "hard")
MAX_POINTS = 64
Point = tuple[int, int]


@dataclass(frozen=True)
class SegmentRequest:
    """Where an object is, roughly. At least a box or a point.

    Args:
        content: (H, W, 4) R'G'B'A pixels.
        box: (x0, y0, x1, y1) around it, in pixels; x1 and y1 lie beyond the last column and row.
        points: (x, y) on it.
        others: (x, y) beside it.
        model: what looks for it; "auto" leaves that to the engine. A name, never a file.
        edge: one of ``EDGES``: how its mask's edge is drawn.

    Raises:
        WireError: a value is out of range or of the wrong shape.
    """

    content: Plane
    box: tuple[int, int, int, int] | None = None
    points: tuple[Point, ...] = ()
    others: tuple[Point, ...] = ()
    model: str = "auto"
    edge: str = "auto"

    def __post_init__(self) -> None:
        require(len(self.content.shape) == 3 and self.content.shape[2] == 4, "The content needs the shape (H, W, 4).")
        require(self.box is not None or bool(self.points), "Say where the object is: give a box, or a point on it.")
        require(self.box is None or _are_pixels(self.box, 4), f"A box is four whole numbers, not {brief(self.box)}.")
        points = (*self.points, *self.others)
        require(len(points) <= MAX_POINTS, f"Give at most {MAX_POINTS} points, not {len(points)}.")
        require(all(_are_pixels(point, 2) for point in points), "A point is two whole numbers.")
        is_name = isinstance(self.model, str) and self.model.replace("-", "").isalnum() and len(self.model) <= 64
        require(is_name, f"A model is a name, not {brief(self.model)}.")
        require(self.edge in EDGES, f"edge must be one of {', '.join(EDGES)}, not {brief(self.edge)}.")

    @property
    def max_result_bytes(self) -> int:
        """Of the planes of its result."""
        return len(self.content.data) // 4

    def pack(self) -> list[Buffer]:
        """The request as a frame: buffers to be sent one after another (nothing is copied)."""
        names = ("box", "points", "others", "model", "edge")
        return pack_frame(SEGMENT_REQUEST, {name: getattr(self, name) for name in names}, {"content": self.content})

    @classmethod
    def unpack(cls, frame: Buffer) -> SegmentRequest:
        """The inverse of ``pack``; the content is a view into ``frame``.

        Raises:
            WireError: the frame is not a valid request.
        """
        return cls._read(*unpack_frame(SEGMENT_REQUEST, frame))

    @classmethod
    def outline(cls, head: Buffer, total_bytes: int) -> SegmentRequest:
        """The request that a frame's header announces; its content has no pixels yet.

        Args:
            head, total_bytes: see ``outline_frame``.

        Raises:
            WireError: the frame is not a valid request, whatever its pixels.
        """
        return cls._read(*outline_frame(SEGMENT_REQUEST, head, total_bytes))

    @classmethod
    def _read(cls, meta: dict[str, Any], planes: dict[str, Plane]) -> SegmentRequest:
        require(planes.keys() == {"content"}, "The request needs one plane, its content.")
        try:
            box = None if meta["box"] is None else tuple(meta["box"])
            points, others = (
                tuple(tuple(point) for point in meta[name][: MAX_POINTS + 1]) for name in ("points", "others")
            )
            return cls(planes["content"], box, points, others, meta["model"], meta["edge"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise WireError("bad_request", "The request lacks a part or has one of the wrong type.") from error

    def read_result(self, frame: Buffer) -> SegmentResult | None:
        """The result of this request; None if it is of another picture.

        Raises:
            WireError: it is no result.
        """
        result = SegmentResult.unpack(frame)
        is_ours = (result.mask.dtype, result.mask.shape) == (self.content.dtype, self.content.shape[:2])
        return result if is_ours else None


@dataclass(frozen=True)
class SegmentResult:
    """What was found.

    Args:
        mask: (H, W) in the content's dtype.
        report: JSON values: "model", "box", "area" (share of the picture), "quality" (None: not known), "seconds".
    """

    mask: Plane
    report: dict[str, Any]

    def pack(self) -> list[Buffer]:
        return pack_frame(SEGMENT_RESULT, {"report": self.report}, {"mask": self.mask})

    @classmethod
    def unpack(cls, frame: Buffer) -> SegmentResult:
        meta, planes = unpack_frame(SEGMENT_RESULT, frame)
        if "mask" not in planes or not isinstance(meta.get("report"), dict):
            raise WireError("bad_request", "The result lacks its mask or its report.")
        return cls(planes["mask"], meta["report"])


def _are_pixels(values: tuple[Any, ...], n: int) -> bool:
    """Whether these are n coordinates, as far outside the picture as any picture is large."""
    return len(values) == n and all(type(value) is int and abs(value) <= MAX_PIXELS for value in values)
