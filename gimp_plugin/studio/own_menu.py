"""The menu of the user's own styles: make one of a picture, take one in from a friend, send one, remove one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from gi.repository import GLib, Gtk

from gimp_plugin import wire
from gimp_plugin.choices import own_styles
from gimp_plugin.client.background import Background, Wish
from gimp_plugin.image import scratch, view
from gimp_plugin.language import _
from gimp_plugin.studio.tiles import Tile


class OwnMenu:
    """A button that opens the menu.

    Args:
        window: that file choosers belong to.
        background: makes styles.
        chosen: gives the tile that is chosen.
        picture: gives the picture file that is chosen as the style.
        on_added: told the path of a new style.
        on_removed: told the path of one that is gone.
        say: shows a sentence.
    """

    def __init__(
        self,
        window: Gtk.Window,
        background: Background,
        chosen: Callable[[], Tile | None],
        picture: Callable[[], Path | None],
        on_added: Callable[[Path], None],
        on_removed: Callable[[Path], None],
        say: Callable[[str], None],
    ) -> None:
        self._window, self._background, self._chosen, self._picture = window, background, chosen, picture
        self._on_added, self._on_removed, self._say = on_added, on_removed, say
        menu = Gtk.Menu()
        self._items = {
            "add": self._item(menu, _("_Add a picture or a style file..."), self._add),
            "keep": self._item(menu, _("_Keep the chosen picture as a style"), self._keep_chosen),
            "send": self._item(menu, _("_Save this style as a file to send..."), self._send),
            "remove": self._item(menu, _("_Remove this style"), self._remove),
        }
        menu.show_all()
        menu.connect("show", self._grey_out)
        self.button = Gtk.MenuButton(popup=menu, tooltip_text=_("Your own styles: add, send to a friend, remove"))
        self.button.add(Gtk.Image.new_from_icon_name("list-add-symbolic", Gtk.IconSize.BUTTON))
        self.button.get_accessible().set_name(_("Your own styles"))

    def _item(self, menu: Gtk.Menu, title: str, act: Callable[[], None]) -> Gtk.MenuItem:
        item = Gtk.MenuItem.new_with_mnemonic(title)
        item.connect("activate", lambda _item: act())
        menu.append(item)
        return item

    def _grey_out(self, _menu: Gtk.Menu) -> None:
        tile = self._chosen()
        is_own = tile is not None and tile.is_own
        self._items["keep"].set_sensitive(tile is None and self._picture() is not None)
        self._items["send"].set_sensitive(is_own)
        self._items["remove"].set_sensitive(is_own)

    def _add(self) -> None:
        path = self._ask(_("Add a Picture as a Style"), Gtk.FileChooserAction.OPEN, _("_Add"))
        if path is not None:
            self.add(path)

    def _keep_chosen(self) -> None:
        path = self._picture()
        if path is not None:
            self.add(path)

    def add(self, path: Path) -> None:
        """Take a style file in, or make a style of a picture."""
        try:
            if path.name.lower().endswith(wire.SUFFIX):
                self._on_added(own_styles.add(path))
                return
            picture = view.read_file(str(path), scratch.STYLE_SIDE_PX)
            if picture is None:
                raise wire.WireError(
                    "unprocessable", _("{name} is no picture that can become a style.").format(name=path.name)
                )
        except wire.WireError as error:
            self._say(error.message)
            return
        self._say(_("Looking at {name}...").format(name=path.name))
        request = wire.StyleRequest(picture, wire.style_text(path.stem, _("My style")))
        self._background.order(Wish(lambda: request, self._keep, lambda error: self._say(error.message)))

    def _keep(self, result: wire.StyleResult) -> None:
        try:
            path = own_styles.keep(result.saved())
        except wire.WireError as error:
            self._say(error.message)
            return
        self._say(_("Saved as {name}.").format(name=path.name))
        self._on_added(path)

    def _send(self) -> None:
        tile = self._chosen()
        if tile is None or not tile.is_own:
            return
        path = self._ask(_("Save the Style"), Gtk.FileChooserAction.SAVE, _("_Save"), Path(tile.key).name)
        if path is None:
            return
        if not path.name.lower().endswith(wire.SUFFIX):
            path = path.with_name(f"{path.name}{wire.SUFFIX}")
        try:
            shutil.copyfile(tile.key, path)
        except OSError as error:
            says = _("{name} cannot be written ({reason}): choose another folder.")
            self._say(says.format(name=path.name, reason=error.strerror))
        else:
            self._say(_("Saved {name}: send this file, it is all that a friend needs.").format(name=path.name))

    def _remove(self) -> None:
        tile = self._chosen()
        if tile is None or not tile.is_own:
            return
        try:
            Path(tile.key).unlink(missing_ok=True)
        except OSError as error:
            says = _("{name} cannot be removed ({reason}).")
            self._say(says.format(name=Path(tile.key).name, reason=error.strerror))
        else:
            self._on_removed(Path(tile.key))

    def _ask(self, title: str, action: Gtk.FileChooserAction, accept: str, name: str = "") -> Path | None:
        chooser = Gtk.FileChooserDialog(title=title, transient_for=self._window, action=action, modal=True)
        chooser.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
        chooser.add_button(accept, Gtk.ResponseType.ACCEPT)
        chooser.set_default_response(Gtk.ResponseType.ACCEPT)
        chooser.set_do_overwrite_confirmation(True)
        chooser.set_current_folder(GLib.get_user_special_dir(GLib.UserDirectory.DIRECTORY_PICTURES) or str(Path.home()))
        if name:
            chooser.set_current_name(name)
        is_given = chooser.run() == Gtk.ResponseType.ACCEPT
        path = chooser.get_filename() if is_given else None
        chooser.destroy()
        return Path(path) if path else None
