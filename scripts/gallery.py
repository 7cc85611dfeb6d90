"""Paints the pictures of README and docs/ with the shipped weights: ``python -m scripts.gallery``.

docs/images/presets.jpg: one photo in the style of every preset. docs/images/modes.jpg: the color modes, photorealistic
smoothing, strength, and a blend. docs/images/sheet-*.jpg: six photos in eight styles each. With ``--style PICTURE``
docs/images/quality.jpg too: a portrait with little care and with much, which needs a style picture, not a code.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image

from benchmarks.sheet import Sheet
from engine.core.types import Picture, Quality, Settings, Style
from engine.files import presets, read_picture
from engine.pipeline.stylize import stylize
from scripts.demo_sheet import Panel, draw_sheet

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
WIDTH_PX, PANEL_PX = 720, 330
CELL_PX, GAP_PX, LADDER_PX = 176, 4, 300
SHEETS = {
    "sheet-1": (
        "starry-night",
        "great-wave",
        "water-lilies",
        "bathers-asnieres",
        "the-kiss",
        "senecio",
        "tarot-sun",
        "edtaonisl",
    ),
    "sheet-2": (
        "wheat-cypresses",
        "shin-ohashi-bridge",
        "two-sisters",
        "calanque",
        "composition-vi",
        "blue-horses",
        "jack-pine",
        "vertumnus",
    ),
}


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m scripts.gallery", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--style", type=Path, help="style picture, for quality.jpg")
    options = parser.parse_args(argv)
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    photo = load_photo()
    save(out / "presets.jpg", draw_sheet(*preset_sheet(photo), n_columns=4))
    save(out / "modes.jpg", draw_sheet(*modes(photo), n_columns=4))
    contents = six_photos()
    for name, chosen in SHEETS.items():
        save(out / f"{name}.jpg", table(contents, chosen))
    if options.style is not None:
        ladder(contents[0], read_picture(options.style)).save(out / "quality.jpg")
    return 0


def load_photo() -> Picture:
    """Chelsea the cat, by Stefan van der Walt, given to the public domain (CC0); comes with scikit-image."""
    from skimage import data  # noqa: PLC0415  (the demo's own extra)

    cat = Image.fromarray(data.chelsea())
    cat = cat.resize((WIDTH_PX, WIDTH_PX * cat.height // cat.width), Image.Resampling.LANCZOS)
    return Picture(torch.from_numpy(np.asarray(cat, np.float32) / 255).permute(2, 0, 1).contiguous())


def six_photos() -> list[Picture]:
    """Square photos of people, an animal and things, which come with scikit-image (public domain or CC0)."""
    from skimage import data  # noqa: PLC0415  (the demo's own extra)

    astronaut, cat, cup, rocket = data.astronaut(), data.chelsea(), data.coffee(), data.rocket()
    pixels = [astronaut, astronaut[:256, 96:352], cat[:, 60:360], cup[:, 100:500], rocket[:, 60:487]]
    pixels.append(astronaut[:212, 300:])  # the shuttle
    pictures = []
    for square in pixels:
        image = Image.fromarray(square).resize((512, 512), Image.Resampling.LANCZOS)
        pictures.append(Picture(torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1).contiguous()))
    return pictures


def table(contents: Sequence[Picture], names: Sequence[str]) -> Image.Image:
    """A row per photo: the photo, and what each style makes of it at the strength that is chosen by itself."""
    step = CELL_PX + GAP_PX
    sheet = Image.new("RGB", (GAP_PX + step * (1 + len(names)), GAP_PX + step * len(contents)), "white")
    for row, content in enumerate(contents):
        painted = [
            stylize(content, [presets.load_preset(name)], Settings(auto_strength=True)).picture for name in names
        ]
        for column, picture in enumerate([content, *painted]):
            cell = shown(picture).resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS)
            sheet.paste(cell, (GAP_PX + step * column, GAP_PX + step * row))
    return sheet


def ladder(photo: Picture, style: Picture) -> Sheet:
    """A photo, and what each step of care makes of it."""
    steps = get_args(Quality)
    sheet = Sheet(["photo", *steps], cell_px=LADDER_PX)
    painted = [
        stylize(photo, [Style("style", style)], Settings(quality=step, auto_strength=True)).picture for step in steps
    ]
    sheet.add_row([picture.rgb[None] for picture in (photo, *painted)])
    return sheet


def preset_sheet(photo: Picture) -> tuple[str, str, Sequence[Panel]]:
    """The photo and what each preset makes of it, at default settings."""
    panels = [Panel(shown(photo), "Photo", "Chelsea, from scikit-image")]
    for preset in presets.presets():
        painted = stylize(photo, [presets.load_preset(preset.name)]).picture
        panels.append(Panel(shown(painted), preset.title, f"{preset.artist}, {preset.year}"))
    return "Styles that come with Impasto", "One forward pass each, at the default settings.", panels


def modes(photo: Picture) -> tuple[str, str, Sequence[Panel]]:
    """One style in every mode."""
    plain = Settings()
    variants = {
        "Default": plain,
        "Strength 0.5": replace(plain, strength=0.5),
        "Colors: luminance": replace(plain, color="luminance"),
        "Colors: match": replace(plain, color="match"),
        "Photorealism 1": replace(plain, photoreal=1.0),
        "Luminance, photorealism 1": replace(plain, color="luminance", photoreal=1.0),
    }
    style, other = presets.load_preset("starry-night"), presets.load_preset("great-wave")
    panels = [Panel(shown(photo), "Photo", "Chelsea, from scikit-image")]
    panels += [Panel(shown(stylize(photo, [style], s).picture), title, style.name) for title, s in variants.items()]
    blend = stylize(photo, [style, other]).picture
    panels.append(Panel(shown(blend), "Two styles, half each", f"and {other.name}"))
    return "Modes", "One photo, one style, and a blend.", panels


def shown(picture: Picture) -> Image.Image:
    """A panel's picture."""
    pixels = (picture.rgb.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels)
    return image.resize((PANEL_PX, PANEL_PX * image.height // image.width), Image.Resampling.LANCZOS)


def save(path: Path, sheet: Image.Image) -> None:
    """As a JPEG of good quality: a palette would band the skies."""
    sheet.save(path, quality=90, optimize=True)


if __name__ == "__main__":
    raise SystemExit(main())
