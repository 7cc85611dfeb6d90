"""The methods of the literature, one a file; each registers itself with ``@register``.

A new method is one new file in this folder: the registry imports every module here, and the command line, the
dialog, the web page and the tests list what it finds.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from engine.core.errors import SettingsError
from engine.core.method import MethodInfo, _registry
from engine.core.types import Settings


@cache
def _discover() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def catalog() -> list[MethodInfo]:
    """Every method: the default first, because lists are shown in this order, the others by name."""
    _discover()
    return [_registry[name] for name in sorted(_registry, key=lambda name: (name != Settings.method, name))]


def get(name: str) -> MethodInfo:
    """The method of a name.

    Raises:
        SettingsError: there is none; the message lists those there are.
    """
    _discover()
    if name not in _registry:
        raise SettingsError(f"There is no method {name!r}; the methods are {', '.join(sorted(_registry))}.")
    return _registry[name]
