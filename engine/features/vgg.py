"""VGG-19 and VGG-16 (Simonyan & Zisserman 2015) from torchvision's state dicts, whole or a prefix."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from engine.core.errors import WeightsError
from engine.features.backbone import VGG19_CHANNELS, Backbone, block_of
from engine.models.state_dicts import fill, layer_of

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
        conv, place = nn.Conv2d(n_in, n_out, 3, padding=1), f"features.{index}"
        fill(conv, layer_of(state, place), place, cls.title)
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
