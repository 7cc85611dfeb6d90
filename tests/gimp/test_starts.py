"""In a real GIMP, from its second start on in one profile: every procedure, every argument, Python and Script-Fu.

GIMP asks a plug-in only once what it can do. Later starts read that from a file, in which an empty default is lost.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.gimp.conftest import Played, Started

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

DEFAULTS = {
    "method": "anystyle",
    "strength": 1.0,
    "color": "style",
    "color_map": "transport",
    "photoreal": 0.0,
    "style_size_px": None,
    "seed": 0,
    "device": "auto",
    "blend": "feather",
    "quality": "fast",
    "options": {},
}
EVERYTHING = {
    "method": "analogy",
    "strength": 0.25,
    "color": "match",
    "color_map": "histogram",
    "photoreal": 0.75,
    "style_size_px": 300,
    "seed": 7,
    "device": "cpu",
    "blend": "mrf",
    "quality": "better",
    "options": {"detail": "0.7", "levels": "3"},
}
# Argument -> what the sentence on its wrong value says.
UNKNOWN = {
    "style-preset": '"stary-night": did you mean "starry-night"',
    "method": '"anystile": did you mean "anystyle"',
    "style-source": "it is one of auto, preset, file, layer",
    "quality": "it is one of fast, better, best",
    "color": '"luminence": did you mean "luminance"',
    "color-map": '"transprt": did you mean "transport"',
    "blend": "it is one of feather, hard, mrf",
    "regions": "it is one of none, auto, layers",
    "device": "it is one of auto, cpu, cuda",
    "strength": "strength must be from 0 to 1, not 1.5",
    "photoreal": "photoreal must be from 0 to 1, not -0.25",
    "feather": "feather must be from 0 to 500, not 501",
    "style-size": "style-size must be from 0 to 8192, not 9000",
    "seed": "seed must be from 0 to 2147483647, not -1",
    "mix": "mix must be from 0 to 1, not 1.01",
    "second-preset": '"great-wav": did you mean "great-wave"',
    "edge": '"softly": did you mean "soft"',
    "style-file": "There is no style picture /no/such/picture.jpg",
}


@pytest.fixture(params=["2", "3"])
def played(started: Started, request: pytest.FixtureRequest) -> Played:
    """What was played in the second and in the third start."""
    return started.starts[str(request.param)]


@pytest.mark.parametrize("scene", ["python_defaults", "script_fu_defaults", "last_values"])
def test_with_all_defaults_it_paints(played: Played, scene: str) -> None:
    facts = played.facts(scene)
    assert facts["status"] == "SUCCESS", facts["message"]
    assert facts["is_layer"] and facts["job"]["settings"] == DEFAULTS
    assert (facts["job"]["preset"], facts["job"]["picture"]) == ("starry-night", None)


@pytest.mark.parametrize("scene", ["python_everything", "script_fu_everything"])
def test_with_every_argument_it_paints_as_it_was_told(played: Played, scene: str) -> None:
    facts = played.facts(scene)
    assert facts["status"] == "SUCCESS", facts["message"]
    job = facts["job"]
    assert facts["is_layer"] and job["settings"] == EVERYTHING
    assert (job["preset"], job["style"], job["mask"]) == (None, "red and blue", None)
    assert job["labels"]["pixels"][0] == [0, 255, 0, 255] and job["style_labels"]["pixels"][0] == [255, 0, 0, 255]


@pytest.mark.parametrize("scene", ["select_python", "select_script_fu", "select_menu"])
def test_an_object_is_selected(played: Played, scene: str) -> None:
    facts = played.facts(scene)
    for call in ("defaults", "everything"):
        assert facts[call]["status"] == "SUCCESS", facts[call].get("message")
        assert facts[call]["job"]["box"] == [120, 60, 320, 210]
    assert (facts["defaults"]["job"]["model"], facts["defaults"]["job"]["edge"]) == ("auto", "auto")
    if scene != "select_menu":
        assert (facts["everything"]["job"]["model"], facts["everything"]["job"]["edge"]) == ("grabcut", "hard")


def test_the_menus_entry_for_objects_is_none_that_gimp_repeats(played: Played) -> None:
    """GIMP repeats the last entry whose second argument is an image: that is to stay the style."""
    assert played.facts("select_menu")["second_argument"].endswith("ParamDisplay")


def is_refused(run: dict[str, Any], words: str) -> None:
    assert run["status"] != "SUCCESS" and words in run["message"], run["message"]
    assert (run["jobs_sent"], run["n_layers"]) == (0, 1)


@pytest.mark.parametrize("argument", UNKNOWN)
def test_what_does_not_exist_is_refused_and_what_is_near_named(started: Started, argument: str) -> None:
    is_refused(started.starts["2"].facts("unknown")[argument], UNKNOWN[argument])


@pytest.mark.parametrize("argument", ["style-preset", "strength", "style-file"])
def test_script_fu_reads_the_same_sentences(started: Started, argument: str) -> None:
    is_refused(started.starts["2"].facts("unknown_in_script_fu")[argument], UNKNOWN[argument])
