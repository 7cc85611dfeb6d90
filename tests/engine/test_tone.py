"""Light and dark: the distance sees where light lies, and neither contrast nor color nor detail."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.color.tone import luma, stain_distance, tone_distance
from engine.core.types import Picture


def test_luma_is_the_weighted_sum() -> None:
    rgb = torch.rand(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = 0.299 * rgb[:, :1] + 0.587 * rgb[:, 1:2] + 0.114 * rgb[:, 2:]
    torch.testing.assert_close(luma(rgb), expected)
    assert luma(rgb[0]).shape == (1, 4, 5)


def test_contrast_color_and_strokes_cost_nothing_and_a_patch_does(portrait: Picture) -> None:
    photo = portrait.rgb[None]
    tinted = 0.2 + 0.4 * luma(photo) * torch.tensor([1.0, 0.8, 0.6])[:, None, None]
    assert float(tone_distance(tinted, photo)) < 0.02
    strokes = 0.1 * torch.rand(photo.shape, generator=torch.Generator().manual_seed(0))
    assert float(tone_distance(photo + strokes, photo)) < 0.02
    patched = photo.clone()
    patched[:, :, 64:96, 64:192] *= 0.3
    assert float(tone_distance(patched, photo)) > 0.1


def test_a_negative_is_four_apart_and_an_unrelated_picture_two(portrait: Picture, coffee: Picture) -> None:
    photo = portrait.rgb[None]
    assert float(tone_distance(1 - photo, photo)) == pytest.approx(4, rel=0.25)
    noise = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)).repeat_interleave(8, 2)
    unrelated = noise.repeat_interleave(8, 3).expand(1, 3, -1, -1)
    assert float(tone_distance(unrelated, photo[:, :, :256, :256])) == pytest.approx(2, abs=0.5)


def test_the_distance_is_that_of_a_direct_sum() -> None:
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.rand(1, 3, 32, 48, generator=generator) for _ in range(2))
    terms = []
    for cell in (8, 16):
        planes = []
        for rgb in (a, b):
            light = np.tensordot([0.299, 0.587, 0.114], rgb[0].double().numpy(), 1)
            cells = light.reshape(32 // cell, cell, 48 // cell, cell).mean((1, 3))
            planes.append((cells - cells.mean()) / (cells.std() + 0.02))
        terms.append(((planes[0] - planes[1]) ** 2).mean())
    assert float(tone_distance(a, b)) == pytest.approx(np.mean(terms), rel=2e-3)


def test_only_what_the_weight_covers_counts(portrait: Picture) -> None:
    photo = portrait.rgb[None]
    weight = torch.zeros(1, 1, *photo.shape[2:])
    weight[..., :128] = 1
    spoiled = photo.clone()
    spoiled[..., 128:] = torch.rand(spoiled[..., 128:].shape, generator=torch.Generator().manual_seed(2))
    assert float(tone_distance(spoiled, photo, weight)) < 1e-6
    torch.testing.assert_close(
        tone_distance(1 - photo, photo, weight), tone_distance(1 - photo[..., :128], photo[..., :128])
    )


def test_a_stain_is_color_that_lay_elsewhere(portrait: Picture) -> None:
    photo = portrait.rgb[None]
    assert float(stain_distance(photo, photo)) < 1e-6
    blue = torch.tensor([-0.114, -0.114, 0.886])[:, None, None]  # no lightness
    assert float(stain_distance(photo + 0.2 * blue, photo)) < 1e-6  # all of it in another color: that is the style
    shaded = photo - torch.linspace(0, 0.4, photo.shape[3])
    assert float(stain_distance(shaded, photo)) < 1e-6  # what light does is for ``tone_distance``
    stained = photo.clone()
    stained[:, :, 40:104, 80:144] += 0.2 * blue
    assert float(tone_distance(stained, photo)) < 1e-4
    assert float(stain_distance(stained, photo)) > 0.01
    wider = photo.clone()
    wider[:, :, 40:104, 80:208] += 0.2 * blue
    assert float(stain_distance(wider, photo)) > 1.3 * float(stain_distance(stained, photo))
    speckled = photo + 0.2 * blue * (torch.rand(1, 1, *photo.shape[2:]) - 0.5)
    assert float(stain_distance(speckled, photo)) < 0.2 * float(stain_distance(stained, photo))  # strokes are none
