"""Whether the graphics card works: proved once in a process by a small convolution, not believed.

PyTorch says that a card is there also when its driver is too old or too new for the build, when its memory is full,
and when the computer woke up without it. Then the first computation fails, or never ends.
"""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from engine.compute.memory import is_out_of_memory

PROOF_S = 30.0  # a good card that is asked for the first time takes up to ten
MAX_REASON = 120


@dataclass
class _Finding:
    """What is known of the card of this process.

    Args:
        is_there: PyTorch says so.
        trouble: why it cannot be used; None = it can, if it is there.
    """

    is_there: bool = False
    trouble: str | None = None


_finding: _Finding | None = None
_lock = threading.Lock()


def works() -> bool:
    """Whether there is a card, and it computes what a processor does."""
    found = _look()
    return found.is_there and found.trouble is None


def trouble() -> str | None:
    """Why a card that is there is not used, in a few words; None if it works, or there is none."""
    return _look().trouble


def distrust(error: BaseException) -> None:
    """Leave the card alone from now on, because it failed in the middle of a picture."""
    global _finding  # noqa: PLW0603  (a card is the whole process's)
    with _lock:
        _finding = _Finding(is_there=True, trouble=reason_of(error))


def forget() -> None:
    """Prove it again when it is asked for next."""
    global _finding  # noqa: PLW0603
    with _lock:
        _finding = None


def reason_of(error: BaseException) -> str:
    """What went wrong, in a few words without a path: a request's answer may quote them."""
    if is_out_of_memory(error):
        return "its memory is full"
    lines = str(error).strip().splitlines()
    text = (lines[0] if lines else "").removeprefix("CUDA error: ").rstrip(" .")
    is_plain = text and len(text) <= MAX_REASON and not any(sign in text for sign in '/\\"')
    return text if is_plain else "its driver reports an error"


def note_of(reason: str) -> str:
    """What to tell a user whose picture was painted without the card."""
    return f"The graphics card did not work ({reason}): painted on the processor."


def _look() -> _Finding:
    global _finding  # noqa: PLW0603
    with _lock:
        if _finding is None:
            _finding = _prove(PROOF_S)
        return _finding


def _prove(limit_s: float) -> _Finding:
    """Ask for the card on a thread, because a driver that hangs does not come back."""
    found: list[_Finding] = []
    try:
        asking = threading.Thread(target=lambda: found.append(_ask()), daemon=True)
        asking.start()
    except RuntimeError as error:  # no room for a thread, nor then for the card's libraries
        return _Finding(is_there=True, trouble=reason_of(error))
    asking.join(limit_s)
    return found[0] if found else _Finding(is_there=True, trouble="it does not answer")


def _ask() -> _Finding:
    try:
        with warnings.catch_warnings():
            # A card whose driver does not fit the build is told of by a warning, not by an error.
            warnings.filterwarnings("error", message=".*CUDA")
            if not torch.cuda.is_available():
                return _Finding()
        _compute()
    except Exception as error:  # what drivers raise is not documented
        return _Finding(is_there=True, trouble=reason_of(error))
    return _Finding(is_there=True)


def _compute() -> None:
    """A small convolution there and here.

    Raises:
        RuntimeError: the two differ; and whatever a broken card raises.
    """
    with torch.inference_mode():
        rgb = torch.linspace(0, 1, 3 * 32 * 32).view(1, 3, 32, 32)
        weight = torch.linspace(-1, 1, 8 * 27).view(8, 3, 3, 3)
        there = F.conv2d(rgb.to("cuda"), weight.to("cuda"), padding=1).cpu()
        here = F.conv2d(rgb, weight, padding=1)
    if not torch.allclose(here, there, rtol=1e-2, atol=0.05):  # cards round products to ten bits
        raise RuntimeError("it computes wrong numbers")
