"""The only files that touch the user's images."""

import gi

for name, version in (("Babl", "0.1"), ("GdkPixbuf", "2.0"), ("Gegl", "0.4"), ("Gimp", "3.0")):
    gi.require_version(name, version)
