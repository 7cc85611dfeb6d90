"""One line of the table, and how much work goes into it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Row:
    """A test and how it went.

    Args:
        name: of the test.
        target: what is to be held.
        measured: what was found, or the reason why it was left out.
        is_held: the verdict; None = left out.
    """

    name: str
    target: str
    measured: str
    is_held: bool | None

    @property
    def verdict(self) -> str:
        return {True: "held", False: "MISSED", None: "left out"}[self.is_held]


class Scale(NamedTuple):
    """How much is done, and where.

    Args:
        level: 0 for a test of a second or two, 1 for CI, 2 in full.
        folder: empty, for state folders and files.
    """

    level: int
    folder: Path

    def n(self, tiny: int, short: int, full: int) -> int:
        """How many, at this level."""
        return (tiny, short, full)[self.level]

    def bound(self, seconds: float) -> float:
        """What a time must stay below. A test runs beside others, and looks for what is wrong, not for what is slow."""
        return seconds * (5 if self.level == 0 else 1)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that a share of all are at or below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def ms(seconds: float) -> str:
    """Milliseconds, for people."""
    return f"{seconds * 1000:.0f} ms"


def slope(values: Sequence[float]) -> float:
    """Growth from one value to the next, by least squares."""
    return statistics.linear_regression(range(len(values)), values).slope
