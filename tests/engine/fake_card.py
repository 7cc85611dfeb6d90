"""A graphics card that is there and works, until it does not: pixels stay on the processor, PyTorch says "cuda"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from engine.compute import gpu_check

NO_KERNEL = "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors might be late."


class FakeCard:
    """Patches what of PyTorch would reach the card.

    Args:
        patch: undone at the test's end.
        fails_at: the convolution, counted from 1, as of which all fail; None = none does.
        error: what they raise.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, fails_at: int | None = None, error: Callable[[], Exception] = RuntimeError
    ) -> None:
        self.n_seen, self.n_before, self.fails_at, self.error = 0, 0, fails_at, error
        self.is_used = False
        to, convolve = torch.Tensor.to, F.conv2d

        def fake_to(x: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
            def is_card(value: Any) -> bool:
                return isinstance(value, str | torch.device) and str(value).startswith("cuda")

            self.is_used = self.is_used or any(map(is_card, args))
            return to(x, *("cpu" if is_card(value) else value for value in args), **options)

        def fake_convolve(*args: Any, **options: Any) -> torch.Tensor:
            if self.is_used:
                self.n_seen += 1
                if self.fails_at is not None and self.n_seen >= self.fails_at:
                    self.is_used = False
                    raise self.error()
            return convolve(*args, **options)

        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "max_memory_allocated", lambda _device: 0)
        patch.setattr(torch.Tensor, "to", fake_to)
        patch.setattr(F, "conv2d", fake_convolve)
        gpu_check.forget()
