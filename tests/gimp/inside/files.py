"""Scenes: every odd file as a layer, with another odd one as the style."""

from __future__ import annotations

import json
import os
from array import array

from gi.repository import Gegl, Gimp, Gio
from inside import stage
from inside.stage import FOLDER, Engine, Facts

STEP = 97  # every such pixel is looked at


def paint(layer_name: str, style_name: str, engine: Engine) -> Facts:
    """Open one file, paint its whole layer in the style of the other.

    Args:
        layer_name, style_name: of the files, as ``os.fsdecode`` writes them.
    """
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, _file(layer_name))
    (source, *_others) = image.get_layers()
    n_jobs = engine.n_jobs()
    layer, facts = stage.run_filter(image, [source], selection_only=False, style_file=_file(style_name))
    facts |= {"jobs_sent": engine.n_jobs() - n_jobs, "n_images": len(Gimp.get_images())}
    if layer is None:
        return facts
    settings = json.loads(bytes(layer.get_parasite("impasto-settings").get_data()).decode())
    job = engine.last_job()
    return facts | {
        "notes": settings["report"]["notes"],
        "picture": job["picture"],
        "style_sight": job["style_sight"],
        "worst": _distance_from_negative(source, layer),
    }


def _file(name: str) -> Gio.File:
    return Gio.File.new_for_path(os.path.join(FOLDER, "odd", name))


def _distance_from_negative(source: Gimp.Layer, layer: Gimp.Layer) -> float:
    """The largest difference between the painted colors and the negative of the source's, of 1."""
    area = Gegl.Rectangle.new(0, 0, source.get_width(), source.get_height())
    before, after = (
        array("f", drawable.get_buffer().get(area, 1.0, "R'G'B'A float", Gegl.AbyssPolicy.NONE))
        for drawable in (source, layer)
    )
    # What is outside sRGB has a negative that no 8-bit layer can hold.
    starts = [
        i
        for i in range(0, len(before), 4 * STEP)
        if before[i + 3] > 0 and all(-1e-4 <= value <= 1.0001 for value in before[i : i + 3])
    ]
    return max(abs(before[i + c] + after[i + c] - 1) for i in starts for c in range(3))
