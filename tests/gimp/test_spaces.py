"""In a real GIMP: pixels keep their own color space and depth, and what is not painted keeps its bits."""

from __future__ import annotations

import pytest

from tests.gimp.conftest import Started

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

KINDS = [
    *("u16 srgb", "u16_linear srgb", "float_linear srgb"),
    *("u8 adobe", "u16 adobe", "half adobe", "float adobe", "float_linear adobe"),
    *("u8 p3", "u8_linear p3", "u16_linear p3", "float p3"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_strength_0_returns_the_source_to_the_bit(started: Started, kind: str) -> None:
    facts = started.starts["3"].facts(kind)
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["is_kept"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_painting_that_is_changed_to_strength_0_is_the_source_to_the_bit(started: Started, kind: str) -> None:
    assert started.starts["3"].facts(kind)["is_kept_when_changed"]


@pytest.mark.parametrize("kind", KINDS)
def test_outside_the_selection_no_bit_changes(started: Started, kind: str) -> None:
    """Beside what GIMP changes itself when it merges the source alone, in deep images of a wide space."""
    facts = started.starts["3"].facts(kind)
    assert facts["is_painted_inside"] and facts["is_kept_outside"]


@pytest.mark.parametrize("kind", ["group", "text"])
def test_groups_and_texts_too(started: Started, kind: str) -> None:
    facts = started.starts["3"].facts("other layers")[kind]
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["is_kept"]
