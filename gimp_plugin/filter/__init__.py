"""The filter as GIMP knows it: procedures, arguments, runs, and what is kept from one run to the next."""

import gi

gi.require_version("Gimp", "3.0")
