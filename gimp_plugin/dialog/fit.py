"""A dialog that fits its screen: what is too high scrolls, the buttons always stay in sight."""

from __future__ import annotations

from typing import Any

from gi.repository import Gdk, GLib, GObject, Gtk, Pango

_AT_ONCE = GObject.BindingFlags.SYNC_CREATE
DECORATION_PX = 48  # title bar and borders, which a program is not told
HELD_PX = 16
SETTLED_MS = 100


class Fit:
    """Keeps a dialog as high as what it shows, and no higher than the screen.

    Args:
        dialog: whatever it holds besides the scroller stays in sight.
        scroller: holds the rest.
    """

    def __init__(self, dialog: Gtk.Dialog, scroller: Gtk.ScrolledWindow) -> None:
        self._dialog, self._scroller = dialog, scroller
        self._is_due = self._is_over = False
        dialog.connect("destroy", self._end)
        scroller.set_policy(Gtk.PolicyType.NEVER, Gtk.PolicyType.AUTOMATIC)
        scroller.set_overlay_scrolling(False)  # a bar that hides does not say that there is more
        scroller.set_shadow_type(Gtk.ShadowType.NONE)
        scroller.set_propagate_natural_height(True)
        scroller.set_propagate_natural_width(True)
        scroller.get_parent().set_child_packing(scroller, True, True, 0, Gtk.PackType.START)
        prepare(scroller)
        dialog.connect("map", self.soon)
        self._follow_expanders(scroller)
        self._fit()

    def soon(self, *_: Any) -> None:
        """Fit again, once what has changed has found its size."""
        if not self._is_due:
            self._is_due = True
            GLib.idle_add(self._fit, priority=GLib.PRIORITY_LOW)

    def _end(self, *_: Any) -> None:
        self._is_over = True

    def _fit(self) -> bool:
        self._is_due = False
        if self._is_over:
            return GLib.SOURCE_REMOVE
        area = self._work_area()
        width = max(self._dialog.get_preferred_width()[1], self._dialog.get_size()[0])
        self._scroller.set_max_content_height(-1)
        content_px = self._scroller.get_preferred_height_for_width(width)[1]
        rest_px = self._dialog.get_preferred_height_for_width(width)[1] - content_px
        limit_px = max(HELD_PX, area.height - DECORATION_PX - rest_px)
        self._scroller.set_max_content_height(min(content_px, limit_px))
        width, height = min(width, area.width), min(content_px, limit_px) + rest_px
        self._dialog.resize(width, height)
        self._keep_on_screen(area, width, height)
        return GLib.SOURCE_REMOVE

    def _follow_expanders(self, widget: Gtk.Widget) -> None:
        if isinstance(widget, Gtk.Expander):
            widget.bind_property("expanded", widget.get_child(), "visible", _AT_ONCE)  # or the Tab key goes there
            widget.connect("notify::expanded", self._show_opened)
        if isinstance(widget, Gtk.Container):
            widget.forall(self._follow_expanders)

    def _show_opened(self, expander: Gtk.Expander, *_: Any) -> None:
        """Scroll to what was opened, once it has its place."""
        self.soon()
        if expander.get_expanded():
            GLib.timeout_add(SETTLED_MS, self._scroll_to, expander)

    def _scroll_to(self, expander: Gtk.Expander) -> bool:
        viewport = expander.get_ancestor(Gtk.Viewport)
        if viewport is not None and not self._is_over:
            _left, top = expander.translate_coordinates(viewport.get_child(), 0, 0)
            self._scroller.get_vadjustment().set_value(top)
        return GLib.SOURCE_REMOVE

    def _keep_on_screen(self, area: Gdk.Rectangle, width: int, height: int) -> None:
        left, top = self._dialog.get_position()
        x = max(area.x, min(left, area.x + area.width - width))
        y = max(area.y, min(top, area.y + area.height - height - DECORATION_PX))
        if (x, y) != (left, top) and self._dialog.get_mapped():
            self._dialog.move(x, y)

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


def _pass_on(widget: Gtk.Widget, _event: Gdk.Event) -> bool:
    widget.stop_emission_by_name("scroll-event")
    return False
