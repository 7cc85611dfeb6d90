"""A window that fits its screen: what is too high scrolls, the buttons always stay in sight."""

from __future__ import annotations

from typing import Any

from gi.repository import Gdk, GLib, GObject, Gtk, Pango

_AT_ONCE = GObject.BindingFlags.SYNC_CREATE
SIZE = (1140, 690)  # at most 1180 x 700 with its frame, so that a small laptop shows all of it
DECORATION_PX = 60  # title bar and borders, which a program is not told
LEAST_PX = 120  # of what scrolls
SETTLED_MS = 100


class Fit:
    """Gives a dialog its first size, and shows what an expander opens.

    Args:
        dialog: whatever it holds besides the scroller stays in sight.
        scroller: holds the rest.
    """

    def __init__(self, dialog: Gtk.Dialog, scroller: Gtk.ScrolledWindow) -> None:
        self._dialog, self._scroller = dialog, scroller
        self._is_over = False
        dialog.connect("destroy", self._end)
        dialog.connect("map", lambda _dialog: GLib.timeout_add(SETTLED_MS, self._keep_on_screen))
        scroller.set_policy(Gtk.PolicyType.AUTOMATIC, Gtk.PolicyType.AUTOMATIC)
        scroller.set_overlay_scrolling(False)  # a bar that hides does not say that there is more
        scroller.set_shadow_type(Gtk.ShadowType.NONE)
        scroller.set_min_content_height(LEAST_PX)
        prepare(scroller)
        self._follow_expanders(scroller)
        area = self._work_area()
        if dialog.get_preferred_width()[0] > area.width:  # large letters, or a language with long words
            _narrow(scroller)
        dialog.set_default_size(min(SIZE[0], area.width), min(SIZE[1], area.height - DECORATION_PX))

    def _end(self, *_: Any) -> None:
        self._is_over = True

    def _follow_expanders(self, widget: Gtk.Widget) -> None:
        if isinstance(widget, Gtk.Expander):
            widget.bind_property("expanded", widget.get_child(), "visible", _AT_ONCE)  # or the Tab key goes there
            widget.connect("notify::expanded", self._show_opened)
        if isinstance(widget, Gtk.Container):
            widget.forall(self._follow_expanders)

    def _show_opened(self, expander: Gtk.Expander, *_: Any) -> None:
        """Scroll to what was opened, once it has its place."""
        if expander.get_expanded():
            GLib.timeout_add(SETTLED_MS, self._scroll_to, expander)

    def _scroll_to(self, expander: Gtk.Expander) -> bool:
        viewport = expander.get_ancestor(Gtk.Viewport)
        if viewport is not None and not self._is_over:
            _left, top = expander.translate_coordinates(viewport.get_child(), 0, 0)
            self._scroller.get_vadjustment().set_value(top)
        return GLib.SOURCE_REMOVE

    def _keep_on_screen(self) -> bool:
        if self._is_over:
            return GLib.SOURCE_REMOVE
        area, (width, height) = self._work_area(), self._dialog.get_size()
        left, top = self._dialog.get_position()
        x = max(area.x, min(left, area.x + area.width - width))
        y = max(area.y, min(top, area.y + area.height - height - DECORATION_PX))
        if (x, y) != (left, top):
            self._dialog.move(x, y)
        return GLib.SOURCE_REMOVE

    def _work_area(self) -> Gdk.Rectangle:
        display = self._dialog.get_display()
        window = self._dialog.get_window()
        monitor = display.get_monitor_at_window(window) if window is not None else None
        monitor = monitor or display.get_primary_monitor() or display.get_monitor(0)
        return monitor.get_workarea()


def prepare(widget: Gtk.Widget) -> None:
    """Let lists become narrow, and the wheel scroll the dialog: GTK would change the number that is under the mouse."""
    if isinstance(widget, Gtk.ComboBox | Gtk.SpinButton | Gtk.Scale):
        widget.connect("scroll-event", _pass_on)
    if isinstance(widget, Gtk.ComboBox):
        for cell in widget.get_cells():
            if isinstance(cell, Gtk.CellRendererText):
                cell.set_property("ellipsize", Pango.EllipsizeMode.END)
    elif isinstance(widget, Gtk.Container):
        widget.forall(prepare)


def _narrow(widget: Gtk.Widget) -> None:
    """Let titles take several lines; those of switches, which cannot, end in dots."""
    if isinstance(widget, Gtk.Label) and isinstance(widget.get_parent(), Gtk.CheckButton):
        widget.set_ellipsize(Pango.EllipsizeMode.END)
    elif isinstance(widget, Gtk.Label):
        widget.set_line_wrap(True)
    elif isinstance(widget, Gtk.Container) and not isinstance(widget, Gtk.ComboBox):
        widget.forall(_narrow)


def _pass_on(widget: Gtk.Widget, _event: Gdk.Event) -> bool:
    widget.stop_emission_by_name("scroll-event")
    return False
