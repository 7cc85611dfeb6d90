"""Where to compute, and what to say when there is not enough room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from engine.errors import ResourceError, SettingsError
from engine.types import DeviceName


def choose_device(name: DeviceName) -> torch.device:
    """The device that a setting means; "auto" prefers a CUDA device.

    Raises:
        SettingsError: "cuda" was asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        raise SettingsError('No CUDA device was found by PyTorch. Choose the device "auto" or "cpu".')
    return torch.device("cuda" if has_cuda and name != "cpu" else "cpu")


@contextmanager
def memory_errors(what: str) -> Iterator[None]:
    """Translate every way in which memory runs out into one ``ResourceError``."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise ResourceError(_sentence(what)) from error
    except RuntimeError as error:
        if "allocate memory" in str(error) or "out of memory" in str(error).lower():
            raise ResourceError(_sentence(what)) from error
        raise


def _sentence(what: str) -> str:
    return (
        f"There is not enough memory for {what}. Close other programs, select a smaller part or scale the picture down."
    )
