"""What a script wrote, judged before anything is read: unknown names and numbers out of range get a sentence."""

from __future__ import annotations

import math
import re

import pytest

from gimp_plugin.choices import checks
from gimp_plugin.wire import WireError

FEW = [("style", "The style"), ("luminance", "My picture"), ("match", "My picture's palette")]
MANY = [(f"painting-{number}", f"Painting {number}, Somebody") for number in range(20)]
MANY += [("starry-night", "The Starry Night, Vincent van Gogh"), ("great-wave", "The Great Wave, Katsushika Hokusai")]


def sentence(written: str, names: list[tuple[str, str]]) -> str:
    with pytest.raises(WireError) as error:
        checks.known("style-preset", written, names, "usual")
    assert error.value.code == "unprocessable"
    assert re.fullmatch(r"[^\n]{20,300}[.]", error.value.message), error.value.message
    return error.value.message


def test_a_name_that_exists_is_taken_and_nothing_means_the_usual_one() -> None:
    assert checks.known("color", "match", FEW, "style") == "match"
    assert checks.known("color", "", FEW, "style") == "style"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("stary-night", "starry-night"),
        ("Starry Night", "starry-night"),
        ("The Great Wave", "great-wave"),
        ("STARRY-NIGHT", "starry-night"),
        ("great_wave", "great-wave"),
    ],
)
def test_a_name_that_is_near_is_proposed(written: str, meant: str) -> None:
    assert f'did you mean "{meant}"' in sentence(written, MANY)


def test_where_nothing_is_near_a_few_names_are_listed_and_many_are_not() -> None:
    assert "it is one of style, luminance, match" in sentence("xyzzy", FEW)
    assert "Procedure Browser" in sentence("xyzzy", MANY)


@pytest.mark.parametrize("written", ["a\nb\x1b[31m", "x" * 5000, "\0"])
def test_what_cannot_be_shown_does_not_reach_the_sentence(written: str) -> None:
    assert all(letter.isprintable() for letter in sentence(written, FEW))


@pytest.mark.parametrize("number", [-0.01, 1.01, math.nan, math.inf, -1e9])
def test_a_number_out_of_its_range_is_refused(number: float) -> None:
    with pytest.raises(WireError, match="strength must be from 0 to 1, not"):
        checks.within("strength", number, 0.0, 1.0)


@pytest.mark.parametrize("number", [0, 0.5, 1])
def test_a_number_in_its_range_is_taken(number: float) -> None:
    checks.within("strength", number, 0.0, 1.0)
