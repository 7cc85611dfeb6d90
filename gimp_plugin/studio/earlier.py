"""Earlier results of this image as a row of small pictures; a click takes over how one was made."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from gi.repository import Gimp, GLib, Gtk

from gimp_plugin.filter import drafts
from gimp_plugin.filter.scene import Scene
from gimp_plugin.image import history, view
from gimp_plugin.language import _

SPACING_PX = 4
HEIGHT_PX = 84


class Earlier:
    """The row. Its first button brings back the choices with which the window was opened.

    Args:
        config: the choices.
        scene: the image.
    """

    def __init__(self, config: Gimp.ProcedureConfig, scene: Scene) -> None:
        self._config, self._scene = config, scene
        self._at_first = drafts.values_of(config)
        self.box: Gtk.Box | None = None
        results = history.read(scene.image)
        if results:
            self.box = self._laid_out(results)

    def _laid_out(self, results: list[history.Result]) -> Gtk.Box:
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        title = Gtk.Label(xalign=0.0)
        title.set_markup(f"<b>{GLib.markup_escape_text(_('Earlier results'))}</b>")
        row = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=SPACING_PX)
        back = Gtk.Button(label=_("As at first"), tooltip_text=_("The choices with which this window was opened"))
        back.connect("clicked", lambda _button: drafts.fill_in(self._config, self._at_first, self._scene.image))
        row.pack_start(back, False, False, 0)
        for result in results:
            row.pack_start(self._button(result), False, False, 0)
        scroller = Gtk.ScrolledWindow(min_content_height=HEIGHT_PX)
        scroller.set_policy(Gtk.PolicyType.AUTOMATIC, Gtk.PolicyType.NEVER)
        scroller.add(row)
        box.pack_start(title, False, False, 0)
        box.pack_start(scroller, False, False, 0)
        box.show_all()
        return box

    def _button(self, result: history.Result) -> Gtk.Button:
        painted_at = time.strftime("%x %H:%M", time.localtime(result.painted_at))
        button = Gtk.Button(relief=Gtk.ReliefStyle.NONE, tooltip_text=f"{result.title}, {painted_at}")
        button.get_accessible().set_name(result.title)
        picture = view.read_bytes(result.jpeg)
        if picture is None:
            button.set_label(result.title)
        else:
            button.add(Gtk.Image.new_from_pixbuf(picture))
        button.connect("clicked", self._taker(result.settings))
        return button

    def _taker(self, settings: Mapping[str, Any]) -> Callable[[Gtk.Button], None]:
        return lambda _button: self._scene.take_over(self._config, settings)
