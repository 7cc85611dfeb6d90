"""What a picture takes is said before the work starts, and what cannot fit is not begun."""

from __future__ import annotations

import pytest
import torch

from engine import methods
from engine.compute import memory_need
from engine.compute.memory import Room
from engine.compute.memory_need import MEMORY, check_room
from engine.core.errors import ResourceError
from engine.core.types import Picture, Settings, Style
from engine.pipeline.cache import PaintingCache
from engine.pipeline.stylize import stylize

NIKON = (5504, 8256)  # 45 megapixels
GIGABYTE = 10**9


def with_room(patch: pytest.MonkeyPatch, n_free: int, n_possible: int | None = None) -> None:
    patch.setattr(memory_need, "free_room", lambda: Room(n_free, n_free if n_possible is None else n_possible))


@pytest.mark.parametrize("changes", [{}, {"color": "luminance"}, {"photoreal": 1.0}, {"method": "photoreal"}])
def test_a_photo_of_45_megapixels_takes_3_gigabytes_at_most(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    with_room(monkeypatch, 8 * GIGABYTE)
    found = check_room(Settings(**changes), NIKON, NIKON)  # type: ignore[arg-type]
    assert GIGABYTE < found.n_bytes <= 3 * GIGABYTE
    assert found.note is None and found.is_large
    assert found.sentence == f"45 megapixels take about {found.n_bytes / 1e9:.1f} GB of memory"


def test_what_is_tight_is_begun_with_a_note_and_what_cannot_fit_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with_room(monkeypatch, GIGABYTE // 2, 8 * GIGABYTE)
    note = check_room(Settings(), NIKON, NIKON).note
    assert note is not None and "Memory is tight" in note and "0.5 GB are free" in note
    with_room(monkeypatch, GIGABYTE // 4)
    with pytest.raises(ResourceError, match=r"about \d\.\d GB of memory, and 0\.2 GB are free\. Close other"):
        check_room(Settings(), NIKON, NIKON)


def test_methods_that_optimize_every_pixel_are_refused_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not where they are asked to work on a smaller copy, or do so by themselves."""
    with_room(monkeypatch, 6 * GIGABYTE)
    with pytest.raises(ResourceError):
        check_room(Settings(method="gatys"), NIKON, NIKON)
    for settings in (Settings(method="gatys", size_px=1024), Settings(method="analogy"), Settings(method="cnnmrf")):
        check_room(settings, NIKON, NIKON)


def test_only_the_part_that_is_painted_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    with_room(monkeypatch, 20 * GIGABYTE)
    assert check_room(Settings(), NIKON, (500, 500)).n_more < check_room(Settings(), NIKON, NIKON).n_more / 1.5


def test_a_system_that_does_not_tell_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_need, "free_room", lambda: None)
    assert check_room(Settings(method="gatys"), NIKON, NIKON).note is None


def test_the_table_names_methods_that_there_are() -> None:
    assert set(MEMORY) <= {info.name for info in methods.catalog()}


def test_a_job_says_it_first_and_last(monkeypatch: pytest.MonkeyPatch, cat: Picture) -> None:
    with_room(monkeypatch, 1 << 20, 20 * GIGABYTE)
    monkeypatch.setattr(memory_need, "LARGE_BYTES", 0)
    monkeypatch.setattr(memory_need, "SMALL_BYTES", 0)
    told: list[str] = []
    cache = PaintingCache()
    cache.keep(b"of another job", torch.zeros(10))
    done = stylize(cat, [Style("s", cat)], on_progress=lambda _share, text: told.append(text), cache=cache)
    (note,) = [note for note in done.report["notes"] if note.startswith("Memory is tight")]
    assert told[0] == note and done.report["needed_bytes"] > 0
    assert cache.find(b"of another job") is None  # what is only convenient makes room
    with_room(monkeypatch, 1 << 10)
    with pytest.raises(ResourceError, match="Close other programs"):
        stylize(cat, [Style("s", cat)])
