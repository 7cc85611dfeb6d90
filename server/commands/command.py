"""What a subcommand is."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A subcommand of ``impasto``.

    Args:
        name: as users type it.
        summary: one line of the help.
        run: does it with the parsed options; returns the exit status.
        add_arguments: declares its options; None = it parses what follows its name itself and gets the words as
            ``options.words``.
    """

    name: str
    summary: str
    run: Callable[[argparse.Namespace], int]
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None
