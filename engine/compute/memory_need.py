"""How much memory a job needs, told before it starts: a large picture that cannot fit is refused at once.

An estimate, measured method by method; ``tests/engine/test_memory_need.py`` holds it near the truth. What is refused
must be hopeless: a picture is measured by the least that it needs, and a warning by what it usually takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.compute import malloc
from engine.compute.memory import Room, free_room
from engine.core.errors import ResourceError

if TYPE_CHECKING:
    from engine.core.types import Settings

Size = tuple[int, int]
"""(H, W)."""

FLOAT_BYTES, RGB_BYTES = 4, 12
PROCESS_BYTES = 450 << 20  # PyTorch, a network
SMALL_BYTES = 128 << 20  # less than this is not worth a warning
LARGE_BYTES = 1 << 30  # from here on it is told before the work starts
MIN_SIDE_PX = 64  # what is thinner is mirrored up to this by every method


@dataclass(frozen=True)
class Memory:
    """What a method takes beside the picture and its painting.

    Args:
        bytes_per_pixel: of what is computed at once.
        longest_px: longest side at which that is; None = the picture's own.
        tile_pixels: it is computed in tiles of so many, which are halved where memory is short; None = whole.
    """

    bytes_per_pixel: int
    longest_px: int | None = None
    tile_pixels: int | None = None

    def of(self, size: Size) -> int:
        """Bytes for a picture (H, W)."""
        n = n_pixels(shrunk(size, self.longest_px))
        return self.bytes_per_pixel * (n if self.tile_pixels is None else min(n, self.tile_pixels))

    def least(self, size: Size) -> int:
        """Bytes without which it is hopeless."""
        return self.of(size) // (2 if self.tile_pixels is None else 8)


MEMORY = {
    "gatys": Memory(2400),
    "cnnmrf": Memory(2000, 1280),
    "analogy": Memory(2400, 640),
}
USUAL = Memory(400, tile_pixels=1392**2)  # in tiles, as nearly every feed-forward method


@dataclass(frozen=True)
class Need:
    """What a job needs, and whether there is room.

    Args:
        n_bytes: of the process, at the most.
        n_more: of it, what is still to come: the content is here already.
        n_least: of that, without which it is hopeless.
        room: what is free; None = the system does not tell.
        megapixels: of the picture.
    """

    n_bytes: int
    n_more: int
    n_least: int
    room: Room | None
    megapixels: float

    @property
    def is_large(self) -> bool:
        return self.n_bytes >= LARGE_BYTES

    @property
    def is_tight(self) -> bool:
        """Whether other programs may have to go to the disk for it."""
        return self.room is not None and self.n_more > max(self.room.n_free, SMALL_BYTES)

    @property
    def sentence(self) -> str:
        """What is said before the work starts."""
        return self.note or f"{self.megapixels:.0f} megapixels take about {gigabytes(self.n_bytes)} of memory"

    @property
    def note(self) -> str | None:
        """What is told of a tight one, before and after."""
        if self.room is None or not self.is_tight:
            return None
        return (
            f"Memory is tight: this picture takes about {gigabytes(self.n_bytes)}, and "
            f"{gigabytes(self.room.n_free)} are free. It may take long."
        )


def check_room(settings: Settings, whole: Size, part: Size, *, is_on_card: bool = False) -> Need:
    """What a job needs.

    Args:
        settings: how it is painted, and by which method.
        whole: (H, W) of the content.
        part: (h, w) of what is painted of it.
        is_on_card: the method computes in the memory of a graphics card.

    Raises:
        ResourceError: it cannot fit; the sentence has both figures.
    """
    need = estimate(settings, whole, part, is_on_card=is_on_card)
    if need.room is not None and need.n_least > need.room.n_possible:
        raise ResourceError(
            f"This picture takes about {gigabytes(need.n_more)} of memory, and {gigabytes(need.room.n_possible)} are "
            "free. Close other programs, select a smaller part, or scale the picture down."
        )
    return need


def estimate(settings: Settings, whole: Size, part: Size, *, is_on_card: bool = False) -> Need:
    """The same without a verdict; arguments as ``check_room``."""
    size, memory = shrunk(part, settings.size_px), MEMORY.get(settings.method, USUAL)
    own, least = (0, 0) if is_on_card else (memory.of(size), memory.least(size))
    held, more = RGB_BYTES * n_pixels(whole), pictures_bytes(settings, whole, part)
    n_bytes = PROCESS_BYTES + held + more + own
    if n_bytes >= LARGE_BYTES:
        malloc.give_back()  # what this process keeps for later counts as taken
    return Need(n_bytes, more + own, more + least, free_room(), whole[0] * whole[1] / 1e6)


def pictures_bytes(settings: Settings, whole: Size, part: Size) -> int:
    """Of full-size pictures beside the content: the painting, and what color, smoothing and blending make of it."""
    painting = RGB_BYTES * n_pixels(part)
    extra = 0
    if settings.color == "luminance":
        extra = max(extra, FLOAT_BYTES * n_pixels(part))
    if settings.photoreal > 0 or (settings.color == "match" and settings.size_px is not None):
        extra = max(extra, painting)
    if settings.composite and part != whole:
        extra = max(extra, RGB_BYTES * n_pixels(whole))
    return painting + extra


def shrunk(size: Size, longest_px: int | None) -> Size:
    """(H, W) with its longest side at most so long."""
    factor = 1.0 if longest_px is None else min(1.0, longest_px / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def n_pixels(size: Size) -> int:
    """Of (H, W), short sides mirrored."""
    return max(MIN_SIDE_PX, size[0]) * max(MIN_SIDE_PX, size[1])


def gigabytes(n_bytes: int) -> str:
    """ "2.4 GB"."""
    return f"{n_bytes / 1e9:.1f} GB"
