"""What the networks see in a picture: feature backbones behind one interface.

Every backbone answers for the names of VGG-19's activations (``relu1_1`` ... ), so that a method written for one
runs on any. ``embedded`` and ``deep`` ship with the package; ``vgg19`` is torchvision's; a path names a safetensors
file with torchvision's parameter names of VGG-19 or VGG-16 (the whole network or any prefix of it).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.compute.torchvision_compat import import_torchvision
from engine.core.errors import SettingsError, WeightsError
from engine.core.shapes import check_shapes
from engine.core.user_folders import torch_folder
from engine.models import shipped

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# torchvision's index of each VGG-19 convolution -> the name of the activation behind it (Simonyan & Zisserman 2015)
VGG19_CONVS = {
    0: "relu1_1", 2: "relu1_2",
    5: "relu2_1", 7: "relu2_2",
    10: "relu3_1", 12: "relu3_2", 14: "relu3_3", 16: "relu3_4",
    19: "relu4_1", 21: "relu4_2", 23: "relu4_3", 25: "relu4_4",
    28: "relu5_1", 30: "relu5_2", 32: "relu5_3", 34: "relu5_4",
}  # fmt: skip
# The same of VGG-16.
VGG16_CONVS = {
    0: "relu1_1", 2: "relu1_2",
    5: "relu2_1", 7: "relu2_2",
    10: "relu3_1", 12: "relu3_2", 14: "relu3_3",
    17: "relu4_1", 19: "relu4_2", 21: "relu4_3",
    24: "relu5_1", 26: "relu5_2", 28: "relu5_3",
}  # fmt: skip
VGG19_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"
SUFFIXES = (".safetensors", ".pth", ".pt")
BACKBONES = ("embedded", "deep", "vgg19")
KINDS = f"The backbone is {', '.join(BACKBONES)} or a file of weights (.safetensors, .pth)"
CPU = torch.device("cpu")
VGG19_CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}


def block_of(layer: str) -> int:
    """1 to 5: the VGG block of an activation's name; its resolution is 2^(block - 1) times coarser."""
    return int(layer[4])


class Backbone(nn.Module):
    """A feature extractor. Call it with pictures and the names of the layers wanted.

    Attributes:
        layers: names it can answer for, shallow first.
    """

    layers: tuple[str, ...] = ()
    poolings: tuple[str, ...] = ("max",)

    def forward(self, rgb: Tensor, layers: Iterable[str], pooling: str = "max") -> dict[str, Tensor]:
        """Features of pictures.

        Args:
            rgb: (B, 3, H, W), sRGB-encoded, [0, 1].
            layers: names out of ``self.layers``.
            pooling: "max", or "average" where it can: smoother gradients for optimization (Gatys 2016).

        Returns:
            name -> (B, C, H', W') after the ReLU; H', W' are halved (rounded down) once per block.

        Raises:
            SettingsError: a layer or a pooling that this backbone does not have.
        """
        check_shapes(rgb=(rgb, "B 3 H W"))
        wanted = set(layers)
        missing = sorted(wanted - set(self.layers))
        if missing:
            raise SettingsError(
                f"This feature network has no {', '.join(missing)}; it goes up to {self.layers[-1]}. "
                "Choose shallower layers, or a backbone with the deeper ones (vgg19)."
            )
        if pooling not in self.poolings:
            raise SettingsError(f"This feature network has no {pooling} pooling. Choose max, or the backbone vgg19.")
        mean = rgb.new_tensor(IMAGENET_MEAN)[:, None, None]
        std = rgb.new_tensor(IMAGENET_STD)[:, None, None]
        return self._features((rgb - mean) / std, wanted, pooling)

    def _features(self, x: Tensor, wanted: set[str], pooling: str) -> dict[str, Tensor]:
        raise NotImplementedError


