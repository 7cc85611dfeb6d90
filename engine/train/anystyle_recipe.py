"""Everything that decides a run of the any-style training, beside the data."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.core.errors import SettingsError
from engine.networks.anystyle_network import LATENT_SIZE
from engine.train.recipe import FLOAT32


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a run, beside the data.

    Args:
        copy_steps: first steps, in which every style is the content itself: encoder and decoder learn to pass a picture
            through the bottleneck, so that recolored features mean something from the first styled step on.
        steps: optimizer steps in all; the learning rate falls linearly to 0 over the last ``decay`` share of them.
        batch: contents a step.
        sharing: contents that share one style, which saves the loss network its most costly pass.
        size_px: side of the content crops.
        style_px: side of the style crops.
        least_zoom: smallest scale at which pictures are looked at; 1 = their own pixels, which is the largest.
        rate: Adam's learning rate.
        muon: Muon's, as a share of it.
        decay: share of the steps with falling rate.
        average: factor of the moving average of the weights that is shipped.
        identity: share of steps whose styles are the contents themselves.
        made_up: share of styles that are made-up textures.
        presets: share of styles that are works of our presets, as far as ART has them: most users see those first.
        swapped: share of the other works whose color channels change places: their strokes in colors that none has.
        portraits: share of contents that show people from near by, as far as PHOTOS has them: where a painting is off,
            a face is lost first.
        care: how many times more than elsewhere it counts where a portrait's light and contours go.
        plain: share of contents whose background is taken away (``leaves.before_plain``): photos have few of them, and
            without them things before black or white get a glow around them.
        held_out: one picture in so many of both folders is left for measuring (``data.is_held_out``); 0 = none.
        looked_at: styles in which the components of the latent are found, once, after the copying.
        style_weight: weight of the style term against the content term.
        patch_weight: weight of the patch term against the content term.
        seed: of weights and crops.
        is_bf16: autocast to bfloat16 (where the processor has it natively it halves the time).
    """

    copy_steps: int = 400
    steps: int = 20_000
    batch: int = 4
    sharing: int = 2
    size_px: int = 192
    style_px: int = 256
    least_zoom: float = 0.65
    rate: float = 1.2e-3
    muon: float = 1.25
    decay: float = 0.8
    average: float = 0.998
    identity: float = 0.04
    made_up: float = 0.1
    presets: float = 0.3
    swapped: float = 0.2
    portraits: float = 0.2
    care: float = 2.0
    plain: float = 0.2
    held_out: int = 12
    looked_at: int = 1500
    style_weight: float = 20.0
    patch_weight: float = 16.0
    seed: int = 0
    is_bf16: bool = field(default=True, metadata=FLOAT32)

    def __post_init__(self) -> None:
        if self.looked_at <= LATENT_SIZE:
            raise SettingsError(f"looked_at must be above {LATENT_SIZE}, the components of the latent.")

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: short warm-up, constant, linear fall."""
        left = (self.steps - step) / max(1, self.steps * self.decay)
        return self.rate * min(1.0, (step + 1) / 100, left)
