"""The interface of all feature networks: pictures and names of VGG activations in, feature maps out."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from engine.core.errors import SettingsError
from engine.core.shapes import check_shapes

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
VGG19_CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}


def block_of(layer: str) -> int:
    """1 to 5: the VGG block of an activation's name; its resolution is 2^(block - 1) times coarser."""
    return int(layer[4])


class Backbone(nn.Module):
    """A feature extractor. Call it with pictures and the names of the layers wanted.

    Attributes:
        layers: names it can answer for, shallow first.
    """

    layers: tuple[str, ...] = ()
    poolings: tuple[str, ...] = ("max",)

    def forward(self, rgb: Tensor, layers: Iterable[str], pooling: str = "max") -> dict[str, Tensor]:
        """Features of pictures.

        Args:
            rgb: (B, 3, H, W), sRGB-encoded, [0, 1].
            layers: names out of ``self.layers``.
            pooling: "max", or "average" where it can: smoother gradients for optimization (Gatys 2016).

        Returns:
            name -> (B, C, H', W') after the ReLU; H', W' are halved (rounded down) once per block.

        Raises:
            SettingsError: a layer or a pooling that this backbone does not have.
        """
        check_shapes(rgb=(rgb, "B 3 H W"))
        wanted = set(layers)
        missing = sorted(wanted - set(self.layers))
        if missing:
            raise SettingsError(
                f"This feature network has no {', '.join(missing)}; it goes up to {self.layers[-1]}. "
                "Choose shallower layers, or a backbone with the deeper ones (vgg19)."
            )
        if pooling not in self.poolings:
            raise SettingsError(f"This feature network has no {pooling} pooling. Choose max, or the backbone vgg19.")
        mean = rgb.new_tensor(IMAGENET_MEAN)[:, None, None]
        std = rgb.new_tensor(IMAGENET_STD)[:, None, None]
        return self._features((rgb - mean) / std, wanted, pooling)

    def _features(self, x: Tensor, wanted: set[str], pooling: str) -> dict[str, Tensor]:
        raise NotImplementedError
