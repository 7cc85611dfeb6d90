"""Options of methods over the wire, and as the dialog takes them: words and numbers, few and short."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from gimp_plugin.choices import options as dialog_options
from gimp_plugin.choices.catalog import load
from gimp_plugin.settings import Entry, Setting
from gimp_plugin.wire import WireError
from tests.gimp_plugin.test_wire import a_plane, a_request


@pytest.mark.parametrize(
    "options",
    [
        {"a": True},
        {"a": None},
        {"a": [1]},
        {"a": math.inf},
        {1: "a"},
        {"a": "x" * 2000},
        dict.fromkeys(map(str, range(33)), 1),
    ],
    ids=["a truth", "nothing", "a list", "infinite", "no name", "long", "many"],
)
def test_options_that_are_no_words_or_numbers_or_too_much_are_refused(options: dict[Any, Any]) -> None:
    with pytest.raises(WireError, match="option"):
        dataclasses.replace(a_request(), options=options)


@pytest.mark.parametrize("size", [0, 15, 10**6, 2.5, True])
def test_a_size_that_no_picture_has_is_refused(size: Any) -> None:
    with pytest.raises(WireError, match="size"):
        dataclasses.replace(a_request(), size_px=size)


def test_a_series_that_is_too_long_or_of_no_pictures_is_refused() -> None:
    with pytest.raises(WireError, match="at most 16 pictures"):
        dataclasses.replace(a_request(), series=(a_plane(),) * 17)
    with pytest.raises(WireError, match="series needs the shape"):
        dataclasses.replace(a_request(), series=(a_plane("U8", (2, 2)),))


def test_what_a_user_writes_becomes_options() -> None:
    read = dialog_options.read(" statistic = moments ,iterations=50,, file=a b.pth ")
    assert read == {"statistic": "moments", "iterations": "50", "file": "a b.pth"}
    assert dialog_options.read("") == {}


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("detail=0,7", {"detail": "0.7"}),
        ("detail=0,7, levels=3", {"detail": "0.7", "levels": "3"}),
        ("a=1,5,b=2,25,c=x", {"a": "1.5", "b": "2.25", "c": "x"}),
        ("detail = -0,7 ; levels=3;", {"detail": "-0.7", "levels": "3"}),
        ("tolerance=1,5e-3", {"tolerance": "1.5e-3"}),
        ("a=1,b=2", {"a": "1", "b": "2"}),
        ("detail=0.7", {"detail": "0.7"}),
    ],
)
def test_a_decimal_comma_and_semicolons_are_understood(text: str, options: dict[str, str]) -> None:
    assert dialog_options.read(text) == options


def test_no_text_at_all_means_no_options() -> None:
    """GIMP loses an empty default between its first start and its second."""
    assert dialog_options.read(None) == {}


@pytest.mark.parametrize("text", ["a=1,2,3", "moments", "=3", "iterations=", "a=1, b"])
def test_what_is_no_option_is_refused_in_the_users_words(text: str) -> None:
    with pytest.raises(WireError, match="name=value"):
        dialog_options.read(text)


def test_the_catalog_tells_the_dialog_what_can_be_set(tmp_path: Path) -> None:
    file = tmp_path / "catalog.json"
    choices = {"name": "statistic", "default": "gram", "choices": ["gram", "linear"], "meaning": ""}
    number = {"name": "iterations", "default": 200, "choices": [], "meaning": ""}
    method = {"name": "gatys", "title": "Gatys", "is_ready": True, "options": [choices, number]}
    older = {"name": "wct", "title": "WCT", "is_ready": True}
    file.write_text(json.dumps({"styles": [], "methods": [method, older]}), "utf-8")
    assert [entry.options for entry in load(file).methods] == ["statistic=gram|linear, iterations=200", ""]


@pytest.mark.parametrize("name", ["blend", "color_map", "color", "device", "quality"])
def test_a_word_that_the_contract_does_not_know_is_refused(name: str) -> None:
    with pytest.raises(WireError, match=f"{name} must be one of"):
        dataclasses.replace(a_request(), **{name: "sepia"})


KNOWN = (
    Setting("statistic", "word", "gram", "Statistic", "", (Entry("gram", "gram"), Entry("linear", "linear"))),
    Setting("iterations", "whole", 200, "Iterations", ""),
    Setting("detail", "number", 0.5, "Detail", ""),
    Setting("model", "text", "embedded", "Model", ""),
)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", {}),
        ("iterations=50, detail=0,7", {"iterations": 50, "detail": 0.7}),
        ("statistic=linear; model=a b.pth", {"statistic": "linear", "model": "a b.pth"}),
        ("statistic=mean, iterations=many, depth=3", {}),
        ("iterations", {}),
    ],
)
def test_fields_hold_what_a_text_says_and_write_it_again(text: str, changed: dict[str, Any]) -> None:
    usual = {setting.name: setting.default for setting in KNOWN}
    values = dialog_options.values_of(text, KNOWN)
    assert values == usual | changed
    written = dialog_options.write(values, KNOWN)
    assert {name: str(value) for name, value in changed.items()} == dialog_options.read(written)
