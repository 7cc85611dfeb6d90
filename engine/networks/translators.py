"""Networks that translate pictures of one kind into another, learned without pairs.

``ResnetGenerator`` and ``PatchDiscriminator`` are CycleGAN's, with the published names of parameters, so that
official generators load as they are; ``HourglassGenerator`` is DiscoGAN's. All see and give pixels in [-1, 1] inside;
``Generator.forward`` takes and gives [0, 1].

Source: Zhu 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks"; Kim 2017,
"Learning to Discover Cross-Domain Relations with Generative Adversarial Networks". Departs: nets that we train enlarge
by nearest neighbors and a convolution, because transposed convolutions leave a checkerboard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from engine.core.errors import WeightsError
from engine.models.shipped import read_state
from engine.models.state_dicts import fill
from engine.networks.measured import InstanceNorm, Measured

MAX_WIDTH = 256
MAX_BLOCKS = 32


class Norm(InstanceNorm):
    """Instance normalization without scale and shift, as published."""

    def __init__(self, n_channels: int) -> None:
        super().__init__(n_channels, is_affine=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.is_measuring or self.moments is not None:
            return super().forward(x)
        return F.instance_norm(x)


def mirrored_conv(n_in: int, n_out: int) -> nn.Sequential:
    """Enlarge twice and convolve: what stands in the place of a transposed convolution in the nets that we train."""
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.ReflectionPad2d(1), nn.Conv2d(n_in, n_out, 3))


class Block(nn.Module):
    """A residual block, with the published places of its layers."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(n_channels, n_channels, 3),
            Norm(n_channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(n_channels, n_channels, 3),
            Norm(n_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class Generator(Measured):
    """Pictures to pictures.

    Attributes:
        kind: "cyclegan" or "discogan".
    """

    kind = ""

    def translate(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> the same."""
        raise NotImplementedError

    def forward(self, rgb: Tensor) -> Tensor:
        return (self.translate(rgb * 2 - 1) + 1) / 2


class ResnetGenerator(Generator):
    """CycleGAN's generator: c7s1-k, d2k, d4k, residual blocks, u2k, uk, c7s1-3.

    Args:
        width: channels of the first layer; 64 as published.
        n_blocks: residual blocks; 6 or 9 as published.
        is_resizing: enlarge by nearest neighbors and a convolution; False as published.
    """

    kind = "cyclegan"

    def __init__(self, width: int = 64, n_blocks: int = 9, *, is_resizing: bool = False) -> None:
        super().__init__()
        w = width
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), Norm(w), nn.ReLU()]
        for n_in in (w, 2 * w):
            layers += [nn.Conv2d(n_in, 2 * n_in, 3, stride=2, padding=1), Norm(2 * n_in), nn.ReLU()]
        layers += [Block(4 * w) for _ in range(n_blocks)]
        for n_in in (4 * w, 2 * w):
            up = mirrored_conv(n_in, n_in // 2) if is_resizing else doubling(n_in, n_in // 2)
            layers += [up, Norm(n_in // 2), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
        self.margin_px = -(-(32 + 8 * n_blocks) // 8) * 8

    def translate(self, x: Tensor) -> Tensor:
        painted: Tensor = self.model(x)
        return painted


def doubling(n_in: int, n_out: int) -> nn.ConvTranspose2d:
    """The published enlarging layer."""
    return nn.ConvTranspose2d(n_in, n_out, 3, stride=2, padding=1, output_padding=1)


class HourglassGenerator(Generator):
    """DiscoGAN's generator: four convolutions down, four transposed ones up, batch normalization.

    Args:
        width: channels of the first layer; 64 as published.
    """

    kind = "discogan"
    stride_px = 16
    margin_px = 96

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        w = width
        layers: list[nn.Module] = [nn.Conv2d(3, w, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for n_in in (w, 2 * w, 4 * w):
            layers += [nn.Conv2d(n_in, 2 * n_in, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * n_in), nn.LeakyReLU(0.2)]
        for n_in in (8 * w, 4 * w, 2 * w):
            layers += [nn.ConvTranspose2d(n_in, n_in // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(n_in // 2), nn.ReLU()]
        layers += [nn.ConvTranspose2d(w, 3, 4, 2, 1, bias=False), nn.Sigmoid()]
        self.main = nn.Sequential(*layers)

    def translate(self, x: Tensor) -> Tensor:
        return self.main((x + 1) / 2) * 2 - 1  # this one was published on [0, 1]


class PatchDiscriminator(nn.Module):
    """The 70 x 70 PatchGAN: says of every patch how real it looks.

    Args:
        width: channels of the first layer; 64 as published.
        n_layers: strided layers after the first; 2 gives patches of 34, 3 of 70 px.
    """

    def __init__(self, width: int = 64, n_layers: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        n_in = width
        for i in range(1, n_layers + 1):
            n_out = width * min(8, 2**i)
            stride = 2 if i < n_layers else 1
            layers += [nn.Conv2d(n_in, n_out, 4, stride, 1), nn.InstanceNorm2d(n_out), nn.LeakyReLU(0.2)]
            n_in = n_out
        self.model = nn.Sequential(*layers, nn.Conv2d(n_in, 1, 4, 1, 1))

    def forward(self, rgb: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 1, h, w)."""
        score: Tensor = self.model(rgb * 2 - 1)
        return score

    def layers_seen(self, rgb: Tensor) -> list[Tensor]:
        """What the activations say, for feature matching."""
        x, seen = rgb * 2 - 1, []
        for layer in self.model:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                seen.append(x)
        return seen


def init_weights(network: nn.Module) -> None:
    """Normal weights of deviation 0.02, as both papers have them."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def build(state: Mapping[str, Tensor], name: str = "this file") -> Generator:
    """The generator that a state dict belongs to, filled: width, blocks and kind are read from its shapes.

    Takes official CycleGAN generators (``model.1.weight`` ...; also with ``module.`` before and with the running
    statistics that old releases kept and never used) and DiscoGAN's (``main.0.weight`` ...).

    Raises:
        WeightsError: the names and shapes are those of no generator, or values are not numbers.
    """
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if "main.0.weight" in state:
        network: Generator = HourglassGenerator(first_width(state, "main.0.weight", name))
    elif "model.1.weight" in state:
        network, state = _resnet_of(state, name)
    else:
        raise WeightsError(
            f"{name} holds no generator of CycleGAN or DiscoGAN: model.1.weight or main.0.weight is missing."
        )
    fill(network, state, name, f"a {network.kind} generator")
    return network


def _resnet_of(state: dict[str, Tensor], name: str) -> tuple[Generator, dict[str, Tensor]]:
    statistics = re.compile(r"\.(running_mean|running_var|num_batches_tracked)$")
    state = {key: value for key, value in state.items() if not statistics.search(key)}
    n_blocks = sum(bool(re.fullmatch(r"model\.\d+\.conv_block\.1\.weight", key)) for key in state)
    if not 1 <= n_blocks <= MAX_BLOCKS:
        raise WeightsError(f"{name} has {n_blocks} residual blocks; a generator of CycleGAN has 6 or 9.")
    is_resizing = f"model.{10 + n_blocks}.2.weight" in state
    width = first_width(state, "model.1.weight", name)
    return ResnetGenerator(width, n_blocks, is_resizing=is_resizing), state


def first_width(state: Mapping[str, Tensor], key: str, name: str) -> int:
    """Channels of the first layer."""
    width = state[key].shape[0] if state[key].dim() == 4 else 0
    if not 1 <= width <= MAX_WIDTH:
        raise WeightsError(f"{name}: {key} has the shape {tuple(state[key].shape)}, which no generator has.")
    return width


@lru_cache(maxsize=2)
def load_generator(path: Path, _stamp: object) -> Generator:
    """A generator from a file: ``.safetensors``, or ``.pth`` that may hold nothing but tensors.

    Args:
        path: of the file.
        _stamp: ``weights.stamp_of`` it, so that a file that was trained further is read again.

    Raises:
        WeightsError: no such file, not readable, or no generator.
    """
    return build(read_state(path), path.name)
