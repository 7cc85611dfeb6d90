"""One declaration per setting: every front end, the wire and the docs get theirs from the table, and from it alone."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, get_args, get_type_hints
from unittest.mock import MagicMock

import pytest

from engine.core import types
from engine.core.errors import SettingsError
from engine.core.types import Settings
from gimp_plugin import settings
from gimp_plugin.choices import arguments
from gimp_plugin.choices.arguments import Choices
from gimp_plugin.choices.catalog import BUILT_IN
from gimp_plugin.settings import Entry, Setting
from gimp_plugin.wire import Plane, StyleEntry, StylizeRequest, WireError
from scripts import settings_table
from server.commands.arguments import add_painting_arguments, settings_of
from server.worker.painter import catalog

GLOW = Setting("glow", "number", 0.25, "_Glow", "How much the light glows", low=0, high=1, group="look")
FRAME = Setting(
    "frame-kind", "word", "none", "F_rame", "What is around it", (Entry("none", "None"), Entry("gold", "A"))
)
PIXELS = Plane("U8", (1, 1, 4), b"rgba")
STYLE = StyleEntry("x", preset="x")


@pytest.fixture(params=[GLOW, FRAME], ids=lambda setting: setting.name)
def added(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """A table with one setting more."""
    monkeypatch.setattr(settings, "SETTINGS", (*settings.SETTINGS, request.param))
    setting: Setting = request.param
    return setting


@pytest.fixture
def declaration(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """What tells GIMP of the arguments, in a Python without GIMP."""
    for name in ("gi", "gi.repository"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    yield importlib.import_module("gimp_plugin.filter.declaration")
    for name in ("gimp_plugin.filter.declaration", "gimp_plugin.filter"):
        sys.modules.pop(name, None)


def declared(declaration: ModuleType, *, is_form: bool) -> dict[str, tuple[Any, ...]]:
    """Name -> what GIMP was told of an argument."""
    procedure = MagicMock()
    declaration.declare(procedure, BUILT_IN, is_form)
    return {call.args[0]: (call_name, *call.args) for call_name, call in calls_of(procedure)}


def calls_of(mock: MagicMock) -> Iterator[tuple[str, Any]]:
    for call in mock.method_calls:
        yield call[0], call


def test_a_setting_that_is_added_is_an_argument_of_gimp_and_of_the_dialog(
    added: Setting, declaration: ModuleType
) -> None:
    told = declared(declaration, is_form=False)
    assert list(told)[-2:] == [added.name, "layer"]  # the last one, before what is returned
    assert told[added.name][2] == added.title and added.default in told[added.name]
    kinds = {"glow": "add_double_argument", "frame-kind": "add_choice_argument"}
    assert declared(declaration, is_form=True)[added.name][0] == kinds[added.name]


def test_it_is_an_option_of_the_command_line(added: Setting) -> None:
    parser = argparse.ArgumentParser()
    add_painting_arguments(parser)
    options = parser.parse_args(["--style", "x"])
    assert vars(options)[added.key] == added.default
    assert f"--{added.name}" in parser.format_help() and added.help in " ".join(parser.format_help().split())


def test_it_crosses_the_wire_and_is_judged_there(added: Setting) -> None:
    value = "gold" if added.choices else 1
    request = StylizeRequest(PIXELS, (STYLE,), settings={added.key: value})
    assert StylizeRequest.unpack(b"".join(map(bytes, request.pack()))).settings[added.key] == value
    with pytest.raises(WireError, match=f"{added.key} must be"):
        StylizeRequest(PIXELS, (STYLE,), settings={added.key: "silver" if added.choices else 2})


def test_it_is_a_control_of_the_page(added: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    gradio = pytest.importorskip("gradio")
    from server.page import controls as page_controls

    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    assert added in settings.of("page")
    control = page_controls.control_of(added)
    assert isinstance(control, gradio.Radio if added.choices else gradio.Slider)
    assert (control.label, control.value) == (added.label, added.default)


def test_it_is_in_the_catalog_and_in_the_docs(added: Setting) -> None:
    (found,) = (one for one in catalog()["settings"] if one["name"] == added.name)
    assert (found["title"], found["default"], found["help"]) == (added.label, added.default, added.help)
    assert f"`{added.name}`" in settings_table.table()


def test_a_painted_layer_keeps_it_and_the_dialog_reads_it(added: Setting) -> None:
    config = MagicMock()
    config.get_property.side_effect = lambda name: None if name == added.name else "auto"
    read = arguments.read(config)
    assert read[added.name] == ("" if added.choices else None)
    values = {s.name: arguments.usual(s, BUILT_IN) for s in settings.of("gimp")}
    assert arguments.checked(Choices({**values, **({added.name: ""} if added.choices else {})}), BUILT_IN)[
        added.name
    ] == (added.default)
    with pytest.raises(WireError, match=added.name):
        arguments.checked(Choices({**values, added.name: "silver" if added.choices else 7}), BUILT_IN)


def test_the_engine_takes_what_the_table_says_and_nothing_else() -> None:
    hints = get_type_hints(Settings, vars(types))
    fields = {field.name: field.default for field in dataclasses.fields(Settings)}
    table = {setting.key: setting for setting in settings.SETTINGS if {"wire", "command"} & set(setting.places)}
    assert set(table) == set(fields)
    for name, setting in table.items():
        if setting.kind == "options":
            continue
        assert fields[name] == setting.neutral, name
        assert get_args(hints[name]) in ((), (int, type(None))) or get_args(hints[name]) == setting.words, name
        if setting.low is None or setting.high is None:
            continue
        for value in (setting.low, setting.high):
            assert getattr(Settings(**{name: value}), name) == value
        for value in (setting.low - 1, setting.high + 1):
            with pytest.raises(SettingsError, match=name):
                Settings(**{name: value})


def test_the_settings_of_a_command_line_are_the_engines_defaults_but_for_the_strength() -> None:
    parser = argparse.ArgumentParser()
    add_painting_arguments(parser)
    assert settings_of(parser.parse_args(["--style", "x"])) == Settings(auto_strength=True)
    assert settings_of(parser.parse_args(["--style", "x", "--strength", "0.5"])) == Settings(strength=0.5)


ALL = ["blend", "pictures", "presets", "regions", "size", "quality", "series"]


@pytest.mark.parametrize(
    ("name", "values", "takes", "is_used"),
    [
        ("quality", {"style-source": "file"}, ALL, True),
        ("quality", {"style-source": "preset"}, ALL, False),
        ("quality", {"style-source": "file"}, ["pictures"], False),
        ("quality", {"style-source": "file"}, None, True),
        ("regions", {"style-source": "layer"}, ALL, True),
        ("regions", {"style-source": "preset"}, ALL, False),
        ("regions", {"style-source": "layer"}, ["size"], False),
        ("consistent", {}, ALL, True),
        ("consistent", {}, ["regions"], False),
        ("style-size", {}, ["size"], False),
        ("color-map", {"color": "match"}, ALL, True),
        ("color-map", {"color": "style"}, ALL, False),
        ("blend", {"selection-only": False}, ALL, False),
        ("region-map", {"regions": "auto"}, ALL, False),
        ("strength", {}, [], True),
    ],
)
def test_what_does_nothing_is_told_by_the_table(name: str, values: Any, takes: list[str] | None, is_used: bool) -> None:
    (setting,) = (one for one in settings.SETTINGS if one.name == name)
    assert settings.is_used(setting, values, takes) is is_used


def test_what_is_grey_counts_as_if_it_had_not_been_touched() -> None:
    values = {"style-source": "preset", "regions": "layers", "region-map": "a layer", "quality": "best"}
    assert settings.effective(values, ALL) == {
        "style-source": "preset",
        "regions": "none",
        "region-map": None,
        "quality": "fast",
    }
    with_picture = values | {"style-source": "layer"}
    assert settings.effective(with_picture, ALL) == with_picture


def test_every_word_that_a_method_must_take_is_one_that_some_method_takes() -> None:
    from engine import methods

    taken = {word for method in methods.catalog() for word in method.takes}
    assert {setting.needs for setting in settings.SETTINGS} - {""} <= taken


def test_no_two_controls_of_the_dialog_have_one_key() -> None:
    keys = [s.title[s.title.index("_") + 1].lower() for s in settings.of("gimp") if "_" in s.title]
    assert len(keys) == len(set(keys)) and "m" not in keys  # which is the key of More


def test_the_docs_have_the_table_of_today() -> None:
    assert settings_table.FILE.read_text("utf-8") == settings_table.page(), "run python3 -m scripts.settings_table"
