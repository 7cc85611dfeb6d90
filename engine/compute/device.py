"""Where to compute, and what to say when there is not enough room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from engine.compute import gpu_check
from engine.compute.memory import is_out_of_memory
from engine.core.errors import ResourceError, SettingsError
from engine.core.types import DeviceName

CPU = torch.device("cpu")


def choose_device(name: DeviceName) -> torch.device:
    """The device that a setting means; "auto" prefers a CUDA device that works.

    A card that is there but does not work is left alone: ``card.trouble`` says why.

    Raises:
        SettingsError: "cuda" was asked for and there is none.
    """
    if name == "cpu":
        return CPU
    if gpu_check.works():
        return torch.device("cuda")
    if name == "cuda" and gpu_check.trouble() is None:
        raise SettingsError('No CUDA device was found by PyTorch. Choose the device "auto" or "cpu".')
    return CPU


def note_on(name: DeviceName) -> str | None:
    """What to tell a user whose graphics card was left alone; None where there is nothing to tell."""
    trouble = None if name == "cpu" else gpu_check.trouble()
    return None if trouble is None else gpu_check.note_of(trouble)


@contextmanager
def memory_errors(what: str) -> Iterator[None]:
    """Translate every way in which memory runs out into one ``ResourceError``."""
    try:
        yield
    except ResourceError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise ResourceError(_sentence(what)) from error
        raise


def _sentence(what: str) -> str:
    return (
        f"There is not enough memory for {what}. Close other programs, select a smaller part or scale the picture down."
    )
