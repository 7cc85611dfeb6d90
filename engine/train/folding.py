"""The any-style network in one style, as a network of that style: everything that its style code says is fixed.

Scales and shifts that the code gives become those of normalization layers; the whitening of a photo's own features,
which the any-style network computes for every photo, becomes the mean one of many photos (their colors being the
style's already, theirs differ little), and with the coloring one matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.networks.anystyle_network import (
    COLORING_CHANNELS,
    COLORING_SIZE,
    LATENT_SIZE,
    AnyStyle,
    Coloring,
    Modulation,
)
from engine.networks.feedforward import Painter
from engine.networks.moments import RGB_MOMENTS, Statistics, covariance, inverse_root, rgb_moments, transport_colors
from engine.networks.msgnet_network import MsgNet

STYLE_COUNT = 20.0  # how many other pictures a style counts for
RIDGE = 1e-3


@torch.no_grad()
def fold(source: AnyStyle, code: Tensor, target: Painter, photos: Sequence[Tensor]) -> None:
    """Give a network of one style the weights of the any-style network.

    Args:
        source: the any-style network.
        code: (1, CODE_SIZE) of the style.
        target: filled; its channels must be the source's.
        photos: batches (B, 3, H, W), in [0, 1], from which the means are taken.
    """
    colors, code_quarter, code_eighth, latent = code.split([RGB_MOMENTS, COLORING_SIZE, COLORING_SIZE, LATENT_SIZE], 1)
    target.colors.copy_(colors[0])
    for name in ("stem", "quarter", "quarter_block", "eighth"):
        getattr(target, name).load_state_dict(getattr(source.content, name).state_dict())
    for name in ("up_quarter", "up_half", "mix_half", "paint"):
        getattr(target, name).load_state_dict(getattr(source, name).state_dict())
    seen = [own_statistics(source, code, batch) for batch in photos]
    fold_coloring(source.color_eighth, code_eighth, target.color_eighth, seen)
    fold_coloring(source.color_quarter, code_quarter, target.color_quarter, seen)
    for theirs, ours in paired_blocks(source, target):
        for i in ("1", "2"):
            getattr(ours, f"conv{i}").load_state_dict(getattr(theirs, f"conv{i}").state_dict())
            fold_modulation(getattr(theirs, f"mod{i}"), latent, getattr(ours, f"norm{i}"))
    fold_modulation(source.mod_half, latent, target.norm_half)
    settle(target, photos)


def paired_blocks(source: AnyStyle, target: Painter | MsgNet) -> list[tuple[nn.Module, nn.Module]]:
    """The source's residual blocks and the target's."""
    blocks = zip(source.blocks, target.blocks, strict=True)
    return [*blocks, *zip(source.quarter_blocks, target.quarter_blocks, strict=True)]


def own_statistics(source: AnyStyle, code: Tensor, photos: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """What the any-style network measures of photos."""
    statistics = Statistics()
    source(photos, code, statistics)
    return statistics.table


def fold_coloring(
    source: Coloring, code: Tensor, target: nn.Sequential, seen: Sequence[dict[str, tuple[Tensor, ...]]]
) -> None:
    """compress, whiten, color, expand -> two convolutions."""
    own_mean = torch.cat([table[source.name][0] for table in seen]).mean(0)  # (32, 1)
    whitening = torch.cat([table[source.name][1] for table in seen]).mean(0)  # (32, 32)
    mean, root = code[0].split([COLORING_CHANNELS, COLORING_CHANNELS**2])
    matrix = root.reshape(COLORING_CHANNELS, COLORING_CHANNELS) @ whitening
    offset = mean[:, None] - matrix @ own_mean  # (32, 1)
    compress = source.compress.state_dict()
    weight = (matrix @ compress["weight"].flatten(1))[:, :, None, None]
    bias = (offset + matrix @ compress["bias"][:, None])[:, 0]
    first, last = target[0], target[1]
    first.load_state_dict({"weight": weight, "bias": bias})
    last.load_state_dict(source.expand.state_dict())


def fold_modulation(source: Modulation, latent: Tensor, target: nn.Module) -> None:
    """The style's scale and shift as the normalization's own."""
    scale, shift = source.affine(latent)[0].chunk(2)
    target.weight.copy_(1 + scale)  # type: ignore[operator]
    target.bias.copy_(shift)  # type: ignore[operator]


@torch.no_grad()
def settle(target: Painter, photos: Sequence[Tensor]) -> None:
    """Let batch normalization see what it is to normalize: the mean over all photos."""
    norms = [module for module in target.modules() if isinstance(module, nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
    target.train()
    for batch in photos if norms else []:
        target(transport_colors(batch, rgb_moments(batch), target.colors.expand(len(batch), -1)))
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum


@torch.no_grad()
def fold_many(
    source: AnyStyle, target: MsgNet, photos: Sequence[Tensor], styles: Sequence[Tensor], pictures: Sequence[Tensor]
) -> None:
    """Give a network of many styles the weights of the any-style network.

    What that one's style encoder says of a style is to be told from the Gram matrices that the target sees: a linear
    map is fitted to many pictures.

    Args:
        source: the any-style network.
        target: filled; its channels must be the source's.
        photos: batches (B, 3, H, W), in [0, 1]: what is to be painted.
        styles: (1, 3, h, w) each: the styles that count most.
        pictures: (1, 3, h, w) each: more, of all kinds.
    """
    for name in ("stem", "quarter", "quarter_block", "eighth"):
        getattr(target, name).load_state_dict(getattr(source.content, name).state_dict())
    for name in ("up_quarter", "up_half", "mix_half", "paint"):
        getattr(target, name).load_state_dict(getattr(source, name).state_dict())
    for theirs, ours in paired_blocks(source, target):
        for i in ("1", "2"):
            getattr(ours, f"conv{i}").load_state_dict(getattr(theirs, f"conv{i}").state_dict())
            getattr(ours, f"norm{i}").affine.load_state_dict(getattr(theirs, f"mod{i}").affine.state_dict())
    target.norm_half.affine.load_state_dict(source.mod_half.affine.state_dict())
    for theirs, ours in ((source.color_eighth, target.color_eighth), (source.color_quarter, target.color_quarter)):
        ours.compress.load_state_dict(theirs.compress.state_dict())
        ours.expand.load_state_dict(theirs.expand.state_dict())
    codes = [source.encode_style(style) for style in styles]
    fold_whitening(source, target, photos, codes)
    fit_latent(source, target, styles, pictures)


def fold_whitening(source: AnyStyle, target: MsgNet, photos: Sequence[Tensor], codes: Sequence[Tensor]) -> None:
    """The mean whitening of photos in the styles' colors, of features that are of unit variance already."""
    found: dict[str, list[Tensor]] = {}
    for i, batch in enumerate(photos):
        colors = codes[i % len(codes)][:, :RGB_MOMENTS]
        _, quarter, eighth = source.content(transport_colors(batch, rgb_moments(batch), colors.expand(len(batch), -1)))
        for coloring, features in ((source.color_quarter, quarter), (source.color_eighth, eighth)):
            _, cov = covariance(coloring.compress(features))
            spread = cov.diagonal(dim1=1, dim2=2).clamp_min(0).add(1e-5).sqrt()  # (B, 32)
            found.setdefault(coloring.name, []).append(inverse_root(cov)[1] * spread[:, None])
    for matching, coloring in (
        (target.color_quarter, source.color_quarter),
        (target.color_eighth, source.color_eighth),
    ):
        matching.match.weight.copy_(torch.cat(found[coloring.name]).mean(0).T)


