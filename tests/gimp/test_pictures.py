"""In a real GIMP, for every kind of picture: the selection is painted and the rest does not move, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.gimp.conftest import Played

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

KINDS = ("jpeg", "png16", "float_tiff", "float_linear", "half", "u16_linear", "rgba", "rgba_float")
GRAY_KINDS = ("gray", "gray16", "gray_float")
# GIMP mixes gray layers as RGB and weighs them back to gray in floats: even without our layer it moves gray floats
# by one rounding step, so there the promise is that step.
GRAY_FLOAT_STEP = 6e-7


@pytest.fixture(params=KINDS + GRAY_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def n_colors(kind: str) -> int:
    return 1 if kind in GRAY_KINDS else 3


def test_the_filter_makes_a_layer(played: Played, kind: str) -> None:
    facts = played.facts(f"picture {kind}")
    assert facts["status"] == "SUCCESS", facts["message"]
    layer = facts["layer"]
    assert layer["name"] == "The Starry Night, Vincent van Gogh (Neural Style)"
    assert layer["size"] == [facts["width"], facts["height"]]
    assert layer["has_mask"] and layer["applies_mask"] and not layer["edits_mask"]
    assert layer["siblings"][0] == layer["name"] and len(layer["siblings"]) == 2
    assert facts["n_images_more"] == 0


def test_pixels_outside_the_selection_do_not_move(played: Played, kind: str) -> None:
    facts = played.facts(f"picture {kind}")
    source, merged = (played.pixels(f"{kind}-{name}", facts) for name in ("source", "merged"))
    outside = played.pixels(f"{kind}-selection", facts, "f4")[..., 0] == 0
    assert 0.3 < outside.mean() < 0.95
    colors = n_colors(kind)
    if source.shape[2] > colors:  # where nothing is seen GIMP keeps no colors; alpha must be exact everywhere
        np.testing.assert_array_equal(merged[outside, colors], source[outside, colors])
        outside &= source[..., colors] > 0
    moved = np.abs(merged[outside, :colors].astype(np.float64) - source[outside, :colors])
    assert moved.max() <= (GRAY_FLOAT_STEP if kind == "gray_float" else 0)


def test_flattening_moves_nothing_that_it_does_not_move_without_us(played: Played, kind: str) -> None:
    facts = played.facts(f"picture {kind}")
    alone, flat = (played.pixels(f"{kind}-{name}", facts) for name in ("alone", "flat"))
    outside = played.pixels(f"{kind}-selection", facts, "f4")[..., 0] == 0
    source = played.pixels(f"{kind}-source", facts)[..., : n_colors(kind)]
    if np.array_equal(alone[outside], source[outside]):
        np.testing.assert_array_equal(flat[outside], source[outside])
    else:  # GIMP's flattening itself rounds, or shows a background through the alpha
        assert np.abs(flat[outside].astype(np.float64) - alone[outside]).max() <= GRAY_FLOAT_STEP


def test_flattening_is_exact_for_the_usual_kinds(played: Played) -> None:
    for kind in ("jpeg", "png16", "float_linear", "half", "u16_linear", "gray", "gray16"):
        facts = played.facts(f"picture {kind}")
        outside = played.pixels(f"{kind}-selection", facts, "f4")[..., 0] == 0
        source, flat = (played.pixels(f"{kind}-{name}", facts) for name in ("source", "flat"))
        np.testing.assert_array_equal(flat[outside], source[outside], err_msg=kind)


def test_inside_the_selection_is_what_the_engine_painted(played: Played, kind: str) -> None:
    """The fake engine paints the negative in sRGB encoding: an oracle that needs no engine."""
    facts = played.facts(f"picture {kind}")
    source, layer = (played.pixels(f"{kind}-{name}", facts) for name in ("source", "layer"))
    inside = played.pixels(f"{kind}-selection", facts, "f4")[..., 0] > 0.5
    colors = n_colors(kind)
    top = np.iinfo(source.dtype).max if source.dtype.kind == "u" else 1.0
    seen = inside if source.shape[2] == colors else inside & (source[..., colors] > 0)
    before, after = (x[seen, :colors].astype(np.float64) / top for x in (source, layer))
    is_linear = kind in ("float_linear", "half", "u16_linear")
    expected = decode(1 - encode(before)) if is_linear else 1 - before
    assert np.abs(after - expected).max() < {"f2": 1e-3, "u1": 1e-9, "u2": 2 / 65535, "f4": 3e-6}[facts["dtype"]]
    assert np.abs(after - before).mean() > 0.1
    np.testing.assert_array_equal(layer[..., colors:], source[..., colors:])


def encode(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1: linear light to sRGB."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


def decode(encoded: np.ndarray) -> np.ndarray:
    """The inverse of ``encode``."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def test_the_layer_mask_is_the_selection(played: Played, kind: str) -> None:
    facts = played.facts(f"picture {kind}")
    mask, selection = (played.pixels(f"{kind}-{name}", facts, "f4") for name in ("mask", "selection"))
    np.testing.assert_array_equal(mask, selection)
    assert np.unique(selection).size > 20  # soft


def test_source_and_selection_are_untouched(played: Played, kind: str) -> None:
    facts = played.facts(f"picture {kind}")
    assert facts["source_is_untouched"] and facts["selection_is_untouched"]


def test_outside_the_computed_box_the_layer_holds_the_source(played: Played) -> None:
    """So that a mask can be painted larger without holes."""
    jpeg = played.facts("picture jpeg")
    source, layer = (played.pixels(f"jpeg-{name}", jpeg) for name in ("source", "layer"))
    np.testing.assert_array_equal(source[:, :30], layer[:, :30])


def test_the_settings_are_kept_in_the_layer(played: Played, kind: str) -> None:
    facts = played.facts(f"picture {kind}")
    settings = facts["settings"]
    assert settings["style-preset"] == "starry-night" and settings["style-source"] == "preset"
    assert settings["method"] == "anystyle" and settings["strength"] == 1.0 and settings["selection-only"] is True
    assert settings["report"]["method"] == "fake"
    assert facts["parasite_is_persistent"]
