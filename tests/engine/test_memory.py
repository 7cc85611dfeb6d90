"""Memory that runs out is known by every name; what is free is told within every limit."""

from __future__ import annotations

import errno
import sys

import numpy as np
import pytest
import torch

from engine.compute import malloc, memory
from engine.compute.device import memory_errors
from engine.compute.memory import Room, free_room, is_out_of_memory
from engine.compute.tiles import paint_tiles
from engine.core.errors import InputError, ResourceError, WeightsError

SHORT = [
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError(errno.EAGAIN, "Resource temporarily unavailable"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 3.95 GiB total capacity)"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("could not create a primitive"),
    RuntimeError("could not create a primitive descriptor for a convolution forward propagation primitive"),
    RuntimeError("could not create a memory object"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
                 "to allocate 4000000000 bytes. Error code 12 (Cannot allocate memory)"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4000000000 bytes."),
    RuntimeError("unable to mmap 553433881 bytes from file </home/a/x.pth>: Cannot allocate memory (12)"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("bad allocation"),
    RuntimeError("can't start new thread"),
    ImportError("libfoo.so: failed to map segment from shared object"),
    OSError("Cannot allocate memory (os error 12)"),
]  # fmt: skip
OTHER = [
    RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
    RuntimeError("CUDA error: no kernel image is available for execution on the device"),
    OSError(errno.ENOSPC, "No space left on device"),
    FileNotFoundError(errno.ENOENT, "No such file", "out of memory.png"),
    OSError("cannot identify image file '/home/a/out of memory.png'"),
    InputError("out of memory.png is no picture that Impasto reads."),
    ValueError("could not convert string to float"),
    KeyError("memory"),
]


@pytest.mark.parametrize("error", SHORT, ids=lambda error: f"{type(error).__name__} {str(error)[:40]}")
def test_memory_that_ran_out_is_known_by_every_name(error: Exception) -> None:
    assert is_out_of_memory(error)
    with pytest.raises(ResourceError, match="not enough memory for this picture"), memory_errors("this picture"):
        raise error


@pytest.mark.parametrize("error", OTHER, ids=lambda error: f"{type(error).__name__} {str(error)[:40]}")
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)), memory_errors("this picture"):
        raise error


def test_what_an_error_was_raised_from_counts() -> None:
    try:
        try:
            raise RuntimeError("std::bad_alloc")
        except RuntimeError as error:
            raise WeightsError("x.pth is damaged.") from error
    except WeightsError as error:
        assert is_out_of_memory(error)


def test_real_allocations_that_fail_are_known() -> None:
    for allocate in (
        lambda: torch.empty(1 << 48),
        lambda: np.empty(1 << 48, np.uint8),
        lambda: bytearray(1 << 48),
    ):
        with pytest.raises(ResourceError), memory_errors("this picture"):
            allocate()


@pytest.mark.parametrize("error", SHORT[7:13], ids=str)
def test_tiles_halve_under_every_name(error: Exception) -> None:
    rgb = torch.rand(1, 3, 700, 700, generator=torch.Generator().manual_seed(0))
    sides: set[int] = set()

    def paint(tile: torch.Tensor, place: object) -> torch.Tensor:
        sides.add(max(tile.shape[2:]))
        if max(tile.shape[2:]) > 400:
            raise error
        return place.cut(tile)  # type: ignore[attr-defined,no-any-return]

    painted = paint_tiles(rgb, paint, tile_px=1024, margin_px=16, stride_px=8)
    assert torch.equal(painted, rgb) and max(sides) > 400


def test_the_limits_of_this_process_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert free_room() is not None
    if sys.platform.startswith("linux"):
        monkeypatch.setattr(memory, "_left_of_limits", lambda: 5 << 20)
        monkeypatch.setattr(malloc, "kept_bytes", lambda: 0)
        assert free_room() == Room(5 << 20, 5 << 20)


def test_linux_tells_what_is_free(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    meminfo = tmp_path / "meminfo"  # type: ignore[operator]
    meminfo.write_text("MemTotal: 8000 kB\nMemAvailable:    3000 kB\nSwapFree:  1000 kB\nHugePages_Total:  0\n")
    monkeypatch.setattr(memory, "MEMINFO", meminfo)
    assert memory._of_linux() == Room(3000 * 1024, 4000 * 1024)
