"""What is not painted comes back as it was, to the bit, whatever its range."""

from __future__ import annotations

import pytest
import torch

from engine import methods
from engine.core.types import Mask, Picture, Settings, Style
from engine.pipeline.cache import PaintingCache
from engine.pipeline.stylize import stylize

METHODS = [info.name for info in methods.catalog()]


@pytest.fixture
def wide() -> Picture:
    """(3, 40, 56) of a wide gamut: values from -0.5 to 1.8, whose float32 have all their bits."""
    return Picture(torch.rand(3, 40, 56, generator=torch.Generator().manual_seed(3)) * 2.3 - 0.5)


@pytest.fixture
def style(coffee: Picture) -> Style:
    return Style("coffee", coffee)


def bits(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous().view(torch.int32)


@pytest.mark.parametrize("method", METHODS)
def test_strength_0_is_the_content_to_the_bit(wide: Picture, style: Style, method: str) -> None:
    done = stylize(wide, [style], Settings(method=method, strength=0, photoreal=0.5, color="luminance"))
    assert torch.equal(bits(done.picture.rgb), bits(wide.rgb))
    assert done.report["notes"] == ["strength 0 leaves the picture as it is"]


@pytest.mark.parametrize("settings", [Settings(color="luminance"), Settings(color="match"), Settings(photoreal=1.0)])
def test_outside_the_mask_every_value_stays(wide: Picture, style: Style, settings: Settings) -> None:
    weight = torch.zeros(40, 56)
    weight[10:30, 10:40] = 1
    alpha = torch.ones(40, 56)
    alpha[:, 20:25] = 0
    result = stylize(Picture(wide.rgb, alpha), [style], settings, mask=Mask(weight)).picture
    kept = (weight == 0) | (alpha == 0)
    assert torch.equal(bits(result.rgb[:, kept]), bits(wide.rgb[:, kept]))
    assert not torch.equal(result.rgb[:, ~kept], wide.rgb[:, ~kept])


def test_a_fading_ends_at_the_content_and_not_at_what_of_it_a_screen_shows(wide: Picture, style: Style) -> None:
    full = stylize(wide, [style]).picture.rgb
    faded = stylize(wide, [style], Settings(strength=0.25)).picture.rgb
    torch.testing.assert_close(faded, 0.75 * wide.rgb + 0.25 * full)
    assert float(faded.max()) > 1.2 and float(faded.min()) < -0.2


@pytest.mark.slow
def test_a_kept_painting_and_the_content_are_never_written_to(cat: Picture, style: Style) -> None:
    """Large paintings are changed in place; those that later jobs ask for, and the caller's pixels, are not."""
    content, weight = cat.rgb.clone(), torch.ones(cat.size)
    weight[:20] = 0.5
    cache = PaintingCache()
    changes = [{"color": "luminance"}, {"photoreal": 0.5}, {"strength": 0.5}, {"strength": 0.5, "color": "luminance"}]
    alone = [
        stylize(cat, [style], Settings(**change), mask=Mask(weight)).picture.rgb  # type: ignore[arg-type]
        for change in [{}, *changes]
    ]
    for _ in range(2):
        for change, expected in zip([{}, *changes], alone, strict=True):
            done = stylize(cat, [style], Settings(**change), mask=Mask(weight), cache=cache)  # type: ignore[arg-type]
            assert torch.equal(done.picture.rgb, expected)
    assert torch.equal(cat.rgb, content)
