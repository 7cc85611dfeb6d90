"""The way back from the embedded network's features to pixels, at four depths.

Level n is the first activation of VGG's block n: 1 at full resolution, each further one at half the former's. The
embedded network ends with block 3, so a block 4 is trained here together with the decoders: it is put on top of the
first activation of block 3, and its decoders lead back to that one and go on with those of level 3. Two families of
decoders: plain ones enlarge (WCT), unpooling ones put each value back where the encoder's max pooling had found it
(PhotoWCT).

Source: Li 2017, "Universal Style Transfer via Feature Transforms"; Li 2018, "A Closed-form Solution to Photorealistic
Image Stylization". Departs: the features are the embedded network's slim activations before their linear heads: a
quarter of VGG's channels, and no less information.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.features.backbone import IMAGENET_MEAN, IMAGENET_STD, block_of
from engine.features.embedded import SLIM_CHANNELS, Embedded

LEVELS = (1, 2, 3, 4)
CHANNELS = SLIM_CHANNELS | {4: 128}
SLOPE = 0.1  # of the embedded network's leaky ReLUs
MARGINS_PX = {1: 8, 2: 16, 3: 40, 4: 80}  # beyond this a pixel does not reach, through encoder and decoder


@dataclass(frozen=True)
class Encoded:
    """Features of a picture at one level.

    Args:
        features: (B, C, H / 2^(level - 1), W / 2^(level - 1)).
        indices: of each max pooling on the way, shallow first, for unpooling.
    """

    features: Tensor
    indices: Sequence[Tensor] = ()


class Decoder(nn.Module):
    """Features of one level to pixels (B, 3, H, W), not clamped.

    Args:
        level: 1 to 4.
        is_unpooling: put values back to the places in ``Encoded.indices`` instead of enlarging.
    """

    def __init__(self, level: int, *, is_unpooling: bool) -> None:
        super().__init__()
        self.is_unpooling = is_unpooling
        self.down = nn.ModuleList()  # to the channels of the next finer block
        self.mix = nn.ModuleList()
        for block in range(level, 1, -1):
            self.down.append(conv(CHANNELS[block], CHANNELS[block - 1]))
            self.mix.append(conv(CHANNELS[block - 1], CHANNELS[block - 1]))
        if level == 1:
            self.mix.append(conv(CHANNELS[1], CHANNELS[1]))
        self.paint = conv(CHANNELS[1], 3)
        with torch.no_grad():  # begins near gray: pictures far out of range would rule the first hundred steps
            self.paint.weight.mul_(0.1)
            nn.init.constant_(self.paint.bias, 0.5)  # type: ignore[arg-type]

    def forward(self, encoded: Encoded) -> Tensor:
        x = encoded.features
        indices = list(encoded.indices)
        for down, mix in zip(self.down, self.mix[: len(self.down)], strict=True):
            x = F.leaky_relu(down(x), SLOPE)
            if self.is_unpooling:
                x = F.max_unpool2d(x, indices.pop(), [2, 2])  # (B, C, 2H, 2W)
            else:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = F.leaky_relu(mix(x), SLOPE)
        for mix in self.mix[len(self.down) :]:
            x = F.leaky_relu(mix(x), SLOPE)
        return self.paint(x)  # (B, 3, H, W)


class Lift(nn.Module):
    """Features of level 4 to those of level 3.

    Args:
        is_unpooling: as in ``Decoder``.
    """

    def __init__(self, *, is_unpooling: bool) -> None:
        super().__init__()
        self.is_unpooling = is_unpooling
        self.down = conv(CHANNELS[4], CHANNELS[3])
        self.mix = conv(CHANNELS[3], CHANNELS[3])

    def forward(self, encoded: Encoded) -> Encoded:
        x = F.leaky_relu(self.down(encoded.features), SLOPE)
        if self.is_unpooling:
            x = F.max_unpool2d(x, encoded.indices[-1], [2, 2])  # (B, C, 2H, 2W)
        else:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return Encoded(F.leaky_relu(self.mix(x), SLOPE), encoded.indices[:-1])


class Decoders(nn.Module):
    """Block 4 of the encoder and every decoder: what ``decoders.safetensors`` holds."""

    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.ModuleList([conv(CHANNELS[3], CHANNELS[4]), conv(CHANNELS[4], CHANNELS[4])])
        self.plain = nn.ModuleDict({str(level): Decoder(level, is_unpooling=False) for level in (1, 2, 3)})
        self.unpooling = nn.ModuleDict({str(level): Decoder(level, is_unpooling=True) for level in (2, 3)})
        self.lifts = nn.ModuleDict({name: Lift(is_unpooling=name == "unpooling") for name in ("plain", "unpooling")})

    def lift(self, encoded: Encoded, *, is_unpooling: bool) -> Encoded:
        """Level 4 to level 3."""
        lifted: Encoded = self.lifts["unpooling" if is_unpooling else "plain"](encoded)
        return lifted

    def decode(self, encoded: Encoded, level: int, *, is_unpooling: bool) -> Tensor:
        """Pixels of features; level 1 has no pooling, so that both families share its decoder."""
        if level == 4:
            return self.decode(self.lift(encoded, is_unpooling=is_unpooling), 3, is_unpooling=is_unpooling)
        family = self.unpooling if is_unpooling and level > 1 else self.plain
        return family[str(level)](encoded)


def encode(embedded: Embedded, decoders: Decoders, rgb: Tensor, last: int) -> dict[int, Encoded]:
    """Slim features of pictures at the levels from 1 to ``last``.

    Args:
        embedded: the network that ships.
        decoders: for block 4.
        rgb: (B, 3, H, W), sRGB-encoded, [0, 1]; H and W divisible by 2^(last - 1).
        last: 1 to 4.

    Returns:
        level -> features with the indices of the poolings before them.
    """
    mean, std = (rgb.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    x = (rgb - mean) / std
    found: dict[int, Encoded] = {}
    indices: list[Tensor] = []
    for block in range(1, last + 1):
        if block > 1:
            x, where = F.max_pool2d(x, 2, return_indices=True)  # (B, C, H/2, W/2)
            indices.append(where)
        layers = convolutions(embedded, decoders, block)
        x = F.leaky_relu(layers[0](x), SLOPE)
        if block == 4:
            x = F.leaky_relu(layers[1](x), SLOPE)
        found[block] = Encoded(x, tuple(indices))
        if block < min(last, 3):
            x = F.leaky_relu(layers[1](x), SLOPE)
    return found


def convolutions(embedded: Embedded, decoders: Decoders, block: int) -> Sequence[nn.Module]:
    """The convolutions of a block."""
    if block == 4:
        return list(decoders.deep)
    return [layer for name, layer in embedded.convs.items() if block_of(name) == block]


def conv(n_in: int, n_out: int) -> nn.Conv2d:
    """A 3 x 3 convolution that sees the picture mirrored beyond its borders."""
    layer = nn.Conv2d(n_in, n_out, 3, padding=1, padding_mode="reflect")
    nn.init.kaiming_normal_(layer.weight, a=SLOPE)
    assert layer.bias is not None  # noqa: S101  (for the type checker)
    nn.init.zeros_(layer.bias)
    return layer
