"""In a real GIMP: pixels keep their own color space and depth, and what is not painted keeps its bits."""

from __future__ import annotations

import pytest

from tests.gimp.conftest import Started

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

SPACES = ("srgb", "adobe", "p3")
DEPTHS = ("u8", "u8_linear", "u16", "u16_linear", "u32", "half", "float", "float_linear", "float_perceptual")


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("depth", DEPTHS)
def test_strength_0_returns_the_source_to_the_bit(started: Started, depth: str, space: str) -> None:
    facts = started.starts["3"].facts(f"colors {space}")[depth]
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["is_kept"]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("depth", DEPTHS)
def test_outside_the_selection_no_bit_changes(started: Started, depth: str, space: str) -> None:
    facts = started.starts["3"].facts(f"colors {space}")[depth]
    assert facts["is_painted_inside"] and facts["is_kept_outside"]


@pytest.mark.parametrize("kind", ["group", "text"])
def test_groups_and_texts_too(started: Started, kind: str) -> None:
    facts = started.starts["3"].facts("colors others")[kind]
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["is_kept"]
