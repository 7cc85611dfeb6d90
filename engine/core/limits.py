"""How large a picture may be: a limit by pixels, since any side that fits will do (panoramas)."""

from __future__ import annotations

MAX_PIXELS = 100_000_000  # of a picture that is painted; the wire holds the same figure (tests/test_house.py)
