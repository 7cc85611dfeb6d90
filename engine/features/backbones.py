"""What the networks see in a picture: feature backbones behind one interface.

Every backbone answers for the names of VGG-19's activations (``relu1_1`` ... ), so that a method written for one
runs on any. ``embedded`` and ``deep`` ship with the package; ``vgg19`` is torchvision's; a path names a safetensors
file with torchvision's parameter names of VGG-19 or VGG-16 (the whole network or any prefix of it).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from engine.core.errors import SettingsError, WeightsError
from engine.core.user_folders import torch_folder
from engine.features.backbone import Backbone
from engine.features.embedded import Deep, Embedded
from engine.features.vgg import Vgg16, Vgg19
from engine.models import shipped
from engine.models.user_models import file_sha256

VGG19_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"
SUFFIXES = (".safetensors", ".pth", ".pt")
BACKBONES = ("embedded", "deep", "vgg19")
KINDS = f"The backbone is {', '.join(BACKBONES)} or a file of weights (.safetensors, .pth)"
CPU = torch.device("cpu")


def load_vgg19_file(path: Path) -> Vgg19:
    """VGG-19 or VGG-16, or a prefix of either, from a user's file; the fourth block's index tells which.

    Raises:
        WeightsError: no such file, not weights, or not VGG.
    """
    state = shipped.read_state(path)
    return Vgg16(state) if "features.17.weight" in state else Vgg19(state)


def load_vgg19_torchvision() -> Vgg19:
    """torchvision's own VGG-19 weights, where ``impasto models get vgg19`` puts them. Downloads nothing.

    Raises:
        WeightsError: not fetched yet, or damaged.
    """
    path = vgg19_path()
    if not path.is_file():
        raise WeightsError("The VGG-19 weights are not here yet (575 MB): run `impasto models get vgg19` once.")
    if file_sha256(path) != VGG19_SHA256:
        raise WeightsError(f"The VGG-19 weights are damaged: delete {path} and run `impasto models get vgg19` again.")
    return Vgg19(torch.load(path, map_location="cpu", weights_only=True, mmap=True))


def vgg19_path() -> Path:
    """Where torchvision keeps its VGG-19 weights."""
    return torch_folder() / "checkpoints" / "vgg19-dcbb9e9d.pth"


def load_backbone(name: str, device: torch.device = CPU) -> Backbone:
    """The backbone that a setting names, on a device: there it stays, since others look through it too.

    Args:
        name: one of ``BACKBONES``, or the path of a file with VGG-19 or VGG-16 weights.
        device: where it computes.

    Raises:
        WeightsError: its weights are missing or damaged.
        SettingsError: not a name of a backbone nor of such a file.
    """
    return _kept(name, device, shipped.stamp_of(vgg19_path() if name == "vgg19" else Path(name)))


@lru_cache(maxsize=2)
def _kept(name: str, device: torch.device, _stamp: object) -> Backbone:
    with torch.inference_mode(False):  # it must serve gradients however it was asked for first
        return _load(name).to(device)


def _load(name: str) -> Backbone:
    if name in ("embedded", "deep"):
        network = Embedded() if name == "embedded" else Deep()
        shipped.fill(network, name)
        return network.requires_grad_(False).eval()
    if name == "vgg19":
        return load_vgg19_torchvision()
    if name.endswith(SUFFIXES):
        return load_vgg19_file(Path(name))
    raise SettingsError(f"{KINDS}, not {name!r}.")


def check_backbone(name: str) -> None:
    """Refuse a setting that names no backbone, whether or not it is looked through.

    Raises:
        SettingsError: not a name of a backbone, nor a file that is there.
    """
    if name in BACKBONES or (name.endswith(SUFFIXES) and Path(name).is_file()):
        return
    what = "there is no such file" if name.endswith(SUFFIXES) else "that is none of them"
    raise SettingsError(f"{KINDS}, not {name!r}: {what}.")
