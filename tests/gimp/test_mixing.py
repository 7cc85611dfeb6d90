"""In a real GIMP: style files, which GIMP itself cannot open, and two styles in one painting."""

from __future__ import annotations

import pytest

from tests.gimp.conftest import Played

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

STARRY, WAVE = "The Starry Night, Vincent van Gogh", "The Great Wave, Katsushika Hokusai"
SAVED = "Saved coffee"
NETWORK = "anystyle:" + "0" * 32


def preset(title: str, name: str, weight: float) -> list[object]:
    return [title, name, weight, None, ""]


def saved(weight: float) -> list[object]:
    return [SAVED, None, weight, [40, 60, 4], NETWORK]


def test_a_style_file_is_sent_as_it_was_saved(played: Played) -> None:
    facts = played.facts("style_file")
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["job"]["styles"] == [saved(1.0)]
    assert facts["job"]["style_sight"]["pixels"] == [[10, 20, 30, 255]] * 4
    assert facts["name"] == f"{SAVED} (Neural Style)" and facts["n_images_more"] == 1  # the photo
    assert facts["settings"]["style-file"].endswith("/saved.impasto-style")
    assert facts["swatch"] == [[40, 60, 4], None]


def test_a_style_file_that_cannot_be_used_is_a_sentence(played: Played) -> None:
    facts = played.facts("broken_style_files")
    for name, words in (("short", "damaged"), ("other", "no style of Impasto"), ("missing", "There is no style")):
        status, message, n_jobs, n_layers = facts[name]
        assert words in message and (status, n_jobs, n_layers) == ("CALLING_ERROR", 0, 1), message


@pytest.mark.parametrize(
    ("case", "styles", "name"),
    [
        ("no share", [preset(STARRY, "starry-night", 1.0)], STARRY),
        ("presets", [preset(STARRY, "starry-night", 0.75), preset(WAVE, "great-wave", 0.25)], f"{STARRY} + {WAVE}"),
        ("a file wins", [preset(STARRY, "starry-night", 0.75), saved(0.25)], f"{STARRY} + {SAVED}"),
        ("files", [["coffee", None, 0.5, [400, 600, 4], ""], saved(0.5)], f"coffee + {SAVED}"),
        ("the second alone", [preset(WAVE, "great-wave", 1.0)], WAVE),
    ],
)  # fmt: skip
def test_two_styles_are_sent_by_their_shares(played: Played, case: str, styles: list[list[object]], name: str) -> None:
    facts = played.facts("mixed")[case]
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["styles"] == styles and facts["name"] == f"{name} (Neural Style)"
    assert facts["settings"]["style"] == name


def test_a_share_of_almost_nothing_is_one_that_the_wire_takes(played: Played) -> None:
    facts = played.facts("mixed")["almost nothing"]
    assert facts["status"] == "SUCCESS" and [style[2] for style in facts["styles"]] == [1 - 1e-12, 1e-6]


def test_the_layer_keeps_what_was_mixed(played: Played) -> None:
    settings = played.facts("mixed")["a file wins"]["settings"]
    assert settings["mix"] == 0.25 and settings["second-file"].endswith("/saved.impasto-style")
    assert settings["second-preset"] == "great-wave"


def test_a_share_of_nothing_is_refused(played: Played) -> None:
    facts = played.facts("mixed_in_vain")
    for name, words in {
        "nothing": "No second style is chosen",
        "none": "No second style is chosen",
        "too much": "mix must be from 0 to 1",
        "no such": 'did you mean "great-wave"',
    }.items():
        status, message, n_jobs = facts[name]
        assert words in message and status != "SUCCESS" and n_jobs == 0, message


def test_a_mix_is_changed_in_its_place_and_repeated(played: Played) -> None:
    facts = played.facts("mix_changed")
    assert facts["status"] == "SUCCESS" and facts["n_layers"] == 2
    assert [style[2] for style in facts["changed"]] == [0.25, 0.75]
    assert [style[2] for style in facts["repeated"]] == [0.5, 0.5] and facts["settings"]["mix"] == 0.5


def test_gimps_own_python_saves_a_style(played: Played) -> None:
    facts = played.facts("saved_in_gimp")
    assert facts["job"]["title"] == "Coffee" and facts["job"]["content"]["shape"] == [400, 600, 4]
    assert facts["path"].endswith("/impasto/styles/Coffee.impasto-style") and facts["read"] == [1, 1, 4]
