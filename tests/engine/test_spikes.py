"""Spikes in what a network normalizes are found where they are, and the way down is to lower them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.networks.anystyle_network import AnyStyle, Modulation
from engine.train.losses.spikes import REACH, SpikeWatch, spike_share


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_features_of_ordinary_spread_have_none() -> None:
    assert float(spike_share(noise(2, 4, 64, 64)).max()) < 1e-4
    assert torch.equal(spike_share(torch.full((1, 2, 8, 8), 3.0)), torch.zeros(1))  # flat: no spread at all


@pytest.mark.parametrize("height", [30.0, -30.0])
def test_a_spike_counts_with_the_variance_that_it_holds(height: float) -> None:
    features = noise(1, 2, 50, 50)
    features[0, 1, 20, 30] = height
    x = features[0, 1].double()
    deviations = float((x[20, 30] - x.mean()).abs() / x.std(correction=0))
    expected = (deviations - REACH) ** 2 / 2500 / 2  # of 2500 positions; the other channel has none
    assert float(spike_share(features)[0]) == pytest.approx(expected, rel=1e-3)
    assert expected > 0.05


def test_the_gradient_lowers_the_spike_and_touches_nothing_else() -> None:
    features = noise(1, 1, 32, 32)
    features[0, 0, 5, 6] = 20
    features.requires_grad_(True)
    spike_share(features).sum().backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None
    assert float(features.grad[0, 0, 5, 6]) > 0 and int((features.grad != 0).sum()) == 1


def test_everything_that_the_network_normalizes_is_watched_while_it_paints() -> None:
    torch.manual_seed(0)
    net = AnyStyle()
    watch = SpikeWatch(net)
    rgb = torch.rand(2, 3, 64, 64)
    code = net.encode_style(rgb)
    assert not watch.found  # the style encoder normalizes nothing
    net(rgb, code)
    assert len(watch.found) == sum(isinstance(module, Modulation) for module in net.modules()) > 10
    first = watch.take()
    assert first.shape == (2,) and not watch.found
    with torch.no_grad():
        net.mix_half.bias[3] += 5  # moves a channel as a whole: no spike
    net(rgb, code)
    torch.testing.assert_close(watch.take(), first, rtol=1e-3, atol=1e-4)


def test_training_on_it_takes_a_spike_away() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 4, 1)
    rgb = torch.rand(1, 1, 32, 32)
    rgb[0, 0, 3, 3] = 30
    before = float(spike_share(conv(rgb).relu().log1p())[0].detach())
    optimizer = torch.optim.SGD(conv.parameters(), 1.0)
    for _ in range(200):
        optimizer.zero_grad()
        spike_share(conv(rgb).relu().log1p()).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert before > 0.02
    assert float(spike_share(conv(rgb).relu().log1p())[0].detach()) < 0.5 * before
