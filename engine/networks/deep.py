"""The deep embedded feature network: a slim student of VGG-16 to relu5_1."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from engine.features import VGG19_CHANNELS, Backbone, block_of

DEEP_CHANNELS = {1: 24, 2: 64, 3: 96, 4: 192, 5: 192}
SCALE = 100.0  # of Caffe's activations: inside, the network's are around 1
DEEP_LAYERS = (
    *("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3"),
    *("relu4_1", "relu4_2", "relu4_3", "relu5_1"),
)


class Deep(Backbone):
    """VGG-16 to relu5_1 with half as many channels; a linear head per layer answers with VGG-16's own channels.

    The blocks have VGG-16's layout, so a feature has VGG-16's position and field of view. Names, channels and scale
    (Caffe's) are VGG-16's too: weights tuned on one serve the other.
    """

    layers = DEEP_LAYERS

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleDict()
        self.heads = nn.ModuleDict()
        n_in = 3
        for name in DEEP_LAYERS:
            n_slim = DEEP_CHANNELS[block_of(name)]
            self.convs[name] = nn.Conv2d(n_in, n_slim, 3, padding=1)
            self.heads[name] = nn.Conv2d(n_slim, VGG19_CHANNELS[block_of(name)], 1)
            n_in = n_slim

    def _features(self, x: Tensor, wanted: set[str], _pooling: str) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        block = 1
        for name, conv in self.convs.items():
            if block_of(name) != block:
                block = block_of(name)
                x = F.max_pool2d(x, 2)  # (B, C, H/2, W/2)
            x = F.relu(conv(x))
            if name in wanted:
                found[name] = F.relu(self.heads[name](x)) * SCALE
            if len(found) == len(wanted):
                break
        return found
