"""The line above the dialog's buttons: why OK is grey, what would surprise, what went wrong the last time."""

from __future__ import annotations

from gi.repository import Gtk

from gimp_plugin.choices.advice import Advice

SPACING_PX = 6
HEIGHT_PX = 22
LEAST_CHARS, MOST_CHARS = 40, 90  # wraps there, and grows no dialog


class Notice:
    """A row with an icon and a text; empty while there is nothing to say.

    Args:
        error: of the last try; it stays until the user changes something.
    """

    def __init__(self, error: str = "") -> None:
        self._error = error
        self.row = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=SPACING_PX, margin=SPACING_PX)
        self._icon = Gtk.Image(valign=Gtk.Align.START)
        self._label = Gtk.Label(xalign=0.0, wrap=True, width_chars=LEAST_CHARS, max_width_chars=MOST_CHARS)
        self._label.set_selectable(True)
        self._label.set_can_focus(False)  # or the keyboard would begin here
        self.row.pack_start(self._icon, False, False, 0)
        self.row.pack_start(self._label, True, True, 0)
        self.row.set_size_request(-1, HEIGHT_PX)  # there without a text too: nothing below it jumps
        self.row.show_all()
        self._icon.set_no_show_all(True)
        self._icon.hide()

    def show(self, advice: Advice) -> None:
        """Say what there is to say of the choices as they are now."""
        error, self._error = self._error, ""
        is_bad = bool(error) or advice.is_refused
        self._icon.set_from_icon_name("dialog-error" if is_bad else "dialog-warning", Gtk.IconSize.BUTTON)
        text = error or "\n".join(advice.sentences)
        self._label.set_text(text)
        self._icon.set_visible(bool(text))
