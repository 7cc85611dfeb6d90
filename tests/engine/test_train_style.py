"""The trainings of networks of one style and of several: equation, loss, resuming, what they say and write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from skimage import data
from torch import Tensor

from engine.core.errors import InputError, SettingsError
from engine.core.types import Picture
from engine.features.backbone import Backbone
from engine.features.backbones import load_backbone
from engine.networks.anystyle_network import load_anystyle
from engine.painters import multi_style, single_style
from engine.train import loop, painting
from engine.train.losses import objective
from engine.train.losses.style_targets import goal_of, patch_loss, targets_of
from engine.train.pictures.synthetic_photos import DeadLeaves
from engine.train.recipes import train_msgnet, train_style

QUICK = train_style.Recipe(steps=6, batch=1, size_px=112, style_px=128, is_bf16=False, seed=5)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("embedded")


@pytest.fixture(scope="module")
def painted(coffee: Picture) -> Tensor:
    """A style picture."""
    return coffee.rgb[None]


def test_total_variation_is_its_formula() -> None:
    rgb = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    for b in range(2):
        x = rgb[b].numpy()
        down = [abs(x[c, i + 1, j] - x[c, i, j]) for c in range(3) for i in range(4) for j in range(4)]
        across = [abs(x[c, i, j + 1] - x[c, i, j]) for c in range(3) for i in range(5) for j in range(3)]
        assert float(objective.total_variation(rgb)[b]) == pytest.approx(np.mean(down) + np.mean(across), rel=1e-5)


def test_the_loss_is_the_weighted_sum_of_its_terms(backbone: Backbone, painted: Tensor) -> None:
    """The survey's equation (1): content, style, total variation, each with its weight; and ours beside them."""
    recipe = replace(QUICK, content=2.0, style=3.0, patch=0.5, variation=7.0)
    training = train_style.Training(recipe, backbone, DeadLeaves(), painted)
    terms = {name: torch.tensor([1.0, 3.0]) * i for i, name in enumerate(recipe.weights, 1)}
    w = {"content": 2.0, "style": 3.0, "patch": 0.5, "variation": 7.0, "grid": 5.0, "peaks": 4.0, "range": 20.0}
    expected = sum(2.0 * i * w[name] for i, name in enumerate(recipe.weights, 1))
    assert float(objective.weighted_sum(terms, recipe.weights)) == pytest.approx(expected)
    assert set(training.losses(training.batch(), training.draw_goals())) == set(w)


def test_a_goal_is_met_by_its_own_picture_alone(backbone: Backbone, painted: Tensor, portrait: Picture) -> None:
    goal = goal_of(backbone, painted, 160)
    assert max(goal.rgb.shape[2:]) == 160
    own = objective.pyramid(backbone, goal.rgb)
    other = objective.pyramid(backbone, portrait.rgb[None, :, :160, :160])
    assert float(objective.style_distance(own, targets_of([goal]))) < 1e-6
    assert float(objective.style_distance(other, targets_of([goal]))) > 0.1
    assert float(patch_loss(own, [goal])) < 0.6 * float(patch_loss(other, [goal]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["johnson", "ulyanov"])
def test_a_run_that_was_cut_goes_on_bit_for_bit(kind: str, tmp_path: Path, backbone: Backbone, painted: Tensor) -> None:
    recipe = replace(QUICK, kind=kind, steps=4)
    whole = train_style.Training(recipe, backbone, DeadLeaves(), painted)
    loop.run(whole, tmp_path / "whole")
    first = train_style.Training(recipe, backbone, DeadLeaves(), painted)
    for _ in range(2):
        first.advance()
    first.save(tmp_path)
    second = train_style.Training(recipe, backbone, DeadLeaves(), painted)
    second.restore(tmp_path / "checkpoint.pt")
    while second.step < recipe.steps:
        second.advance()
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, second.net.state_dict()[name]), name
    card = (tmp_path / "whole" / "card.md").read_text("utf-8")
    assert f"kind {kind}" in card and "**Commit**" in card
    assert (tmp_path / "whole" / "preview-000004.png").is_file()
    assert single_style.load_one_style(str(tmp_path / "whole" / f"{kind}.safetensors"), kind).kind == kind


