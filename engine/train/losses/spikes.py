"""Spikes: what a network hides in its features to move the statistics that normalize all the rest.

Instance normalization invites it: a few positions of 30 standard deviations hold most of a channel's variance, so that
everything else becomes small, at will. In the picture such a place is a spot of stripes. Source: Karras 2020, who saw
it in StyleGAN and changed the normalization; here it costs the training what it brings.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.networks.anystyle_network import Modulation
from engine.networks.moments import mean_std

REACH = 5.0  # standard deviations: features of pictures stay within, but for a few positions


def spike_share(features: Tensor) -> Tensor:
    """Share of the variance that lies beyond ``REACH`` standard deviations, mean over channels: (B, C, H, W) -> (B,).

    0 = none; 1 would be all of it. The statistics count as given, so that the only way down is a lower spike.
    """
    with torch.no_grad():
        mean, std = mean_std(features)
    excess = ((features.float() - mean) / std).abs() - REACH
    return excess.clamp_min(0).square().mean((1, 2, 3))


class SpikeWatch:
    """Adds up the spikes in all that a network normalizes, while it paints.

    Args:
        net: whose ``Modulation`` modules are watched from now on.
    """

    def __init__(self, net: nn.Module) -> None:
        self.found: list[Tensor] = []
        for module in net.modules():
            if isinstance(module, Modulation):
                module.register_forward_pre_hook(self._look)

    def _look(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.found.append(spike_share(inputs[0]))

    def take(self) -> Tensor:
        """The sum over all places since the last call: (B,)."""
        total = torch.stack(self.found).sum(0)
        self.found.clear()
        return total
