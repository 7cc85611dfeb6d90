"""Neural style transfer: pictures in, pictures out. Knows nothing of HTTP or GIMP.

The names in ``__all__`` are the public API. They load PyTorch when one of them is first asked for, so that
``import engine`` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.core.errors import Cancelled, ImpastoError
    from engine.core.types import Mask, Picture, Settings, Style
    from engine.files import read_mask, read_picture, write_picture
    from engine.files.presets import load_preset
    from engine.pipeline.stylize import Stylized, stylize

__version__ = "0.2.0"

__all__ = [
    "Cancelled",
    "ImpastoError",
    "Mask",
    "Picture",
    "Settings",
    "Style",
    "Stylized",
    "__version__",
    "load_preset",
    "read_mask",
    "read_picture",
    "stylize",
    "write_picture",
]

_HOMES = {
    "engine.core.errors": ("Cancelled", "ImpastoError"),
    "engine.files": ("read_mask", "read_picture", "write_picture"),
    "engine.files.presets": ("load_preset",),
    "engine.pipeline.stylize": ("Stylized", "stylize"),
    "engine.core.types": ("Mask", "Picture", "Settings", "Style"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(home), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
