"""Runs inside GIMP's own Python (standard library and gi only): does things, writes down facts and pixels.

Nothing is judged here. The tests outside read what was written and hold it against oracles of their own.
"""
