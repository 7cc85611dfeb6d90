#!/usr/bin/env python3
"""GIMP's entry. install.py puts it beside this package, as plug-ins/impasto/impasto.py."""

import sys

from gimp_plugin import interpreter, language

interpreter.take_over()  # where `python3` is not the system's: before gi is imported
language.start()

from gi.repository import Gimp  # noqa: E402

from gimp_plugin.filter.procedures import Impasto  # noqa: E402

if __name__ == "__main__":
    Gimp.main(Impasto.__gtype__, sys.argv)
