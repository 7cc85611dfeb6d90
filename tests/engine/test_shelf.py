"""Finished paintings outlive the process that painted them, to the bit, and never take more room than they may."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
import torch

from engine.core.types import Picture, Settings, Style
from engine.pipeline import shelf as shelf_module
from engine.pipeline.cache import PaintingCache
from engine.pipeline.shelf import Shelf
from engine.pipeline.stylize import stylize

LAYOUTS = {
    "planes": torch.rand(3, 20, 30),
    "colors side by side": torch.rand(1, 3, 20, 30).contiguous(memory_format=torch.channels_last)[0],
    "turned": torch.rand(3, 30, 20).transpose(1, 2),
    "a view": torch.rand(3, 40, 50)[:, 3:23, 5:35],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_painting_comes_back_to_the_bit_and_laid_out_alike(layout: str, tmp_path: Path) -> None:
    painting = LAYOUTS[layout]
    Shelf(tmp_path / "kept").put(b"12", painting)
    found = Shelf(tmp_path / "kept").get(b"12")
    assert found is not None and torch.equal(found, painting)
    dense = painting if layout != "a view" else painting.contiguous()
    assert found.stride() == dense.stride()


def test_the_next_process_finds_what_the_last_one_finished(tmp_path: Path) -> None:
    """As after the kill of a worker: nothing is left of it but the files."""
    generator = torch.Generator().manual_seed(0)
    content, style = (Picture(torch.rand(3, 40, 48, generator=generator)) for _ in range(2))
    first = stylize(content, [Style("s", picture=style)], cache=PaintingCache(shelf=Shelf(tmp_path)))
    for color in ("style", "luminance"):
        settings = Settings(color=color)
        fresh = stylize(content, [Style("s", picture=style)], settings, cache=PaintingCache(shelf=Shelf(tmp_path)))
        anew = stylize(content, [Style("s", picture=style)], settings)
        assert not first.report["reused"] and fresh.report["reused"] and not anew.report["reused"]
        assert torch.equal(fresh.picture.rgb, anew.picture.rgb)


def test_the_oldest_go_when_there_is_no_more_room(tmp_path: Path) -> None:
    kept = Shelf(tmp_path, budget_bytes=3000)  # two of 1200 bytes and a header
    for i, name in enumerate((b"a", b"b")):
        kept.put(name, torch.full((300,), float(i)))
        os.utime(tmp_path / f"{name.hex()}.painting", (i, i))
    assert kept.get(b"a") is not None  # and is the younger one from now on
    kept.put(b"c", torch.zeros(300))
    assert kept.get(b"b") is None and kept.get(b"a") is not None and kept.get(b"c") is not None
    kept.put(b"d", torch.zeros(3000))  # larger than all: it costs none of the others
    assert kept.get(b"d") is None and kept.get(b"a") is not None
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3000


def test_a_disk_without_room_keeps_none_and_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Shelf(tmp_path)
    kept.put(b"a", torch.zeros(3))
    monkeypatch.setattr(shelf_module, "SPARE_BYTES", 1 << 60)
    kept.put(b"b", torch.zeros(3))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"12345678", b"\xff" * 100])
def test_a_damaged_file_is_no_painting(data: bytes, tmp_path: Path) -> None:
    kept = Shelf(tmp_path)
    kept.put(b"a", torch.zeros(3))
    (path,) = tmp_path.iterdir()
    path.write_bytes(data)
    assert kept.get(b"a") is None


def test_a_folder_that_cannot_be_made_costs_nothing_but_the_keeping(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = Shelf(tmp_path / "file" / "kept")
    kept.put(b"a", torch.zeros(3))
    assert kept.get(b"a") is None


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    Shelf(tmp_path / "kept").put(b"a", torch.zeros(3))
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
