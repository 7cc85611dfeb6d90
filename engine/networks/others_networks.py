"""The feed-forward networks that others trained, in the shapes in which they are published.

``PublishedPainter``: Johnson 2016, as PyTorch's examples and the ONNX zoo have it (instance normalization, enlarged by
nearest neighbors), and as its authors' own Torch files have it, converted. ``PublishedMsgNet``: Zhang & Dana 2018.
Parameters bear the published names. Nothing of these files ships with Impasto.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.measured import InstanceNorm, Measured
from engine.networks.msgnet_network import StyleCode, gram

Padding = Literal["reflect", "zeros", "none"]
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
TANH_SCALE = 150.0
START_PX = 8  # mirrored for each residual block around the whole picture, where they pad nothing


@dataclass(frozen=True)
class Layout:
    """What differs between published networks of Johnson's kind.

    Args:
        width: channels of the first layer; 32 as published.
        n_blocks: residual blocks; 5 as published.
        is_transposed: enlarges by transposed convolutions, not by nearest neighbors and a convolution.
        is_batch: batch normalization, with the moments of the training.
        is_torch: of the authors: pixels are BGR less Caffe's mean, and come out of a tanh.
        starts_padded: mirrored borders are laid around the picture at the start and shaved off by the blocks.
    """

    width: int = 32
    n_blocks: int = 5
    is_transposed: bool = False
    is_batch: bool = False
    is_torch: bool = False
    starts_padded: bool = False


class PaddedConv(nn.Module):
    """A convolution, the picture going on as said beyond its border, perhaps enlarged first."""

    def __init__(self, n_in: int, n_out: int, size: int, *, stride: int = 1, scale: int = 1, padding: Padding) -> None:
        super().__init__()
        self.padding, self.pad_px, self.scale = padding, size // 2 if padding != "none" else 0, scale
        self.conv2d = nn.Conv2d(n_in, n_out, size, stride)

    def forward(self, x: Tensor) -> Tensor:
        if self.scale > 1:
            x = F.interpolate(x, scale_factor=float(self.scale), mode="nearest")
        if self.pad_px:
            x = F.pad(x, (self.pad_px,) * 4, mode="reflect" if self.padding == "reflect" else "constant")
        convolved: Tensor = self.conv2d(x)
        return convolved


class Doubling(nn.Module):
    """A transposed convolution to twice the size."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv2d = nn.ConvTranspose2d(n_in, n_out, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        enlarged: Tensor = self.conv2d(x)
        return enlarged


