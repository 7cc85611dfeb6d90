"""In a real GIMP: odd files, several layers, locked ones, large ones: the right picture or the right sentence."""

from __future__ import annotations

import re

import pytest

from tests.gimp.conftest import Started

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]


def test_every_odd_file_as_a_layer(started: Started) -> None:
    """The engine of these tests paints the negative."""
    for number, file in enumerate(started.odd):
        facts = started.starts["3"].facts(f"file {number}")
        if file.as_layer:
            assert facts["status"] == "CALLING_ERROR" and file.as_layer in facts["message"], file.key
            assert facts["jobs_sent"] == 0, file.key
        else:
            assert facts["status"] == "SUCCESS", f"{file.key}: {facts['message']}"
            step = (
                0.03 if file.key in ("linear.png", "display_p3.jpg") else 0.006
            )  # coarse in the dark, as sRGB sees it
            assert facts["worst"] < step, f"{file.key}: {facts['worst']}"
        assert facts["n_images"] == 1, f"{file.key}: reading a style has left an image behind"


def test_every_odd_file_as_a_style(started: Started) -> None:
    """Upright, in sRGB, its first picture; and never larger than it helps."""
    n_read = 0
    for number in range(len(started.odd)):
        facts, file = started.starts["3"].facts(f"file {number}"), started.odd[(number + 1) % len(started.odd)]
        if facts["status"] != "SUCCESS":
            continue  # the layer was refused; the test above says whether rightly
        n_read += 1
        shrink = min(1.0, 1024 / max(file.size))
        expected = [max(1, round(side * shrink)) for side in reversed(file.size)]
        assert facts["picture"][:2] == expected, file.key
        assert file.note in " ".join(facts["notes"]) if file.note else facts["notes"] == [], (file.key, facts["notes"])
        for seen, wanted in zip(facts["style_sight"]["pixels"], file.sight or (), strict=False):
            distance = max(abs(a - b) for a, b in zip(seen[:3], wanted, strict=True))
            assert distance <= file.tolerance, (file.key, facts["style_sight"]["pixels"], file.sight)
    assert n_read == len(started.odd) - 1


def test_of_several_layers_those_that_the_selection_misses_are_left_out_with_a_note(started: Started) -> None:
    facts = started.starts["3"].facts("one_missed")
    assert (facts["status"], facts["n_layers"]) == ("SUCCESS", 4), facts["message"]
    assert [name.endswith("(Neural Style)") for name in facts["names"]] == [False, False, True, False]
    (elsewhere, hole) = facts["notes"]
    assert elsewhere == 'The layer "Elsewhere" was left out: the selection lies outside it.'
    assert "In the hole" in hole


def test_a_selection_that_misses_all_of_them_is_refused(started: Started) -> None:
    facts = started.starts["3"].facts("all_missed")
    assert facts["status"] == "CALLING_ERROR" and "lies outside the layer" in facts["message"]
    assert (facts["n_layers"], facts["jobs_sent"]) == (2, 0)


def test_a_locked_layer_is_read(started: Started) -> None:
    facts = started.starts["3"].facts("locked")
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["is_kept"] and facts["is_painted"] and not facts["is_locked"]


def test_more_layers_than_a_series_is_measured_on(started: Started) -> None:
    facts = started.starts["3"].facts("eighteen")
    assert facts["status"] == "SUCCESS", facts["message"]
    assert (facts["n_layers"], facts["n_series"]) == (36, 16)


@pytest.mark.parametrize("size", ["10000 x 100", "9000 x 3000"])
def test_a_panorama_is_painted(started: Started, size: str) -> None:
    facts = started.starts["3"].facts("large")[size]
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["size"] == [int(side) for side in size.split(" x ")]


def test_more_than_100_megapixels_are_refused_at_once(started: Started) -> None:
    facts = started.starts["3"].facts("large")["10100 x 10000"]
    assert facts["status"] == "CALLING_ERROR" and "takes 100 megapixels" in facts["message"]
    assert facts["jobs_sent"] == 0 and facts["seconds"] < 10


def test_of_a_larger_layer_a_part_is_painted(started: Started) -> None:
    facts = started.starts["3"].facts("small_part_of_a_large_one")
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["content"] == ["U8", [328, 428, 4]]


@pytest.mark.parametrize("source", ["layer", "file"])
def test_a_style_of_180_megapixels_is_read_small(started: Started, source: str) -> None:
    facts = started.starts["3"].facts("large_styles")[source]
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["picture"] == [688, 1024, 4]
    if source == "layer":  # its label map covers only the middle of the lower edge
        nothing, blue = [0, 0, 0, 0], [0, 0, 255, 255]
        assert facts["style_labels"] == {"shape": [2750, 4096, 4], "pixels": [nothing, nothing, blue, nothing]}


def test_an_object_far_to_the_right_of_a_panorama_is_looked_for(started: Started) -> None:
    facts = started.starts["3"].facts("object_in_a_panorama")
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["box"] == [500, 100, 11500, 300]


def test_repeat_takes_the_layer_of_the_last_run_or_says_that_it_is_gone(started: Started) -> None:
    facts = started.starts["3"].facts("remembered")
    assert facts["there"]["status"] == "SUCCESS" and facts["there"]["style"] == "Coffee", facts["there"]["message"]
    assert (facts["repeated"], facts["repeated_style"]) == ("SUCCESS", "Coffee")
    assert facts["gone"]["status"] == "CALLING_ERROR"
    assert re.search(r'layer "Coffee" of .+ \(Style layer\) is gone: open the filter again', facts["gone"]["message"])
    assert facts["jobs_sent"] == 0
