"""In a real GIMP, Select > Object in Selection: what is visible in a rough rectangle becomes the selection."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.gimp.conftest import Played

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

BOX = (120, 60, 320, 210)
WHOLE = (0, 0, 451, 300)
LARGE_BOX = (2000, 1000, 2300, 1200)
FOUND = {
    "plain": BOX,
    "covered": BOX,
    "deep": BOX,
    "indexed_colors": BOX,
    "gray": BOX,
    "large": LARGE_BOX,
    "unselected": WHOLE,
}
REFUSED = {
    "of_a_floating_one": ("still floating", "choose Layer > Anchor Layer"),
    "of_a_file": ("A model is a name", "weights.pth"),
    "of_nothing": ("No object stands out", "draw the box closer"),
    "of_a_dying_engine": ("engine stopped", "run the filter again"),
}


@pytest.mark.parametrize("scene", FOUND)
def test_what_the_engine_finds_in_what_is_visible_is_selected(played: Played, scene: str) -> None:
    """The engine of these tests finds what is bright in red, so the oracle is the picture that the user sees."""
    facts = played.facts(f"object {scene}")
    assert facts["status"] == "SUCCESS", facts["message"]
    selection = played.pixels(f"object-{scene}-selection", facts)[..., 0]
    red = played.pixels(f"object-{scene}-visible", facts)[..., 0].astype(int)
    x0, y0, x1, y1 = FOUND[scene]
    inside = np.zeros(selection.shape, bool)
    inside[y0:y1, x0:x1] = True
    sure = np.abs(red - 127.5) > 2  # two ways from floats to bytes round differently
    np.testing.assert_array_equal(selection[sure], np.where(inside & (red > 127), 255, 0)[sure])
    assert 0.02 < (selection[inside] > 0).mean() < 0.98


@pytest.mark.parametrize("scene", FOUND)
def test_nothing_but_the_selection_has_changed(played: Played, scene: str) -> None:
    assert all(played.facts(f"object {scene}")["kept"])


def test_a_photo_is_shown_whole_and_of_a_very_large_one_the_surroundings(played: Played) -> None:
    assert played.facts("object plain")["job"]["content"] == ["U8", [300, 451, 4]]
    dtype, (height, width, _) = played.facts("object large")["job"]["content"]
    assert dtype == "U8" and 200 < height < 1200 and 300 < width < 1500


def test_without_a_selection_nothing_is_said_about_the_place(played: Played) -> None:
    job = played.facts("object unselected")["job"]
    assert (job["box"], job["points"], job["lasso"]) == (None, [], None)
    assert played.facts("object plain")["job"]["lasso"] is None  # a rectangle says it all


def test_any_selection_is_an_outline_in_its_rectangle_and_arguments_reach_the_engine(played: Played) -> None:
    facts = played.facts("object round_selection")
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["job"]["box"] == facts["bounds"]
    assert facts["job"]["lasso"] == [[300, 451], facts["n_inside"]]
    assert (facts["job"]["model"], facts["job"]["edge"]) == ("sam-vit-b", "hard")


def test_nothing_is_left_behind_of_what_it_needs_on_the_way(played: Played) -> None:
    facts = played.facts("object tidy")
    assert (facts["n_layers"], facts["n_channels"]) == (1, 0)


@pytest.mark.parametrize("scene", REFUSED)
def test_in_vain_it_says_one_sentence_and_changes_nothing(played: Played, scene: str) -> None:
    facts = played.facts(f"object {scene}")
    assert facts["status"] == ("EXECUTION_ERROR" if "engine" in scene else "CALLING_ERROR")
    for words in REFUSED[scene]:
        assert words in facts["message"], facts["message"]
    assert re.fullmatch(r"[^\n]{20,300}[.]", facts["message"]), facts["message"]
    assert facts["after"] == facts["before"] and facts["processes"] == []
