"""What the page shows before anything is painted: the photo in every style, a preview, the thing that was clicked.

Only ``server.page.page`` imports this module, once gradio is told to stay offline.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from gimp_plugin.wire import Plane, SegmentRequest, SegmentResult, StyleEntry, StylizeRequest, WireError
from server.page import uploads
from server.page.painting import Painting
from server.page.words import preset_title

if TYPE_CHECKING:
    from server.page.files import PageFiles
    from server.supervisor.app import Engine

THUMBNAILS = Path(__file__).resolve().parents[2] / "engine" / "presets" / "thumbnails"  # files.presets loads torch
STROKE_OPACITY = 0.55  # of the page's brush
MAX_CLICKS, MAX_VISITORS = 16, 64
TILE_PX, TILE_SHOWN_PX = 192, 144
PREVIEW_PX = 640
SHOW_EVERY_S = 0.7  # the browser fetches every tile anew
DIMMED = 0.35  # what is not selected, where something was clicked
Point = tuple[int, int]


@dataclass
class Clicked:
    """What one visitor has clicked.

    Args:
        photo: the upload that it was clicked in.
        on, beside: (x, y) in the small photo, on the thing and beside it.
        mask: the file with what was found; None = nothing yet.
    """

    photo: str | None = None
    on: list[Point] = field(default_factory=list)
    beside: list[Point] = field(default_factory=list)
    mask: Path | None = None


class Live:
    """Small paintings for one page.

    Args:
        engine: paints.
        files: which uploads a client may name.
        make_file: gives a place for a file of the page's own.
    """

    def __init__(self, engine: Engine, files: PageFiles, make_file: Callable[[str], Path]) -> None:
        self.engine, self.files, self.make_file = engine, files, make_file
        self.clicked: OrderedDict[str, Clicked] = OrderedDict()
        self.previews: dict[str, Painting[Any]] = {}
        self.painted: OrderedDict[str, Any] = OrderedDict()  # the choices of the result that is shown

    # --- the widgets ------------------------------------------------------------------------------------

    def lay_out_gallery(self) -> gr.Gallery:
        """All styles as pictures."""
        self.gallery = gr.Gallery(
            label="Styles: your photo in each of them", columns=4, height=300, allow_preview=False, object_fit="cover",
            interactive=False, buttons=[], format="jpeg", elem_id="styles",
        )  # fmt: skip
        return self.gallery

    def lay_out_clicking(self) -> None:
        """The photo to be clicked."""
        gr.Markdown("Click the thing that is to be painted. Further clicks correct what was found.")
        self.mode = gr.Radio([("add to it", "on"), ("take away from it", "beside")], value="on", label="A click will")
        self.picture = gr.Image(
            label="Click here", interactive=False, buttons=[], height=360, elem_id="click-here", alt_text="Your photo"
        )
        self.anew = gr.Button("Begin anew", size="sm")

    def lay_out_preview(self) -> gr.ImageSlider:
        """Before and after, side by side along a line."""
        self.slider = gr.ImageSlider(
            label="Preview: before and after", interactive=False, buttons=[], height="min(420px, 50vh)",
            slider_position=50, format="jpeg", elem_id="preview",
        )  # fmt: skip
        return self.slider

    # --- what happens -----------------------------------------------------------------------------------

    async def show_tiles(self, visitor: gr.Request, photo: str | None) -> AsyncGenerator[Any, None]:
        """Fill the gallery; see ``tiles``."""
        async with aclosing(self.tiles(photo, visitor.session_hash)) as shown:
            async for tiles in shown:
                yield tiles

    def choose(self, event: gr.SelectData) -> Any:
        """The preset of a tile, and that a painting is the style."""
        presets = (self.engine.worker.catalog or {"styles": []})["styles"]
        index = event.index if isinstance(event.index, int) else -1
        if not 0 <= index < len(presets):
            return gr.skip()
        return presets[index]["name"]

    def show_photo(self, visitor: gr.Request, photo: str | None) -> Any:
        """The photo as it can be clicked, and nothing found in it yet."""
        self.clicked.pop(visitor.session_hash or "", None)
        if photo is None:
            return None
        try:
            return self.small_photo(photo)
        except WireError as error:
            raise gr.Error(error.message, print_exception=False) from error

    async def click(self, visitor: gr.Request, event: gr.SelectData, photo: str | None, mode: str) -> Any:
        """Find what was clicked."""
        if photo is None or not _is_point(event.index):
            return gr.skip()
        mine = self._of(visitor, photo)
        (mine.beside if mode == "beside" and mine.on else mine.on).append((int(event.index[0]), int(event.index[1])))
        del mine.on[MAX_CLICKS:], mine.beside[MAX_CLICKS:]
        file = self.make_file("object.png")
        try:
            shown = await self.find(photo, mine.on, mine.beside, visitor.session_hash, file)
        except WireError as error:
            (mine.beside if mode == "beside" else mine.on).clear()
            raise gr.Error(error.message, print_exception=False) from error
        mine.mask = file
        return shown

    def selection(
        self,
        visitor: gr.Request,
        photo: str | None,
        area: str,
        strokes: list[str] | None,
        mask: str | None,
        content: Plane,
    ) -> Plane | None:
        """The part of the photo that is to be painted; None = all of it."""
        size = (content.height, content.width)
        if area == "click":
            return uploads.read_mask(self.mask_of(visitor, photo), size)
        if area == "mask":
            if mask is None:
                raise WireError("unprocessable", "Choose a mask picture first, or paint the whole photo.")
            return uploads.read_mask(self.files.find(mask, "mask"), size)
        if area == "brush":
            layers = [self.files.find(layer, "brushed layer") for layer in strokes or []]
            found = uploads.read_strokes(layers[0], STROKE_OPACITY, size) if layers else None
            if found is None:
                raise WireError("unprocessable", "Brush over the part of the photo first, or paint the whole photo.")
            return found
        return None

    def mask_of(self, visitor: gr.Request, photo: str | None) -> Path:
        """The file with what the visitor clicked.

        Raises:
            WireError: nothing was clicked in this photo.
        """
        mine = self.clicked.get(visitor.session_hash or "")
        if mine is None or mine.mask is None or mine.photo != photo:
            raise WireError("unprocessable", "Click the thing in the photo first, or paint the whole photo.")
        return mine.mask

    def _of(self, visitor: gr.Request, photo: str) -> Clicked:
        mine = self.clicked.setdefault(visitor.session_hash or "", Clicked(photo))
        if mine.photo != photo:
            mine = self.clicked[visitor.session_hash or ""] = Clicked(photo)
        while len(self.clicked) > MAX_VISITORS:
            self.clicked.popitem(last=False)
        return mine

    # --- small paintings --------------------------------------------------------------------------------

    async def tiles(
        self, photo: str | None, session: str | None
    ) -> AsyncGenerator[list[tuple[Image.Image, str]], None]:
        """Every preset with its title: the work's own thumbnail at first, then the photo painted in it.

        Args:
            photo: an upload; None = only the thumbnails.
            session: of the visitor: who is gone is painted for no longer.
        """
        presets = list((self.engine.worker.catalog or {"styles": []})["styles"])
        shown: list[tuple[Image.Image, str]] = [
            (thumbnail_of(preset["name"]), preset_title(preset)) for preset in presets
        ]
        yield shown
        if photo is None:
            return
        small = await asyncio.to_thread(self._small, photo, TILE_PX)
        last = time.monotonic()
        for i, preset in enumerate(presets):
            request = StylizeRequest(small, (StyleEntry(preset["name"], preset=preset["name"]),))
            try:
                result = await self._painted(request, session)
            except WireError:
                break  # the queue is full, or the engine has ended: the thumbnails stay
            tile = image_of(result.picture)
            tile.thumbnail((TILE_SHOWN_PX, TILE_SHOWN_PX))
            shown = [*shown[:i], (tile, shown[i][1]), *shown[i + 1 :]]
            if time.monotonic() - last > SHOW_EVERY_S:
                last = time.monotonic()
                yield shown
        yield shown

    async def preview(
        self,
        photo: str,
        entries: Callable[[], Sequence[StyleEntry]],
        selection: Callable[[Plane], Plane | None],
        given: Mapping[str, Any],
        session: str | None,
    ) -> tuple[Image.Image, Image.Image]:
        """The photo as it is and as it will be, small.

        Args:
            photo: an upload.
            entries: reads the styles.
            selection: gives the part of the small photo that is to be painted; None = all of it.
            given: the settings, in the engine's terms.
            session: of the visitor.

        Raises:
            WireError: something cannot be read, or the engine refuses.
        """
        small = await asyncio.to_thread(self._small, photo, PREVIEW_PX)
        styles = await asyncio.to_thread(entries)
        part = await asyncio.to_thread(selection, small)
        quick = {**given, "quality": "fast"}  # the others take minutes
        request = StylizeRequest(small, tuple(styles), part, auto_strength=True, settings=quick)
        self.drop_preview(session)
        painting = self.previews[session or ""] = Painting(self.engine, session)
        try:
            result = await _followed(painting, request)
        finally:
            if self.previews.get(session or "") is painting:
                del self.previews[session or ""]
        return image_of(small), image_of(result.picture)

    def is_news(self, session: str | None, choices: Any, *, is_preview: bool) -> bool:
        """Whether something has to be done; a preview of what is painted already would only hide the result."""
        name = session or ""
        if is_preview and self.painted.get(name) == choices:
            return False
        if not is_preview:
            self.drop_preview(session)
        self.painted[name] = None if is_preview else choices
        self.painted.move_to_end(name)
        while len(self.painted) > MAX_VISITORS:
            self.painted.popitem(last=False)
        return True

    def drop_preview(self, session: str | None) -> None:
        """Give up a visitor's preview: something newer is wanted."""
        painting = self.previews.pop(session or "", None)
        if painting is not None:
            painting.cancel()

    async def find(
        self, photo: str, on: Sequence[Point], beside: Sequence[Point], session: str | None, file: Path
    ) -> Image.Image:
        """Find what was clicked; the photo with all else dimmed.

        Args:
            photo: an upload.
            on, beside: (x, y) in a preview of ``PREVIEW_PX``, on the thing and beside it.
            session: of the visitor.
            file: takes the mask, as an upload of the photo's proportions.

        Raises:
            WireError: nothing is found there, or the engine refuses.
        """
        small = await asyncio.to_thread(self._small, photo, PREVIEW_PX)
        found: SegmentResult = await self._painted(
            SegmentRequest(small, points=tuple(on), others=tuple(beside)), session
        )
        size = small.width, small.height
        mask = Image.frombytes("L", size, bytes(found.mask.data))
        await asyncio.to_thread(mask.save, file)
        picture = image_of(small)
        dim = Image.blend(picture, Image.new("RGB", size, "white"), 1 - DIMMED)
        return Image.composite(picture, dim, mask)

    def small_photo(self, photo: str) -> Image.Image:
        """The photo as ``find`` takes clicks on it."""
        return image_of(self._small(photo, PREVIEW_PX))

    def _small(self, photo: str, longest_px: int) -> Plane:
        picture = uploads.make_preview(self.files.find(photo, "photo"), longest_px).convert("RGBA")
        return Plane("U8", (picture.height, picture.width, 4), picture.tobytes())

    async def _painted(self, request: Any, session: str | None) -> Any:
        return await _followed(Painting(self.engine, session), request)


async def _followed(painting: Painting[Any], request: Any) -> Any:
    """The result of a job."""
    async with aclosing(painting.follow(request)) as reports:
        async for _report in reports:
            pass
    return painting.result


def image_of(plane: Plane) -> Image.Image:
    """A picture (H, W, 4) of 8 bits, without its alpha."""
    return Image.frombytes("RGBA", (plane.width, plane.height), bytes(plane.data)).convert("RGB")


def thumbnail_of(preset: str) -> Image.Image:
    """A work's own thumbnail, or a gray one. Only names of the catalog may be asked for."""
    path = THUMBNAILS / f"{preset}.jpg"
    if not path.is_file():
        return Image.new("RGB", (TILE_SHOWN_PX, TILE_SHOWN_PX), "gray")
    with Image.open(path) as thumbnail:
        return thumbnail.copy()


def _is_point(index: Any) -> bool:
    is_pair = isinstance(index, list | tuple) and len(index) == 2
    return is_pair and all(isinstance(value, int | float) and 0 <= value <= PREVIEW_PX for value in index)
