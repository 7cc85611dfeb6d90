"""Muon and Adam together: which weights get which, how far each moves, and that a stopped run loses nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.train.muon import Muon, Steepest


def small_network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = (nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 3), nn.Conv2d(6, 12, 1), nn.Flatten(), nn.Linear(12 * 4 * 4, 5))
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def learn(net: nn.Sequential, optimizer: Steepest, steps: int = 1) -> list[float]:
    rgb = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    losses = []
    for _ in range(steps):
        loss = (net(rgb) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def test_matrices_move_in_all_directions_alike_and_the_rest_as_adam_says() -> None:
    net = small_network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    learn(net, Steepest(net, rate=1e-2, share=0.5, usual=("0.weight",)))
    moved = {name: value - before[name] for name, value in net.state_dict().items()}
    for name in ("1.weight", "4.weight"):
        matrix = moved[name].flatten(1)
        sizes = torch.linalg.svdvals(matrix) / (0.5e-2 * 0.2 * max(matrix.shape) ** 0.5)
        half = sizes[: len(sizes) // 2 + 1]  # what the four pictures say hardly anything of moves less
        assert float(half.min()) > 0.4 and float(sizes.max()) < 1.4, name  # Newton-Schulz goes no further
    for name in ("0.weight", "0.bias", "1.bias"):  # Adam's first step is the rate, whatever the gradient
        torch.testing.assert_close(moved[name].abs(), torch.full_like(moved[name], 1e-2), rtol=1e-3, atol=0)


def test_the_loss_falls_and_a_rate_of_zero_moves_nothing() -> None:
    net = small_network()
    optimizer = Steepest(net, rate=1e-2, share=1.0)
    losses = learn(net, optimizer, 30)
    assert losses[-1] < 0.2 * losses[0]
    optimizer.set_rate(0)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    learn(net, optimizer)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_resumed_optimizer_goes_on_to_the_bit() -> None:
    whole, first, second = small_network(), small_network(), small_network(1)
    learn(whole, Steepest(whole, 1e-2, 0.5), 6)
    optimizer = Steepest(first, 1e-2, 0.5)
    learn(first, optimizer, 3)
    resumed = Steepest(second, 1e-2, 0.5)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(optimizer.state_dict())
    learn(second, resumed, 3)
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in whole.state_dict().items())


def test_weights_that_cannot_be_seen_in_place_are_refused_rather_than_left_untrained() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3))  # planes: seen as channels-last, they would have to be copied
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        Steepest(net, 1e-2, 0.5)


@pytest.mark.parametrize("shape", [(6, 20), (20, 6)])
def test_in_float32_it_goes_where_pytorchs_muon_goes(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ours, theirs = (torch.zeros(shape) for _ in range(2))
    kinds = ((Muon, ours), (torch.optim.Muon, theirs))
    optimizers = [kind([w], 1e-2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw") for kind, w in kinds]
    for _ in range(4):
        gradient = torch.randn(shape)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert float((ours - theirs).norm()) < 0.02 * float(theirs.norm())
