"""A method's own options, as the dialog and scripts give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from .wire import WireError
else:
    from wire import WireError


def read(text: str) -> dict[str, str | int | float]:
    """ "name=value, name=value" as a request takes it; the engine knows which are numbers.

    Raises:
        WireError: a part is not of this form.
    """
    options: dict[str, str | int | float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, sign, value = (word.strip() for word in part.partition("="))
        if not (name and sign and value):
            raise WireError(
                "unprocessable", f"The option {part!r} is not of the form name=value: see the tooltip of Options."
            )
        options[name] = value
    return options