def fit_latent(source: AnyStyle, target: MsgNet, styles: Sequence[Tensor], pictures: Sequence[Tensor]) -> None:
    """The linear map from Gram matrices to the any-style network's latent: ridge regression, styles counting most."""
    seen, wanted, counts = [], [], []
    for rgb, count in [*((style, STYLE_COUNT) for style in styles), *((picture, 1.0) for picture in pictures)]:
        code = target.encode_style(rgb)
        seen.append(target.said(code)[0])
        wanted.append(source.encode_style(rgb)[0, -LATENT_SIZE:])
        counts.append(count)
    x, y = torch.stack(seen).double(), torch.stack(wanted).double()
    share = torch.tensor(counts, dtype=torch.float64)[:, None] / sum(counts)
    center, middle = (share * x).sum(0), (share * y).sum(0)
    spread = (share * (x - center).square()).sum(0).sqrt() + 1e-3
    design, root = (x - center) / spread, (share * len(share)).sqrt()
    inner = (root * design) @ (root * design).T  # (N, N): fewer pictures than numbers in their matrices
    ridge = RIDGE * inner.diagonal().mean() * torch.eye(len(inner), dtype=torch.float64)
    solved = (root * design).T @ torch.linalg.solve(inner + ridge, root * (y - middle)) / spread[:, None]
    target.latent.weight.copy_(solved.T)
    target.latent.bias.copy_(middle - center @ solved)
