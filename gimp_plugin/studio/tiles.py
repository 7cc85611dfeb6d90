"""The gallery's tiles: one style each, a picture with its title below."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gi.repository import Gimp, Gtk, Pango

from gimp_plugin import FOLDER, wire
from gimp_plugin.choices import own_styles
from gimp_plugin.image import view
from gimp_plugin.language import _
from gimp_plugin.settings import Entry

TILE_PX = (96, 72)
CHARS = 13
THUMBNAILS = FOLDER / "thumbnails"
FAVORITES = "impasto-favorites.json"


class Tile:
    """One style: a preset by its name, or a style file of the user's by its path.

    Args:
        key: the name, or the path.
        title: what the user reads and searches in.
        place: among the tiles.
        style: gives the style; called on any thread.
        thumbnail: (H, W, 4) of the work itself.
        is_own: whether it is a file of the user's.
    """

    def __init__(
        self,
        key: str,
        title: str,
        place: int,
        style: Callable[[], wire.StyleEntry],
        thumbnail: wire.Plane | None,
        is_own: bool = False,
    ) -> None:
        self.key, self.title, self.place, self.style, self.is_own = key, title, place, style, is_own
        self.is_painted = False
        work, _comma, artist = title.rpartition(", ")
        self._image = Gtk.Image()
        self._image.set_size_request(*TILE_PX)
        self._name = work or artist
        label = self._label = Gtk.Label(label=self._name, ellipsize=Pango.EllipsizeMode.END, max_width_chars=CHARS)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
        box.pack_start(self._image, False, False, 0)
        box.pack_start(label, False, False, 0)
        self.child = Gtk.FlowBoxChild(
            name=key, tooltip_text=f"{title}\n{_('Right click: mix it in as a second style')}"
        )
        self.child.get_accessible().set_name(title)
        self.child.add(box)
        if thumbnail is not None:
            self._show(thumbnail)

    @classmethod
    def of_preset(cls, entry: Entry, place: int) -> Tile:
        """A shipped style."""
        style = wire.StyleEntry(entry.title, preset=entry.name)
        thumbnail = view.read_file(str(THUMBNAILS / f"{entry.name}.jpg"), 2 * TILE_PX[0])
        return cls(entry.name, entry.title, place, lambda: style, thumbnail)

    @classmethod
    def of_own(cls, listed: own_styles.Listed, place: int) -> Tile:
        """A style file."""
        title = ", ".join(filter(None, (listed.title, listed.artist)))

        def style() -> wire.StyleEntry:
            return wire.StyleEntry.of_saved(wire.unpack_style(wire.read_style_bytes(listed.path)), 1.0)

        return cls(str(listed.path), title, place, style, view.opaque(listed.thumbnail), is_own=True)

    def mark(self, is_liked: bool, is_second: bool) -> None:
        """Show that it is a favorite, or mixed in."""
        signs = ("\N{BLACK STAR} " if is_liked else "") + ("+ " if is_second else "")
        self._label.set_text(f"{signs}{self._name}")

    def show(self, picture: wire.Plane) -> None:
        """Show the user's picture in this style."""
        self._show(picture)
        self.is_painted = True

    def _show(self, picture: wire.Plane) -> None:
        self._image.set_from_pixbuf(view.pixbuf_of(view.covering(picture, TILE_PX)))


class Favorites:
    """Keys of tiles that the user likes, kept in the profile."""

    def __init__(self) -> None:
        self._file = Path(Gimp.directory()) / "plug-in-settings" / FAVORITES
        self._keys: list[str] = []
        with suppress(OSError, ValueError):
            keys: Any = json.loads(self._file.read_text("utf-8"))
            self._keys = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def turn(self, key: str) -> None:
        """Make it a favorite, or no longer."""
        if key in self._keys:
            self._keys.remove(key)
        else:
            self._keys.append(key)
        with suppress(OSError):  # a profile that cannot be written to: GIMP keeps nothing there either
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self._keys), "utf-8")
