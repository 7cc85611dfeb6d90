"""A checkpoint in the tables that training programs put around it is read as the bare one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.core.errors import SettingsError, WeightsError
from engine.features.backbone import VGG19_CHANNELS, block_of
from engine.features.backbones import check_backbone, load_backbone
from engine.features.vgg import VGG19_CONVS
from engine.models.shipped import read_state
from engine.networks.network_files import build_one_style, read_file
from engine.networks.pairs import load_folder
from engine.networks.translators import HourglassGenerator, load_generator

State = dict[str, Tensor]
Wrap = Callable[[State], dict[str, Any]]

BARE: State = {"conv.weight": torch.arange(8.0).view(2, 4), "conv.bias": torch.ones(2)}
OPTIMIZER = {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3, "params": [0, 1]}]}


def renamed(state: State, prefix: str) -> State:
    return {prefix + name: value for name, value in state.items()}


WRAPS: dict[str, Wrap] = {
    "bare": lambda s: s,
    "state_dict": lambda s: {"state_dict": s},
    "model": lambda s: {"model": s},
    "netG": lambda s: {"netG": s, "netD": {"main.0.weight": torch.zeros(3)}},
    "generator": lambda s: {"generator": s, "discriminator": {"x.weight": torch.zeros(3)}},
    "net": lambda s: {"net": s},
    "params": lambda s: {"params": s},
    "params_ema": lambda s: {"params": {name: value * 0 for name, value in s.items()}, "params_ema": s},
    "training": lambda s: {"epoch": 3, "state_dict": OrderedDict(s), "optimizer": OPTIMIZER, "best": 0.5, "arch": "x"},
    "step is a tensor": lambda s: {"model": s, "step": torch.tensor(7)},
    "any other name, alone": lambda s: {"transformer_net": s, "epoch": 2},
    "twice": lambda s: {"state_dict": {"model": s}},
    "thrice": lambda s: {"checkpoint": {"state_dict": {"netG": s}}},
    "module.": lambda s: renamed(s, "module."),
    "wrapped module.": lambda s: {"state_dict": renamed(s, "module.")},
    "module.module.": lambda s: renamed(s, "module.module."),
    "compiled": lambda s: {"model": renamed(s, "_orig_mod.")},
    "lightning": lambda s: {"state_dict": renamed(s, "generator.") | {"discriminator.x.weight": torch.zeros(2)}},
    "numbers beside": lambda s: {**s, "epoch": 3, "lr": 0.1},
}


def save(path: Path, value: Any) -> Path:
    torch.save(value, path)
    return path


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_a_wrapped_table_is_the_bare_one(tmp_path: Path, wrap: Wrap) -> None:
    found = read_state(save(tmp_path / "x.pth", wrap(BARE)))
    assert found.keys() == BARE.keys() and all(torch.equal(found[name], BARE[name]) for name in BARE)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"epoch": 3},
        [BARE],
        torch.zeros(3),
        {"a": BARE, "b": BARE},
        {"deep": {"deep": {"deep": {"deep": {"deep": BARE}}}}},
        {"position": torch.zeros(3), "epoch": 3},
    ],
)
def test_what_holds_no_table_or_no_single_one_is_refused(tmp_path: Path, stored: Any) -> None:
    with pytest.raises(WeightsError, match="holds no state dict"):
        read_state(save(tmp_path / "x.pth", stored))


def test_names_before_all_names_go_in_safetensors_too(tmp_path: Path) -> None:
    save_file(renamed(BARE, "module."), tmp_path / "x.safetensors")
    assert read_state(tmp_path / "x.safetensors").keys() == BARE.keys()


@pytest.mark.parametrize("name", ["state_dict", "netG", "wrapped module.", "training", "twice"])
def test_every_reader_of_users_files_takes_it(tmp_path: Path, name: str) -> None:
    """Feed-forward networks, translation, WCT pairs and VGG-19: all go through one reader."""
    wrap = WRAPS[name]
    examples = build_one_style_state()
    build_one_style(read_file(save(tmp_path / "candy.pth", wrap(examples))), "candy.pth")
    generator = HourglassGenerator(4).state_dict()
    found = load_generator(save(tmp_path / "edges.pth", wrap(generator)), name)
    assert torch.equal(found.state_dict()["main.0.weight"], generator["main.0.weight"])
    channels = [(3, 3, 1), (3, 64, 3)]
    places = (0, 2)
    encoder = {}
    for place, (n_in, n_out, size) in zip(places, channels, strict=True):
        encoder |= {f"{place}.weight": torch.rand(n_out, n_in, size, size), f"{place}.bias": torch.rand(n_out)}
    decoder = {"1.weight": torch.rand(3, 64, 3, 3), "1.bias": torch.rand(3)}
    save(tmp_path / "vgg_normalised_conv1_1.pth", wrap(encoder))
    save(tmp_path / "feature_invertor_conv1_1.pth", wrap(decoder))
    assert load_folder(tmp_path).levels == (1,)
    vgg = save(tmp_path / "vgg.pth", wrap(vgg_state("features.")))
    assert load_backbone(str(vgg)).layers == ("relu1_1", "relu1_2", "relu2_1")
    vgg = save(tmp_path / "bare.pt", wrap(vgg_state("")))
    assert load_backbone(str(vgg)).layers == ("relu1_1", "relu1_2", "relu2_1")


def build_one_style_state() -> State:
    from tests.engine.test_network_files import examples_shapes, random_state

    return random_state(examples_shapes(4))


def vgg_state(prefix: str) -> State:
    """The first three convolutions of VGG-19."""
    state, n_in = {}, 3
    for index in list(VGG19_CONVS)[:3]:
        n_out = VGG19_CHANNELS[block_of(VGG19_CONVS[index])]
        state[f"{prefix}{index}.weight"] = torch.rand(n_out, n_in, 3, 3)
        state[f"{prefix}{index}.bias"] = torch.rand(n_out)
        n_in = n_out
    return state


def test_nothing_but_tensors_is_read(tmp_path: Path) -> None:
    """``weights_only`` stays: a pickle that would run something is damaged to us."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    with pytest.raises(WeightsError, match="not a readable file"):
        read_state(save(tmp_path / "x.pth", {"state_dict": BARE, "args": Trap()}))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["missing.safetensors", "missing.pth", "resnet", "README.md"])
def test_a_backbone_that_is_none_is_refused_whoever_is_asked(name: str) -> None:
    with pytest.raises(SettingsError, match="The backbone is"):
        check_backbone(name)
