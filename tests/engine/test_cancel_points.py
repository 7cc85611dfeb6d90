"""A cancellation waits for one operation of torch, changes no bit, and never costs what is finished."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core import progress
from engine.core.errors import Cancelled
from engine.core.progress import heeded, undisturbed
from engine.core.types import Picture, Settings, Style
from engine.descent.descend import descend
from engine.pipeline.cache import PaintingCache
from engine.pipeline.stylize import stylize

N_LAYERS = 40


@pytest.fixture(autouse=True)
def look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOOK_S", 0.0)


def deep(pixels: Tensor) -> Tensor:
    """A loss with many layers, which tell nothing themselves."""
    for _ in range(N_LAYERS):
        pixels = torch.sin(pixels) + pixels
    return pixels.square().mean()


def stopping_after(n_calls: int) -> tuple[Callable[[float, str], None], list[float]]:
    told: list[float] = []

    def tell(share: float, _message: str) -> None:
        told.append(share)
        if len(told) == n_calls:
            raise Cancelled("Cancelled.")

    return tell, told


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_looking_up_changes_no_bit(optimizer: str) -> None:
    start = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    expected = descend(start, deep, 6, optimizer, lambda _share, _message: None)
    tell, told = stopping_after(10**9)
    with heeded(tell) as heard:
        found = descend(start, deep, 6, optimizer, heard)
    assert torch.equal(found, expected)
    assert len(told) > 6 * 3 * N_LAYERS  # forth and back in each step, and not just once a step
    assert told == sorted(told)


def test_the_way_back_can_be_stopped_at_every_layer() -> None:
    """Backward is a single call: for a whole megapixel it takes seconds."""
    pixels = torch.rand(1, 3, 8, 8, requires_grad=True)
    tell, told = stopping_after(10**9)
    with heeded(tell):
        loss = deep(pixels)
        n_forth = len(told)
        loss.backward()
    n_back = len(told) - n_forth
    assert n_back >= 2 * N_LAYERS
    for n_calls in (n_forth + 5, n_forth + n_back // 2):
        pixels.grad = None
        stop, told = stopping_after(n_calls)
        with pytest.raises(Cancelled), heeded(stop):
            deep(pixels).backward()
        assert len(told) == n_calls and pixels.grad is None


def test_what_is_told_in_between_is_what_was_told_last() -> None:
    told: list[tuple[float, str]] = []
    with heeded(lambda share, message: told.append((share, message))) as heard:
        torch.zeros(3).sum()
        heard(0.25, "Painting")
        torch.zeros(3).sum()
    assert set(told) == {(0.0, ""), (0.25, "Painting")} and told.index((0.25, "Painting")) >= 1


def test_afterwards_nothing_is_told() -> None:
    tell, told = stopping_after(1)
    with pytest.raises(Cancelled), heeded(tell):
        torch.zeros(3).sum()
    torch.zeros(3).sum()
    assert len(told) == 1


def test_a_painting_is_kept_whole_even_if_the_cancellation_comes_just_then() -> None:
    cache, is_over = PaintingCache(), False

    def tell(_share: float, _message: str) -> None:
        if is_over:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled), heeded(tell):
        painting = torch.ones(3, 4, 4)
        is_over = True
        cache.keep(b"a", painting)  # which asks torch for its size
        torch.zeros(1).sum()
    assert cache.find(b"a") is painting


def test_undisturbed_ends_where_it_ends() -> None:
    tell, told = stopping_after(10**9)
    with heeded(tell):
        with undisturbed():
            torch.zeros(3).sum()
        assert told == []
        torch.zeros(3).sum()
    assert told != []


def test_a_whole_picture_is_the_same_to_the_bit() -> None:
    generator = torch.Generator().manual_seed(1)
    content, style = (Picture(torch.rand(3, 40, 48, generator=generator)) for _ in range(2))
    for settings in (Settings(), Settings(method="gatys", options={"iterations": 3, "scales": 1})):
        expected = stylize(content, [Style("s", picture=style)], settings).picture.rgb
        tell, told = stopping_after(10**9)
        with heeded(tell) as heard:
            found = stylize(content, [Style("s", picture=style)], settings, on_progress=heard).picture.rgb
        assert torch.equal(found, expected) and len(told) > 100


@pytest.mark.parametrize("method", ["analogy", "cnnmrf", "gatys", "photowct", "wct"])
def test_a_method_can_be_stopped_between_two_layers(method: str, cat: Picture, coffee: Picture) -> None:
    photo, style = (Picture(F.avg_pool2d(picture.rgb, 2)) for picture in (cat, coffee))
    stop, told = stopping_after(9)
    with pytest.raises(Cancelled):
        stylize(photo, [Style("coffee", style)], Settings(method), on_progress=stop)
    assert len(told) == 9 and told == sorted(told)
