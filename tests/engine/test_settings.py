"""Settings, styles and options are valid once built: nothing malformed fails later, or worse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.core.errors import InputError, SettingsError
from engine.core.options import Option
from engine.core.types import Picture, Settings, Style
from engine.pipeline.series import sample_series
from engine.pipeline.stylize import stylize

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("strength", [-0.1, 1.1, NAN, INF, "0.5", None, True, 1j, [0.5]]),
        ("photoreal", [-1e-9, 2, NAN, "full", None]),
        ("size_px", [0, -5, 15, 8193, 1e300, NAN, "512", 512.5, True]),
        ("style_size_px", [0, 31, 8193, NAN, "64", False]),
        ("seed", [-1, 2**63, 1.5, NAN, "0", None, True]),
        ("color", ["Style", "", None, 3, [], {}]),
        ("device", ["gpu", "cuda:7", None, 0]),
        ("quality", ["fastest", None]),
        ("blend", ["soft", 1]),
        ("color_map", ["x" * 100_000]),
        ("method", ["", None, 5]),
        ("backbone", ["", None, 5]),
        ("composite", [1, None, "yes"]),
        ("auto_strength", [0, "auto"]),
        ("options", [{"depth": NAN}, {"depth": INF}, {"depth": None}, {"depth": [1]}, {"depth": True}, {3: "x"}]),
    ],
)
def test_a_malformed_setting_is_refused_at_the_door(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(SettingsError) as caught:
            Settings(**{name: value})
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("weight", [0, -1, 5e-324, 1e-320, 1e-310, 1e-7, 1e7, 1e300, NAN, INF, -INF, "1", None, True])
def test_a_weight_that_would_drown_or_flood_is_refused(weight: Any) -> None:
    with pytest.raises(SettingsError, match="must be above 0"):
        Style("s", code=torch.zeros(3), weight=weight)


def test_the_extremes_that_are_allowed_paint(cat: Picture, coffee: Picture) -> None:
    styles = [Style("cat", cat, weight=1e-6), Style("coffee", coffee, weight=1e6)]
    assert bool(torch.isfinite(stylize(cat, styles).picture.rgb).all())


@pytest.mark.parametrize(("value", "color"), [(3e38, "match"), (-3e38, "luminance"), (1e-40, "style")])
def test_values_at_the_ends_of_floats_are_painted(cat: Picture, value: float, color: Any) -> None:
    """Their squares are none: what a style or a photo has beyond [0, 1] counts as the end of it."""
    odd = cat.rgb.clone()
    odd[:, 10:60, 10:60] = value
    painted = stylize(cat, [Style("odd", Picture(odd))], Settings(color=color)).picture.rgb
    assert bool(torch.isfinite(painted).all())
    assert bool(torch.isfinite(stylize(Picture(odd), [Style("cat", cat)], Settings(color=color)).picture.rgb).all())


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_values_that_are_no_numbers_are_refused(cat: Picture, value: float) -> None:
    odd = cat.rgb.clone()
    odd[1, 5, 5] = value
    with pytest.raises(InputError, match="not numbers"):
        stylize(Picture(odd), [Style("cat", cat)])
    with pytest.raises(InputError, match="not numbers"):
        stylize(cat, [Style("odd", Picture(odd))])
    with pytest.raises(InputError, match="not numbers"):
        stylize(cat, [Style("odd", code=torch.tensor([value]))])
    assert sample_series([cat]).pictures


@pytest.mark.parametrize("given", ["x", "1e999", "nan", NAN, INF, "", 1.5, "1.5", True, 11, -1])
def test_a_whole_number_of_a_method_is_one(given: Any) -> None:
    with pytest.raises(SettingsError, match="depth must be"):
        Option("depth", 3, "", low=0, high=10).read(given)


@pytest.mark.parametrize(("given", "expected"), [("4", 4), (4, 4), (4.0, 4), ("10", 10)])
def test_a_whole_number_may_come_as_text(given: Any, expected: int) -> None:
    assert Option("depth", 3, "", low=0, high=10).read(given) == expected


@pytest.mark.parametrize("text", ["a\x1b[31mb", "a\nb", "a\x00b"])
def test_a_name_holds_no_escapes(text: str) -> None:
    with pytest.raises(SettingsError, match="characters that no name has"):
        Option("model", "", "").read(text)


def test_a_backbone_that_a_method_does_not_look_through_is_said(cat: Picture, tmp_path: Path) -> None:
    """One that is not there is an error for every method, the default one too."""
    with pytest.raises(SettingsError, match="there is no such file"):
        stylize(cat, [Style("cat", cat)], Settings(backbone=str(tmp_path / "missing.safetensors")))
    (tmp_path / "any.safetensors").write_bytes(b"")
    notes = stylize(cat, [Style("cat", cat)], Settings(backbone=str(tmp_path / "any.safetensors"))).report["notes"]
    assert any("has no use for a backbone" in note for note in notes)
