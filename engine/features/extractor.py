"""How methods that descend look at a picture: through a feature network, beyond its borders, as cheaply as it goes."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.precision import Arithmetic, has_native_bfloat16
from engine.features.backbone import Backbone, block_of

FRAME_PX = 16  # the networks see black beyond a picture's borders, and would paint fringes against it


class FeatureExtractor:
    """A feature network on a device, in the layout and precision in which gradients through it are cheapest.

    Convolutions run in bfloat16 where the processor has it natively, which takes a third of the time; features are
    then within half a percent, which a descent does not notice.

    Args:
        backbone: the feature network, on its device.
        device: where it computes.
        pooling: see ``Backbone``.
    """

    def __init__(self, backbone: Backbone, device: torch.device, pooling: str = "max") -> None:
        is_half = device.type == "cpu" and has_native_bfloat16()
        self.arithmetic = Arithmetic(is_channels_last=True, is_half=is_half)
        self.backbone, self.pooling = backbone, pooling
        self.arithmetic.fit(self.backbone)

    def __call__(self, rgb: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Features of pictures, as if they went on beyond their borders.

        Args:
            rgb: (B, 3, H, W).
            layers: names of activations.

        Returns:
            name -> (B, C, h, w), channels-last, float32 or bfloat16.
        """
        framed = F.pad(rgb, (FRAME_PX,) * 4, mode="replicate")
        with self.arithmetic.active():
            seen = self.backbone(framed, layers, self.pooling)
        edges = {name: FRAME_PX // 2 ** (block_of(name) - 1) for name in seen}
        return {name: x[..., edges[name] : -edges[name], edges[name] : -edges[name]] for name, x in seen.items()}

    def wide(self, rgb: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """The same in float32."""
        return {name: x.float() for name, x in self(rgb, layers).items()}
