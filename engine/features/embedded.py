"""The embedded feature networks: slim students of VGG-19's first three blocks, and of VGG-16 to relu5_1.

Both ship with the package.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from engine.features.backbone import VGG19_CHANNELS, Backbone, block_of

SLIM_CHANNELS = {1: 24, 2: 48, 3: 96}
LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3", "relu3_4")
DEEP_CHANNELS = {1: 24, 2: 64, 3: 96, 4: 192, 5: 192}
DEEP_LAYERS = (*LAYERS[:-1], "relu4_1", "relu4_2", "relu4_3", "relu5_1")
SCALE = 100.0  # of Caffe's activations: inside, the networks' are around 1


class Embedded(Backbone):
    """VGG-19 to relu3_4 with slim convolutions; a linear head per layer answers with VGG-19's own channels.

    The heads make the features interchangeable with VGG-19's: same names, channels and scale (Caffe's, mean
    activations around 20 to 400), so that weights tuned on one serve the other.
    """

    layers: tuple[str, ...] = LAYERS
    slim_channels: Mapping[int, int] = SLIM_CHANNELS
    slope = 0.1  # of what is below 0

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleDict()
        self.heads = nn.ModuleDict()
        n_in = 3
        for name in self.layers:
            n_slim = self.slim_channels[block_of(name)]
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
            x = F.leaky_relu(conv(x), self.slope)
            if name in wanted:
                found[name] = F.relu(self.heads[name](x)) * SCALE
            if len(found) == len(wanted):
                break
        return found


class Deep(Embedded):
    """The same of VGG-16 to relu5_1: its layout, so that a feature has VGG-16's place and field of view."""

    layers = DEEP_LAYERS
    slim_channels = DEEP_CHANNELS
    slope = 0.0
