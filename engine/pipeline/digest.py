"""By what a painting is found again: a digest of everything that it depends on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from torch import Tensor

from engine.core.method import Job
from engine.core.options import Option
from engine.core.types import Settings

SLICE_BYTES = 8 << 20  # digested in parallel


# Of the settings, what the pipeline does with a finished painting. Anything else, known today or not, paints again.
AFTERWARDS = ("color", "color_map", "photoreal", "composite", "blend")


Bytes = bytes | bytearray | memoryview


Sources = Mapping[Tensor, bytes]


NO_SOURCES: Sources = MappingProxyType({})


def is_reusable(options: Sequence[Option], job: Job) -> bool:
    """Whether all that a job names can be told apart by its digest.

    A free text that is no path (a name in some folder of the method's own) may mean another file tomorrow.
    """
    free = [o for o in options if isinstance(o.default, str) and not o.choices]
    names = [str(job.options[o.name]) for o in free if job.options[o.name] != o.default]
    return all(os.path.exists(name) for name in names)


def digest_of(job: Job, sources: Sources = NO_SOURCES) -> bytes:
    """32 bytes that differ for jobs whose paintings could: every pixel and every setting of a method counts.

    Args:
        job: what is to be painted.
        sources: of those of its tensors that are digested by what they were made of.
    """
    total = hashlib.blake2b(digest_size=32)
    for name, value in _parts(job):
        total.update(f"{name}:".encode())
        total.update(_digest(value, sources) if isinstance(value, Tensor) else repr(value).encode())
        total.update(b"\n")
    return total.digest()


def _parts(job: Job) -> Iterator[tuple[str, Any]]:
    """Everything that a painting depends on, named, so that no two parts can be mistaken for each other."""
    for field in fields(Settings):
        if field.name not in (*AFTERWARDS, "options"):
            yield field.name, _with_file(getattr(job.settings, field.name))
    yield "device", str(job.device)
    for name in sorted(job.options):
        yield f"option {name}", _with_file(job.options[name])
    yield "content", job.content.rgb
    yield "alpha", job.content.alpha
    yield "mask", None if job.mask is None else job.mask.weight
    for picture in () if job.series is None else job.series.pictures:
        yield "series", picture.rgb
    for region in job.regions:
        yield "region", region.content.weight
        yield "region's style", region.style.weight
    for style in job.styles:
        yield "share", style.weight
        yield "code", style.code
        yield "style", None if style.picture is None else style.picture.rgb
        yield "style's alpha", None if style.picture is None else style.picture.alpha


def _with_file(value: object) -> object:
    """A setting; where it names a file, or a folder of files, with what tells that they are others now."""
    if not isinstance(value, str):
        return value
    try:
        paths = [value, *(entry.path for entry in os.scandir(value))] if os.path.isdir(value) else [value]
        states = [(path, os.stat(path)) for path in sorted(paths)]
    except (OSError, ValueError):
        return value
    return [(path, state.st_size, state.st_mtime_ns, state.st_ino) for path, state in states]


def _digest(x: Tensor, sources: Sources) -> bytes:
    """Of shape, type and every byte, or of the bytes that these came of."""
    head = f"{x.dtype}{tuple(x.shape)}"
    if x in sources:
        return digest_of_bytes(f"{head} of", sources[x])
    return digest_of_bytes(head, x.detach().cpu().contiguous().numpy().data)


def digest_of_bytes(head: str, data: Bytes) -> bytes:
    """32 bytes for data and what it is; large data in slices on several threads, since hashing sets the GIL free."""
    flat = memoryview(data).cast("B")
    starts = range(0, len(flat), SLICE_BYTES)

    def of_slice(start: int) -> bytes:
        return hashlib.blake2b(flat[start : start + SLICE_BYTES], digest_size=32).digest()

    if len(starts) <= 1:
        return hashlib.blake2b(head.encode() + of_slice(0), digest_size=32).digest()
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return hashlib.blake2b(head.encode() + b"".join(pool.map(of_slice, starts)), digest_size=32).digest()
