"""The window's picture side: preview, gallery, clicks on the object, earlier results. Only a display loads it."""

import gi

for name in ("Gdk", "Gimp", "Gtk"):
    gi.require_version(name, "3.0")
gi.require_version("Pango", "1.0")
