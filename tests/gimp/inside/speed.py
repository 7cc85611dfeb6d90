"""Scene: a 12-megapixel photo. How long everything but computing takes."""

from __future__ import annotations

import json
import time

from gi.repository import Gimp
from inside import stage
from inside.stage import Facts

WIDTH, HEIGHT = 4000, 3000


def twelve_megapixels() -> Facts:
    """The whole layer, 8 bits, three times; and the steps of the plug-in that its report names."""
    image = stage.load("chelsea.jpg")
    Gimp.context_set_interpolation(Gimp.InterpolationType.LINEAR)
    image.scale(WIDTH, HEIGHT)
    Gimp.Selection.all(image)
    runs = []
    for _ in range(3):
        started = time.monotonic()
        layer, facts = stage.run_filter(image, [image.get_layers()[-1]])
        seconds = time.monotonic() - started
        settings = json.loads(bytes(layer.get_parasite("impasto-settings").get_data()).decode())
        runs.append(facts | {"seconds": seconds, "steps": settings["seconds"], "engine": settings["report"]["seconds"]})
        image.remove_layer(layer)
    return {"runs": runs}
