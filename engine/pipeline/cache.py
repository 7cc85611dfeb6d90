"""The last paintings, kept so that another color mode, smoothing or edge does not paint again.

What a method paints is kept as it left the method: color, smoothing and blending come after it and are cheap. A
painting is found again by a digest of everything that it depends on, so that a hit gives the same bits as painting
anew would, and nothing has to be told when something changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from engine.color.lightness import lightness_of
from engine.core.method import Job
from engine.core.options import Option
from engine.core.progress import undisturbed
from engine.core.types import Picture
from engine.pipeline.digest import Bytes, digest_of, digest_of_bytes, is_reusable
from engine.pipeline.shelf import Shelf

BUDGET_BYTES = 400 << 20  # two paintings of 12 megapixels
CONTENT_BYTES = 192 << 20  # and one picture that they are of
N_STRENGTHS = 64


class PaintingCache:
    """Paintings by digest; the one that was longest not asked for goes first.

    Args:
        budget_bytes: what all of them may take; a larger painting is not kept. 0 = nothing is kept.
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
        """The picture that bytes stand for. A client that wants other colors sends the same bytes again.

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

    @property
    def is_on(self) -> bool:
        """Whether anything is kept at all."""
        return self.budget_bytes > 0 or self.shelf is not None

    def get(self, job: Job, options: Sequence[Option], paint: Callable[[], tuple[Tensor, bool]]) -> tuple[Tensor, bool]:
        """The painting of a job, (3, H, W), and whether it was painted before. It must not be written to if kept.

        Args:
            job: what is to be painted.
            options: those of its method.
            paint: paints it, and says whether an older painting served.
        """
        if not self.is_on or not is_reusable(options, job):
            return paint()
        digest = digest_of(job, self.sources)
        found = self.find(digest)
        if found is not None:
            return found, True
        painted, is_reused = paint()
        self.keep(digest, painted)
        return painted, is_reused

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

    def strength(self, job: Job, options: Sequence[Option], find: Callable[[], float]) -> float:
        """The strength that is right for a job: looked for once."""
        if not self.is_on or not is_reusable(options, job):
            return find()
        digest = digest_of(job, self.sources)
        if digest not in self._strengths:
            self._strengths[digest] = find()
            if len(self._strengths) > N_STRENGTHS:
                self._strengths.popitem(last=False)
        return self._strengths[digest]

    def lightness(self, painting: Tensor) -> Tensor | None:
        """What color mode "luminance" needs of a kept painting: (H, W), kept with it. None of one that is not kept."""
        if not self.keeps(painting):
            return None
        if painting not in self._lightness:
            self._lightness[painting] = lightness_of(painting)
        return self._lightness[painting]

    def keeps(self, painting: Tensor) -> bool:
        """Whether it is one of those kept."""
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
