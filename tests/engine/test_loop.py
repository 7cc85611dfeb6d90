"""What all trainings share: log, checkpoints, weights, card, the recipe on the command line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from engine.train import painting
from engine.train.loop import CPU, Card, Part, Run, TorchRandom, Usual, as_stored, follow, replacing, run
from engine.train.recipe import FLOAT32, add_arguments, recipe_of
from engine.train.recipes import train_anystyle, train_decoder, train_segnet, train_style, train_unpaired


@dataclass(frozen=True)
class Recipe:
    steps: int = 25
    seed: int = 3
    crop_h_px: int = 8
    rate: float = 0.5
    kind: str = field(default="plain", metadata={"choices": ("plain", "odd")})
    content: float = field(default=1.0, metadata={"option": "--content-weight"})
    is_bf16: bool = field(default=True, metadata=FLOAT32)
    is_loud: bool = field(default=False, metadata={"option": "--loud"})


class Unsaveable:
    """A part that a checkpoint cannot hold: writing breaks off in the middle of the file."""

    def state_dict(self) -> object:
        return lambda: None

    def load_state_dict(self, state_dict: object) -> None:
        raise NotImplementedError


class Walk(Run):
    """Adds random numbers of both generators to a weight; its one term is the number of the step."""

    recipe: Recipe

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, CPU)
        torch.manual_seed(recipe.seed)
        self.net = nn.Linear(1, 1)
        self.others: dict[str, Part] = {}

    def advance(self) -> dict[str, float]:
        self.step += 1
        with torch.no_grad():
            self.net.weight += float(self.rng.random()) + torch.rand(1)
        return {"number": float(self.step)} | ({"even": 1.0} if self.step % 2 == 0 else {})

    def parts(self) -> Mapping[str, Part]:
        return {"net": self.net, "torch_rng": TorchRandom(), **self.others}

    def shipped(self) -> dict[str, dict[str, Tensor]]:
        return {"walk": self.net.state_dict()}

    def preview(self, path: Path) -> None:
        path.touch()

    def card(self) -> Card:
        return Card("walk: a weight", "one number", "dice", "walk -o RUN")


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]


def test_a_line_of_the_log_has_the_means_of_its_steps(tmp_path: Path) -> None:
    run(Walk(Recipe()), tmp_path / "run", log_every=10, preview_every=20)
    lines = log_of(tmp_path / "run")
    assert [line["step"] for line in lines] == [10, 20, 25]
    assert [line["number"] for line in lines] == [5.5, 15.5, 23.0]
    assert [line["even"] for line in lines] == [1.0, 1.0, 1.0]  # over the steps that have the term
    assert all(0 <= line["seconds_per_step"] < 1 for line in lines)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        *("card.md", "checkpoint.pt", "log.jsonl", "preview-000020.png", "preview-000025.png", "walk.safetensors"),
    ]


def test_checkpoints_come_as_often_as_asked_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr(Walk, "save", lambda self, folder: saved.append(self.step))
    run(Walk(Recipe()), tmp_path, save_every=10)
    assert saved == [10, 20, 25]


def test_a_run_that_was_cut_is_the_whole_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Walk(Recipe())
    assert not first.resume(tmp_path)
    for _ in range(10):
        first.advance()
    first.hours = 2.0
    first.save(tmp_path)
    second = Walk(Recipe(seed=4))
    assert second.resume(tmp_path)
    assert "going on from step 10" in capsys.readouterr().out
    run(second, tmp_path)
    whole = Walk(Recipe())
    run(whole, tmp_path / "whole")
    assert torch.equal(second.net.weight, whole.net.weight)
    assert 2.0 < second.hours < 2.1
    assert log_of(tmp_path)[-1]["number"] == pytest.approx(np.mean(range(21, 26)))


def test_a_save_that_breaks_off_leaves_the_former_files(tmp_path: Path) -> None:
    training = Walk(Recipe())
    training.save(tmp_path)
    former = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    training.advance()
    training.others["odd"] = Unsaveable()
    with pytest.raises(Exception, match="pickle"):
        training.save(tmp_path)
    assert (tmp_path / "checkpoint.tmp").exists()  # it had begun
    assert {name: (tmp_path / name).read_bytes() for name in former} == former
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "walk.safetensors") as path:
        path.write_bytes(b"half of")
        raise KeyboardInterrupt
    assert (tmp_path / "walk.safetensors").read_bytes() == former["walk.safetensors"]


def test_weights_carry_steps_and_recipe(tmp_path: Path) -> None:
    training = Walk(Recipe(steps=1))
    run(training, tmp_path)
    with safe_open(tmp_path / "walk.safetensors", "pt") as file:
        notes = file.metadata()
    assert notes["steps"] == "1" and Recipe(**json.loads(notes["recipe"])) == training.recipe
    assert torch.equal(load_file(tmp_path / "walk.safetensors")["weight"], training.net.weight.half())


def test_the_card_tells_what_the_run_was(tmp_path: Path) -> None:
    run(Walk(Recipe(steps=2)), tmp_path)
    card = (tmp_path / "card.md").read_text("utf-8")
    for words in (
        "# walk: a weight\n",
        "**What it is**: one number.",
        "**Trained on**: dice.",
        "`python -m engine.train.recipes.train_walk -o RUN`: steps 2, seed 3, crop_h_px 8,",
        "**Steps**: 2, 0.00 hours on cpu.",
        (tmp_path / "log.jsonl").read_text("utf-8").strip(),
    ):
        assert words in card


def test_halves_are_stored_but_for_statistics_and_counters() -> None:
    norm = nn.BatchNorm2d(2)
    norm.running_var.fill_(1e6)  # half precision ends at 65504
    stored = as_stored(norm.state_dict())
    assert {name: value.dtype for name, value in stored.items()} == {
        "weight": torch.float16,
        "bias": torch.float16,
        "running_mean": torch.float32,
        "running_var": torch.float32,
        "num_batches_tracked": torch.int64,
    }
    assert bool((stored["running_var"] == 1e6).all())


@pytest.mark.parametrize(("step", "keep"), [(1, 2 / 11), (10_000, 0.9)])
def test_an_average_follows_faster_at_first(step: int, keep: float) -> None:
    average, net = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.constant_(average.weight, 1.0)
    nn.init.constant_(net.weight, 3.0)
    follow(average, net, 0.9, step)
    assert average.weight.item() == pytest.approx(keep * 1.0 + (1 - keep) * 3.0)
    assert net.weight.item() == 3.0


def test_outliers_are_left_out_and_do_not_count_as_usual() -> None:
    usual = Usual()
    assert not usual.takes(float("nan")) and not usual.takes(float("inf"))
    assert usual.takes(10.0) and usual.loss == 10.0
    assert not usual.takes(40.0) and not usual.takes(float("nan")) and usual.loss == 10.0
    assert usual.takes(39.0) and usual.loss == pytest.approx(0.95 * 10 + 0.05 * 39)
    again = Usual()
    again.load_state_dict(usual.state_dict())
    assert again.loss == usual.loss


def parsed(kind: type[Any], *words: str) -> Any:
    parser = argparse.ArgumentParser()
    add_arguments(parser, kind)
    return recipe_of(parser.parse_args([*words, "-o", "RUN"]), kind)


def test_a_recipe_comes_back_from_its_options() -> None:
    assert parsed(Recipe) == Recipe()
    words = ["--steps", "7", "--crop-h-px", "16", "--rate", "1e-3", "--kind", "odd", "--content-weight", "2"]
    expected = Recipe(steps=7, crop_h_px=16, rate=1e-3, kind="odd", content=2.0, is_bf16=False, is_loud=True)
    assert parsed(Recipe, *words, "--float32", "--loud") == expected


@pytest.mark.parametrize("words", [["--kind", "even"], ["--steps", "1.5"], ["--bf16"]])
def test_what_no_recipe_has_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(Recipe, *words)


@pytest.mark.parametrize(
    "trainer", [train_anystyle, train_decoder, painting, train_segnet, train_style, train_unpaired]
)
def test_the_options_of_every_trainer_give_its_own_recipe(trainer: Any) -> None:
    assert parsed(trainer.Recipe) == trainer.Recipe()
    assert parsed(trainer.Recipe, "--steps", "9", "--seed", "2") == trainer.Recipe(steps=9, seed=2)


def test_trainers_keep_the_names_of_their_options() -> None:
    words = ["--kind", "ulyanov", "--style-weight", "3", "--variation-weight", "0.5", "--float32"]
    assert parsed(train_style.Recipe, *words) == train_style.Recipe(
        kind="ulyanov", style=3.0, variation=0.5, is_bf16=False
    )
    assert parsed(train_unpaired.Recipe, "--kind", "discogan") == train_unpaired.Recipe(kind="discogan")
