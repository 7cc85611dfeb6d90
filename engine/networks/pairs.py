"""Pairs of encoders and decoders that go to features and back, behind one interface.

``Embedded`` is ours and ships. ``NormalizedVgg`` reads the encoders and decoders that the authors of WCT published for
VGG-19 (levels 1 to 5, as many as are there), in the form in which others redistribute them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from engine.core.errors import WeightsError
from engine.features import embedded
from engine.features.backbones import load_backbone
from engine.models import shipped
from engine.models.state_dicts import fill, layer_of
from engine.networks.decoders import LEVELS, MARGINS_PX, Decoders, Encoded, encode


class Pair(nn.Module):
    """Encoders and decoders of several levels.

    Attributes:
        levels: deep first. Level n is at 1 / 2^(n - 1) of the resolution.
    """

    levels: tuple[int, ...] = ()

    def encode(self, rgb: Tensor, level: int) -> Encoded:
        """Features of (B, 3, H, W), [0, 1], H and W divisible by ``stride_px(level)``."""
        raise NotImplementedError

    def decode(self, encoded: Encoded, level: int) -> Tensor:
        """Pixels (B, 3, H, W) of features, not clamped."""
        raise NotImplementedError

    def margin_px(self, level: int) -> int:
        """Beyond this distance a pixel has no effect, through encoder and decoder; a multiple of the stride."""
        raise NotImplementedError


def stride_px(level: int) -> int:
    """How many pixels a position of a level's features is wide."""
    return int(2 ** (level - 1))


class Embedded(Pair):
    """The embedded feature network with our own decoders.

    Args:
        is_unpooling: decoders that put values back where the poolings had found them.
    """

    levels = tuple(reversed(LEVELS))

    def __init__(self, encoder: embedded.Embedded, decoders: Decoders, *, is_unpooling: bool) -> None:
        super().__init__()
        self.encoder, self.decoders, self.is_unpooling = encoder, decoders, is_unpooling

    def encode(self, rgb: Tensor, level: int) -> Encoded:
        return encode(self.encoder, self.decoders, rgb, level)[level]

    def decode(self, encoded: Encoded, level: int) -> Tensor:
        return self.decoders.decode(encoded, level, is_unpooling=self.is_unpooling)

    def margin_px(self, level: int) -> int:
        return MARGINS_PX[level]


@cache
def load_embedded(*, is_unpooling: bool) -> Embedded:
    """The pair that ships.

    Raises:
        WeightsError: missing or damaged.
    """
    encoder = load_backbone("embedded")
    if not isinstance(encoder, embedded.Embedded):
        raise WeightsError("The weights of the embedded network are of another kind: run install.py again.")
    decoders = Decoders()
    shipped.fill(decoders, "decoders")
    pair = Embedded(deepcopy(encoder), decoders, is_unpooling=is_unpooling)  # a copy: a pair moves to where it is used
    return pair.requires_grad_(False).eval()


# Channels that the convolutions of a level lead to, as the published files have them; the first one changes colors.
ENCODER_CHANNELS = {
    1: (3, 64),
    2: (3, 64, 64, 128),
    3: (3, 64, 64, 128, 128, 256),
    4: (3, 64, 64, 128, 128, 256, 256, 256, 256, 512),
    5: (3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512),
}
VGG_MARGINS_PX = {1: 8, 2: 16, 3: 40, 4: 128, 5: 288}


