"""In a real GIMP, when the filter cannot do its work: a sentence that says what to do, and nothing has changed."""

from __future__ import annotations

import re

import pytest

from tests.gimp.conftest import Played

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

# Scene -> what the sentence says is wrong, and what it says to do.
PICTURES = {
    "nothing_selected": ("Nothing is selected", 'select something, or turn off "Only the selection" (selection-only)'),
    "selection_elsewhere": ('lies outside the layer "Background"', "select a part of the layer"),
    "locked_group": ('group "Keep out" is locked', "unlock its pixels"),
    "indexed": ("indexed image", "choose Image > Mode > RGB"),
    "channel": ("channel is selected", "click a layer"),
    "layer_mask": ("layer mask is selected", "click the layer's picture"),
    "floating": ("still floating", "choose Layer > Anchor Layer"),
    "empty_group": ('group "Nothing in it" is empty', "select something else"),
    "no_style_layer": ("No style layer is chosen", "choose one"),
    "tiny_brush": ("brush size", "must be 0 (automatic) or at least 32 pixels"),
    "no_label_map": ("label map is missing", "choose a layer"),
    "label_map_elsewhere": ("of another image", "choose a layer of this one"),
}
ENGINES = {
    "engine_dies": ("engine stopped while it was painting", "run the filter again"),
    "disk_full": ("disk for temporary files is full", "free some space"),
    "a_fault": ("a fault of its own (RuntimeError: half of an update)", "run install.py"),
    "no_engine": ("engine could not start", "install.py"),
}
ALL = PICTURES | ENGINES


@pytest.mark.parametrize("scene", ALL)
def test_one_sentence_says_what_is_wrong_and_what_to_do(played: Played, scene: str) -> None:
    facts = played.facts(scene)
    assert facts["status"] == ("CALLING_ERROR" if scene in PICTURES else "EXECUTION_ERROR")
    for words in ALL[scene]:
        assert words in facts["message"], facts["message"]
    assert re.fullmatch(r"[^\n]{20,300}[.]", facts["message"]), facts["message"]


@pytest.mark.parametrize("scene", ALL)
def test_nothing_has_changed(played: Played, scene: str) -> None:
    facts = played.facts(scene)
    assert facts["after"] == facts["before"]


@pytest.mark.parametrize("scene", PICTURES)
def test_the_engine_is_not_bothered(played: Played, scene: str) -> None:
    assert played.facts(scene)["jobs_sent"] == 0


@pytest.mark.parametrize("scene", [*ALL, "the end"])
def test_no_process_is_left_behind(played: Played, scene: str) -> None:
    assert played.facts(scene)["processes"] == []


@pytest.mark.parametrize("scene", ["engine_dies", "disk_full"])
def test_the_next_run_works(played: Played, scene: str) -> None:
    run = played.facts(scene)["next"]
    assert (run["status"], run["n_layers"]) == ("SUCCESS", 2), run["message"]


def test_an_engine_is_started_where_none_runs(played: Played) -> None:
    run = played.facts("engine_starts")["run"]
    assert (run["status"], run["n_layers"]) == ("SUCCESS", 2), run["message"]


def test_a_dead_engine_is_told_soon(played: Played) -> None:
    assert played.facts("engine_dies")["seconds"] < 5
