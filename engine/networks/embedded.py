"""The embedded feature network: a slim student of VGG-19's first three blocks that ships with the package."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from engine.features import VGG19_CHANNELS, Backbone, block_of

SLIM_CHANNELS = {1: 24, 2: 48, 3: 96}
LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3", "relu3_4")


class Embedded(Backbone):
    """VGG-19 to relu3_4 with slim convolutions; a linear head per layer answers with VGG-19's own channels.

    The heads make the features interchangeable with VGG-19's: same names, channels and scale (Caffe's, mean
    activations around 20 to 400), so that weights tuned on one serve the other.
    """

    layers = LAYERS

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleDict()
        self.heads = nn.ModuleDict()
        n_in = 3
        for name in LAYERS:
            n_slim = SLIM_CHANNELS[block_of(name)]
            self.convs[name] = nn.Conv2d(n_in, n_slim, 3, padding=1)
            self.heads[name] = nn.Conv2d(n_slim, VGG19_CHANNELS[block_of(name)], 1)
            n_in = n_slim
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def _features(self, x: Tensor, wanted: set[str], _pooling: str) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        block = 1
        for name, conv in self.convs.items():
            if block_of(name) != block:
                block = block_of(name)
                x = F.max_pool2d(x, 2)  # (B, C, H/2, W/2)
            x = F.leaky_relu(conv(x), 0.1)
            if name in wanted:
                found[name] = F.relu(self.heads[name](x)) * 100
            if len(found) == len(wanted):
                break
        return found
