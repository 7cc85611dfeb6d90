"""Recipes as options of a command: frozen dataclasses of everything that decides a run's result beside the data.

A field ``crop_h_px`` is ``--crop-h-px``; its metadata may name another ``option``, ``choices`` and a ``help``.
"""

from __future__ import annotations

import argparse
from dataclasses import Field, asdict, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, get_args

from engine.core.types import DeviceName

FLOAT32 = {"option": "--float32", "help": "no bfloat16"}  # metadata of a field ``is_bf16``


class AnyRecipe(Protocol):
    """What all recipes have: how many steps there are, and the seed of all randomness."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def steps(self) -> int: ...

    @property
    def seed(self) -> int: ...


R = TypeVar("R", bound=AnyRecipe)


def add_arguments(parser: argparse.ArgumentParser, kind: type[AnyRecipe], *, has_device: bool = True) -> None:
    """Where to write, where to compute, and the recipe's values.

    Args:
        parser: gets them.
        kind: the recipe; each field has a default. The option of a truth value turns it round.
        has_device: whether the training can compute elsewhere than on the processor.
    """
    parser.add_argument("-o", "--out", type=Path, required=True, help="run folder; an unfinished run in it is resumed")
    for field in fields(kind):
        name, default, notes = field.name, field.default, field.metadata
        option = notes.get("option", f"--{name.replace('_', '-')}")
        if isinstance(default, bool):
            action = "store_false" if default else "store_true"
            parser.add_argument(option, dest=name, action=action, help=notes.get("help"))
        else:
            choices = notes.get("choices")
            parser.add_argument(option, dest=name, type=type(default), default=default, choices=choices)
    if has_device:
        parser.add_argument("--device", default="auto", choices=get_args(DeviceName))


def recipe_of(args: argparse.Namespace, kind: type[R]) -> R:
    """The recipe that was asked for.

    Args:
        args: of a parser with ``add_arguments``.
        kind: the same as there.
    """
    return kind(**{field.name: getattr(args, field.name) for field in fields(kind)})


def told(recipe: AnyRecipe) -> str:
    """All values, as a card has them: "steps 400, batch 2"."""
    return ", ".join(f"{name} {value}" for name, value in asdict(recipe).items())
