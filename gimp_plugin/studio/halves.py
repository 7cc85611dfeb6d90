"""The window's two halves beside the choices: the picture on the left, the gallery above the choices on the right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gi.repository import Gimp, GLib, Gtk

from gimp_plugin.client import launch
from gimp_plugin.client.background import Background
from gimp_plugin.filter.scene import Scene
from gimp_plugin.image.view import View
from gimp_plugin.studio.clicking import Clicking
from gimp_plugin.studio.gallery import Gallery
from gimp_plugin.studio.preview import Preview
from gimp_plugin.studio.trace import Trace

SPACING_PX = 12
RIGHT_PX = 525
GALLERY_DELAY_MS = 50  # the preview comes first


class Studio:
    """Preview, gallery and the thread that paints for both.

    Args:
        dialog: its choices are there already.
        scroller: holds the choices.
        config: the choices.
        scene: what is to be painted.
        on_selection: called when the selection has become another one.
    """

    def __init__(
        self,
        dialog: Gtk.Dialog,
        scroller: Gtk.ScrolledWindow,
        config: Gimp.ProcedureConfig,
        scene: Scene,
        on_selection: Callable[[], None],
    ) -> None:
        self._config = config
        self._trace = Trace()
        self._background = Background(launch.ensure_engine, GLib.idle_add, self._say)
        self._painted_of: Any = None
        self._on_selection = on_selection
        self.preview = Preview(config, scene, self._background, self._seen, self._trace)
        self.gallery = Gallery(dialog, config, scene.catalog, self._background, self._trace, self._say)
        self.clicking = Clicking(scene, self.preview, self._background, self._selected)
        self._arrange(dialog, scroller)
        self.update()
        dialog.connect("map", lambda _dialog: self._trace.note("opened"))
        dialog.connect("set-focus", self._note_focus)
        dialog.connect("destroy", lambda _dialog: self.close())

    def update(self) -> None:
        """The choices are other ones."""
        self.gallery.update()
        self.preview.update()

    def close(self) -> None:
        """Nothing is painted for the window any longer."""
        self.preview.close()
        self._background.stop()
        self._trace.end()

    def _arrange(self, dialog: Gtk.Dialog, scroller: Gtk.ScrolledWindow) -> None:
        scroller.get_parent().remove(scroller)
        right = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        right.set_size_request(RIGHT_PX, -1)
        right.pack_start(self.gallery.box, True, True, 0)
        right.pack_start(scroller, True, True, 0)
        halves = Gtk.Paned(orientation=Gtk.Orientation.HORIZONTAL, wide_handle=True)
        halves.pack1(self.preview.box, True, False)
        halves.pack2(right, False, False)
        halves.show_all()
        dialog.get_content_area().pack_start(halves, True, True, 0)

    def _seen(self, seen: View) -> None:
        """Another part of the picture is looked at: the gallery is painted of all of it, once."""
        key = (seen.box, seen.scale < 1 or not self.preview.is_detail)
        if not self.preview.is_detail and key != self._painted_of:
            self._painted_of = key
            GLib.timeout_add(GALLERY_DELAY_MS, self._fill, seen)

    def _fill(self, seen: View) -> bool:
        self.gallery.paint(seen)
        return GLib.SOURCE_REMOVE

    def _selected(self) -> None:
        self._on_selection()
        self.preview.forget()

    def _note_focus(self, _dialog: Gtk.Dialog, widget: Gtk.Widget | None) -> None:
        if widget is not None:
            self._trace.note("focus", name=widget.get_accessible().get_name() or "", kind=type(widget).__name__)

    def _say(self, message: str) -> None:
        if message:
            self.preview.say(message)
