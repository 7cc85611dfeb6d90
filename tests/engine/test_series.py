"""Pictures of a series are painted by the same statistics; the same thing looks the same in all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data

from engine.core.types import Picture, Settings
from engine.files.presets import load_preset
from engine.methods.anystyle import pooled
from engine.networks.moments import rgb_moments
from engine.pipeline.series import SAMPLE_PX, sample, sample_series
from engine.pipeline.stylize import stylize


@pytest.fixture(scope="module")
def photo() -> Picture:
    """(3, 300, 451)"""
    return Picture(torch.from_numpy(data.chelsea().copy()).permute(2, 0, 1).float() / 255)


def test_colors_of_pictures_that_count_alike_are_those_of_all_their_pixels(photo: Picture) -> None:
    parts = [photo.rgb[None, :, :, start : start + 150] for start in (0, 150, 300)]
    moments = pooled(torch.stack([rgb_moments(part)[0] for part in parts]))
    pixels = torch.cat(parts, 3)[0].flatten(1).numpy().astype(np.float64)
    expected = np.concatenate([pixels.mean(1), np.cov(pixels, bias=True).ravel()])
    assert np.abs(moments.numpy() - expected).max() < 1e-5


@pytest.mark.slow
def test_two_crops_agree_where_they_overlap(photo: Picture) -> None:
    """At full strength of the network; the independent runs are the measure."""
    crops = [Picture(photo.rgb[:, :, :256].contiguous()), Picture(photo.rgb[:, :, 128:384].contiguous())]
    style, settings = [load_preset("starry-night")], Settings()

    def gap(series: object) -> float:
        painted = [stylize(crop, style, settings, series=series).picture.rgb for crop in crops]  # type: ignore[arg-type]
        inner = slice(52, 76)  # away from either crop's border, which is mirrored
        return float((painted[0][:, 20:-20, 128:][..., inner] - painted[1][:, 20:-20, :128][..., inner]).abs().mean())

    together, alone = gap(sample_series(crops)), gap(None)
    assert together < 1 / 255
    assert together < 0.25 * alone


@pytest.mark.slow
def test_a_series_has_one_strength(photo: Picture) -> None:
    pictures = [
        photo,
        Picture(photo.rgb * 0.3),
        Picture(torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0))),
    ]
    series = sample_series(pictures)
    settings = Settings(auto_strength=True)
    style = [load_preset("composition-vi")]
    strengths = {stylize(p, style, settings, series=series).report["strength"] for p in pictures}
    own = [stylize(p, style, settings).report["strength"] for p in pictures]
    assert strengths == {min(own)}


def test_of_a_large_picture_only_crops_are_kept() -> None:
    rgb = torch.rand(3, 2000, 3000, generator=torch.Generator().manual_seed(0))
    kept = sample(Picture(rgb)).rgb
    assert kept.shape == (3, SAMPLE_PX, SAMPLE_PX)
    assert torch.equal(kept[:, :256, :256], rgb[:, :256, :256])  # its own pixels, not a thumbnail's
    assert torch.equal(kept[:, -256:, -256:], rgb[:, -256:, -256:])
    assert max(sample(Picture(rgb), 300).size) == 300
