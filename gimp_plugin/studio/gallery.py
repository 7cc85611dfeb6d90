"""Every style as a small picture: the work itself at first, then the user's own picture painted in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gi.repository import Gdk, Gimp, Gio, GLib, Gtk

from gimp_plugin import wire
from gimp_plugin.choices import arguments, own_styles
from gimp_plugin.choices.catalog import Catalog
from gimp_plugin.client.background import Background, Wish
from gimp_plugin.image import view
from gimp_plugin.image.view import View
from gimp_plugin.language import _
from gimp_plugin.studio.own_menu import OwnMenu
from gimp_plugin.studio.tiles import Favorites, Tile
from gimp_plugin.studio.trace import Trace

PAINTED_PX = 192  # the size at which the user's picture is painted for it
HEIGHT_PX = 104
SPACING_PX = 6
HALF = 0.5
RIGHT_BUTTON = 3
STAR, NO_STAR = "starred-symbolic", "non-starred-symbolic"


class Gallery:
    """The tiles, a line to search in, the favorites, and the menu of own styles.

    Args:
        window: that it is in.
        config: the choices; the gallery sets the style.
        catalog: what styles ship.
        background: paints the tiles in spare time.
        trace: told when all are painted.
        say: shows a sentence.
    """

    def __init__(
        self,
        window: Gtk.Dialog,
        config: Gimp.ProcedureConfig,
        catalog: Catalog,
        background: Background,
        trace: Trace,
        say: Callable[[str], None],
    ) -> None:
        self._window, self._config, self._catalog, self._background = window, config, catalog, background
        self._trace, self._say = trace, say
        self._favorites = Favorites()
        self._tiles: dict[str, Tile] = {}
        self._content: wire.Plane | None = None
        self._is_busy = False
        self._search = Gtk.SearchEntry(placeholder_text=_("Search: title, artist"))
        self._flow = self._make_flow()
        for place, entry in enumerate(catalog.styles):
            self._put(Tile.of_preset(entry, place))
        for listed in own_styles.listed():
            self._put(Tile.of_own(listed, len(self._tiles)))
        self._star = Gtk.Button.new_from_icon_name(NO_STAR, Gtk.IconSize.BUTTON)
        self._star.set_tooltip_text(_("Make the chosen style a favorite: favorites come first"))
        self._star.get_accessible().set_name(_("Favorite"))
        self._star.connect("clicked", self._turn_star)
        self.menu = OwnMenu(window, background, self._chosen, self._picture, self._added, self._removed, say)
        self.box = self._laid_out()
        self.update()

    # --- what is shown ----------------------------------------------------------------------------------

    def update(self) -> None:
        """Show which style is chosen."""
        chosen = self._chosen()
        self._is_busy = True
        if chosen is None:
            self._flow.unselect_all()
        elif not chosen.child.is_selected():
            self._flow.select_child(chosen.child)
        self._is_busy = False
        self._let_in(only_chosen=self._flow.get_focus_child() is None)
        self._mark()
        is_liked = chosen is not None and chosen.key in self._favorites
        self._star.set_image(Gtk.Image.new_from_icon_name(STAR if is_liked else NO_STAR, Gtk.IconSize.BUTTON))
        self._star.set_sensitive(chosen is not None)

    def _mark(self) -> None:
        """Favorites have a star, and the second style a plus."""
        choices = arguments.read(self._config)
        file = choices["second-file"] if choices.second == "file" else None
        second = (file.get_path() if file is not None else choices["second-preset"]) if choices.second else None
        for tile in self._tiles.values():
            tile.mark(is_liked=tile.key in self._favorites, is_second=tile.key == second)

    def paint(self, seen: View) -> None:
        """Paint every tile anew, from what is looked at; the chosen one and the favorites first."""
        self._content = view.shrunk(seen.content, PAINTED_PX)
        chosen = self._chosen()
        order = sorted(self._tiles.values(), key=lambda tile: (tile is not chosen, tile.key not in self._favorites))
        for tile in order:
            tile.is_painted = False
        self._background.fill([self._wish(tile) for tile in order])

    @property
    def n_painted(self) -> int:
        """How many tiles show the user's picture."""
        return sum(tile.is_painted for tile in self._tiles.values())

    def _wish(self, tile: Tile) -> Wish:
        content = self._content

        def make() -> wire.StylizeRequest:
            if content is None:
                raise wire.WireError("cancelled", _("Nothing is looked at yet."))
            return wire.StylizeRequest(content, (tile.style(),), composite=True)

        def done(result: wire.StylizeResult) -> None:
            tile.show(result.picture)
            if self.n_painted == len(self._tiles):
                self._trace.note("gallery", n=self.n_painted)

        return Wish(make, done)

    def _chosen(self) -> Tile | None:
        choices = arguments.read(self._config)
        if choices.source == "preset":
            return self._tiles.get(choices["style-preset"])
        file = choices["style-file"] if choices.source == "file" else None
        return self._tiles.get(file.get_path() or "") if file is not None else None

    def _picture(self) -> Path | None:
        """The picture file that is the style now."""
        choices = arguments.read(self._config)
        file = choices["style-file"] if choices.source == "file" else None
        path = file.get_path() if file is not None else None
        return Path(path) if path else None

    # --- what is done -----------------------------------------------------------------------------------

    def _take(self, tile: Tile) -> None:
        """Choose a style."""
        name, value, source = ("style-file", Gio.File.new_for_path(tile.key), "file")
        if not tile.is_own:
            name, value, source = "style-preset", tile.key, "preset"
        if self._chosen() is not tile:
            self._config.set_property(name, value)
            self._config.set_property("style-source", source)

    def _mix(self, tile: Tile) -> None:
        """Choose a second style."""
        self._config.set_property("second-file", Gio.File.new_for_path(tile.key) if tile.is_own else None)
        if not tile.is_own:
            self._config.set_property("second-preset", tile.key)
        if not self._config.get_property("mix"):
            self._config.set_property("mix", HALF)

    def _added(self, path: Path) -> None:
        for listed in own_styles.listed():
            if listed.path == path and str(path) not in self._tiles:
                self._put(Tile.of_own(listed, len(self._tiles)))
        self._flow.show_all()
        tile = self._tiles.get(str(path))
        if tile is not None:
            self._take(tile)
            self._background.order(self._wish(tile))

    def _removed(self, path: Path) -> None:
        tile = self._tiles.pop(str(path), None)
        if tile is not None:
            self._take(next(iter(self._tiles.values())))
            tile.child.destroy()

    def _turn_star(self, _button: Gtk.Button) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self._favorites.turn(chosen.key)
            self._flow.invalidate_sort()
            self.update()
            GLib.idle_add(self._scroll_to, chosen)

    def _scroll_to(self, tile: Tile) -> bool:
        given = tile.child.get_allocation()
        self._scroller.get_vadjustment().clamp_page(given.y, given.y + given.height)
        return GLib.SOURCE_REMOVE

    # --- the widgets ------------------------------------------------------------------------------------

    def _make_flow(self) -> Gtk.FlowBox:
        flow = Gtk.FlowBox(
            homogeneous=True, max_children_per_line=12, selection_mode=Gtk.SelectionMode.SINGLE, valign=Gtk.Align.START
        )
        flow.set_filter_func(self._is_found)
        flow.set_sort_func(self._order)
        flow.get_accessible().set_name(_("Styles"))
        flow.connect("selected-children-changed", self._choose)
        flow.connect("button-press-event", self._press)
        flow.connect("key-press-event", self._key)
        flow.connect("set-focus-child", self._follow_focus)
        self._search.connect("search-changed", self._find, flow)
        self._search.connect("stop-search", self._leave_search)
        return flow

    def _put(self, tile: Tile) -> None:
        self._tiles[tile.key] = tile
        self._flow.add(tile.child)

    def _laid_out(self) -> Gtk.Box:
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        bar = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=SPACING_PX)
        bar.pack_start(self._search, True, True, 0)
        bar.pack_start(self._star, False, False, 0)
        bar.pack_start(self.menu.button, False, False, 0)
        scroller = self._scroller = Gtk.ScrolledWindow(min_content_height=HEIGHT_PX, shadow_type=Gtk.ShadowType.IN)
        scroller.set_policy(Gtk.PolicyType.NEVER, Gtk.PolicyType.AUTOMATIC)
        scroller.set_overlay_scrolling(False)
        scroller.add(self._flow)
        box.pack_start(bar, False, False, 0)
        box.pack_start(scroller, True, True, 0)
        return box

    def _choose(self, flow: Gtk.FlowBox) -> None:
        chosen = flow.get_selected_children()
        if chosen and not self._is_busy:
            self._take(self._tiles[chosen[0].get_name()])

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

    def _press(self, flow: Gtk.FlowBox, event: Gdk.EventButton) -> bool:
        child = flow.get_child_at_pos(int(event.x), int(event.y)) if event.button == RIGHT_BUTTON else None
        if child is not None:
            self._mix(self._tiles[child.get_name()])
        return child is not None

    def _find(self, _entry: Gtk.SearchEntry, flow: Gtk.FlowBox) -> None:
        flow.invalidate_filter()
        is_any = any(self._is_found(tile.child) for tile in self._tiles.values())
        self._say("" if is_any else _("No style is called so, nor its artist."))

    def _leave_search(self, entry: Gtk.SearchEntry) -> None:
        """Escape: first what was typed goes, then the window."""
        if entry.get_text():
            entry.set_text("")
        else:
            self._window.response(Gtk.ResponseType.CANCEL)

    def _is_found(self, child: Gtk.FlowBoxChild) -> bool:
        words = self._search.get_text().casefold().split()
        title = self._tiles[child.get_name()].title.casefold()
        return all(word in title for word in words)

    def _order(self, one: Gtk.FlowBoxChild, other: Gtk.FlowBoxChild) -> int:
        ranks = []
        for child in (one, other):
            tile = self._tiles[child.get_name()]
            ranks.append((tile.key not in self._favorites, not tile.is_own, tile.place))
        return -1 if ranks[0] < ranks[1] else 1
