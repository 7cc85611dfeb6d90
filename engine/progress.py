"""Progress and cancellation at the granularity of a layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from engine.types import Progress


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
