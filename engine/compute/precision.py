"""In which layout and precision a network computes fastest on this computer: timed once, remembered.

Which of them wins differs between processors by a factor of two and more, and cannot be told from their names.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.user_folders import home

GAIN = 0.9  # what replaces the usual arithmetic must take at most this share of its time: timings are noisy
PROBE_PX = 320
ROUNDS = 3
N_NOTES = 8  # two numbers of threads and the PyTorch of before are no reason to time again


@dataclass(frozen=True)
class Arithmetic:
    """How a network computes.

    Args:
        is_channels_last: colors of a pixel side by side in memory, rather than planes.
        is_half: convolutions in bfloat16; statistics and colors stay float32.
    """

    is_channels_last: bool = True
    is_half: bool = False

    def fit(self, network: nn.Module) -> nn.Module:
        """The network, its weights laid out for this arithmetic."""
        return network.to(memory_format=self.layout)  # type: ignore[call-overload]

    def lay_out(self, rgb: Tensor) -> Tensor:
        """(B, C, H, W) in the layout."""
        return rgb.contiguous(memory_format=self.layout)

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.is_channels_last else torch.contiguous_format

    @contextmanager
    def active(self) -> Iterator[None]:
        """Compute in this precision inside."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.is_half):
            yield


USUAL = Arithmetic()


def choices() -> list[Arithmetic]:
    """What can be timed here; bfloat16 only where the processor has it natively: emulated, it is slow and no better."""
    has_half = [False, True] if has_native_bfloat16() else [False]
    return [Arithmetic(is_channels_last, is_half) for is_half in has_half for is_channels_last in (True, False)]


def has_native_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself."""
    able = torch.cpu.get_capabilities()
    return any(bool(able.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16", "arm_bf16"))


def fastest(network: nn.Module, run: Callable[[Tensor], object]) -> Arithmetic:
    """The arithmetic that this computer is fastest with, out of its notes, else timed now (about a second).

    Args:
        network: its weights are left in the layout that wins.
        run: a forward pass of (1, 3, H, W).
    """
    known = recall()
    if known is None:
        known = time_choices(network, run)
        remember(known)
    known.fit(network)
    return known


def time_choices(network: nn.Module, run: Callable[[Tensor], object]) -> Arithmetic:
    """Time every choice, in turns, so that what else the computer does meets all alike."""
    probe = torch.rand(1, 3, PROBE_PX, PROBE_PX, generator=torch.Generator().manual_seed(0))
    seconds = dict.fromkeys(choices(), float("inf"))
    for _ in range(ROUNDS):
        for choice in seconds:
            choice.fit(network)
            laid_out = choice.lay_out(probe)
            with choice.active():
                began = time.perf_counter()
                run(laid_out)
                seconds[choice] = min(seconds[choice], time.perf_counter() - began)
    return choose(seconds)


def choose(seconds: dict[Arithmetic, float]) -> Arithmetic:
    """The fastest, unless the usual one is nearly as fast."""
    best = min(seconds, key=lambda choice: seconds[choice])
    return best if seconds[best] <= GAIN * seconds[USUAL] else USUAL


def notes_path() -> Path:
    """Where the choice is kept: in the user's cache folder."""
    if os.environ.get("IMPASTO_CACHE_DIR"):
        return Path(os.environ["IMPASTO_CACHE_DIR"]) / "arithmetic.json"
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or str(home() / "AppData" / "Local")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(home() / ".cache")
    return Path(base) / "impasto" / "arithmetic.json"


def computer() -> str:
    """What the choice is good for: another processor, number of threads or PyTorch makes it void."""
    name = torch.cpu.get_capabilities().get("cpu_name", "")
    return f"{name}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}"


def recall() -> Arithmetic | None:
    """The choice made earlier on this computer; None if there is none, or the notes cannot be read."""
    try:
        choice = Arithmetic(**_notes()[computer()])
    except (KeyError, TypeError):
        return None
    return choice if choice in choices() else None


def _notes() -> dict[str, Any]:
    """The choices by computer, the latest last; none where they cannot be read."""
    try:
        notes = json.loads(notes_path().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def remember(choice: Arithmetic) -> None:
    """Note the choice beside the last others. A folder that cannot be written to costs a second a process, no more."""
    notes = _notes()
    notes.pop(computer(), None)
    notes = dict([*notes.items(), (computer(), asdict(choice))][-N_NOTES:])
    with suppress(OSError):
        path = notes_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(f".{os.getpid()}.tmp")
        written.write_text(json.dumps(notes), "utf-8")
        written.replace(path)
