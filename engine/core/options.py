"""What a method lets its user choose beyond the settings that all have: declared with it, checked in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.core.errors import SettingsError

Value = str | int | float


@dataclass(frozen=True)
class Option:
    """One choice of a method.

    Args:
        name: as users type it.
        default: its type (str, int or float) is the option's.
        meaning: for help texts, one line.
        choices: the words allowed, for a str; none = any text (a file, a name).
        low, high: the range allowed, both ends included, for a number.
        names: what a text names, "" = nothing on the disk. A request from another process may name a network in the
            models folder, and no file anywhere.
    """

    name: str
    default: Value
    meaning: str
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    names: Literal["", "network", "file"] = ""

    def read(self, given: Value) -> Value:
        """The value that was given, in the option's type.

        Raises:
            SettingsError: not of that type, not among the choices, or out of range.
        """
        if isinstance(self.default, str):
            if self.choices and given not in self.choices:
                raise SettingsError(f"{self.name} must be one of {', '.join(self.choices)}, not {given!r}.")
            if any(not character.isprintable() for character in str(given)):
                raise SettingsError(f"{self.name} holds characters that no name has: {given!r}.")
            return str(given)
        number = self._number(given)
        if not self.low <= number <= self.high:
            raise SettingsError(f"{self.name} must be from {self.low:g} to {self.high:g}, not {number:g}.")
        return number

    def _number(self, given: Value) -> int | float:
        kind = "whole number" if isinstance(self.default, int) else "number"
        try:
            number = float(given)
            whole = int(given) if isinstance(self.default, int) else 0  # of a text, and of more digits than a float has
        except (ValueError, TypeError, OverflowError):
            raise SettingsError(f"{self.name} must be a {kind}, not {given!r}.") from None
        if not math.isfinite(number) or isinstance(given, bool):
            raise SettingsError(f"{self.name} must be a {kind}, not {given!r}.")
        if not isinstance(self.default, int):
            return number
        if whole != number:
            raise SettingsError(f"{self.name} must be a whole number, not {given!r}.")
        return whole


def resolve(method: str, options: Sequence[Option], given: Mapping[str, Value]) -> dict[str, Value]:
    """Every option of a method with its value: what was given, else the default.

    Raises:
        SettingsError: the method has no option of a given name, or the value is not allowed.
    """
    known = {option.name: option for option in options}
    for name in given:
        if name not in known:
            have = f"its options are {', '.join(known)}" if known else "it has none"
            raise SettingsError(f"The method {method} has no option {name!r}; {have}.")
    return {name: option.read(given.get(name, option.default)) for name, option in known.items()}