class PublishedBlock(nn.Module):
    """A residual block; without padding it shaves two positions off each side."""

    def __init__(self, n_channels: int, padding: Padding, *, is_batch: bool) -> None:
        super().__init__()
        self.shave = 2 if padding == "none" else 0
        self.conv1 = PaddedConv(n_channels, n_channels, 3, padding=padding)
        self.conv2 = PaddedConv(n_channels, n_channels, 3, padding=padding)
        self.in1, self.in2 = (normalization(n_channels, is_batch=is_batch) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = self.in2(self.conv2(F.relu(self.in1(self.conv1(x)))))
        s = self.shave
        added: Tensor = y + (x[:, :, s:-s, s:-s] if s else x)
        return added


def normalization(n_channels: int, *, is_batch: bool) -> nn.Module:
    """Batch or instance normalization."""
    return nn.BatchNorm2d(n_channels) if is_batch else InstanceNorm(n_channels)


class PublishedPainter(Measured):
    """c9s1-32, d64, d128, R128 x 5, u64, u32, c9s1-3: (B, 3, H, W) in [0, 1] -> painted, about [0, 1].

    Args:
        layout: which of the published ones.
    """

    kind = "published"
    stride_px = 4
    margin_px = 96

    def __init__(self, layout: Layout = Layout()) -> None:
        super().__init__()
        self.layout, w = layout, layout.width
        edge: Padding = "zeros" if layout.starts_padded else "reflect"
        strided: Padding = "zeros" if layout.is_torch else "reflect"
        inner: Padding = "none" if layout.starts_padded else "reflect"
        self.conv1 = PaddedConv(3, w, 9, padding=edge)
        self.conv2 = PaddedConv(w, 2 * w, 3, stride=2, padding=strided)
        self.conv3 = PaddedConv(2 * w, 4 * w, 3, stride=2, padding=strided)
        for i in range(layout.n_blocks):
            self.add_module(f"res{i + 1}", PublishedBlock(4 * w, inner, is_batch=layout.is_batch))
        for i, n_in in enumerate((4 * w, 2 * w)):
            up = (
                Doubling(n_in, n_in // 2)
                if layout.is_transposed
                else PaddedConv(n_in, n_in // 2, 3, scale=2, padding=edge)
            )
            self.add_module(f"deconv{i + 1}", up)
        self.deconv3 = PaddedConv(w, 3, 9, padding=edge)
        for i, n in enumerate((w, 2 * w, 4 * w, 2 * w, w)):
            self.add_module(f"in{i + 1}", normalization(n, is_batch=layout.is_batch))

    def forward(self, rgb: Tensor) -> Tensor:
        x = caffe(rgb) if self.layout.is_torch else rgb * 255
        if self.layout.starts_padded:
            x = F.pad(x, (START_PX * self.layout.n_blocks,) * 4, mode="reflect")
        for i in (1, 2, 3):
            x = self.step(x, f"conv{i}", f"in{i}")
        for i in range(self.layout.n_blocks):
            x = self.get_submodule(f"res{i + 1}")(x)
        for i in (1, 2):
            x = self.step(x, f"deconv{i}", f"in{i + 3}")
        x = self.deconv3(x)
        return from_caffe(torch.tanh(x) * TANH_SCALE) if self.layout.is_torch else x / 255

    def step(self, x: Tensor, conv: str, norm: str) -> Tensor:
        """A convolution, normalized and rectified."""
        return F.relu(self.get_submodule(norm)(self.get_submodule(conv)(x)))


def caffe(rgb: Tensor) -> Tensor:
    """[0, 1] RGB as Caffe's networks see it: BGR bytes less their mean."""
    return rgb.flip(1) * 255 - rgb.new_tensor(CAFFE_MEAN_BGR)[:, None, None]


def from_caffe(bgr: Tensor) -> Tensor:
    """And back."""
    return (bgr + bgr.new_tensor(CAFFE_MEAN_BGR)[:, None, None]).flip(1) / 255


class Inspiration(nn.Module):
    """CoMatch under the published name, its weight (1, C, C)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, n_channels, n_channels))

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        turned = (self.weight @ target).transpose(1, 2)  # (B, C, C)
        return (turned.to(x.dtype) @ x.flatten(2)).reshape(x.shape)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions, each normalized and rectified before; beside a way around them.

    Args:
        n_in: channels in.
        n: channels inside; four times as many come out.
        stride: of the 3x3; with ``is_up`` it enlarges so many times.
        has_way: a 1x1 convolution around, because shapes differ.
        is_up: enlarges.
    """

    def __init__(self, n_in: int, n: int, *, stride: int = 1, has_way: bool = False, is_up: bool = False) -> None:
        super().__init__()
        if is_up:
            self.residual_layer: nn.Module | None = PaddedConv(n_in, 4 * n, 1, scale=stride, padding="reflect")
            middle = PaddedConv(n, n, 3, scale=stride, padding="reflect")
        else:
            self.residual_layer = nn.Conv2d(n_in, 4 * n, 1, stride) if has_way else None
            middle = PaddedConv(n, n, 3, stride=stride, padding="reflect")
        self.conv_block = nn.Sequential(
            InstanceNorm(n_in, is_affine=False), nn.ReLU(), nn.Conv2d(n_in, n, 1),
            InstanceNorm(n, is_affine=False), nn.ReLU(), middle,
            InstanceNorm(n, is_affine=False), nn.ReLU(), nn.Conv2d(n, 4 * n, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        way = x if self.residual_layer is None else self.residual_layer(x)
        added: Tensor = way + self.conv_block(x)
        return added


class PublishedMsgNet(Measured):
    """The authors' network: (B, 3, H, W) in [0, 1] -> painted, about [0, 1]; BGR bytes inside.

    Args:
        ngf: a quarter of the channels that are matched; 128 in the published file.
        n_blocks: between matching and enlarging.
    """

    stride_px = 4
    margin_px = 64

    def __init__(self, ngf: int = 128, n_blocks: int = 6) -> None:
        super().__init__()
        self.model1 = nn.Sequential(
            PaddedConv(3, 64, 7, padding="reflect"), InstanceNorm(64, is_affine=False), nn.ReLU(),
            Bottleneck(64, 32, stride=2, has_way=True), Bottleneck(128, ngf, stride=2, has_way=True),
        )  # fmt: skip
        self.ins = Inspiration(4 * ngf)
        self.model = nn.ModuleDict({str(2 + i): Bottleneck(4 * ngf, ngf) for i in range(n_blocks)})
        ups = [
            Bottleneck(4 * ngf, 32, stride=2, is_up=True), Bottleneck(128, 16, stride=2, is_up=True),
            InstanceNorm(64, is_affine=False), nn.ReLU(), PaddedConv(64, 3, 7, padding="reflect"),
        ]  # fmt: skip
        self.model.update({str(2 + n_blocks + i): layer for i, layer in enumerate(ups)})

    def encode_style(self, rgb: Tensor) -> StyleCode:
        """The code of styles (B, 3, H, W)."""
        return StyleCode(rgb.new_zeros(len(rgb), 0), gram(self.model1(rgb.flip(1) * 255)))

    def forward(self, rgb: Tensor, code: StyleCode) -> Tensor:
        x = self.ins(self.model1(rgb.flip(1) * 255), code.gram)
        for layer in self.model.values():
            x = layer(x)
        return x.flip(1) / 255
