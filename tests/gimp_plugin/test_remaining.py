"""The time that is left: said only once it can be guessed, and in a user's units."""

from __future__ import annotations

import pytest

from gimp_plugin.choices.remaining import Remaining


@pytest.mark.parametrize(
    ("share", "spent_s", "expected"),
    [
        (0.5, 1.0, "Painting"),  # too early
        (0.02, 9.0, "Painting"),  # too little is done
        (0.5, 4.0, "Painting (about 4 s left)"),
        (0.25, 3.0, "Painting (about 9 s left)"),
        (0.25, 11.0, "Painting (about 35 s left)"),  # 33 s, in steps of five
        (0.1, 60.0, "Painting (about 9 min left)"),
        (1.0, 9.0, "Painting"),
    ],
)
def test_the_time_that_is_left(share: float, spent_s: float, expected: str) -> None:
    assert Remaining(100.0).told(share, "Painting", 100.0 + spent_s) == expected


def test_no_message_stays_none() -> None:
    assert Remaining(0.0).told(0.5, "", 10.0) == ""