@pytest.mark.slow
def test_the_loss_falls_in_a_shortened_run(backbone: Backbone, painted: Tensor) -> None:
    training = train_style.Training(replace(QUICK, steps=60, rate=3e-3, batch=2), backbone, DeadLeaves(), painted)
    losses = [training.advance()["loss"] for _ in range(16)]
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])


@pytest.mark.slow
def test_starting_from_the_any_style_network_is_half_the_way(backbone: Backbone, painted: Tensor) -> None:
    seen = []
    for source in (None, load_anystyle()):
        training = train_style.Training(replace(QUICK, batch=2, steps=60), backbone, DeadLeaves(), painted)
        if source is not None:
            training.start_from(source)
        steps = [training.advance() for _ in range(6)]
        seen.append([float(np.mean([terms[name] for terms in steps])) for name in ("loss", "style", "content")])
    (raw_loss, raw_style, raw_content), (loss, style_term, content) = seen
    assert loss < 0.9 * raw_loss
    assert style_term < 0.85 * raw_style
    assert content < 0.7 * raw_content


@pytest.mark.slow
def test_many_styles_are_saved_with_their_codes(
    tmp_path: Path, backbone: Backbone, painted: Tensor, cat: Picture
) -> None:
    styles = {"coffee": painted, "cat": cat.rgb[None]}
    recipe = painting.Recipe(steps=2, batch=2, size_px=112, style_px=128, is_bf16=False)
    training = train_msgnet.Training(recipe, backbone, DeadLeaves(3), styles)
    training.start_from(load_anystyle(), DeadLeaves(3))
    loop.run(training, tmp_path)
    known = multi_style.of_state(load_file(tmp_path / "msgnet.safetensors"), "msgnet")
    assert {name: sorted(sizes) for name, sizes in known.codes.items()} == {
        "coffee": [64, 96, 128],
        "cat": [64, 96, 128],
    }
    again = train_msgnet.Training(recipe, backbone, DeadLeaves(3), styles)
    again.restore(tmp_path / "checkpoint.pt")
    assert again.step == 2
    again.start_again(load_file(tmp_path / "msgnet.safetensors"))


def test_made_up_scenes_depend_on_the_seed_alone_and_fill_the_range() -> None:
    a, b = (DeadLeaves().crop(np.random.default_rng(4), 96, (1, 1)) for _ in range(2))
    assert torch.equal(a, b)
    assert a.shape == (3, 96, 96)
    assert 0 <= float(a.min()) < float(a.max()) <= 1
    assert float(a.std()) > 0.05


@pytest.mark.slow
def test_the_command_trains_without_photos_and_without_vgg(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(data.coffee()[:200, :200]).save(tmp_path / "style.png")
    words = ["--style", str(tmp_path / "style.png"), "-o", str(tmp_path / "run"), "--kind", "ulyanov"]
    words += ["--steps", "1", "--batch", "1", "--size-px", "112", "--style-px", "128", "--device", "cpu", "--float32"]
    assert train_style.main(words) == 0
    assert "made-up scenes" in capsys.readouterr().out
    assert (tmp_path / "run" / "ulyanov.safetensors").is_file()


def test_too_few_photos_and_unknown_kinds_are_told(tmp_path: Path) -> None:
    Image.fromarray(data.coffee()).save(tmp_path / "one.png")
    with pytest.raises(InputError, match="has 1 usable photos; at least 20"):
        train_style.read_photos(tmp_path, 144)
    with pytest.raises(SettingsError, match="kind must be one of"):
        train_style.Recipe(kind="picasso")
    with pytest.raises(InputError, match="one or more style pictures"):
        train_msgnet.read_styles([])
