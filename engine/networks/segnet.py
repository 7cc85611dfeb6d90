"""Bayesian SegNet: what is where in a photo, and how sure that is.

An encoder of VGG's kind, and a decoder that mirrors it and puts values back where max pooling found them. Dropout
stays on when it answers: the mean of many answers is the prediction, their variance the uncertainty.

Source: Badrinarayanan, Kendall & Cipolla 2017 (SegNet); Kendall, Badrinarayanan & Cipolla 2015 (Bayesian SegNet).
Departs: narrow stages and leaky ReLUs, so that the first three take over the weights of the embedded feature network;
every second sample looks at the mirrored picture, which costs nothing and makes the mean better.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.core.types import Progress, silent

CLASSES = (
    *("sky", "building", "pole", "road", "pavement", "tree"),
    *("sign", "fence", "car", "pedestrian", "bicyclist"),
)  # CamVid's eleven, in the order of their labels
CHANNELS = (24, 48, 96, 112, 112)
N_CONVS = (2, 2, 3, 3, 2)  # a stage
STRIDE_PX = 32
DROPPED_STAGES = (2, 3, 4)  # the central six units, as in Kendall 2015, section 3.1
DROPOUT = 0.3


class Unit(nn.Module):
    """Convolution, batch normalization, leaky ReLU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.norm = nn.BatchNorm2d(n_out)
        nn.init.kaiming_normal_(self.conv.weight, a=0.1)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(x)), 0.1)


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network says of pictures.

    Args:
        probability: (B, K, H, W), the mean over the samples; sums to 1 over K.
        variance: (B, H, W), mean over the classes of the variance over the samples: the model's uncertainty.
    """

    probability: Tensor
    variance: Tensor


class SegNet(nn.Module):
    """Call it with (B, 3, H, W) in [0, 1], sides divisible by 32, for logits (B, K, H, W)."""

    def __init__(self, n_classes: int = len(CLASSES), channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        n_in = 3
        for n_out, n_convs in zip(channels, N_CONVS, strict=True):
            self.encoder.append(nn.Sequential(*(Unit(n_in if i == 0 else n_out, n_out) for i in range(n_convs))))
            n_in = n_out
        for stage in reversed(range(len(channels))):
            n, n_out = channels[stage], channels[max(0, stage - 1)]
            n_units = N_CONVS[stage] if stage else N_CONVS[stage] - 1  # the last convolution is the classifier
            units = [Unit(n, n_out if i == n_units - 1 else n) for i in range(n_units)]
            self.decoder.append(nn.Sequential(*units))
        self.classify = nn.Conv2d(channels[0], n_classes, 3, padding=1)
        self.drops = False

    def forward(self, rgb: Tensor) -> Tensor:
        x = rgb * 4 - 2
        indices = []
        for stage, units in enumerate(self.encoder):
            x, index = F.max_pool2d(units(x), 2, return_indices=True)  # (B, C, H/2, W/2)
            x = self.dropped(x, stage)
            indices.append(index)
        for stage, units in zip(reversed(range(len(indices))), self.decoder, strict=True):
            x = units(F.max_unpool2d(x, indices[stage], [2, 2]))  # (B, C', 2 H, 2 W)
            x = self.dropped(x, stage)
        return self.classify(x)

    def dropped(self, x: Tensor, stage: int) -> Tensor:
        """Dropout, in training and wherever samples are wanted."""
        return F.dropout(x, DROPOUT, self.training or self.drops) if stage in DROPPED_STAGES else x

    @torch.no_grad()
    def answer(
        self,
        rgb: Tensor,
        n_samples: int,
        generator_seed: int = 0,
        on_progress: Progress = silent,
        *,
        mirrors: bool = True,
    ) -> Answer:
        """Mean and variance of the class probabilities over samples with dropout.

        Args:
            rgb: (B, 3, H, W) in [0, 1], sides divisible by 32.
            n_samples: 0 = one pass without dropout, whose variance is 0.
            mirrors: every second sample looks at the mirrored pictures.
            generator_seed: of the dropout; the process's own random state is left as it was.
            on_progress: told the share done; may raise ``Cancelled``.
        """
        self.eval()
        if n_samples == 0:
            probability = self(rgb).float().softmax(1)
            return Answer(probability, torch.zeros_like(probability[:, 0]))
        self.drops = True
        total = squares = torch.zeros(())
        try:
            with torch.random.fork_rng(devices=[rgb.device] if rgb.device.type == "cuda" else []):
                torch.manual_seed(generator_seed)
                for n_done in range(n_samples):
                    on_progress(n_done / n_samples, "")
                    is_mirrored = mirrors and n_done % 2 == 1
                    probability = self(rgb.flip(3) if is_mirrored else rgb).float().softmax(1)
                    probability = probability.flip(3) if is_mirrored else probability
                    total, squares = total + probability, squares + probability.square()
        finally:
            self.drops = False
        mean = total / n_samples
        return Answer(mean, (squares / n_samples - mean.square()).clamp_min(0).mean(1))


def take_over(network: SegNet, embedded: dict[str, Tensor]) -> int:
    """Copy the embedded feature network's convolutions into the first stages; the number copied."""
    names = sorted(name for name in embedded if name.startswith("convs.") and name.endswith(".weight"))
    by_block: dict[int, list[str]] = {}
    for name in names:
        by_block.setdefault(int(name[len("convs.relu")]), []).append(name[: -len(".weight")])
    n_copied = 0
    for block, found in by_block.items():
        for unit, name in zip(network.encoder[block - 1], found, strict=False):  # type: ignore[call-overload]
            unit.conv.weight.data.copy_(embedded[f"{name}.weight"])
            unit.conv.bias.data.copy_(embedded[f"{name}.bias"])
            n_copied += 1
    return n_copied
