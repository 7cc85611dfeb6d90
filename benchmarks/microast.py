"""A peer to measure beside ours: MicroAST, an any-style network of 0.47 M parameters.

Our own code after the published architecture (Wang et al., AAAI 2023, figure 2) for the authors' published weights,
which are read from a folder and never shipped: ``content_encoder``, ``style_encoder``, ``modulator`` and ``decoder`` as
.safetensors files.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]

PARTS = ("content_encoder", "style_encoder", "modulator", "decoder")


class MicroAst:
    """Callable on (1, 3, H, W) content and style in [0, 1]; returns (1, 3, H', W'), H' and W' rounded up to fours."""

    def __init__(self, folder: Path) -> None:
        parts = [load_file(folder / f"{part}.safetensors") for part in PARTS]
        self.content_encoder, self.style_encoder, self.modulator, self.decoder = parts

    @torch.inference_mode()
    def __call__(self, content: Tensor, style: Tensor) -> Tensor:
        coarse, fine = _encode(self.style_encoder, style)  # before and after the last residual block
        _, x = _encode(self.content_encoder, content)
        x = _residual(self.decoder, "dec1", _adain(x, fine), self._modulation("2", fine))
        x = _residual(self.decoder, "dec2", _adain(x, coarse), self._modulation("1", coarse))
        for depthwise, pointwise in ((1, 3), (6, 8)):  # two upsamplings
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.relu(_conv(self.decoder, f"dec3.{depthwise}", x))
            x = F.relu(_conv(self.decoder, f"dec3.{pointwise}", x))
        return _conv(self.decoder, "dec3.10", x)

    def _modulation(self, level: str, style: Tensor) -> tuple[Tensor, Tensor]:
        """Scale of a block's convolutions and scale of its inputs, (1, 64, 1, 1) each."""
        signals = [_conv(self.modulator, f"{kind}{level}.0", style) for kind in ("weight", "bias")]
        scale, shift = (signal.mean((2, 3), keepdim=True) for signal in signals)
        return scale, shift


def _encode(weights: Weights, rgb: Tensor) -> tuple[Tensor, Tensor]:
    x = F.relu(_conv(weights, "enc1.0", rgb))  # (1, 16, H, W)
    for index, stride in ((2, 2), (4, 1), (6, 2), (8, 1)):  # to (1, 64, H/4, W/4)
        x = F.relu(_conv(weights, f"enc1.{index}", x, stride))
    coarse = _residual(weights, "enc1.10", x, None)
    return coarse, _residual(weights, "enc2.0", coarse, None)


def _residual(weights: Weights, name: str, x: Tensor, modulation: tuple[Tensor, Tensor] | None) -> Tensor:
    """A residual block; modulated, each convolution y of z becomes scale * y + shift * z."""
    if modulation is None:
        return x + _conv(weights, f"{name}.conv2", F.relu(_conv(weights, f"{name}.conv1", x)))
    scale, shift = modulation
    middle = F.relu(scale * _conv(weights, f"{name}.conv1", x) + shift * x)
    return x + scale * _conv(weights, f"{name}.conv2", middle) + shift * middle


def _conv(weights: Weights, name: str, x: Tensor, stride: int = 1) -> Tensor:
    """A convolution with mirrored borders; depthwise or grouped where its weights say so."""
    weight, bias = weights[f"{name}.conv_layer.weight"], weights[f"{name}.conv_layer.bias"]
    pad = weight.shape[-1] // 2
    if pad:
        x = F.pad(x, (pad, pad, pad, pad), mode="reflect")
    return F.conv2d(x, weight, bias, stride, groups=x.shape[1] // weight.shape[1])


def _adain(x: Tensor, style: Tensor) -> Tensor:
    var, mean = torch.var_mean(x, (2, 3), keepdim=True)
    style_var, style_mean = torch.var_mean(style, (2, 3), keepdim=True)
    return (x - mean) * ((style_var + 1e-5) / (var + 1e-5)).sqrt() + style_mean
