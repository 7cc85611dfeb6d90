"""Promises that every registered method keeps, on a real photo."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import methods
from engine.core.errors import SettingsError
from engine.core.method import register
from engine.core.types import Mask, Picture, Settings, Style
from engine.pipeline.stylize import stylize

READY = [info.name for info in methods.catalog() if info.is_ready]


def quick(name: str, **more: Any) -> Settings:
    """Settings of a method, with few iterations where it iterates: what holds here holds after the first."""
    options = {"iterations": 6} if "iterations" in {option.name for option in methods.get(name).options} else {}
    return Settings(method=name, options=options, **more)


def test_the_default_method_is_ready_without_any_download() -> None:
    assert Settings().method in READY


def test_lists_begin_with_the_default_method_and_go_on_by_name() -> None:
    names = [info.name for info in methods.catalog()]
    assert names[0] == Settings().method
    assert names[1:] == sorted(names[1:]) and len(names) > 2


@pytest.mark.slow
@pytest.mark.parametrize("name", READY)
def test_result_has_the_size_of_the_content_and_finite_values(name: str, cat: Picture, coffee: Picture) -> None:
    result = stylize(cat, [Style("coffee", coffee)], quick(name)).picture
    assert result.rgb.shape == cat.rgb.shape
    assert result.rgb.dtype == torch.float32
    assert torch.isfinite(result.rgb).all()
    assert result.rgb.min() >= 0
    assert result.rgb.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", READY)
def test_the_same_seed_gives_the_same_picture(name: str, cat: Picture, coffee: Picture) -> None:
    settings = quick(name, seed=3)
    first = stylize(cat, [Style("coffee", coffee)], settings).picture.rgb
    assert torch.equal(first, stylize(cat, [Style("coffee", coffee)], settings).picture.rgb)


@pytest.mark.slow
@pytest.mark.parametrize("name", READY)
def test_pixels_outside_the_mask_do_not_move(name: str, cat: Picture, coffee: Picture, disc: Mask) -> None:
    result = stylize(cat, [Style("coffee", coffee)], quick(name, photoreal=0.5), mask=disc).picture
    outside = disc.weight == 0
    assert torch.equal(result.rgb[:, outside], cat.rgb[:, outside])
    assert (result.rgb - cat.rgb)[:, disc.weight == 1].abs().mean() > 0.01


@pytest.mark.parametrize("name", READY)
def test_strength_zero_returns_the_content_within_a_byte(name: str, cat: Picture, coffee: Picture) -> None:
    result = stylize(cat, [Style("coffee", coffee)], quick(name, strength=0)).picture
    assert (result.rgb - cat.rgb).abs().max() <= 1 / 255


def test_an_unknown_method_is_named_and_the_known_ones_listed() -> None:
    with pytest.raises(SettingsError, match=r"no method 'nothing'; the methods are .*anystyle"):
        methods.get("nothing")


def test_registering_a_name_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        register("anystyle", title="", paper="", kind="")(lambda job: job.content.rgb)


def test_every_file_of_the_folder_registers_methods_and_the_names_are_the_documented_ones() -> None:
    for path in Path(methods.__file__).parent.glob("[a-z]*.py"):
        calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
        names_called = [getattr(call.func, "id", "") for call in calls]
        assert names_called.count("register") == 1 or "register_network" in names_called, path
    names = "anystyle analogy cnnmrf cyclegan discogan gatys johnson msgnet photoreal photowct ulyanov wct"
    assert [info.name for info in methods.catalog()] == names.split()
