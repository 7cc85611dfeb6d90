"""What the dialog says before OK: of each combination the sentence that the job would end with, or none."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from gimp_plugin.choices import catalog as plugin_catalog
from gimp_plugin.choices.advice import Plan, advise
from gimp_plugin.choices.catalog import Catalog
from server.worker.painter import catalog as engine_catalog

PRESET = Plan(source="preset", preset="starry-night", method="anystyle")
FILE = dataclasses.replace(PRESET, source="file")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The engine's own, by the way that install.py takes it to the plug-in."""
    file: Path = tmp_path_factory.mktemp("catalog") / "catalog.json"
    file.write_text(json.dumps(engine_catalog()), "utf-8")
    return plugin_catalog.load(file)


NEEDS_A_PICTURE = ("analogy", "cnnmrf", "gatys", "photoreal", "photowct", "wct")


@pytest.mark.parametrize("method", NEEDS_A_PICTURE)
def test_a_method_that_needs_a_picture_refuses_a_painting_and_takes_a_file(catalog: Catalog, method: str) -> None:
    advice = advise(dataclasses.replace(PRESET, method=method), catalog)
    assert advice.is_refused
    assert catalog.method(method).title in advice.sentences[0] and "choose a picture file" in advice.sentences[0]
    assert not advise(dataclasses.replace(FILE, method=method), catalog).is_refused


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (dataclasses.replace(PRESET, method="msgnet"), "does not know this painting"),
        (dataclasses.replace(PRESET, regions="auto"), "no parts"),
        (dataclasses.replace(PRESET, regions="layers"), "no parts"),
        (dataclasses.replace(FILE, regions="layers", has_maps=False), "label map is missing"),
        (dataclasses.replace(FILE, regions="layers", foreign_map="map"), '"map" is of another image'),
        (dataclasses.replace(FILE, has_style=False), "choose a file"),
        (dataclasses.replace(FILE, source="layer", has_style=False), "No style layer is chosen"),
        (dataclasses.replace(FILE, lost_file="wave.jpg"), "wave.jpg is gone"),
        (dataclasses.replace(PRESET, style_size_px=31), "at least 32 pixels"),
        (dataclasses.replace(PRESET, missed_layer="cat"), 'outside the layer "cat"'),
        (dataclasses.replace(PRESET, options="detail=1"), "has no option detail"),
        (dataclasses.replace(FILE, method="gatys", options="iterations"), "name=value"),
        (dataclasses.replace(FILE, method="gatys", options="iterations=many"), "must be a number"),
        (dataclasses.replace(FILE, method="gatys", options="statistic=mean"), "must be one of gram"),
        (dataclasses.replace(FILE, method="photoreal", options="detail=7"), "from 0 to 1, not 7"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(catalog: Catalog, plan: Plan, words: str) -> None:
    advice = advise(plan, catalog)
    assert advice.is_refused and len(advice.sentences) == 1
    assert words in advice.sentences[0] and advice.sentences[0].endswith(".")


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (dataclasses.replace(PRESET, quality="better"), "painted fast"),
        (dataclasses.replace(PRESET, quality="best"), "painted fast"),
        (dataclasses.replace(FILE, quality="best", method="gatys"), "Better and Best are of the method Any style"),
        (dataclasses.replace(PRESET, method="johnson"), "style that is chosen here is not used"),
        (dataclasses.replace(FILE, method="ulyanov"), "style that is chosen here is not used"),
        (dataclasses.replace(FILE, method="johnson", regions="auto"), "paints all parts alike"),
    ],
)
def test_what_would_surprise_is_said_and_works(catalog: Catalog, plan: Plan, words: str) -> None:
    advice = advise(plan, catalog)
    assert not advice.is_refused
    assert any(words in sentence for sentence in advice.sentences), advice.sentences


@pytest.mark.parametrize(
    "plan",
    [
        PRESET,
        dataclasses.replace(FILE, quality="best", regions="auto", style_size_px=32),
        dataclasses.replace(FILE, source="layer", regions="layers"),
        dataclasses.replace(FILE, method="photoreal", options="detail=0.7"),
        dataclasses.replace(PRESET, preset="great-wave", method="msgnet"),
        dataclasses.replace(PRESET, method="msgnet", options="trained=senecio"),
    ],
)
def test_nothing_is_said_of_what_works_as_it_looks(catalog: Catalog, plan: Plan) -> None:
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
        plan = dataclasses.replace(PRESET, preset=preset, method=method.name)
        try:
            stylize(picture, [presets.load_preset(preset)], Settings(method=method.name, options=options))
            is_painted = True
        except ImpastoError:
            is_painted = False
        assert is_painted != advise(plan, catalog).is_refused, (method.name, preset)


def test_of_a_catalog_that_says_little_nothing_is_assumed() -> None:
    few = Catalog(plugin_catalog.BUILT_IN.styles, (plugin_catalog.Method("gatys", "Optimization"),))
    assert advise(dataclasses.replace(PRESET, method="gatys", quality="best"), few) == advise(PRESET, few)
    assert not advise(dataclasses.replace(PRESET, method="unknown"), few).is_refused
