"""Colors by optimal transport: the map between Gaussians, then what of the distribution it misses, slice by slice.

Sources: Pitie & Kokaram 2007, "The Linear Monge-Kantorovitch Linear Colour Mapping for Example-Based Colour Transfer";
Pitie, Kokaram & Dahyot 2007, "Automated Colour Grading Using Colour Distribution Transfer" (one-dimensional transport
along the axes of turned color spaces, again and again); Bonneel et al. 2015, "Sliced and Radon Wasserstein Barycenters
of Measures".
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.color.recolor import color_moments, color_transport

N_SAMPLES = 8192  # colors of each side that the slices are measured on
N_QUANTILES = 96
N_TURNS = 12
N_BINS = 512
MAX_GAIN = 4.0  # of contrast in one slice: more would paint noise
MIN_GAIN = 0.25  # less would make flat what is not: a posterized sky


def transport(
    content: Tensor, style: Tensor, content_weight: Tensor | None, style_weight: Tensor | None, detail: float, seed: int
) -> Tensor:
    """A picture, or its part, with the style's distribution of colors.

    Args:
        content: (3, H, W).
        style: (3, H', W').
        content_weight, style_weight: (H, W), (H', W'), what counts; None = everything.
        detail: share of the sliced refinement, [0, 1].
        seed: of samples and turns.

    Returns:
        (3, H, W) in [0, 1]; meant for where the content counts, defined everywhere.
    """
    A, b = color_transport(*color_moments(content, content_weight), *color_moments(style, style_weight))
    flat = content.flatten(1)  # (3, H*W)
    moved = (A.float() @ flat + b.float()[:, None]).clamp_(0, 1)
    if detail > 0:
        moved = refine(moved, style.flatten(1), _flat(content_weight), _flat(style_weight), detail, seed)
    return moved.view_as(content)


def refine(
    colors: Tensor,
    wanted: Tensor,
    weight: Tensor | None,
    wanted_weight: Tensor | None,
    amount: float,
    seed: int,
    n_turns: int = N_TURNS,
) -> Tensor:
    """Move colors until their distribution along every axis is the wanted one.

    Args:
        colors: (3, N) in [0, 1].
        wanted: (3, M).
        weight, wanted_weight: (N,), (M,), what counts; None = everything.
        amount: share of every move.
        seed: of samples and turns.
        n_turns: of the color space.

    Returns:
        (3, N) in [0, 1].
    """
    generator = torch.Generator().manual_seed(seed)
    ours = _drawn(colors, weight, generator)
    theirs = _drawn(wanted, wanted_weight, generator)
    result = colors
    for _ in range(n_turns):
        turn = _random_turn(generator)
        maps = [_slice_map(p, q) for p, q in zip(turn @ ours, turn @ theirs, strict=True)]
        ours = _moved(ours, turn, maps, amount)
        result = _moved(result, turn, maps, amount)
    return result


def _moved(colors: Tensor, turn: Tensor, maps: list[Tensor], amount: float) -> Tensor:
    """(3, N) by one map for each axis of a turned color space."""
    turned = turn @ colors
    for values, shift in zip(turned, maps, strict=True):
        values.add_(_looked_up(shift, values), alpha=amount)
    return (turn.T @ turned).clamp_(0, 1)


def _slice_map(ours: Tensor, theirs: Tensor) -> Tensor:
    """How far values between -sqrt 3 and sqrt 3 move to go from one distribution to another: (N_BINS,).

    Quantiles go to quantiles; steps of both are limited against each other, so that no part of the range is torn apart
    or crushed.
    """
    levels = torch.linspace(0, 1, N_QUANTILES)
    source, target = (torch.quantile(x, levels) for x in (ours, theirs))
    steps = source.diff().clamp_min(1e-4)
    gains = (target.diff() / steps).clamp(MIN_GAIN, MAX_GAIN)
    bent = torch.cat((target[:1], target[:1] + (gains * steps).cumsum(0)))
    bent += target.mean() - bent.mean()
    grid = torch.linspace(-RANGE, RANGE, N_BINS)
    right = torch.searchsorted(source, grid).clamp(1, N_QUANTILES - 1)
    left = right - 1
    share = ((grid - source[left]) / (source[right] - source[left]).clamp_min(1e-4)).clamp(0, 1)
    return torch.lerp(bent[left] - source[left], bent[right] - source[right], share)


RANGE = 3**0.5


def _looked_up(table: Tensor, values: Tensor) -> Tensor:
    """Linear interpolation in (N_BINS,) over [-RANGE, RANGE]."""
    at = (values + RANGE).mul_((N_BINS - 1) / (2 * RANGE)).clamp_(0, N_BINS - 1.001)
    left = at.long()
    return torch.lerp(table[left], table[left + 1], at - left)


def _random_turn(generator: torch.Generator) -> Tensor:
    """A rotation, all alike likely: (3, 3)."""
    q, r = torch.linalg.qr(torch.randn(3, 3, generator=generator))
    turn: Tensor = q * r.diagonal().sign()
    return turn


def _drawn(colors: Tensor, weight: Tensor | None, generator: torch.Generator) -> Tensor:
    """(3, n) at random positions, by weight."""
    if weight is not None and bool((weight > 0).any()):
        at = torch.multinomial(weight, N_SAMPLES, replacement=True, generator=generator)
    else:
        at = torch.randint(colors.shape[1], (N_SAMPLES,), generator=generator)
    return colors[:, at]


def _flat(weight: Tensor | None) -> Tensor | None:
    return None if weight is None else weight.flatten()
