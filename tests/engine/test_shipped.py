"""Shipped weights: small enough, intact, documented; damage is noticed before anything is computed."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from engine.core.errors import WeightsError
from engine.files import presets
from engine.models import shipped
from engine.networks.anystyle_network import CODE_SIZE, AnyStyle


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "weights"
    shutil.copytree(shipped.FOLDER, folder)
    monkeypatch.setattr(shipped, "FOLDER", folder)
    return folder


@pytest.mark.parametrize("name", sorted(shipped.manifest()))
def test_shipped_weights_are_intact_small_and_have_a_card(name: str) -> None:
    entry = shipped.manifest()[name]
    assert shipped.load_shipped(name)
    assert entry.n_bytes <= 4_000_000
    card = (shipped.FOLDER / entry.card).read_text("utf-8")
    assert "Trained on" in card
    assert "python -m engine.train" in card


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_a_damaged_file_of_a_user_is_one_sentence(tmp_path: Path, name: str) -> None:
    path, rng = tmp_path / name, np.random.default_rng(0)
    save = save_file if path.suffix == ".safetensors" else torch.save
    save({"conv.weight": torch.rand(4, 3), "conv.bias": torch.rand(4)}, path)
    good = np.frombuffer(path.read_bytes(), np.uint8)
    for n_bytes in (1, 4, 16, 64) * 50:
        data = good.copy()
        data[rng.integers(len(data), size=n_bytes)] = rng.integers(256, size=n_bytes)
        path.write_bytes(data.tobytes())
        with suppress(WeightsError):
            shipped.read_state(path)
    for data in (b"", b"\x80\x02}q\x00.", b"\x80\x02X\x02\x00\x00\x00\xff\xff.", b"\x80\x02h\x05."):
        path.write_bytes(data)
        with pytest.raises(WeightsError, match="not a readable file of weights"):
            shipped.read_state(path)
    torch.save({1: torch.rand(3)}, tmp_path / "numbered.pth")
    with pytest.raises(WeightsError, match="holds no state dict"):
        shipped.read_state(tmp_path / "numbered.pth")


def test_one_flipped_bit_is_noticed(copy: Path) -> None:
    path = copy / "anystyle.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged: run install.py again"):
        shipped.load_shipped("anystyle")


def test_missing_weights_say_what_to_do(copy: Path) -> None:
    (copy / "anystyle.safetensors").unlink()
    assert not shipped.is_here("anystyle")
    with pytest.raises(WeightsError, match="missing: run install.py again"):
        shipped.load_shipped("anystyle")


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "load_shipped", lambda _name: {})
    with pytest.raises(WeightsError, match="another version"):
        shipped.fill(AnyStyle(), "anystyle")


def test_eight_bits_keep_matrices_to_half_a_step_and_take_a_quarter() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.logspace(-3, 1, 16)[:, None]
    state = {
        "conv.weight": torch.randn(16, 8, 3, 3, generator=generator) * rows[:, :, None, None],
        "linear.weight": torch.randn(16, 40, generator=generator) * rows,
        "nothing.weight": torch.zeros(4, 5),
        "conv.bias": torch.randn(16, generator=generator),
        "count": torch.tensor(7),
    }
    stored = shipped.packed(state)
    assert stored["conv.weight"].dtype == torch.int8
    found = shipped.unpacked(stored)
    assert found.keys() == state.keys()
    for name in ("conv.weight", "linear.weight"):
        off, largest = ((x.flatten(1).abs().amax(1)) for x in (found[name] - state[name], state[name]))
        assert (off <= 0.5001 * largest / 127).all()
    assert not found["nothing.weight"].any()
    assert (found["conv.bias"] - state["conv.bias"]).abs().max() < 2e-3
    assert found["count"] == 7


def test_every_preset_has_a_code_and_every_code_a_work() -> None:
    names = [preset.name for preset in presets.presets()]
    assert len(names) == len(set(names)) >= 24
    for preset in presets.presets():
        code = presets.load_preset(preset.name).code
        assert code is not None
        assert code.shape == (CODE_SIZE,)
        assert code.isfinite().all()
        assert preset.title
        assert preset.artist
        assert any(digit.isdigit() for digit in preset.year)
    works = json.loads((presets.FOLDER / "works.json").read_text("utf-8"))
    assert [work["name"] for work in works] == names


def test_every_preset_has_a_thumbnail_that_differs_from_the_others() -> None:
    means = set()
    for preset in presets.presets():
        with Image.open(presets.thumbnail(preset.name)) as picture:
            assert (picture.format, picture.size) == ("JPEG", (288, 192)), preset.name
            means.add(tuple(np.asarray(picture, np.float64).mean((0, 1)).round(1)))
    assert len(means) == len(presets.presets())
