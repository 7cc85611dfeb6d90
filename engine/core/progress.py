"""Progress and cancellation: at each layer where a method tells of it, and between any two operations of torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from engine.core.types import Progress

LOOK_S = 0.005  # asking after every operation would cost more than the small ones take
_IS_UNDISTURBED: ContextVar[bool] = ContextVar("is_undisturbed", default=False)


def part(on_progress: Progress, start: float, end: float, message: str = "") -> Progress:
    """A Progress whose [0, 1] is the stretch from ``start`` to ``end`` of another; ``message`` replaces empty ones."""

    def report(share: float, text: str) -> None:
        on_progress(start + (end - start) * min(1.0, max(0.0, share)), text or message)

    return report


@contextmanager
def watched(network: nn.Module, on_progress: Progress, n_passes: int = 1) -> Iterator[None]:
    """Report before each convolution of a network, so that a cancellation raised there stops at once.

    Args:
        network: any module with convolutions.
        on_progress: its share runs to 1 over ``n_passes`` forward passes.
        n_passes: how many passes the caller will make.
    """
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    n_expected = max(1, len(convolutions) * n_passes)
    n_seen = 0

    def report(_module: nn.Module, _inputs: object) -> None:
        nonlocal n_seen
        on_progress(min(1.0, n_seen / n_expected), "")
        n_seen += 1

    hooks = [module.register_forward_pre_hook(report) for module in convolutions]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def heeded(on_progress: Progress) -> Iterator[Progress]:
    """A Progress that is also called, with what it was told last, between any two operations of torch inside.

    One step of a descent at a megapixel takes seconds, and its layers tell nothing on their way back. So whatever a
    method does, a cancellation waits for one operation of this thread at most. Nothing that is computed changes.
    """
    last = (0.0, "")
    looked_at = 0.0

    def tell(share: float, message: str) -> None:
        nonlocal last, looked_at
        last, looked_at = (share, message), time.perf_counter()
        on_progress(share, message)

    def look() -> None:
        if time.perf_counter() - looked_at >= LOOK_S and not _IS_UNDISTURBED.get():
            tell(*last)

    with _Between(look):
        yield tell


@contextmanager
def undisturbed() -> Iterator[None]:
    """No cancellation between the operations inside: something is half changed there."""
    before = _IS_UNDISTURBED.set(True)
    try:
        yield
    finally:
        _IS_UNDISTURBED.reset(before)


class _Between(TorchFunctionMode):
    """Looks up before each call of torch in this thread, and before each step of a way back along a graph.

    Args:
        look: may raise.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self.look = look

    def __torch_function__(
        self, func: Callable[..., Any], _types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.look()
        if func is torch.Tensor.backward or func is torch.autograd.grad:
            self._watch_graph(args[0])
        return func(*args, **(kwargs or {}))

    def _watch_graph(self, outputs: torch.Tensor | tuple[torch.Tensor, ...] | list[torch.Tensor]) -> None:
        """Backward is one call: let each node of its graph look up first, which changes no gradient."""
        outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
        waiting: list[Any] = [output.grad_fn for output in outputs]
        seen = set()
        while waiting:
            node = waiting.pop()
            if node is not None and node not in seen:
                seen.add(node)
                node.register_prehook(self._look_back)
                waiting += [following for following, _ in node.next_functions]

    def _look_back(self, _gradients: object) -> None:
        self.look()
