"""What a user says about the thing that is to be found: a rough rectangle around it, or points on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.core.errors import InputError

MIN_BOX_PX = 8
Point = tuple[int, int]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Prompt:
    """Where the thing is. At least a box or a point.

    Args:
        box: (x0, y0, x1, y1) in pixels, x1 and y1 beyond the last column and row.
        points: (x, y) on the thing.
        others: (x, y) beside it.
    """

    box: Box | None = None
    points: tuple[Point, ...] = ()
    others: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        if self.box is None and not self.points:
            raise InputError("Say where the object is: give a box around it, or a point on it.")

    def within(self, size: tuple[int, int]) -> Prompt:
        """The prompt for a picture, its box cut off at the picture's border.

        Args:
            size: (H, W).

        Raises:
            InputError: a point or all of the box lies outside, or the box is too small.
        """
        height, width = size
        _check_points((*self.points, *self.others), size)
        if self.box is None:
            return self
        x0, y0, x1, y1 = self.box
        box = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
        if box[2] - box[0] < MIN_BOX_PX or box[3] - box[1] < MIN_BOX_PX:
            raise InputError(
                f"The box {x0},{y0},{x1},{y1} leaves less than {MIN_BOX_PX} x {MIN_BOX_PX} pixels of the picture of "
                f"{width} x {height}: draw it around the object, as left, top, right, bottom."
            )
        return Prompt(box, self.points, self.others)


def _check_points(points: Sequence[Point], size: tuple[int, int]) -> None:
    height, width = size
    for x, y in points:
        if not (0 <= x < width and 0 <= y < height):
            raise InputError(f"The point {x},{y} lies outside the picture of {width} x {height} pixels.")
