"""A slim network to begin a distillation with: the teacher's own channels, thinned out.

Of each layer the channels are kept from which the others follow best, linearly; what follows from them is folded into
the next layer's weights. Source: He, Zhang & Sun 2017, "Channel pruning for accelerating very deep neural networks"
(kept channels and least squares). Departs: channels are chosen by a pivoted Cholesky factorization of their covariance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.features.backbone import block_of
from engine.features.embedded import DEEP_CHANNELS, DEEP_LAYERS, SCALE, Deep
from engine.features.vgg import Vgg16

DAMPING = 1e-4  # of the mean variance, on the diagonal


def chosen_channels(covariance: Tensor, n: int) -> Tensor:
    """The channels that tell most of all others: each next one has the largest variance that is left.

    Args:
        covariance: (C, C).
        n: how many.

    Returns:
        (n,) their indices, rising.
    """
    left, chosen = covariance.double().clone(), []
    for _ in range(n):
        pivot = int(left.diagonal().argmax())
        chosen.append(pivot)
        column = left[:, pivot] / left[pivot, pivot].clamp_min(1e-12).sqrt()  # (C,)
        left -= torch.outer(column, column)
        left.diagonal()[chosen] = -1.0  # never twice
    return torch.tensor(sorted(chosen))


def regression(values: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """All channels from the kept ones, by least squares.

    Args:
        values: (C, N).
        kept: (n,) indices.

    Returns:
        (C, n) and (C,): weights and constants. A kept channel is itself.
    """
    mean = values.mean(1, keepdim=True)
    covariance = (values - mean) @ (values - mean).T / values.shape[1]
    damping = DAMPING * covariance.diagonal().mean() * torch.eye(len(kept), dtype=values.dtype)
    weight = torch.linalg.solve(covariance[kept][:, kept] + damping, covariance[kept]).T  # (C, n)
    weight[kept] = torch.eye(len(kept), dtype=values.dtype)
    return weight, mean[:, 0] - weight @ mean[kept, 0]


@torch.no_grad()
def start_from(teacher: Vgg16, student: Deep, rgb: Tensor) -> None:
    """Give the student weights with which it answers much like the teacher already.

    Args:
        teacher: has all of the student's layers.
        student: gets new weights.
        rgb: (B, 3, H, W) pictures to learn from what follows from what.
    """
    seen = teacher(rgb, DEEP_LAYERS)
    before, constant = torch.eye(3), torch.zeros(3)  # the layer's input channels from the student's
    for name in DEEP_LAYERS:
        values = seen[name].transpose(0, 1).flatten(1).double() / SCALE  # (C, B*H*W)
        n_slim = DEEP_CHANNELS[block_of(name)]
        kept = chosen_channels(torch.cov(values), n_slim)
        conv = teacher.convs[name]
        weight, bias = conv.weight[kept], conv.bias[kept]  # type: ignore[index]
        if name == DEEP_LAYERS[0]:
            weight = weight / SCALE
        student.convs[name].weight.copy_(torch.einsum("oikl,ij->ojkl", weight, before))  # type: ignore[operator]
        student.convs[name].bias.copy_(bias / SCALE + torch.einsum("oikl,i->o", weight, constant))  # type: ignore[operator]
        found, rest = regression(values, kept)
        before, constant = found.float(), rest.float()
        student.heads[name].weight.copy_(before[:, :, None, None])  # type: ignore[operator]
        student.heads[name].bias.copy_(constant)  # type: ignore[operator]
