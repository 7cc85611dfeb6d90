"""In a real GIMP, for layers of every kind and place: where the new layer is, what it shows, what stays as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.gimp.conftest import Played

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

NAME = "The Starry Night, Vincent van Gogh (Neural Style)"
PLAIN = {
    "opacity": 100.0,
    "is_normal": True,
    "is_usually_composited": True,
    "is_visible": True,
    "is_plain": True,
    "n_effects": 0,
    "is_locked": False,
}
SCENES = (
    "in_a_group", "whole_layer", "repeated", "feathered", "hard_edge", "with_a_mask", "odd_looking", "clipped", "text",
    "group",
    "with_effects", "wide_colors", "tiny", "clipboard", "every_argument", "several_layers",
)  # fmt: skip
CHELSEA = {"width": 451, "height": 300, "dtype": "u1"}


@pytest.mark.parametrize("scene", SCENES)
def test_the_filter_succeeds(played: Played, scene: str) -> None:
    facts = played.facts(scene)
    assert facts["status"] == "SUCCESS", facts["message"]


@pytest.mark.parametrize(
    "scene", ["whole_layer", "odd_looking", "clipped", "text", "group", "with_effects", "tiny", "in_a_group"]
)
def test_the_new_layer_is_an_ordinary_one(played: Played, scene: str) -> None:
    layer = played.facts(scene)["layer"]
    assert {what: layer[what] for what in PLAIN} == PLAIN


@pytest.mark.parametrize("scene", ["in_a_group", "text", "group"])
def test_it_lies_exactly_on_its_source_right_above_it(played: Played, scene: str) -> None:
    facts = played.facts(scene)
    before, layer = facts["before"], facts["layer"]
    for what in ("offsets", "size", "parent"):
        assert layer[what] == before[what], what
    place = layer["siblings"].index(layer["name"])
    assert layer["siblings"][place + 1] == before["name"]
    others = [name for name in before["siblings"] if name != layer["name"]]
    assert [name for name in layer["siblings"] if name != layer["name"]] == others


def test_in_a_group_only_the_selection_and_its_surroundings_are_computed(played: Played) -> None:
    facts = played.facts("in_a_group")
    _, (height, width, _) = facts["content"]
    assert height == 150 and 90 < width < 200  # the selection ends at column 90, then there is padding
    size = {"height": 150, "width": 200, "dtype": "u1"}
    source, layer, mask = (played.pixels(f"in_a_group-{name}", size) for name in ("source", "layer", "mask"))
    selected = np.zeros_like(mask)
    selected[:, 30:90] = 255  # x from 0 to 60 of the image; the layer begins at -30
    np.testing.assert_array_equal(mask, selected)
    np.testing.assert_array_equal(layer[:, width:], source[:, width:])
    np.testing.assert_array_equal(layer[:, :90, :3], 255 - source[:, :90, :3])


def test_with_only_the_selection_off_all_of_the_layer_is_painted(played: Played) -> None:
    facts = played.facts("whole_layer")
    assert facts["is_negative"] and not facts["layer"]["has_mask"]
    assert facts["job"]["content"] == ["U8", [300, 451, 4]] and facts["job"]["mask"] is None


def test_repeat_with_nothing_selected_paints_all_of_the_layer(played: Played) -> None:
    """The dialog cannot turn "Only the selection" off then, so an error would lead nowhere."""
    facts = played.facts("repeated")
    assert facts["is_negative"] and not facts["layer"]["has_mask"]
    assert facts["job"]["content"] == ["U8", [300, 451, 4]] and facts["job"]["mask"] is None


def test_feather_softens_the_mask_as_gimp_does_and_not_the_selection(played: Played) -> None:
    facts = played.facts("feathered")
    mask, expected = (played.pixels(f"feathered-{name}", CHELSEA, "f4") for name in ("mask", "expected"))
    assert np.abs(mask - expected).max() < 0.02  # GIMP feathers what the mask has rounded to 8 bits
    assert facts["selection_is_untouched"]


def test_the_edge_that_the_engine_draws_becomes_the_layers_mask(played: Played) -> None:
    facts = played.facts("hard_edge")
    mask, selection = (played.pixels(f"hard_edge-{name}", CHELSEA) for name in ("mask", "selection"))
    assert ((selection > 0) & (selection < 255)).sum() > 1000
    np.testing.assert_array_equal(mask, np.where(selection > 127, 255, 0))
    assert facts["selection_is_untouched"]


def test_a_mask_of_the_source_still_limits_what_is_painted(played: Played) -> None:
    facts = played.facts("with_a_mask")
    own, both, selection = (played.pixels(f"with_a_mask-{name}", CHELSEA) for name in ("own", "both", "selection"))
    np.testing.assert_array_equal(both, np.minimum(own, selection))
    assert facts["whole_keeps_it"] and facts["source_keeps_it"]


@pytest.mark.parametrize("scene", ["odd_looking", "text"])
def test_what_is_painted_is_the_layers_own_picture(played: Played, scene: str) -> None:
    assert played.facts(scene)["is_negative"]


def test_what_the_user_does_meanwhile_loses_no_painting(played: Played) -> None:
    """GIMP can be used while a plug-in runs, and the best quality takes a minute."""
    facts = played.facts("changed_meanwhile")
    selection = played.pixels("changed_meanwhile-selection", CHELSEA, "f4")
    source = played.pixels("changed_meanwhile-source", CHELSEA)
    assert 0 < (selection > 0).mean() < 0.5
    for what in ("unselected", "resized", "deleted"):
        (width, height), (left, top) = facts[what]["size"], facts[what]["offsets"]
        size = {"width": width, "height": height}
        part = np.s_[top : top + height, left : left + width]
        mask = played.pixels(f"changed_meanwhile-{what}", size, "f4")
        layer = played.pixels(f"changed_meanwhile-{what}-layer", {**size, "dtype": "u1"})
        np.testing.assert_array_equal(mask, selection[part])
        assert (mask > 0).sum() == (selection > 0).sum(), what
        is_painted = mask[..., 0] > 0
        np.testing.assert_array_equal(layer[is_painted][:, :3], 255 - source[part][is_painted][:, :3])
    assert facts["unselected"]["size"] == [451, 300] != facts["resized"]["size"] == facts["deleted"]["size"]


def test_a_text_layer_stays_text(played: Played) -> None:
    assert played.facts("text")["source_is_text"]


def test_layer_effects_are_painted_as_seen_and_kept(played: Played) -> None:
    facts = played.facts("with_effects")
    assert facts["worst"] == 0 and facts["effects_left"] == 1


def test_a_wider_color_space_loses_nothing(played: Played) -> None:
    facts = played.facts("wide_colors")
    assert facts["job"]["content"][0] == "F32"
    assert facts["strength_0_changes_nothing"] and facts["kept"]


def test_one_pixel_can_be_painted(played: Played) -> None:
    assert played.facts("tiny")["layer"]["size"] == [1, 1]


def test_the_clipboard_is_untouched(played: Played) -> None:
    facts = played.facts("clipboard")
    assert facts["pasted"] == [33, 44] and facts["pasted_is_what_was_copied"]


STYLES: dict[str, dict[str, Any]] = {
    "nothing": {"preset": "starry-night", "picture": None, "layer_name": NAME},
    "preset": {"preset": "great-wave", "picture": None, "style": "The Great Wave, Katsushika Hokusai"},
    "file": {"preset": None, "picture": [704, 1024, 4], "style": "large"},  # looked at no larger than it helps
    "layer": {"preset": None, "picture": [400, 600, 4], "style": "Coffee"},
    "file and preset": {"preset": None, "style": "large"},
    "all": {"preset": None, "style": "Coffee"},
    "all, preset named": {"preset": "great-wave", "picture": None},
    "all, file named": {"preset": None, "style": "large"},
}


@pytest.mark.parametrize("case", STYLES)
def test_a_style_may_come_from_anywhere(played: Played, case: str) -> None:
    facts = played.facts("styles")[case]
    assert facts["status"] == "SUCCESS", facts["message"]
    assert {what: facts[what] for what in STYLES[case]} == STYLES[case]


def test_reading_a_style_leaves_no_image_behind(played: Played) -> None:
    facts = played.facts("styles")
    assert facts["n_images"] == 2 and facts["other_is_untouched"]


def test_several_layers_are_painted_each_and_measured_together(played: Played) -> None:
    facts = played.facts("several_layers")
    assert (facts["status"], facts["n_new"], facts["places"]) == ("SUCCESS", 2, [0, 2])
    assert facts["first_is_above_the_first"] and facts["is_painted"]
    assert (facts["n_series"], facts["n_series_without"]) == (2, 0)


RED, BLUE, NOTHING = [255, 0, 0, 255], [0, 0, 255, 255], [0, 0, 0, 0]


def test_label_maps_lie_over_their_pictures_as_in_the_image(played: Played) -> None:
    facts = played.facts("label_maps")
    assert facts["status"] == "SUCCESS", facts["message"]
    height, width = facts["both"]["content"][1][:2]
    assert facts["both"]["labels"] == {"shape": [height, width, 4], "pixels": [NOTHING, RED, BLUE, NOTHING]}
    assert facts["both"]["style_labels"] == {"shape": [*facts["style_size"], 4], "pixels": [BLUE, BLUE, RED, RED]}
    assert facts["maps_are_untouched"] and not facts["both"]["auto_regions"]


def test_over_a_style_file_all_of_the_label_map_counts(played: Played) -> None:
    job = played.facts("label_maps")["over_a_file"]
    assert job["style_labels"] == {"shape": [500, 700, 4], "pixels": [BLUE, BLUE, RED, RED]}
    assert job["labels"]["shape"] == job["content"][1]
    assert job["labels"]["pixels"][1:3] == [RED, BLUE]


def test_regions_can_be_left_to_the_engine(played: Played) -> None:
    job = played.facts("label_maps")["found"]
    assert job["auto_regions"] and job["labels"] is None and job["style_labels"] is None


def test_a_run_that_names_no_method_paints_in_any_style(played: Played) -> None:
    """Another method may stand before it in the list, and would refuse presets."""
    assert played.facts("whole_layer")["job"]["settings"]["method"] == "anystyle"


def test_every_argument_reaches_the_engine(played: Played) -> None:
    facts = played.facts("every_argument")
    assert facts["job"]["settings"] == {
        "method": "anystyle",
        "strength": 0.25,
        "color": "luminance",
        "color_map": "histogram",
        "blend": "mrf",
        "photoreal": 0.75,
        "style_size_px": 300,
        "seed": 7,
        "device": "cpu",
        "quality": "better",
        "options": {"iterations": "50"},
    }
    assert facts["layer"]["name"] == "The Starry Night, Vincent van Gogh 25% (Neural Style)"
