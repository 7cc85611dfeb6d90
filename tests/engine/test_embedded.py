"""The embedded feature network: a stand-in for VGG-19 that needs no download."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.core.errors import SettingsError
from engine.core.types import Picture
from engine.features.backbone import VGG19_CHANNELS, Backbone, block_of
from engine.features.backbones import load_backbone, load_vgg19_file
from engine.train.losses.objective import gram

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu3_4")


@pytest.fixture(scope="module")
def embedded() -> Backbone:
    return load_backbone("embedded")


def test_it_answers_with_the_shapes_of_vgg19(embedded: Backbone, cat: Picture) -> None:
    found = embedded(cat.rgb[None], embedded.layers)
    height, width = cat.size
    for name, features in found.items():
        factor = 2 ** (block_of(name) - 1)
        assert features.shape == (1, VGG19_CHANNELS[block_of(name)], height // factor, width // factor)
        assert features.min() >= 0


def test_layers_that_it_has_not_are_refused(embedded: Backbone, cat: Picture) -> None:
    with pytest.raises(SettingsError, match=r"no relu4_1; it goes up to relu3_4.*vgg19"):
        embedded(cat.rgb[None], ["relu4_1"])


def test_its_features_tell_styles_apart(embedded: Backbone, cat: Picture, coffee: Picture) -> None:
    def distance(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((gram(a) - gram(b)).square().sum() / gram(b).square().sum())

    left, right, other = (
        embedded(rgb[None], ["relu3_1"])["relu3_1"]
        for rgb in (cat.rgb[:, :, :128], cat.rgb[:, :, 128:], coffee.rgb[:, :, :128])
    )
    assert distance(left, right) < distance(left, other)


def test_it_is_near_vgg19_on_photos_that_it_has_not_seen(
    embedded: Backbone, portrait: Picture, coffee: Picture, shared_data: Path
) -> None:
    teacher = load_vgg19_file(shared_data / "features" / "vgg19_conv1_1_to_conv3_4.safetensors")
    for picture in (portrait, coffee):
        found, wanted = (net(picture.rgb[None], STYLE_LAYERS) for net in (embedded, teacher))
        for name, limit in zip(STYLE_LAYERS, (0.1, 0.2, 0.35, 0.35), strict=True):
            error = (found[name] - wanted[name]).square().mean() / wanted[name].square().mean()
            assert error < limit, f"{name}: {float(error):.3f}"
