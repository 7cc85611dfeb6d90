"""The deep embedded feature network, and the way in which its training begins."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.core.types import Picture
from engine.features.backbone import VGG19_CHANNELS, Backbone, block_of
from engine.features.backbones import load_backbone, load_vgg19_file
from engine.features.embedded import DEEP_LAYERS, Deep
from engine.features.vgg import VGG16_CONVS, Vgg16
from engine.models import shipped
from engine.train.pruning import chosen_channels, regression, start_from
from engine.train.recipes.train_deep import correlations, distances, rate_at

MAX_BYTES = 8_000_000


@pytest.fixture(scope="module")
def deep() -> Backbone:
    return load_backbone("deep")


def small_teacher() -> Vgg16:
    """VGG-16 with drawn weights: its shapes, at its scale."""
    generator = torch.Generator().manual_seed(0)
    state, n_in = {}, 3
    for index, name in VGG16_CONVS.items():
        n_out = VGG19_CHANNELS[block_of(name)]
        weight = torch.randn(n_out, n_in, 3, 3, generator=generator) * (2 / (9 * n_in)) ** 0.5
        state[f"features.{index}.weight"] = weight * (100 if index == 0 else 1)
        state[f"features.{index}.bias"] = torch.randn(n_out, generator=generator)
        n_in = n_out
    return Vgg16(state)


def test_it_answers_with_the_shapes_of_vgg16(deep: Backbone, cat: Picture) -> None:
    found = deep(cat.rgb[None], DEEP_LAYERS)
    height, width = cat.size
    for name, features in found.items():
        factor = 2 ** (block_of(name) - 1)
        assert features.shape == (1, VGG19_CHANNELS[block_of(name)], height // factor, width // factor)
        assert features.min() >= 0


def test_it_ships_in_8_bits_and_at_most_8_megabytes() -> None:
    assert shipped.manifest()["deep"].n_bytes <= MAX_BYTES


def test_it_is_near_vgg16_on_photos_that_it_has_not_seen(
    deep: Backbone, portrait: Picture, coffee: Picture, shared_data: Path
) -> None:
    teacher = load_vgg19_file(shared_data / "features" / "vgg16_conv1_1_to_conv5_3.safetensors")
    assert isinstance(teacher, Vgg16)
    found = correlations(deep, teacher, iter([portrait.rgb[None], coffee.rgb[None]]))
    limits = {name: 0.95 if block_of(name) <= 3 else 0.90 for name in DEEP_LAYERS}
    assert {name: value for name, value in found.items() if value < limits[name]} == {}


def test_a_file_of_vgg16_is_told_from_one_of_vgg19(tmp_path: Path, cat: Picture) -> None:
    from safetensors.torch import save_file

    teacher = small_teacher()
    state = {
        f"features.{index}.{kind}": getattr(teacher.convs[name], kind).contiguous()
        for index, name in VGG16_CONVS.items()
        for kind in ("weight", "bias")
        if index <= 17
    }
    save_file(state, tmp_path / "vgg.safetensors")
    backbone = load_vgg19_file(tmp_path / "vgg.safetensors")
    assert backbone.layers[-2:] == ("relu3_3", "relu4_1")
    assert backbone(cat.rgb[None, :, :32, :32], ["relu4_1"])["relu4_1"].shape == (1, 512, 4, 4)


def test_channels_that_others_repeat_are_not_chosen() -> None:
    draws = torch.randn(3, 500, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = torch.stack([3 * draws[0], 2 * draws[1], 1.5 * draws[0] + draws[1], draws[2]])  # the third is a mixture
    assert chosen_channels(torch.cov(values), 3).tolist() == [0, 1, 3]


def test_what_follows_linearly_from_the_kept_channels_is_found() -> None:
    draws = torch.randn(2, 500, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    values = torch.stack([draws[0], draws[1], 2 * draws[0] - 3 * draws[1] + 5])
    weight, constant = regression(values, torch.tensor([0, 1]))
    expected = torch.tensor([[1, 0], [0, 1], [2, -3]], dtype=torch.float64)
    assert (weight - expected).abs().max() < 1e-2
    assert (constant - torch.tensor([0, 0, 5], dtype=torch.float64)).abs().max() < 1e-2


def test_a_student_begins_near_its_teacher(cat: Picture, coffee: Picture) -> None:
    """Better than what knows nothing but each channel's mean, of which the distance is 1."""
    teacher, student = small_teacher(), Deep()
    rgb = torch.stack([cat.rgb[:, :96, :96], coffee.rgb[:, :96, :96]])
    start_from(teacher, student, rgb)
    with torch.no_grad():
        terms = distances(student(rgb, DEEP_LAYERS), teacher(rgb, DEEP_LAYERS))
    assert {name: float(value) for name, value in terms.items() if " " not in name and value >= 0.7} == {}


def test_features_of_the_teacher_itself_have_no_distance_and_correlate_wholly(cat: Picture) -> None:
    teacher = small_teacher()
    features = teacher(cat.rgb[None], DEEP_LAYERS)
    assert max(float(value) for value in distances(features, features).values()) < 2e-3  # the root of 1e-6
    assert set(correlations(teacher, teacher, iter([cat.rgb[None]])).values()) == {1.0}


def test_the_rate_rises_and_falls() -> None:
    rates = [rate_at(step, 1000, 1.0) for step in range(1, 1001)]
    top = rates.index(max(rates))
    assert 0 < top < 50 and rates[:top] == sorted(rates[:top]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)
