"""What a check finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

AGAIN = "Run `python3 install.py` in Impasto's folder again."


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        is_good: False = something needs doing; None = for information.
        what: in a word or two.
        text: what was found.
        matters: why it matters, if it is bad: a sentence.
        advice: what to do: a sentence.
    """

    is_good: bool | None
    what: str
    text: str
    matters: str = ""
    advice: str = ""


Check = Callable[[], Iterator[Finding]]
