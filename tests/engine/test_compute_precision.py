"""The arithmetic that a computer is fastest with: found once, remembered, void elsewhere, and harmless."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.compute import precision
from engine.compute.precision import USUAL, Arithmetic
from engine.core.types import Picture
from engine.files.presets import load_preset
from engine.methods import anystyle

KEPT = precision.recall  # before the fixture of these tests replaces it


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(precision, "recall", KEPT)
    monkeypatch.setenv("IMPASTO_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "arithmetic.json"


def test_the_usual_one_stays_unless_another_is_clearly_faster() -> None:
    planes, half = Arithmetic(is_channels_last=False), Arithmetic(is_half=True)
    assert precision.choose({USUAL: 1.0, planes: 0.95, half: 0.92}) == USUAL
    assert precision.choose({USUAL: 1.0, planes: 0.7, half: 0.6}) == half


def test_it_is_timed_once_and_remembered(notes: Path) -> None:
    net, n_runs = nn.Conv2d(3, 4, 3), 0

    def run(rgb: torch.Tensor) -> torch.Tensor:
        nonlocal n_runs
        n_runs += 1
        return net(rgb)

    first = precision.fastest(net, run)
    n_timed = n_runs
    assert n_timed == precision.ROUNDS * len(precision.choices())
    assert precision.fastest(net, run) == first
    assert n_runs == n_timed
    assert list(json.loads(notes.read_text("utf-8"))) == [precision.computer()]


def test_another_number_of_threads_does_not_void_what_was_found_before(
    notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planes, here = Arithmetic(is_channels_last=False), precision.computer()
    precision.remember(planes)
    for n in range(precision.N_NOTES):
        assert len(json.loads(notes.read_text("utf-8"))) == n + 1
        monkeypatch.setattr(precision, "computer", lambda name=f"{n} threads": name)
        assert precision.recall() is None
        monkeypatch.setattr(precision, "computer", lambda: here)
        assert precision.recall() == planes
        monkeypatch.setattr(precision, "computer", lambda name=f"{n} threads": name)
        precision.remember(USUAL)
    assert len(json.loads(notes.read_text("utf-8"))) == precision.N_NOTES  # the oldest is gone
    monkeypatch.setattr(precision, "computer", lambda: here)
    assert precision.recall() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"another computer": {}}', '{"HERE": {"is_wrong": 1}}', "\x00"])
def test_notes_of_another_computer_and_damaged_ones_count_for_nothing(notes: Path, text: str) -> None:
    notes.parent.mkdir()
    notes.write_text(text.replace("HERE", precision.computer()), "utf-8")
    assert precision.recall() is None


def test_a_folder_that_cannot_be_written_to_is_no_error(notes: Path) -> None:
    notes.parent.write_text("a file where the folder should be", "utf-8")
    precision.remember(USUAL)
    assert precision.recall() is None


def test_half_precision_is_offered_only_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert not any(choice.is_half for choice in precision.choices())
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert any(choice.is_half for choice in precision.choices())


@pytest.mark.parametrize("how", [Arithmetic(False, False), Arithmetic(True, True), Arithmetic(False, True)])
def test_every_arithmetic_paints_the_same_picture(how: Arithmetic, coffee: Picture) -> None:
    net = anystyle.network(torch.device("cpu"))
    rgb, code = coffee.rgb[None, :, :168], load_preset("starry-night").code
    assert code is not None
    with torch.inference_mode():
        expected = net(rgb.contiguous(memory_format=torch.channels_last), code[None]).clamp(0, 1)
        try:
            how.fit(net)
            with how.active():
                found = net(how.lay_out(rgb), code[None]).float().clamp(0, 1)
        finally:
            USUAL.fit(net)
    difference = (found - expected).abs()
    assert difference.mean() < 0.7 / 255  # 0.51 with bfloat16
    assert difference.max() < 12 / 255
