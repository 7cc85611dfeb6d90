"""The layers that the last run of the dialog chose. GIMP keeps every other last value, but no layer.

They are kept by their numbers, for as long as GIMP runs: each number is given out once.
"""

from __future__ import annotations

import json
from typing import Any

from gi.repository import Gimp

from gimp_plugin.filter.arguments import Choices
from gimp_plugin.image import pixels

PARASITE = "impasto-last-layers"
_SESSION_ONLY = 0  # GIMP's flags of a parasite that is not saved
_NAMES = {
    "style-layer": "style layer",
    "region-map": "label map of the picture",
    "style-region-map": "label map of the style",
}


def keep(choices: Choices) -> None:
    """Remember the layers of a run."""
    layers = (choices.layer, choices.region_map, choices.style_region_map)
    is_used = (choices.chosen_source == "layer", *[choices.regions == "layers"] * 2)
    memory = {
        argument: {
            "number": layer.get_id(),
            "name": layer.get_name(),
            "image": layer.get_image().get_name(),
            "is_used": used,
        }
        for argument, layer, used in zip(_NAMES, layers, is_used, strict=True)
        if layer is not None and layer.is_valid()
    }
    Gimp.attach_parasite(Gimp.Parasite.new(PARASITE, _SESSION_ONLY, json.dumps(memory).encode()))


def is_kept() -> bool:
    """Whether the dialog was confirmed since GIMP was started, with a layer or without."""
    return Gimp.get_parasite(PARASITE) is not None


def recall(config: Gimp.ProcedureConfig, is_repeat: bool) -> None:
    """Put the remembered layers back into a configuration, where it has none.

    Args:
        is_repeat: nobody will be asked, so what the run needs has to be there.

    Raises:
        WireError: a layer that is needed is gone.
    """
    for argument, kept in _memory().items():
        if argument not in _NAMES or config.get_property(argument) is not None:
            continue
        item = Gimp.Item.get_by_id(kept["number"]) if Gimp.Item.id_is_valid(kept["number"]) else None
        if isinstance(item, Gimp.Layer):
            config.set_property(argument, item)
        elif is_repeat and kept["is_used"]:
            raise pixels.refusal(
                f'The {_NAMES[argument]} "{kept["name"]}" of {kept["image"]} is gone: '
                "open the filter again (Filters > Artistic > Neural Style) and choose another one."
            )


def _memory() -> dict[str, Any]:
    parasite = Gimp.get_parasite(PARASITE)
    if parasite is None:
        return {}
    memory: dict[str, Any] = json.loads(bytes(parasite.get_data()).decode())
    return memory
