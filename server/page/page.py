"""The web page itself: what it shows, and what happens when something is chosen or pressed.

Handlers are generators over our own queue: a visitor who cancels, or goes away, closes them, and that stops the job.
Only ``server.page.mount`` imports this module, once gradio is told to stay offline.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from gimp_plugin import settings
from gimp_plugin.settings import NONE, Setting
from gimp_plugin.wire import SUFFIX, Plane, StyleResult, StylizeRequest, StylizeResult, WireError, write_style
from server.page import styles, uploads
from server.page.controls import (
    control_of,
    file_input,
    for_wire,
    layers_of,
    name_of,
    picture_input,
    show_idle,
    show_preview,
    show_result,
    show_running,
    show_source,
)
from server.page.live import STROKE_OPACITY, Live
from server.page.painting import Painting
from server.page.words import plain, preset_title, sentence, short, state

if TYPE_CHECKING:
    from server.page.files import PageFiles
    from server.supervisor.app import Engine

STARTING_S = 120.0
FIRST = "Choose a photo, then press Paint."
READY = "Press Paint."
PREVIEW_PX = 1024
STROKE = f"rgba(226, 88, 34, {STROKE_OPACITY})"

AREAS = [("Whole photo", "whole"), ("What I click", "click"), ("Where I brush", "brush"), ("Mask picture", "mask")]


class Page:
    """The page and the paintings of everybody who looks at it.

    Args:
        engine: paints.
        folder: of uploads and results; nobody else may enter it.
        files: which files of it a client may name.
    """

    def __init__(self, engine: Engine, folder: Path, files: PageFiles) -> None:
        self.engine, self.folder, self.files = engine, folder, files
        self.live = Live(engine, files, self._own_file)
        self.by_session: dict[str, set[Painting[Any]]] = {}
        with gr.Blocks(title="Impasto", analytics_enabled=False, delete_cache=(60, 3600)) as self.blocks:
            gr.Markdown(
                "# Impasto\nPaint a photo in the style of any picture. "
                "It happens on this computer: your pictures do not leave it.",
                elem_id="title",
            )
            with gr.Row():
                with gr.Column(scale=5, min_width=340):
                    self._lay_out_inputs()
                with gr.Column(scale=6, min_width=340, elem_id="result-column"):
                    self._lay_out_result()
            self._connect()

    def _lay_out_inputs(self) -> None:
        self.photo = picture_input("Photo", 300)
        with gr.Group():
            self.source = gr.Radio(styles.SOURCES, value=styles.PAINTING, label="Style")
            self.preset = gr.Dropdown([], value=None, label="Painting", info="The engine is starting")
            setattr(self.preset, "preprocess", name_of)  # noqa: B010  (scripts have not loaded the list: _style checks)
            with gr.Column() as self.sample_column:
                self.gallery = self.live.lay_out_gallery()
            with gr.Column(visible=False) as self.own_style:
                self.style_picture = picture_input("Style picture", 200)
                self.save_button = gr.Button("Make a style file of it", size="sm", elem_id="make-style")
                self.style_download = gr.DownloadButton("Save the style file", size="sm", visible=False)
            with gr.Column(visible=False) as self.own_file:
                self.style_file = file_input("Style file", SUFFIX)
            self.second = gr.Dropdown([("None", NONE)], value=NONE, label="Second painting, to be mixed in")
            setattr(self.second, "preprocess", name_of)  # noqa: B010  (as above)
            controls = {setting.name: control_of(setting) for setting in settings.of("page") if is_of_styles(setting)}
        with gr.Group():
            self.area = gr.Radio(AREAS, value="whole", label="Area")
            with gr.Column(visible=False) as self.click_area:
                self.live.lay_out_clicking()
            with gr.Column(visible=False) as self.brush_area:
                self.strokes = gr.ImageEditor(
                    label="Brush over what is to be painted", type="pil", image_mode="RGBA", format="png", height=420,
                    sources=(), transforms=(), layers=False, buttons=[],
                    brush=gr.Brush(default_size=40, colors=[STROKE], default_color=STROKE, color_mode="fixed"),
                    eraser=gr.Eraser(default_size=40),
                )  # fmt: skip
                setattr(self.strokes, "preprocess", layers_of)  # noqa: B010  (gradio's own reading has no limit)
            with gr.Column(visible=False) as self.mask_area:
                self.mask = picture_input("Mask: white is painted, black is left alone", 200)
        with gr.Group():
            controls |= {s.name: control_of(s) for s in settings.of("page") if not is_of_styles(s)}
        self.controls = {setting.name: controls[setting.name] for setting in settings.of("page")}

    def _lay_out_result(self) -> None:
        self.slider = self.live.lay_out_preview()
        with gr.Row():
            self.paint_button = gr.Button("Paint", variant="primary", size="lg", elem_id="paint")
            self.cancel_button = gr.Button("Cancel", size="lg", interactive=False, elem_id="cancel")
        self.status = gr.HTML(state(FIRST), elem_id="status")
        self.result = gr.Image(
            label="Result",
            format="png",
            type="filepath",
            interactive=False,
            height="min(520px, 60vh)",
            buttons=["fullscreen"],
            alt_text="The painted photo",
            elem_id="result",
            visible=False,
        )
        self.download = gr.DownloadButton("Save the picture", size="lg", interactive=False, elem_id="save")

    def _connect(self) -> None:
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        at_once: dict[str, Any] = {"queue": False, **quiet}
        loaded = self.blocks.load(self.await_catalog, None, [self.preset, self.second], concurrency_limit=None, **quiet)
        shown = [self.preset, self.sample_column, self.own_style, self.own_file]
        self.source.change(show_source, self.source, shown, **at_once)
        controls = list(self.controls.values())
        for chosen in (self.blocks.load, self.source.change, *(control.input for control in controls)):
            chosen(self.grey_out, [self.source, *controls], controls, **at_once)
        areas = [self.click_area, self.brush_area, self.mask_area, self.strokes]
        self.area.change(self.show_area, [self.area, self.photo], areas, **at_once)
        # Not ``change``: gradio reports that for a picture again and again, whatever else on the page has changed.
        for chosen in (self.photo.upload, self.photo.clear):
            chosen(self.show_area, [self.area, self.photo], areas, **at_once)
            chosen(self.forget_result, None, [self.result, self.download], **at_once)
        for upload in (self.photo, self.style_picture, self.style_file, self.mask):
            for chosen in (upload.upload, upload.clear):
                chosen(self.show_next_step, self.photo, self.status, **at_once)
        for chosen in (self.style_picture.upload, self.style_picture.clear):
            chosen(lambda: gr.update(visible=False), None, self.style_download, **at_once)
        self.save_button.click(
            self.make_style, self.style_picture, [self.style_download, self.status],
            api_name="make_style", concurrency_limit=None, show_progress="hidden",
        )  # fmt: skip
        for control in (self.source, self.preset, self.area, self.second):
            control.input(self.show_next_step, self.photo, self.status, **at_once)
        buttons = [self.paint_button, self.cancel_button]
        inputs = [
            self.photo, self.source, self.preset, self.style_picture, self.area, self.strokes, self.mask,
            self.style_file, self.second, *controls,
        ]  # fmt: skip
        self._connect_live(loaded, inputs)
        pressed = self.paint_button.click(show_running, None, buttons, **at_once)
        painted = pressed.then(
            self._named(self.paint), inputs, [self.result, self.download, self.status],
            api_name="paint", concurrency_limit=None, show_progress="hidden",
        )  # fmt: skip
        painted.success(show_result, None, [self.slider, self.result], **at_once)
        for ended in (painted.success, painted.failure):  # ``then`` comes after a success only
            ended(show_idle, None, buttons, **at_once)
        self.cancel_button.click(self.cancel, None, None, queue=False, api_name="cancel", show_progress="hidden")

    def _connect_live(self, loaded: Any, inputs: list[Any]) -> None:
        """Gallery, preview and clicks: they follow what is chosen, and the newest choice counts."""
        live, controls = self.live, list(self.controls.values())
        newest: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "always_last"}
        newest["concurrency_limit"] = None
        preview, shown = self._named(self.preview), [self.slider, self.result]
        uploaded = self.photo.upload(preview, inputs, shown, **newest)
        for fill in (loaded.then, uploaded.then, self.photo.clear):  # a preview comes before the whole gallery
            fill(live.show_tiles, self.photo, self.gallery, **newest)
        self.gallery.select(live.choose, None, self.preset, queue=False, api_visibility="private")
        chosen = [self.preset.change, self.source.input, self.second.input, self.area.input]
        chosen += [self.style_picture.upload, self.style_file.upload, self.mask.upload]
        gr.on([*chosen, *(control.input for control in controls)], preview, inputs, shown, **newest)
        for changed in (self.photo.upload, self.photo.clear, live.anew.click):
            changed(live.show_photo, self.photo, live.picture, **newest)
        clicked = live.picture.select(live.click, [self.photo, live.mode], live.picture, **newest)
        clicked.then(preview, inputs, shown, **newest)

    async def await_catalog(self) -> AsyncIterator[Any]:
        """Fill the list of paintings, as soon as the engine can tell."""
        began = time.monotonic()
        while (catalog := self.engine.worker.catalog) is None:
            if time.monotonic() - began > STARTING_S:
                raise gr.Error("The engine does not start; its log says why.", print_exception=False)
            await asyncio.sleep(0.2)
        choices = [(preset_title(style), style["name"]) for style in catalog["styles"]]
        second = gr.Dropdown([("None", NONE), *choices], value=NONE)
        yield gr.Dropdown(choices, value=choices[0][1] if choices else None, info=""), second

    def show_area(self, area: str, photo: str | None) -> tuple[Any, ...]:
        """Show the controls of the chosen area, and the photo where it is to be brushed over.

        The editor gets a value in any case: for ``gr.skip`` gradio would make a new one, with its own way of reading.
        """
        editor = None
        if photo is not None and area == "brush":
            try:
                preview = uploads.make_preview(self.files.find(photo, "photo"), PREVIEW_PX)
            except WireError as error:
                raise gr.Error(error.message, print_exception=False) from error
            editor = {"background": preview, "layers": [], "composite": None}
        return (*(gr.update(visible=area == one) for one in ("click", "brush", "mask")), editor)

    def forget_result(self, visitor: gr.Request) -> tuple[Any, Any]:
        """The painting of one photo does not stand beside another. One that is under way is finished and says so."""
        for painting in list(self.by_session.get(visitor.session_hash or "", ())):
            painting.is_of_earlier_photo = True
        return None, gr.DownloadButton(value=None, interactive=False)

    def show_next_step(self, visitor: gr.Request, photo: str | None) -> Any:
        """What to do next, in place of a complaint about what is chosen now; progress is left alone."""
        if self.by_session.get(visitor.session_hash or ""):
            return gr.skip()
        return state(READY if photo else FIRST)

    def grey_out(self, source: str, *values: Any) -> Any:
        """What does nothing with the present choices is grey."""
        takes = self._takes()
        given = self._given(source, values)
        changes = [gr.update(interactive=settings.is_used(s, given, takes)) for s in settings.of("page")]
        return changes if len(changes) > 1 else changes[0]

    def _takes(self) -> list[str] | None:
        """What the method of the page takes, once the engine has told."""
        catalog = self.engine.worker.catalog or {"methods": []}
        return next((m.get("takes") for m in catalog["methods"] if m["name"] == settings.DEFAULT_METHOD), None)

    @staticmethod
    def _given(source: str, values: Sequence[Any]) -> dict[str, Any]:
        names = [setting.name for setting in settings.of("page")]
        return dict(zip(names, values, strict=True)) | {
            "style-source": "preset" if source == styles.PAINTING else "file"
        }

    def _named(self, handler: Callable[..., AsyncGenerator[Any, None]]) -> Callable[..., AsyncIterator[Any]]:
        """A handler with ``paint``'s arguments and one for each control: clients of the page's API use their names."""

        async def handle(visitor: gr.Request, *given: Any) -> AsyncIterator[Any]:
            n_choices = len(given) - len(self.controls)
            if not self.live.is_news(visitor.session_hash, given, is_preview=handler == self.preview):
                yield gr.skip(), gr.skip()
                return
            async with aclosing(handler(visitor, *given[:n_choices], values=given[n_choices:])) as outputs:
                async for output in outputs:
                    yield output

        ours = [p for p in inspect.signature(self.paint).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        more = [ours[0].replace(name=s.key, default=s.default, annotation=Any) for s in settings.of("page")]
        setattr(handle, "__signature__", inspect.Signature([*ours, *more]))  # noqa: B010  (mypy knows of none)
        return handle

    async def paint(  # noqa: PLR0913, PLR0917  (one argument per choice of pictures)
        self,
        visitor: gr.Request,
        photo: str | None = None,
        source: str = "painting",
        preset: str | None = None,
        style_picture: str | None = None,
        area: str = "whole",
        strokes: list[str] | None = None,
        mask: str | None = None,
        style_file: str | None = None,
        second: str | None = NONE,
        *,
        values: Sequence[Any],
    ) -> AsyncGenerator[Any, None]:
        """Paint the photo.

        Args:
            visitor: whose page it is; gradio fills it in.
            photo: the picture to paint.
            source: "painting", "picture" or "file".
            preset: name of a famous painting.
            style_picture: a picture of the visitor's own.
            area: "whole", "brush" or "mask".
            strokes: what was brushed over the photo.
            mask: white is painted, black is left alone.
            style_file: a style file of the visitor's own.
            second: name of a famous painting that is mixed in, by the share of the setting "mix".
            values: of the page's settings, in the order of their table.

        Returns:
            The result, the file to save, and how it went.
        """
        painting: Painting[StylizeResult] = Painting(self.engine, visitor.session_hash)
        mine = self.by_session.setdefault(visitor.session_hash or "", set())
        mine.add(painting)
        try:
            yield gr.skip(), gr.skip(), state("Reading the pictures", 0)
            unread: list[str] = []  # of the files
            chosen = settings.effective(self._given(source, values), self._takes())
            wanted = styles.Chosen(source, preset, style_picture, style_file, second, float(chosen["mix"]))
            found = await asyncio.to_thread(styles.read, wanted, self.engine.worker.catalog, self.files, unread)
            content = await asyncio.to_thread(self._photo, photo, unread)
            selection = await asyncio.to_thread(self.live.selection, visitor, photo, area, strokes, mask, content)
            request = StylizeRequest(content, tuple(found), selection, auto_strength=True, settings=for_wire(chosen))
            began = time.monotonic()
            async with aclosing(painting.follow(request)) as reports:
                async for share, message in reports:
                    yield gr.skip(), gr.skip(), state(message, share)
            seconds = time.monotonic() - began
            file = self._own_file(
                f"{short(plain(Path(photo or 'photo').stem))} - {short(plain(styles.names_of(found)))}.png"
            )
            lost = await asyncio.to_thread(uploads.write_png, file, painting.result.picture, Path(photo or ""))
            notes = [*unread, *painting.result.report.get("notes", []), *lost]
            said = [f"Done in {seconds:.1f} seconds.", *map(sentence, notes)]
            if painting.is_of_earlier_photo:
                said.insert(1, "This is the photo that was chosen when Paint was pressed.")
            yield str(file), gr.DownloadButton(value=str(file), interactive=True), state(" ".join(said))
        except WireError as error:
            yield gr.skip(), gr.skip(), state(error.message)
            if error.code != "cancelled":
                raise gr.Error(error.message, print_exception=False) from error
        finally:
            self._leave(visitor, painting)

    async def preview(self, visitor: gr.Request, *given: Any, values: Sequence[Any]) -> AsyncGenerator[Any, None]:
        """Before and after, small. What is not chosen yet is no error: then there is no preview."""
        photo, source, preset, style_picture, area, strokes, mask, style_file, second = given  # as ``paint``
        if photo is None:
            yield show_preview(None)
            return
        chosen = settings.effective(self._given(source, values), self._takes())
        wanted = styles.Chosen(source, preset, style_picture, style_file, second, float(chosen["mix"]))
        try:
            both = await self.live.preview(
                photo,
                lambda: styles.read(wanted, self.engine.worker.catalog, self.files, []),
                lambda small: self.live.selection(visitor, photo, area, strokes, mask, small),
                for_wire(chosen),
                visitor.session_hash,
            )
            yield show_preview(both)
        except WireError:
            yield gr.skip(), gr.skip()

    async def make_style(self, visitor: gr.Request, style_picture: str | None = None) -> AsyncGenerator[Any, None]:
        """Make a style file of the style picture; to save it appears beside it."""
        painting: Painting[StyleResult] = Painting(self.engine, visitor.session_hash)
        mine = self.by_session.setdefault(visitor.session_hash or "", set())
        mine.add(painting)
        try:
            request = await asyncio.to_thread(styles.request_to_save, style_picture, self.files)
            async with aclosing(painting.follow(request)) as reports:
                async for share, _message in reports:
                    yield gr.skip(), state("Looking at the style", share)
            file = self._own_file(f"{short(plain(request.title))}{SUFFIX}")
            await asyncio.to_thread(write_style, file, painting.result.saved())
            yield gr.DownloadButton(value=str(file), visible=True), state("The style file is made: save it.")
        except WireError as error:
            yield gr.skip(), state(error.message)
            if error.code != "cancelled":
                raise gr.Error(error.message, print_exception=False) from error
        finally:
            self._leave(visitor, painting)

    def _leave(self, visitor: gr.Request, painting: Painting[Any]) -> None:
        mine = self.by_session.get(visitor.session_hash or "", set())
        mine.discard(painting)
        if not mine:
            self.by_session.pop(visitor.session_hash or "", None)

    async def cancel(self, visitor: gr.Request) -> None:
        """Stop what this visitor has running (in the event loop, where the queue lives)."""
        for painting in list(self.by_session.get(visitor.session_hash or "", ())):
            painting.cancel()

    def _photo(self, photo: str | None, unread: list[str]) -> Plane:
        """The photo's pixels; ``unread`` gets what of the file was not read."""
        if photo is None:
            raise WireError("unprocessable", "Choose a photo first.")
        return uploads.read_picture(self.files.find(photo, "photo"), "photo", unread)

    def _own_file(self, name: str) -> Path:
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir(mode=0o700)
        return folder / name


def is_of_styles(setting: Setting) -> bool:
    """Whether its control stands beside the styles."""
    return setting.group == "style"
