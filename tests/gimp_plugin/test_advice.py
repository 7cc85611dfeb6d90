"""What the dialog says before OK: of each combination the sentence that the job would end with, or none."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from gimp_plugin import settings
from gimp_plugin.choices import catalog as plugin_catalog
from gimp_plugin.choices.advice import Seen, advise
from gimp_plugin.choices.arguments import Choices, usual
from gimp_plugin.choices.catalog import BUILT_IN, Catalog
from server.worker.painter import catalog as engine_catalog

PRESET = Choices({setting.name: usual(setting, BUILT_IN) for setting in settings.of("gimp")})
FILE = PRESET.changed(style_file="wave.jpg")
MAPS = FILE.changed(regions="layers", region_map="map", style_region_map="map")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The engine's own, by the way that install.py takes it to the plug-in."""
    file: Path = tmp_path_factory.mktemp("catalog") / "catalog.json"
    file.write_text(json.dumps(engine_catalog()), "utf-8")
    return plugin_catalog.load(file)


NEEDS_A_PICTURE = ("analogy", "cnnmrf", "gatys", "photoreal", "photowct", "wct")


@pytest.mark.parametrize("method", NEEDS_A_PICTURE)
def test_a_method_that_needs_a_picture_refuses_a_painting_and_takes_a_file(catalog: Catalog, method: str) -> None:
    advice = advise(PRESET.changed(method=method), catalog)
    assert advice.is_refused
    assert catalog.method(method).title in advice.sentences[0] and "choose a picture file" in advice.sentences[0]
    assert not advise(FILE.changed(method=method), catalog).is_refused


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (PRESET.changed(method="msgnet"), "does not know this painting"),
        (MAPS.changed(region_map=None), "label map is missing"),
        (PRESET.changed(style_source="file"), "choose a file"),
        (PRESET.changed(style_source="layer"), "No style layer is chosen"),
        (PRESET.changed(style_size=31), "at least 32 pixels"),
        (PRESET.changed(options="detail=1"), "has no option detail"),
        (FILE.changed(method="gatys", options="iterations"), "name=value"),
        (FILE.changed(method="gatys", options="iterations=many"), "must be a whole number"),
        (FILE.changed(method="gatys", options="statistic=mean"), "must be one of gram"),
        (FILE.changed(method="photoreal", options="detail=7"), "from 0 to 1, not '7'"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(catalog: Catalog, plan: Choices, words: str) -> None:
    advice = advise(plan, catalog)
    assert advice.is_refused and len(advice.sentences) == 1
    assert words in advice.sentences[0] and advice.sentences[0].endswith(".")


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Seen(lost_file="wave.jpg"), "wave.jpg is gone"),
        (Seen(foreign_map="map"), '"map" is of another image'),
        (Seen(missed_layer="cat"), 'outside the layer "cat"'),
    ],
)
def test_what_a_look_at_the_image_tells_is_refused(catalog: Catalog, seen: Seen, words: str) -> None:
    (sentence,) = advise(MAPS, catalog, seen).sentences
    assert words in sentence and advise(MAPS, catalog).sentences == ()


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (PRESET.changed(method="johnson"), "style that is chosen here is not used"),
        (FILE.changed(method="ulyanov"), "style that is chosen here is not used"),
    ],
)
def test_what_would_surprise_is_said_and_works(catalog: Catalog, plan: Choices, words: str) -> None:
    advice = advise(plan, catalog)
    assert not advice.is_refused
    assert any(words in sentence for sentence in advice.sentences), advice.sentences


@pytest.mark.parametrize(
    "plan",
    [
        PRESET,
        FILE.changed(regions="auto", style_size=32),
        MAPS.changed(style_layer="wave"),
        FILE.changed(method="photoreal", options="detail=0.7"),
        PRESET.changed(style_preset="great-wave", method="msgnet"),
        PRESET.changed(method="msgnet", options="trained=senecio"),
    ],
)
def test_nothing_is_said_of_what_works_as_it_looks(catalog: Catalog, plan: Choices) -> None:
    assert advise(plan, catalog).sentences == ()