class Chain(nn.Module):
    """A plain sequence of convolutions, as published: names are places in a list that also counts what has no weights.

    Between two convolutions lie an activation and a padding (places 3 apart), or these and a resampling (4 apart).

    Args:
        state: ``{place}.weight`` and ``{place}.bias``.
        channels: (in, out) of each convolution, in order: what the state must have.
        name: of the file, for messages.
        is_encoder: first a bare change of color, pooling at each jump, an activation at the end; otherwise enlarging.

    Raises:
        WeightsError: other names or shapes, or values that are not numbers.
    """

    def __init__(
        self, state: Mapping[str, Tensor], channels: Sequence[tuple[int, int]], name: str, *, is_encoder: bool
    ) -> None:
        super().__init__()
        self.is_encoder = is_encoder
        try:
            places = sorted(int(key.removesuffix(".weight")) for key in state if key.endswith(".weight"))
        except ValueError:
            raise WeightsError(f"{name} is no part of a WCT pair: its names are not numbers.") from None
        if len(places) != len(channels):
            raise WeightsError(f"{name} has {len(places)} convolutions; this level has {len(channels)}.")
        self.places = places
        self.convs = nn.ModuleList()
        for place, (n_in, n_out) in zip(places, channels, strict=True):
            size = 1 if is_encoder and place == places[0] else 3
            layer = nn.Conv2d(n_in, n_out, size)
            fill(layer, layer_of(state, str(place)), f"{name}, layer {place}")
            self.convs.append(layer)

    def forward(self, encoded: Encoded) -> Encoded:
        x, indices = encoded.features, list(encoded.indices)
        for i, layer in enumerate(self.convs):
            gap = self.places[i] - self.places[i - 1] if i else 0
            if gap == 4 and self.is_encoder:
                x, where = F.max_pool2d(x, 2, return_indices=True)  # (B, C, H/2, W/2)
                indices.append(where)
            elif gap == 4:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")  # (B, C, 2H, 2W)
            is_color = self.is_encoder and i == 0
            x = layer(x if is_color else F.pad(x, (1, 1, 1, 1), mode="reflect"))
            if not is_color and (self.is_encoder or i < len(self.convs) - 1):
                x = F.relu(x)
        return Encoded(x, tuple(indices))


class NormalizedVgg(Pair):
    """The published pair: one encoder and one decoder a level.

    Args:
        states: level -> state dicts of encoder and decoder.
    """

    def __init__(self, states: Mapping[int, tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]) -> None:
        super().__init__()
        self.levels = tuple(sorted(states, reverse=True))
        self.encoders, self.decoders = nn.ModuleDict(), nn.ModuleDict()
        for level, (encoder, decoder) in states.items():
            steps = [3, *ENCODER_CHANNELS[level]]
            there = list(pairwise(steps))
            back = [(n_out, n_in) for n_in, n_out in reversed(there[1:])]
            self.encoders[str(level)] = Chain(encoder, there, encoder_name(level), is_encoder=True)
            self.decoders[str(level)] = Chain(decoder, back, decoder_name(level), is_encoder=False)

    def encode(self, rgb: Tensor, level: int) -> Encoded:
        found: Encoded = self.encoders[str(level)](Encoded(rgb))
        return found

    def decode(self, encoded: Encoded, level: int) -> Tensor:
        painted: Encoded = self.decoders[str(level)](Encoded(encoded.features))
        return painted.features

    def margin_px(self, level: int) -> int:
        return VGG_MARGINS_PX[level]


def encoder_name(level: int) -> str:
    """The published name of an encoder's file, without suffix."""
    return f"vgg_normalised_conv{level}_1"


def decoder_name(level: int) -> str:
    """The published name of a decoder's file, without suffix."""
    return f"feature_invertor_conv{level}_1"


def load_folder(folder: Path) -> NormalizedVgg:
    """The published pair from a folder with files such as ``vgg_normalised_conv3_1`` and ``feature_invertor_conv3_1``,
    ``.safetensors`` or ``.pth``; levels of which both are there.

    Raises:
        WeightsError: no level is complete, or a file is not what its name says.
    """
    files = {}
    for level in ENCODER_CHANNELS:
        encoder, decoder = (find_state(folder, name) for name in (encoder_name(level), decoder_name(level)))
        if encoder is not None and decoder is not None:
            files[level] = encoder, decoder
    if not files:
        raise WeightsError(
            f"There is no WCT pair in {folder}: put {encoder_name(3)} and {decoder_name(3)} (.pth or .safetensors) "
            "there, and those of the other levels."
        )
    return _of_files(tuple((level, *pair, *map(shipped.stamp_of, pair)) for level, pair in files.items()))


@lru_cache(maxsize=2)
def _of_files(files: tuple[tuple[Any, ...], ...]) -> NormalizedVgg:
    states = {
        level: (shipped.read_state(encoder), shipped.read_state(decoder)) for level, encoder, decoder, *_stamps in files
    }
    return NormalizedVgg(states).requires_grad_(False).eval()


def find_state(folder: Path, name: str) -> Path | None:
    """The file of a name in either format."""
    for suffix in (".safetensors", ".pth"):
        if (folder / (name + suffix)).is_file():
            return folder / (name + suffix)
    return None
