"""In a real GIMP: a painted layer is changed in its place, from the layer that it was made from."""

from __future__ import annotations

import pytest

from tests.gimp.conftest import Played

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

NAME = "The Starry Night, Vincent van Gogh{} (Neural Style)"


def test_a_changed_painting_is_made_from_its_source_and_takes_the_same_place(played: Played) -> None:
    facts = played.facts("changed")
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["n_layers"] == 2 and facts["place"] == 0 and facts["is_old_gone"] and facts["selected"]
    assert facts["keeps_mask"] and facts["keeps_selection"]
    assert facts["opacity"] == pytest.approx(60, abs=0.5) and facts["is_multiplied"]
    assert facts["worst"] <= 1


def test_the_engine_is_asked_for_the_same_part_so_that_it_can_use_what_it_knows(played: Played) -> None:
    first, second = played.facts("changed")["jobs"]
    assert (first.pop("strength"), second.pop("strength")) == (1.0, 0.5)
    assert first == second and first["mask"] is not None


def test_the_name_tells_what_is_there_unless_the_user_gave_one(played: Played) -> None:
    assert played.facts("changed")["name"] == NAME.format(" 50%")
    facts = played.facts("renamed")
    assert facts["ours"].startswith("The Great Wave") and facts["theirs"] == "my cat"


def test_a_script_that_does_not_ask_for_it_paints_the_painting(played: Played) -> None:
    facts = played.facts("not_asked")
    assert facts["n_layers"] == 3 and facts["is_of_the_painting"] and facts["is_changed_from_the_painting"]


def test_repeat_changes_the_painting_and_adds_no_coat(played: Played) -> None:
    facts = played.facts("repeated_on_a_painting")
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["n_layers"] == 2 and facts["is_the_same"]


def test_the_source_is_found_under_another_name_in_another_place_and_in_a_copy_of_the_image(played: Played) -> None:
    facts = played.facts("moved_source")
    assert (facts["status"], facts["in_copy"]) == ("SUCCESS", "SUCCESS"), facts["message"]
    assert facts["worst"] == 0 and facts["worst_in_copy"] == 0


def test_a_painting_of_an_older_version_is_made_from_the_layer_below(played: Played) -> None:
    facts = played.facts("of_an_older_version")
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["jobs"][0] == facts["jobs"][1] and facts["worst"] <= 1 and facts["name"] == NAME.format("")


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("gone", "made from is gone"),
        ("resized", "another size"),
        ("no mask", "lost its mask"),
        ("locked", "is locked"),
        ("hidden", "hides all of it"),
    ],
)
def test_what_cannot_be_changed_is_said_and_stays(played: Played, cause: str, words: str) -> None:
    status, message, is_as_before = played.facts("refused")[cause]
    assert status == "CALLING_ERROR" and words in message and is_as_before


def test_other_layers_are_painted_as_usual(played: Played) -> None:
    facts = played.facts("ordinary")
    assert facts["status"] == "SUCCESS" and facts["n_layers"] == 2