def test_the_catalog_says_of_each_method_what_the_engine_does(catalog: Catalog) -> None:
    """Where the plug-in lets a painting through, the engine reads it; what it refuses, the engine refuses."""
    from engine import methods
    from engine.core.errors import ImpastoError
    from engine.core.types import Picture, Settings
    from engine.files import presets
    from engine.pipeline.stylize import stylize

    torch = pytest.importorskip("torch")
    picture = Picture(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)))
    for method, preset in itertools.product(catalog.methods, ("starry-night", "great-wave")):
        options = {"iterations": 1} if "iterations" in {o.name for o in methods.get(method.name).options} else {}
        plan = PRESET.changed(style_preset=preset, method=method.name)
        try:
            stylize(picture, [presets.load_preset(preset)], Settings(method=method.name, options=options))
            is_painted = True
        except ImpastoError:
            is_painted = False
        assert is_painted != advise(plan, catalog).is_refused, (method.name, preset)


def test_of_a_catalog_that_says_little_nothing_is_assumed() -> None:
    few = Catalog(plugin_catalog.BUILT_IN.styles, (plugin_catalog.Method("gatys", "Optimization"),))
    assert advise(PRESET.changed(method="gatys"), few) == advise(PRESET, few)
    assert not advise(PRESET.changed(method="unknown"), few).is_refused


# --- a second style

MIX = PRESET.changed(mix=0.5, second_preset="great-wave")


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (PRESET.changed(mix=0.5), "No second style is chosen"),
        (FILE.changed(method="johnson", mix=0.5, second_file="b.jpg"), "cannot mix two styles"),
        (MAPS.changed(mix=0.5, second_file="b.jpg"), "there can be one style only"),
        (FILE.changed(method="gatys", mix=0.5, second_preset="great-wave"), "choose a picture file"),
        (FILE.changed(method="msgnet", mix=1.0, second_preset="pearl-earring"), "does not know this painting"),
    ],
)
def test_a_second_style_that_cannot_be_mixed_in_is_refused(catalog: Catalog, plan: Choices, words: str) -> None:
    advice = advise(plan, catalog)
    assert advice.is_refused and len(advice.sentences) == 1 and words in advice.sentences[0], advice.sentences


@pytest.mark.parametrize(
    "plan",
    [
        MIX,
        MIX.changed(second_file="b.jpg"),
        FILE.changed(mix=0.3, second_preset="great-wave"),
        FILE.changed(method="gatys", mix=0.3, second_file="b.jpg"),
        PRESET.changed(method="gatys", mix=1.0, second_file="b.jpg"),  # the painting does not count
        PRESET.changed(style_source="layer", mix=1.0, second_preset="great-wave"),
        MAPS.changed(mix=1.0, second_file="b.jpg"),
        FILE.changed(method="gatys", mix=0.0, second_preset="great-wave"),
        FILE.changed(method="johnson", second_preset="great-wave"),
        MAPS.changed(second_file="b.jpg"),
    ],
)
def test_what_can_be_mixed_is_and_without_a_share_the_second_style_does_nothing(
    catalog: Catalog, plan: Choices
) -> None:
    assert not advise(plan, catalog).is_refused


def test_where_the_second_style_comes_from() -> None:
    assert PRESET.changed(second_preset="great-wave").second == ""  # no share
    assert MIX.second == "preset" and MIX.changed(second_file="b.jpg").second == "file"
    assert PRESET.changed(mix=1.0).second == "" and MIX.changed(second_preset="").second == ""


def test_a_method_that_cannot_blend_counts_as_if_no_second_style_had_been_chosen(catalog: Catalog) -> None:
    choices = MIX.changed(style_file="a.jpg", method="johnson", second_file="b.jpg").effective(catalog)
    assert (choices["mix"], choices["second-preset"], choices["second-file"]) == (0.0, "none", None)