class Vgg19(Backbone):
    """VGG-19's convolutions, or a prefix of them, from a torchvision state dict.

    Source: Simonyan & Zisserman 2015; parameters named ``features.{0,2,5,...}.{weight,bias}``.
    """

    poolings = ("max", "average")
    title = "VGG-19"
    names: Mapping[int, str] = VGG19_CONVS

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        if "0.weight" in state:  # of the convolutions alone
            state = {f"features.{name}": value for name, value in state.items()}
        indices = []
        for index in self.names:
            if f"features.{index}.weight" not in state:
                break
            indices.append(index)
        if not indices:
            raise WeightsError(f"These are no {self.title} weights: features.0.weight is missing.")
        self.convs = nn.ModuleDict()
        n_in = 3
        for index in indices:
            n_out = VGG19_CHANNELS[block_of(self.names[index])]
            self.convs[self.names[index]] = self._conv(state, index, n_in, n_out)
            n_in = n_out
        self.layers = tuple(self.convs)
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def _conv(cls, state: dict[str, Tensor], index: int, n_in: int, n_out: int) -> nn.Conv2d:
        conv = nn.Conv2d(n_in, n_out, 3, padding=1)
        weight, bias = state[f"features.{index}.weight"], state.get(f"features.{index}.bias")
        if weight.shape != conv.weight.shape or bias is None or bias.shape != (n_out,):
            raise WeightsError(
                f"features.{index} has the shape {tuple(weight.shape)}; {cls.title} has {tuple(conv.weight.shape)}."
            )
        if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
            raise WeightsError(f"features.{index} holds values that are not numbers: the file is damaged.")
        conv.load_state_dict({"weight": weight.float(), "bias": bias.float()})
        return conv

    def _features(self, x: Tensor, wanted: set[str], pooling: str) -> dict[str, Tensor]:
        pool = F.max_pool2d if pooling == "max" else F.avg_pool2d
        found: dict[str, Tensor] = {}
        block = 1
        for name, conv in self.convs.items():
            if block_of(name) != block:
                block = block_of(name)
                x = pool(x, 2)  # (B, C, H/2, W/2)
            x = F.relu(conv(x), inplace=True)  # a large share of the time is fresh memory
            if name in wanted:
                found[name] = x
            if len(found) == len(wanted):
                break
        return found


class Vgg16(Vgg19):
    """VGG-16's convolutions, or a prefix of them, from a torchvision state dict."""

    title = "VGG-16"
    names = VGG16_CONVS


def load_vgg19_file(path: Path) -> Vgg19:
    """VGG-19 or VGG-16, or a prefix of either, from a user's file; the fourth block's index tells which.

    Raises:
        WeightsError: no such file, not weights, or not VGG.
    """
    state = shipped.read_state(path)
    return Vgg16(state) if "features.17.weight" in state else Vgg19(state)


def load_vgg19_torchvision() -> Vgg19:
    """torchvision's own VGG-19 weights, where ``fetch_vgg19`` has put them. Downloads nothing.

    Raises:
        WeightsError: not fetched yet, or damaged.
    """
    path = vgg19_path()
    if not path.is_file():
        raise WeightsError("The VGG-19 weights are not here yet (575 MB): run `impasto models get vgg19` once.")
    if file_sha256(path) != VGG19_SHA256:
        raise WeightsError(f"The VGG-19 weights are damaged: delete {path} and run `impasto models get vgg19` again.")
    return Vgg19(torch.load(path, map_location="cpu", weights_only=True, mmap=True))


def fetch_vgg19() -> Path:
    """Download torchvision's VGG-19 through torchvision's own loader and verify all of it.

    Raises:
        WeightsError: no connection, or not the file that was expected.
    """
    import_torchvision()
    from torchvision.models import VGG19_Weights  # noqa: PLC0415  (seconds to import; only this function needs it)

    path = vgg19_path()
    try:
        VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            "The VGG-19 weights could not be fetched: check the connection, or put the file "
            f"{path.name} into {path.parent} by hand."
        ) from error
    if file_sha256(path) != VGG19_SHA256:
        path.unlink()
        raise WeightsError("What was fetched is not VGG-19 (its checksum differs); it was deleted. Try again.")
    return path


def vgg19_path() -> Path:
    """Where torchvision keeps its VGG-19 weights."""
    return torch_folder() / "checkpoints" / "vgg19-dcbb9e9d.pth"


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


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
        from engine.features.embedded import Deep, Embedded  # noqa: PLC0415  (they build on Backbone above)

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
