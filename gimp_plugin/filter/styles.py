"""The style that the choices mean, for previews: read once, and large files beside the user's work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gi.repository import GdkPixbuf, Gio, GLib

from gimp_plugin import wire
from gimp_plugin.choices.arguments import Choices
from gimp_plugin.choices.catalog import Catalog
from gimp_plugin.image import pixels, scratch, view


class StyleReader:
    """Remembers the last picture."""

    def __init__(self) -> None:
        self._key: Any = None
        self._picture: wire.Plane | None = None

    def of(self, choices: Choices, catalog: Catalog) -> Callable[[], wire.StyleEntry]:
        """What gives the style; it may be called on any thread. GIMP's own part of it is done now.

        Raises:
            WireError: the layer is empty, or the file cannot be read.
        """
        if choices.source == "preset":
            entry = wire.StyleEntry(catalog.title_of(choices["style-preset"]), preset=choices["style-preset"])
            return lambda: entry
        if choices.source == "layer":
            layer = choices["style-layer"]
            picture = self._kept(("layer", layer.get_id()), lambda: scratch.read_style_layer(layer))
            layer_entry = wire.StyleEntry(layer.get_name(), picture=picture)
            return lambda: layer_entry
        return self._of_file(choices["style-file"])

    def _of_file(self, file: Gio.File) -> Callable[[], wire.StyleEntry]:
        name, path = pixels.file_name(file), file.get_path()
        key = ("file", file.get_uri(), _changed_at(file))
        is_plain = path is not None and GdkPixbuf.Pixbuf.get_file_info(path)[0] is not None
        if not is_plain:  # only GIMP itself knows how
            self._kept(key, lambda: scratch.read_style_file(file)[0])

        def make() -> wire.StyleEntry:
            picture = self._kept(key, lambda: _read(str(path), name))
            return wire.StyleEntry(name, picture=picture)

        return make

    def _kept(self, key: Any, read: Callable[[], wire.Plane]) -> wire.Plane:
        if self._key != key or self._picture is None:
            self._picture = read()
            self._key = key
        return self._picture


def _read(path: str, name: str) -> wire.Plane:
    picture = view.read_file(path, scratch.STYLE_SIDE_PX)
    if picture is None:
        raise pixels.refusal(f"The style picture {name} cannot be read: choose another file.")
    return picture


def _changed_at(file: Gio.File) -> int:
    try:
        info = file.query_info("time::modified", Gio.FileQueryInfoFlags.NONE, None)
    except GLib.Error:  # gone: reading it will say so
        return 0
    return int(info.get_attribute_uint64("time::modified"))
