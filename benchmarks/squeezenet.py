"""SqueezeNet 1.1's features, for figures that must not come from the network that others were trained on."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from engine.features.backbone import IMAGENET_MEAN, IMAGENET_STD

POOLS = (2, 5, 8)  # indices of torchvision's 3x3 max pools of stride 2
LAST = 7  # fire5: 256 channels at 1/8 of the size: enough positions for a covariance


class SqueezeNet:
    """Callable on (1, 3, H, W) in [0, 1]; returns (256, N) features of N positions."""

    def __init__(self, path: Path) -> None:
        self.state = load_file(path)

    @torch.inference_mode()
    def __call__(self, rgb: Tensor) -> Tensor:
        mean, std = (rgb.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
        x = F.relu(self._conv((rgb - mean) / std, "features.0", stride=2))
        for index in range(2, LAST + 1):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True) if index in POOLS else self._fire(x, f"features.{index}")
        return x[0].flatten(1)

    def _fire(self, x: Tensor, name: str) -> Tensor:
        x = F.relu(self._conv(x, f"{name}.squeeze"))
        return torch.cat(
            [F.relu(self._conv(x, f"{name}.expand1x1")), F.relu(self._conv(x, f"{name}.expand3x3", padding=1))], 1
        )

    def _conv(self, x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        return F.conv2d(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"], stride, padding)
