"""A peer to measure beside ours: a feed-forward network of one style (The Great Wave), of Johnson's kind.

Our own code after the layer table of lengstrom/fast-style-transfer for its published weights, which are read from a
file and never shipped: ``Variable`` ... ``Variable_47``, weight, shift and scale of each layer in TensorFlow's layout.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

EPS = 1e-3
N_BLOCKS = 5


class Lengstrom:
    """Callable on (1, 3, H, W) content in [0, 1] of any size; returns the same size. The style is in the weights."""

    def __init__(self, path: Path) -> None:
        state = {name: value.float() for name, value in load_file(path).items()}
        names = ["Variable", *(f"Variable_{i}" for i in range(1, len(state)))]
        values = [state[name] for name in names]
        self.layers = [(values[i], values[i + 1], values[i + 2]) for i in range(0, len(values), 3)]

    def __call__(self, content: Tensor) -> Tensor:
        layers = iter(self.layers)
        height, width = content.shape[2:]
        x = F.pad(content * 255, (0, -width % 4, 0, -height % 4), mode="replicate")
        for stride in (1, 2, 2):
            x = F.relu(_normed(_conv(x, next_layer := next(layers), stride), next_layer))
        for _ in range(N_BLOCKS):
            first, second = next(layers), next(layers)
            y = F.relu(_normed(_conv(x, first, 1), first))
            x = x + _normed(_conv(y, second, 1), second)
        for _ in range(2):
            layer = next(layers)
            x = F.relu(_normed(_transposed(x, layer[0]), layer))
        layer = next(layers)
        painted = torch.tanh(_normed(_conv(x, layer, 1), layer)) * 150 + 127.5
        return (painted / 255).clamp(0, 1)[:, :, :height, :width]


Layer = tuple[Tensor, Tensor, Tensor]


def _conv(x: Tensor, layer: Layer, stride: int) -> Tensor:
    """A convolution whose zeros are laid as TensorFlow's SAME lays them: the odd one below and at the right."""
    weight = layer[0].permute(3, 2, 0, 1)  # (out, in, kh, kw)
    kernel = weight.shape[-1]
    total = kernel - stride if stride > 1 else kernel - 1
    before = total // 2
    return F.conv2d(F.pad(x, (before, total - before, before, total - before)), weight, stride=stride)


def _transposed(x: Tensor, kernel: Tensor) -> Tensor:
    """TensorFlow's transposed convolution of stride 2, SAME: twice the size."""
    weight = kernel.permute(3, 2, 0, 1)  # [kh, kw, out, in] -> (in, out, kh, kw)
    large = F.conv_transpose2d(x, weight, stride=2)  # (B, out, 2 H + 1, 2 W + 1)
    return large[:, :, : 2 * x.shape[2], : 2 * x.shape[3]]


def _normed(x: Tensor, layer: Layer) -> Tensor:
    _, shift, scale = layer
    return F.instance_norm(x, weight=scale, bias=shift, eps=EPS)
