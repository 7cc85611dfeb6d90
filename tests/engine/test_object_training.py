"""The training of the network that finds objects: its samples, its hints, and that a stopped run loses nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.models import shipped
from engine.networks.object_network import Hint
from engine.train.pictures import cutouts, hints
from engine.train.pictures.folders import is_held_out
from engine.train.recipes import train_object as training

TINY = training.Recipe(steps=3, batch=2, frozen=1, held_out=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Photos of a red disc on green, and their masks; one has none."""
    photos, masks = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("masks")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:200, :240]
    for i in range(12):
        inside = np.hypot(y - rng.integers(70, 130), x - rng.integers(80, 160)) < rng.integers(30, 60)
        rgb = np.where(inside[..., None], (200, 40, 40), (60, 150, 60)) + rng.integers(-20, 20, (200, 240, 3))
        Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).save(photos / f"{i}.png")
        if i:
            Image.fromarray(inside.astype(np.uint8) * 255).save(masks / f"{i}.png")
    return photos, masks


def started(data: tuple[Path, Path]) -> training.Training:
    labeled, measured = (cutouts.read_labeled(*data, TINY.held_out, is_held) for is_held in (False, True))
    scenes = cutouts.Scenes(labeled, cutouts.read_grounds([data[0]], data[1]), [])
    return training.Training(TINY, scenes, measured)


def test_what_is_held_out_is_never_trained_on(data: tuple[Path, Path]) -> None:
    run = started(data)
    trained, measured = ({one.name for one in group} for group in (run.scenes.labeled, run.measured))
    assert trained and measured and not trained & measured and len(trained | measured) == 11
    assert all(is_held_out(name, TINY.held_out) for name in measured)


def test_every_sample_shows_its_object(data: tuple[Path, Path]) -> None:
    scenes, rng = started(data).scenes, np.random.default_rng(1)
    for _ in range(40):
        sample = scenes.sample(rng, (96, 128))
        assert sample.rgb.shape == (96, 128, 3) and sample.label.shape == sample.weight.shape == (96, 128)
        inside = sample.label > 0.5
        assert inside.sum() >= 120 and sample.rgb.min() >= 0 and sample.rgb.max() <= 1
        red = sample.rgb[..., 0] > 1.4 * sample.rgb[..., 1]
        assert red[inside].mean() > 0.8 or sample.rgb.std() < 0.2  # hidden parts belong to no object; gray light to all


def test_hints_are_where_the_object_is() -> None:
    mask, rng = np.zeros((60, 80), bool), np.random.default_rng(0)
    mask[20:40, 30:60] = True
    for _ in range(50):
        assert mask[hints.clicked(mask, rng)]
        for region in (hints.boxed(mask, rng), hints.lassoed(mask, rng)):
            assert (region & mask).sum() > 0.75 * mask.sum() and region.sum() < 4 * mask.sum()


def test_a_correction_is_set_in_the_largest_error() -> None:
    goal, found = np.zeros((40, 40), bool), np.zeros((40, 40), np.float32)
    goal[10:30, 10:30] = True
    found[10:30, 10:20], found[32:36, 0:4] = 1, 1
    hint = Hint()
    assert hints.corrected(hint, found, goal) and not hint.beside
    (place,) = hint.on
    assert 10 <= place[0] < 30 and 20 <= place[1] < 30
    found[10:30, 10:30] = 1
    assert hints.corrected(hint, found, goal) and 32 <= hint.beside[0][0] < 36 and hint.beside[0][1] < 4
    assert not hints.corrected(hint, goal.astype(np.float32), goal)


def test_unsure_labels_weigh_less_and_a_true_answer_costs_little() -> None:
    label = torch.zeros(1, 1, 32, 32)
    label[..., 8:24, 8:24] = 1
    weight = torch.ones_like(label)
    right = (label - 0.5) * 30
    wrong = right.clone()
    wrong[..., 8:16, 8:24] *= -1
    assert float(training.loss(right, label, weight)) < 0.01 < float(training.loss(wrong, label, weight))
    unsure = torch.where(wrong * right < 0, 0.1, 1.0)
    assert float(training.loss(wrong, label, unsure)) < 0.5 * float(training.loss(wrong, label, weight))


def test_the_trunk_waits_and_a_stopped_run_goes_on_to_the_bit(data: tuple[Path, Path], tmp_path: Path) -> None:
    whole, first = started(data), started(data)
    before = {name: value.clone() for name, value in whole.net.trunk.state_dict().items()}
    whole.advance()
    assert all(torch.equal(value, before[name]) for name, value in whole.net.trunk.state_dict().items())
    whole.advance()
    moved = [name for name, value in whole.net.trunk.state_dict().items() if not torch.equal(value, before[name])]
    assert {name.partition(".")[0] for name in moved} == set(training.TUNED)
    first.advance()
    first.save(tmp_path)
    second = started(data)
    assert second.resume(tmp_path)
    second.advance()
    for name, value in whole.net.state_dict().items():
        torch.testing.assert_close(second.net.state_dict()[name], value, rtol=0, atol=0)


def test_a_run_says_how_well_held_out_photos_are_found(
    data: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started(data).preview(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").is_file()
    assert "box, click, nothing, two corrections" in capsys.readouterr().out


def test_a_training_can_begin_with_the_network_that_ships(data: tuple[Path, Path]) -> None:
    recipe = replace(TINY, is_continued=True)
    fresh, run = (training.Training(one, started(data).scenes, []) for one in (TINY, recipe))
    ships = shipped.load_shipped("object")
    for name, value in run.average.state_dict().items():
        assert torch.equal(value, ships[name]), name
    assert not torch.equal(fresh.net.head.out2.weight, run.net.head.out2.weight)
