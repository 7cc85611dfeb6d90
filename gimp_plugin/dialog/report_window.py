"""A text to read and to copy."""

from __future__ import annotations

from gi.repository import Gdk, GimpUi, Gtk

from gimp_plugin.language import _

COPY = 1
SIZE = (640, 260)
SPACING_PX = 12


def show(text: str) -> None:
    """Show a report until the user has read it."""
    GimpUi.init("impasto")
    dialog = GimpUi.Dialog(title=_("Neural Style: Check Engine"), role="impasto-check-engine")
    dialog.add_button(_("_Copy"), COPY)
    dialog.add_button(_("_Close"), Gtk.ResponseType.CLOSE)
    dialog.set_default_size(*SIZE)
    label = Gtk.Label(label=text, xalign=0.0, yalign=0.0, selectable=True, wrap=True, margin=SPACING_PX)
    scroller = Gtk.ScrolledWindow()
    scroller.add(label)
    dialog.get_content_area().pack_start(scroller, True, True, 0)
    dialog.show_all()
    while dialog.run() == COPY:
        clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
        clipboard.set_text(text, -1)
        clipboard.store()
    dialog.destroy()
