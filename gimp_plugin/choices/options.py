"""A method's own options, as the dialog and scripts give them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gimp_plugin.language import _
from gimp_plugin.settings import Setting
from gimp_plugin.wire import WireError

# A comma between digits is a decimal one where what stands before it is all of a value: "detail=0,7, layers=3".
_DECIMAL_COMMA = re.compile(r"(=\s*[+-]?\d+),(\d+(?:[eE][+-]?\d+)?)(?=\s*(?:[,;]|$))")


def read(text: str | None) -> dict[str, str | int | float]:
    """ "name=value, name=value" as a request takes it; the engine knows which are numbers.

    Args:
        text: parts with commas or semicolons between them; a number may have a decimal comma. None: no options.

    Raises:
        WireError: a part is not of this form.
    """
    options: dict[str, str | int | float] = {}
    for part in filter(None, (part.strip() for part in re.split("[,;]", _DECIMAL_COMMA.sub(r"\1.\2", text or "")))):
        name, sign, value = (word.strip() for word in part.partition("="))
        if not (name and sign and value):
            says = _("The option {part!r} is not of the form name=value: see the tooltip of Options.")
            raise WireError("unprocessable", says.format(part=part))
        options[name] = value
    return options


def write(values: Mapping[str, Any], known: Iterable[Setting]) -> str:
    """The inverse of ``read``, of the options that a method has; what is as usual is left out."""
    usual = {setting.name: setting.default for setting in known}
    return ", ".join(f"{name}={value}" for name, value in values.items() if usual.get(name, value) != value)


def values_of(text: str, known: Iterable[Setting]) -> dict[str, Any]:
    """Each option of a method with its value: what the text says, where that is one, else the usual."""
    try:
        given = read(text)
    except WireError:
        given = {}
    return {setting.name: _value(setting, given.get(setting.name)) for setting in known}


def _value(setting: Setting, given: Any) -> Any:
    if given is None or (setting.choices and given not in setting.words):
        return setting.default
    if setting.kind not in ("whole", "number"):
        return given
    try:
        return int(given) if setting.kind == "whole" else float(given)
    except ValueError:
        return setting.default
