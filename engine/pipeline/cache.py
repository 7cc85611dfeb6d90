"""The last paintings, kept so that another color mode, smoothing or edge does not paint again.

What a method paints is kept as it left the method: color, smoothing and blending come after it and are cheap. A
painting is found again by a digest of everything that it depends on, so that a hit gives the same bits as painting
anew would, and nothing has to be told when something changes.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from engine.color.lightness import lightness_of
from engine.core.method import Job
from engine.core.options import Option
from engine.core.progress import undisturbed
from engine.core.types import Picture, Settings
from engine.pipeline.shelf import Shelf

BUDGET_BYTES = 400 << 20  # two paintings of 12 megapixels
CONTENT_BYTES = 192 << 20  # and one picture that they are of
N_STRENGTHS = 64
SLICE_BYTES = 8 << 20  # digested in parallel
# Of the settings, what the pipeline does with a finished painting. Anything else, known today or not, paints anew.
AFTERWARDS = ("color", "color_map", "photoreal", "composite", "blend")

Bytes = bytes | bytearray | memoryview
Sources = Mapping[Tensor, bytes]
NO_SOURCES: Sources = MappingProxyType({})


class Recent:
    """Paintings by digest; the one that was longest not asked for goes first.

    Args:
        budget_bytes: what all of them may take; a larger painting is not kept.
        shelf: where they are kept as files too, if anywhere: for the process after this one, should it be killed.

    Attributes:
        sources: by the pixels of a job, a digest of the bytes that they were made of, where that is known: 8 bits a
            value are a quarter of what 32 are. Those pixels must not be written to.
    """

    def __init__(self, budget_bytes: int = BUDGET_BYTES, shelf: Shelf | None = None) -> None:
        self.budget_bytes, self.shelf = budget_bytes, shelf
        self.sources: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._strengths: OrderedDict[bytes, float] = OrderedDict()
        self._paintings: OrderedDict[bytes, Tensor] = OrderedDict()
        self._lightness: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._content: tuple[bytes, Picture] | None = None

    def content(self, data: Bytes, kind: str, make: Callable[[], Picture]) -> Picture:
        """The picture that bytes stand for: whoever wants other colors sends the same ones again.

        Args:
            data: all that decides the picture, but for ``kind``.
            kind: how it comes of them: type and shape.
            make: makes it, if it is not the one that was asked for last. It must not be written to.
        """
        digest = digest_of_bytes(kind, data)
        picture = self._content[1] if self._content is not None and self._content[0] == digest else None
        if picture is None:
            self._content = None  # before there is another one: two are more than the memory that they are made in
            picture = make()
            parts = [x for x in (picture.rgb, picture.alpha) if x is not None]
            if sum(map(bytes_of, parts)) <= CONTENT_BYTES:
                self._content = digest, picture
        self.sources[picture.rgb] = digest
        return picture

    def find(self, digest: bytes) -> Tensor | None:
        """The painting of a digest, or None. It must not be written to."""
        if digest in self._paintings:
            self._paintings.move_to_end(digest)
        elif self.shelf is not None and (painting := self.shelf.get(digest)) is not None:
            self._remember(digest, painting)
            return painting
        return self._paintings.get(digest)

    def keep(self, digest: bytes, painting: Tensor) -> None:
        """Keep a painting, which must not be written to from now on; older ones make room for it."""
        with undisturbed():  # it is finished: a cancellation that comes now must not cost it
            if self.shelf is not None:
                self.shelf.put(digest, painting)
            self._remember(digest, painting)

    def _remember(self, digest: bytes, painting: Tensor) -> None:
        self._paintings.pop(digest, None)
        while self._paintings and self.n_bytes + bytes_of(painting) > self.budget_bytes:
            self._paintings.popitem(last=False)
        if bytes_of(painting) <= self.budget_bytes:
            self._paintings[digest] = painting

    def know_part(self, part: Tensor, whole: Tensor, box: tuple[int, int, int, int]) -> None:
        """What a part was made of, where that is known of the whole: of another whole, other pixels count too.

        Args:
            part: a view of the whole; of anything else nothing is known.
            whole: (..., H, W).
            box: which part: top, left, height, width.
        """
        is_part = part is not whole and part.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()
        if is_part and whole in self.sources:
            self.sources[part] = digest_of_bytes(f"{box} of {tuple(whole.shape)}", self.sources[whole])

    def strength(self, digest: bytes, find: Callable[[], float]) -> float:
        """The strength that is right for a job, of whose digest it is found once."""
        if digest not in self._strengths:
            self._strengths[digest] = find()
            if len(self._strengths) > N_STRENGTHS:
                self._strengths.popitem(last=False)
        return self._strengths[digest]

    def lightness(self, painting: Tensor) -> Tensor:
        """What color mode "luminance" needs of a painting: (3, H, W) -> (H, W). Of one that is kept, it is kept too."""
        known = self._lightness.get(painting)
        if known is None:
            known = lightness_of(painting)
            if self.keeps(painting):
                self._lightness[painting] = known
        return known

    def keeps(self, painting: Tensor) -> bool:
        """Whether it is one of those at hand."""
        return any(painting is kept for kept in self._paintings.values())

    def clear(self) -> None:
        """Let all of them go, for instance because memory is short."""
        self._paintings.clear()
        self._content = None

    @property
    def n_bytes(self) -> int:
        """What the paintings take, with all that is known of them."""
        return sum(map(bytes_of, (*self._paintings.values(), *self._lightness.values())))

    def __len__(self) -> int:
        return len(self._paintings)


def bytes_of(x: Tensor) -> int:
    """Memory that a tensor keeps alive, which is all of what it is a view of."""
    return x.untyped_storage().nbytes()


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
