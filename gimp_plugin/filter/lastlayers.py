"""The layers that the last run of the dialog chose. GIMP keeps every other last value, but no layer.

They are kept by their numbers, for as long as GIMP runs: each number is given out once.
"""

from __future__ import annotations

import json
from typing import Any

from gi.repository import Gimp

from gimp_plugin import settings
from gimp_plugin.choices.arguments import Choices
from gimp_plugin.image import pixels
from gimp_plugin.language import _
from gimp_plugin.settings import Setting

PARASITE = "impasto-last-layers"
_SESSION_ONLY = 0  # GIMP's flags of a parasite that is not saved


def keep(choices: Choices) -> None:
    """Remember the layers of a run."""
    memory = {
        setting.name: {
            "number": layer.get_id(),
            "name": layer.get_name(),
            "image": layer.get_image().get_name(),
            "is_used": choices.is_used(setting),
        }
        for setting in _layers()
        if (layer := choices[setting.name]) is not None and layer.is_valid()
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
    memory = _memory()
    for setting in _layers():
        kept = memory.get(setting.name)
        if kept is None or config.get_property(setting.name) is not None:
            continue
        item = Gimp.Item.get_by_id(kept["number"]) if Gimp.Item.id_is_valid(kept["number"]) else None
        if isinstance(item, Gimp.Layer):
            config.set_property(setting.name, item)
        elif is_repeat and kept["is_used"]:
            says = _(
                'The layer "{layer}" of {image} ({setting}) is gone: open the filter again (Filters > Artistic > '
                "Neural Style) and choose another one."
            )
            raise pixels.refusal(
                says.format(layer=kept["name"], image=kept["image"], setting=_(setting.title).replace("_", ""))
            )


def _layers() -> list[Setting]:
    return [setting for setting in settings.of("gimp") if setting.kind == "layer"]


def _memory() -> dict[str, Any]:
    parasite = Gimp.get_parasite(PARASITE)
    if parasite is None:
        return {}
    memory: dict[str, Any] = json.loads(bytes(parasite.get_data()).decode())
    return memory
