"""Pictures from files and back: one reader and one writer for the command line, folders of pictures and the page.

``source`` and ``writing`` hold numbers of numpy and need no torch, so that the page's process can use them; what
gives the engine's types is in ``pictures``, which loads torch when one of its names is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine.files.formats import READABLE_SUFFIXES, WRITABLE, depth_note
from engine.files.places import check_size, check_writable

if TYPE_CHECKING:
    from engine.files.pictures import (
        read_labels,
        read_mask,
        read_picture,
        read_with_notes,
        write_or_keep,
        write_picture,
    )

__all__ = [
    "READABLE_SUFFIXES",
    "WRITABLE",
    "check_size",
    "check_writable",
    "depth_note",
    "read_labels",
    "read_mask",
    "read_picture",
    "read_with_notes",
    "write_or_keep",
    "write_picture",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("engine.files.pictures"), name)
