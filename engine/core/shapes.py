"""Shapes are checked at the door, with letters that bind."""

from __future__ import annotations

from torch import Tensor

from engine.core.errors import InputError


def check_shapes(**arrays: tuple[Tensor | None, str]) -> dict[str, int]:
    """Check that tensors have the shapes their patterns say.

    ``check_shapes(content=(rgb, "3 H W"), mask=(weight, "H W"))``: a number must match, a letter binds to the
    first size it meets and must be the same wherever it stands again. None passes.

    Returns:
        The size bound to each letter.

    Raises:
        InputError: names the array, the pattern and the shape found.
    """
    bound: dict[str, int] = {}
    for name, (array, pattern) in arrays.items():
        if array is None:
            continue
        letters = pattern.split()
        fits = len(letters) == array.dim() and all(
            size == (int(letter) if letter.isdigit() else bound.setdefault(letter, size))
            for letter, size in zip(letters, array.shape, strict=True)
        )
        if not fits:
            known = ", ".join(f"{letter} = {size}" for letter, size in bound.items())
            raise InputError(
                f"{name} must have the shape ({pattern.replace(' ', ', ')})"
                + (f" with {known}" if known else "")
                + f", not {tuple(array.shape)}."
            )
        empty = [letter for letter, size in zip(letters, array.shape, strict=True) if size == 0]
        if empty:
            raise InputError(f"{name} is empty: its shape is {tuple(array.shape)}.")
    return bound
