"""Every style as a small picture: the work itself at first, then the user's own picture painted in it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from gi.repository import Gdk, Gimp, GLib, Gtk, Pango

from gimp_plugin import FOLDER, wire
from gimp_plugin.choices.catalog import Catalog
from gimp_plugin.client.background import Background, Wish
from gimp_plugin.dialog.trace import Trace
from gimp_plugin.image import view
from gimp_plugin.image.view import View
from gimp_plugin.settings import Entry

PAINTED_PX = 192  # the size at which the user's picture is painted for it
TILE_PX = (96, 72)
HEIGHT_PX = 104
SPACING_PX = 6
CHARS = 13
STAR, NO_STAR = "starred-symbolic", "non-starred-symbolic"
THUMBNAILS = FOLDER / "thumbnails"


class Gallery:
    """The tiles, a line to search in, and the favorites.

    Args:
        config: the choices; the gallery sets the preset.
        catalog: what styles there are.
        background: paints the tiles in spare time.
        trace: told when all are painted.
    """

    def __init__(self, config: Gimp.ProcedureConfig, catalog: Catalog, background: Background, trace: Trace) -> None:
        self._config, self._catalog, self._background = config, catalog, background
        self._trace = trace
        self._favorites = _Favorites()
        self._tiles: dict[str, _Tile] = {}
        self._is_busy = False
        self._search = Gtk.SearchEntry(placeholder_text="Search: title, artist")
        self._flow = Gtk.FlowBox(
            homogeneous=True, max_children_per_line=12, selection_mode=Gtk.SelectionMode.SINGLE, valign=Gtk.Align.START
        )
        self._flow.set_activate_on_single_click(True)
        self._flow.set_filter_func(self._is_found)
        self._flow.set_sort_func(self._order)
        self._search.connect("search-changed", self._find)
        self._flow.get_accessible().set_name("Styles")
        self._flow.connect("selected-children-changed", self._choose)
        self._flow.connect("key-press-event", self._key)
        self._flow.connect("set-focus-child", self._follow_focus)
        for place, entry in enumerate(catalog.styles):
            tile = self._tiles[entry.name] = _Tile(entry, place)
            tile.child.connect("button-press-event", self._press, entry.name)
            self._flow.add(tile.child)
        self._star = Gtk.Button.new_from_icon_name(NO_STAR, Gtk.IconSize.BUTTON)
        self._star.set_tooltip_text("Make the chosen style a favorite: favorites come first")
        self._star.get_accessible().set_name("Favorite")
        self._star.connect("clicked", self._turn_star)
        self.box = self._laid_out()
        self.update()

    def update(self) -> None:
        """Show which style is chosen."""
        name = self._config.get_property("style-preset")
        tile = self._tiles.get(name)
        if tile is not None and not tile.child.is_selected():
            self._is_busy = True
            self._flow.select_child(tile.child)
            self._is_busy = False
            self._let_in(only_chosen=self._flow.get_focus_child() is None)
        icon = STAR if name in self._favorites else NO_STAR
        self._star.set_image(Gtk.Image.new_from_icon_name(icon, Gtk.IconSize.BUTTON))

    def paint(self, seen: View) -> None:
        """Paint every tile anew, from what is looked at; the chosen one and the favorites first."""
        content = view.shrunk(seen.content, PAINTED_PX)
        chosen = self._config.get_property("style-preset")
        names = sorted(self._tiles, key=lambda name: (name != chosen, name not in self._favorites))
        self._background.fill([self._wish(name, content) for name in names])

    @property
    def n_painted(self) -> int:
        """How many tiles show the user's picture."""
        return sum(tile.is_painted for tile in self._tiles.values())

    def _wish(self, name: str, content: wire.Plane) -> Wish:
        tile = self._tiles[name]

        def make() -> wire.StylizeRequest:
            return wire.StylizeRequest(content, (wire.StyleEntry(tile.entry.title, preset=name),), composite=True)

        def done(result: wire.StylizeResult) -> None:
            tile.show(result.picture)
            if self.n_painted == len(self._tiles):
                self._trace.note("gallery", n=self.n_painted)

        return Wish(make, done)

    def _laid_out(self) -> Gtk.Box:
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        bar = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=SPACING_PX)
        bar.pack_start(self._search, True, True, 0)
        bar.pack_start(self._star, False, False, 0)
        scroller = Gtk.ScrolledWindow(min_content_height=HEIGHT_PX, shadow_type=Gtk.ShadowType.IN)
        scroller.set_policy(Gtk.PolicyType.NEVER, Gtk.PolicyType.AUTOMATIC)
        scroller.set_overlay_scrolling(False)
        scroller.add(self._flow)
        box.pack_start(bar, False, False, 0)
        box.pack_start(scroller, True, True, 0)
        return box

    def _choose(self, flow: Gtk.FlowBox) -> None:
        chosen = flow.get_selected_children()
        if chosen and not self._is_busy:
            name = chosen[0].get_name()
            if self._config.get_property("style-preset") != name:
                self._config.set_property("style-preset", name)

    def _key(self, _flow: Gtk.FlowBox, event: Gdk.EventKey) -> bool:
        """The arrows go from tile to tile, Tab leaves them: there are many."""
        if event.keyval in (Gdk.KEY_Tab, Gdk.KEY_ISO_Left_Tab):
            self._let_in(only_chosen=True)
        return False

    def _follow_focus(self, _flow: Gtk.FlowBox, child: Gtk.Widget | None) -> None:
        self._let_in(only_chosen=child is None)

    def _let_in(self, only_chosen: bool) -> None:
        """Which tiles the keyboard can go to: a tile that gets it is chosen."""
        for tile in self._tiles.values():
            tile.child.set_can_focus(not only_chosen or tile.child.is_selected())

    def _press(self, _child: Gtk.FlowBoxChild, _event: Any, name: str) -> bool:
        self._config.set_property("style-preset", name)
        return False

    def _turn_star(self, _button: Gtk.Button) -> None:
        self._favorites.turn(self._config.get_property("style-preset"))
        self._flow.invalidate_sort()
        self.update()

    def _find(self, _entry: Gtk.SearchEntry) -> None:
        self._flow.invalidate_filter()

    def _is_found(self, child: Gtk.FlowBoxChild) -> bool:
        words = self._search.get_text().casefold().split()
        title = self._tiles[child.get_name()].entry.title.casefold()
        return all(word in title for word in words)

    def _order(self, one: Gtk.FlowBoxChild, other: Gtk.FlowBoxChild) -> int:
        ranks = [(tile.entry.name not in self._favorites, tile.place) for tile in
                 (self._tiles[one.get_name()], self._tiles[other.get_name()])]  # fmt: skip
        return -1 if ranks[0] < ranks[1] else 1


