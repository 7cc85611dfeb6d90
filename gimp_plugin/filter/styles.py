"""The styles that the choices mean: read for a painting, or for previews, once and beside the user's work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gi.repository import GdkPixbuf, Gimp, Gio, GLib

from gimp_plugin import wire
from gimp_plugin.choices.arguments import Choices
from gimp_plugin.choices.catalog import Catalog
from gimp_plugin.image import pixels, scratch, view
from gimp_plugin.language import _

MAX_KEPT = 4
Make = Callable[[], wire.StyleEntry]


def read(choices: Choices, catalog: Catalog, notes: list[str]) -> tuple[wire.StyleEntry, ...]:
    """The styles that count, by their shares. What is to be said of them joins the notes."""
    find = (_style, _second_style)
    return tuple(find[place](choices, catalog, weight, notes) for place, weight in shares_of(choices).items())


def _style(choices: Choices, catalog: Catalog, weight: float, notes: list[str]) -> wire.StyleEntry:
    """The first style: what the user points at most directly."""
    if choices.source == "layer":
        return _layer_style(choices["style-layer"], weight)
    if choices.source == "file":
        return _file_style(choices["style-file"], weight, notes)
    return _preset_style(choices["style-preset"], catalog, weight)


def _second_style(choices: Choices, catalog: Catalog, weight: float, notes: list[str]) -> wire.StyleEntry:
    """The one that is mixed in."""
    if choices.second == "file":
        return _file_style(choices["second-file"], weight, notes)
    return _preset_style(choices["second-preset"], catalog, weight)


def _layer_style(layer: Gimp.Layer, weight: float) -> wire.StyleEntry:
    return wire.StyleEntry(layer.get_name(), weight, picture=scratch.read_style_layer(layer))


def _file_style(file: Gio.File, weight: float, notes: list[str]) -> wire.StyleEntry:
    entry, note = scratch.read_style(file, weight)
    notes += [note] if note else []
    return entry


def _preset_style(preset: str, catalog: Catalog, weight: float) -> wire.StyleEntry:
    return wire.StyleEntry(catalog.title_of(preset), weight, preset=preset)


def shares_of(choices: Choices) -> dict[int, float]:
    """The weight of the first style, 0, and of the second, 1; what has none is left out."""
    share = float(choices["mix"]) if choices.second else 0.0
    return {place: max(weight, wire.MIN_WEIGHT) for place, weight in ((0, 1 - share), (1, share)) if weight > 0}


class StyleReader:
    """Remembers the last pictures."""

    def __init__(self) -> None:
        self._kept: dict[Any, wire.StyleEntry] = {}

    def of(self, choices: Choices, catalog: Catalog) -> Callable[[], tuple[wire.StyleEntry, ...]]:
        """What gives the styles; it may be called on any thread. GIMP's own part of it is done now.

        Raises:
            WireError: a layer is empty, or a file cannot be read.
        """
        makers = [
            (self._maker(choices, catalog, is_second=place == 1), weight)
            for place, weight in shares_of(choices).items()
        ]
        return lambda: tuple(replace(make(), weight=weight) for make, weight in makers)

    def _maker(self, choices: Choices, catalog: Catalog, *, is_second: bool) -> Make:
        source = choices.second if is_second else choices.source
        if source == "file":
            return self._of_file(choices["second-file" if is_second else "style-file"])
        if source == "layer":
            layer = choices["style-layer"]
            entry = self._keep(("layer", layer.get_id()), lambda: _layer_style(layer, 1.0))
        else:
            entry = _preset_style(choices["second-preset" if is_second else "style-preset"], catalog, 1.0)
        return lambda: entry

    def _of_file(self, file: Gio.File) -> Make:
        path = file.get_path()
        key = ("file", file.get_uri(), _changed_at(file))
        is_plain = path is not None and GdkPixbuf.Pixbuf.get_file_info(path)[0] is not None
        if not is_plain:  # only we or GIMP know how
            self._keep(key, lambda: scratch.read_style(file, 1.0)[0])
        return lambda: self._keep(key, lambda: _picture_style(str(path), pixels.file_name(file)))

    def _keep(self, key: Any, make: Make) -> wire.StyleEntry:
        if key not in self._kept:
            entry = make()
            while len(self._kept) >= MAX_KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[key] = entry
        return self._kept[key]


def _picture_style(path: str, name: str) -> wire.StyleEntry:
    picture = view.read_file(path, scratch.STYLE_SIDE_PX)
    if picture is None:
        raise pixels.refusal(_("The style picture {name} cannot be read: choose another file.").format(name=name))
    stem, _dot, rest = name.rpartition(".")
    return wire.StyleEntry(stem or rest, picture=picture)


def _changed_at(file: Gio.File) -> int:
    try:
        info = file.query_info("time::modified", Gio.FileQueryInfoFlags.NONE, None)
    except GLib.Error:  # gone: reading it will say so
        return 0
    return int(info.get_attribute_uint64("time::modified"))
