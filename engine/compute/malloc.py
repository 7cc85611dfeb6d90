"""Freed memory stays with the process, ready for the next picture.

The C library gives large blocks back to the system as soon as they are freed. The system then hands out every page of
the next block again, which takes longer than filling it: 1 s of the 4.9 s of a painting of 12 megapixels, and a fifth
of another color mode's time. Only the process that asks for it is changed: a program that imports the engine keeps its
own ways.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

KEPT_BYTES = 1 << 30  # as much that is free at the end of the heap stays
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep_freed() -> bool:
    """Keep freed memory from now on.

    Returns:
        Whether the C library can do that: glibc, which is that of most Linux systems. Elsewhere nothing changes.
    """
    mallopt = _of_the_c_library("mallopt")
    if mallopt is None:
        return False
    answers = [mallopt(option, KEPT_BYTES) for option in (MMAP_THRESHOLD, TRIM_THRESHOLD)]
    return all(answers)


def give_back() -> None:
    """Let the system have what is free, for a time of rest."""
    trim = _of_the_c_library("malloc_trim")
    if trim is not None:
        trim(0)


class _Account(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _fields_ = tuple((f"field{i}", ctypes.c_size_t) for i in range(10))


def kept_bytes() -> int:
    """What is freed and still this process's; 0 where the C library does not tell."""
    tell = _of_the_c_library("mallinfo2")
    if tell is None:
        return 0
    tell.restype = _Account  # type: ignore[attr-defined]
    return int(tell().field8)  # type: ignore[attr-defined]  # fordblks


def _of_the_c_library(name: str) -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    function: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return function
