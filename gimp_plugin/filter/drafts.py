"""Choices that led to no painting yet: kept from one run to the next, whatever ended the run.

GIMP keeps the values of a run that succeeded. After an error, after Cancel in the dialog, and after Cancel at the
progress bar, which ends this process, the next dialog would begin with those of the run before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gi.repository import Gimp, Gio

from gimp_plugin.image import references

FILE = "impasto-unfinished.json"
# Of the run, and not of the user's taste.
NOT_KEPT = frozenset({"procedure", "run-mode", "image", "drawables", "change-painting"})


def keep(config: Gimp.ProcedureConfig, layer: Gimp.Layer) -> None:
    """Write the choices down for the next dialog.

    Args:
        layer: that they were made for.
    """
    with suppress(OSError):  # a profile that cannot be written to: GIMP keeps nothing there either
        _file().parent.mkdir(parents=True, exist_ok=True)
        _file().write_text(json.dumps({"for": references.describe(layer), "values": values_of(config)}), "utf-8")


def take_up(config: Gimp.ProcedureConfig, image: Gimp.Image, layer: Gimp.Layer, *, only_its_own: bool) -> bool:
    """Give a dialog the choices that were kept.

    Args:
        only_its_own: only if they were made for this very layer.

    Returns:
        Whether there were any.
    """
    try:
        kept = json.loads(_file().read_text("utf-8"))
        values, owner = kept["values"], kept["for"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if only_its_own and {**owner, "name": ""} != {**references.describe(layer), "name": ""}:
        return False
    fill_in(config, values, image)
    return True


def drop() -> None:
    """Forget the choices: GIMP has them now."""
    with suppress(OSError):
        _file().unlink()


def fill_in(config: Gimp.ProcedureConfig, values: Mapping[str, Any], image: Gimp.Image) -> None:
    """Set arguments to JSON values; what GIMP does not know, or a layer that is gone, is left as it is.

    Args:
        values: files as URIs, layers as references.
        image: to look for layers in.
    """
    kinds = {spec.name: spec.value_type.name for spec in config.list_properties()}
    for name, value in values.items():
        if name not in kinds or name in NOT_KEPT:
            continue
        given: Any = value
        if kinds[name] == "GFile":
            given = Gio.File.new_for_uri(value) if isinstance(value, str) else None
        elif kinds[name] == "GimpLayer":
            given = references.find_anywhere(value, image) if isinstance(value, dict) else None
        with suppress(TypeError):  # another version's kind of value
            config.set_property(name, given)


def values_of(config: Gimp.ProcedureConfig) -> dict[str, Any]:
    """The choices as JSON values, for ``fill_in``."""
    names = [spec.name for spec in config.list_properties() if spec.name not in NOT_KEPT]
    return {name: _plain(config.get_property(name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, Gio.File):
        return value.get_uri()
    if isinstance(value, Gimp.Layer):
        return references.describe(value) if value.is_valid() else None
    return value if isinstance(value, str | int | float | bool | None) else None


def _file() -> Path:
    return Path(Gimp.directory()) / "plug-in-settings" / FILE
