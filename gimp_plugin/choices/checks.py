"""What a script wrote, judged: an unknown name or a number out of range ends in a sentence, never in a guess.

Standard library only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from gimp_plugin.language import _
from gimp_plugin.wire import WireError

MAX_LISTED = 8  # names in one sentence
MAX_QUOTED = 60  # characters
LIKENESS, LIKENESS_OF_FEW = 0.5, 0.7  # above which a name counts as near; few names are listed anyway


def known(argument: str, written: str, names: Sequence[tuple[str, str]], usual: str) -> str:
    """The name that was written; the usual one if nothing was.

    Args:
        argument: what it was written for.
        names: (name, title) of each that there is.

    Raises:
        WireError: there is no such name; the sentence has the nearest ones.
    """
    if not written:
        return usual
    if any(written == name for name, _title in names):
        return written
    found = _nearest(written, names)
    if len(names) <= MAX_LISTED and found:
        says = _("There is no {argument} {written}: did you mean {near}? It is one of {names}.")
    elif len(names) <= MAX_LISTED:
        says = _("There is no {argument} {written}: it is one of {names}.")
    elif found:
        says = _(
            "There is no {argument} {written}: did you mean {near}? It is one of the names under impasto-stylize in "
            "Help > Procedure Browser."
        )
    else:
        says = _(
            "There is no {argument} {written}: it is one of the names under impasto-stylize in Help > Procedure "
            "Browser."
        )
    known_names = ", ".join(name for name, _title in names)
    raise _refusal(says.format(argument=argument, written=_quoted(written), near=_listed(found), names=known_names))


def within(argument: str, number: float, low: float, high: float) -> None:
    """Nothing, if a number is within its range.

    Raises:
        WireError: it is not.
    """
    if not low <= number <= high:
        says = _("{argument} must be from {low:.10g} to {high:.10g}, not {number:.10g}.")
        raise _refusal(says.format(argument=argument, low=low, high=high, number=number))


def _nearest(written: str, names: Sequence[tuple[str, str]]) -> list[str]:
    """Up to three names that are spelled much like it, or whose title is."""
    spellings = {name.lower(): name for name, _title in names}
    for name, title in names:
        for part in (title, title.partition(",")[0]):
            spellings.setdefault(part.lower(), name)
    likeness = LIKENESS_OF_FEW if len(names) <= MAX_LISTED else LIKENESS
    near = difflib.get_close_matches(written[:MAX_QUOTED].lower(), spellings, n=6, cutoff=likeness)
    return list(dict.fromkeys(spellings[spelling] for spelling in near))[:3]


def _listed(names: Iterable[str]) -> str:
    return _(" or ").join(f'"{name}"' for name in names)


def _quoted(text: str) -> str:
    """What was written, on one line and not too long."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return f'"{plain}"' if len(plain) <= MAX_QUOTED else f'"{plain[:MAX_QUOTED]}..."'


def _refusal(message: str) -> WireError:
    return WireError("unprocessable", message)
