"""Style presets: what our network says of public-domain works.

A preset is a style code of a few kB, not a picture. ``presets/presets.json`` names the works and
``presets/codes.safetensors`` holds the codes; ``python -m engine.train.ship presets`` makes both, and the thumbnails.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from engine.core.errors import SettingsError
from engine.core.types import Style

STYLE_SIZE_PX = 512  # longest side at which a style is looked at, and a preset's work was
FOLDER = Path(__file__).parents[1] / "presets"


@dataclass(frozen=True)
class Preset:
    """A work whose style code ships.

    Args:
        name: as users type it.
        title: of the work.
        artist: who made it.
        year: when, as its museum says it ("1889", "about 1830").
    """

    name: str
    title: str
    artist: str
    year: str


@cache
def presets() -> tuple[Preset, ...]:
    """Every preset, in the order in which they are shown."""
    return tuple(Preset(**entry) for entry in json.loads((FOLDER / "presets.json").read_text("utf-8")))


def thumbnail(name: str) -> Path:
    """A small JPEG: what the preset makes of a sample photo (Chelsea the cat, CC0), painted by the shipped network."""
    return FOLDER / "thumbnails" / f"{name}.jpg"


@cache
def _codes() -> dict[str, Tensor]:
    return load_file(FOLDER / "codes.safetensors")


def load_preset(name: str, weight: float = 1.0) -> Style:
    """The style of a preset.

    Raises:
        SettingsError: there is none of that name; the message names the nearest, or all.
    """
    by_name = {preset.name: preset for preset in presets()}
    if name not in by_name:
        near = difflib.get_close_matches(name, by_name, n=3, cutoff=0.55)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(sorted(by_name))}."
        raise SettingsError(f"There is no style preset {name!r}. {hint}")
    preset = by_name[name]
    return Style(name=f"{preset.title} ({preset.artist})", code=_codes()[name].float(), weight=weight)
