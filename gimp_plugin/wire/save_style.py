"""The contract for making a style of one's own from a picture. Read it through ``wire``. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gimp_plugin.language import _
from gimp_plugin.wire.frames import Plane, require
from gimp_plugin.wire.request import Request, Result
from gimp_plugin.wire.style_file import MAX_CODE, MAX_TEXT, SWATCH_PX, THUMBNAIL_PX, SavedStyle, is_network, refusal

STYLE_REQUEST = "style request"
STYLE_PICTURE_PX = 1024  # longest side of a picture that is to become a style


@dataclass(frozen=True)
class StyleResult(Result):
    """What the engine says of a style picture.

    Args:
        code: (1, N) floats.
        report: JSON values: "title", "network", "seconds".
        swatch: (H, W, 3) in 8 bits, at most ``SWATCH_PX`` a side.
        thumbnail: (H, W, 3) in 8 bits, at most ``THUMBNAIL_PX`` a side.
    """

    code: Plane
    report: dict[str, Any]
    swatch: Plane | None = None
    thumbnail: Plane | None = None
    kind: ClassVar = "style result"
    planes: ClassVar = ("code", "swatch", "thumbnail")

    def saved(self, artist: str = "") -> SavedStyle:
        """It as a style file takes it.

        Raises:
            WireError: a part is missing or out of range.
        """
        if self.swatch is None or self.thumbnail is None:
            raise refusal(_("The engine sent only a part of the style: try again."))
        title, network = self.report.get("title"), self.report.get("network")
        return SavedStyle(str(title), artist, str(network), self.code, self.swatch, self.thumbnail)


@dataclass(frozen=True)
class StyleRequest(Request[StyleResult]):
    """A picture that is to become a style.

    Args:
        content: (H, W, 4) R'G'B'A pixels, at most ``STYLE_PICTURE_PX`` a side.
        title: of the style; comes back in the report.

    Raises:
        WireError: a value is out of range or of the wrong shape.
    """

    content: Plane
    title: str
    kind: ClassVar = STYLE_REQUEST
    result: ClassVar = StyleResult

    def __post_init__(self) -> None:
        shape = self.content.shape
        require(len(shape) == 3 and shape[2] == 4, "The style picture needs the shape (H, W, 4).")
        require(
            max(shape[:2]) <= STYLE_PICTURE_PX,
            f"A picture that becomes a style has at most {STYLE_PICTURE_PX} pixels a side, not {max(shape[:2])}.",
        )
        is_title = isinstance(self.title, str) and 1 <= len(self.title) <= MAX_TEXT
        require(is_title, f"A style needs a title of at most {MAX_TEXT} characters.")

    @property
    def max_result_bytes(self) -> int:
        return 4 * MAX_CODE + 3 * SWATCH_PX**2 + 3 * THUMBNAIL_PX**2

    def _parts(self) -> tuple[dict[str, Any], dict[str, Plane]]:
        return {"title": self.title}, {"content": self.content}

    @classmethod
    def _of(cls, meta: dict[str, Any], planes: dict[str, Plane]) -> StyleRequest:
        require(planes.keys() == {"content"}, "The request needs one plane, its content.")
        return cls(planes["content"], meta["title"])

    def _fits(self, result: StyleResult) -> bool:
        is_whole = result.swatch is not None and result.thumbnail is not None
        return is_whole and is_network(result.report.get("network")) and result.report.get("title") == self.title
