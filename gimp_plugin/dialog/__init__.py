"""The filter's window. Only a run with a display loads it."""

import gi

for name in ("Gdk", "Gimp", "GimpUi", "Gtk"):
    gi.require_version(name, "3.0")
gi.require_version("Pango", "1.0")