class _Tile:
    """One style."""

    def __init__(self, entry: Entry, place: int) -> None:
        self.entry, self.place, self.is_painted = entry, place, False
        title, _comma, artist = entry.title.rpartition(", ")
        self._image = Gtk.Image()
        self._image.set_size_request(*TILE_PX)
        label = Gtk.Label(label=title or artist, ellipsize=Pango.EllipsizeMode.END, max_width_chars=CHARS)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
        box.pack_start(self._image, False, False, 0)
        box.pack_start(label, False, False, 0)
        self.child = Gtk.FlowBoxChild(name=entry.name, tooltip_text=entry.title)
        self.child.get_accessible().set_name(entry.title)
        self.child.add(box)
        file = THUMBNAILS / f"{entry.name}.jpg"
        with suppress(GLib.Error):
            self._image.set_from_pixbuf(_thumbnail(str(file)))

    def show(self, picture: wire.Plane) -> None:
        """Show the user's picture in this style."""
        self._image.set_from_pixbuf(view.pixbuf_of(view.covering(picture, TILE_PX)))
        self.is_painted = True


def _thumbnail(path: str) -> Any:
    picture = view.read_file(path, 2 * TILE_PX[0])
    if picture is None:
        raise GLib.Error("no thumbnail")
    return view.pixbuf_of(view.covering(picture, TILE_PX))


class _Favorites:
    """Names of styles that the user likes, kept in the profile."""

    def __init__(self) -> None:
        self._file = Path(Gimp.directory()) / "plug-in-settings" / "impasto-favorites.json"
        self._names: list[str] = []
        with suppress(OSError, ValueError):
            names = json.loads(self._file.read_text("utf-8"))
            self._names = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def turn(self, name: str) -> None:
        """Make it a favorite, or no longer."""
        if name in self._names:
            self._names.remove(name)
        else:
            self._names.append(name)
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self._names), "utf-8")
