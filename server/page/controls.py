"""The controls of the web page, and how what they hold is read: gradio's own reading of pictures has no limits.

Only ``server.page.page`` imports this module, once gradio is told to stay offline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from gimp_plugin import settings
from gimp_plugin.settings import Setting
from server.page import styles


def control_of(setting: Setting) -> Any:
    """The control of a setting."""
    said: dict[str, Any] = {"value": setting.default, "label": setting.label, "info": f"{setting.help}."}
    if setting.choices:
        return gr.Radio([(entry.title, entry.name) for entry in setting.choices], **said)
    if setting.kind == "switch":
        return gr.Checkbox(**said)
    if setting.kind == "number" and setting.low is not None and setting.high is not None:
        return gr.Slider(setting.low, setting.high, step=(setting.high - setting.low) / 20, **said)
    if setting.kind in ("number", "whole"):
        return gr.Number(
            minimum=setting.low, maximum=setting.high, precision=0 if setting.kind == "whole" else None, **said
        )
    return gr.Textbox(**said)


def picture_input(label: str, height_px: int) -> gr.Image:
    """A place to put a picture, whose file comes to the handler as it was uploaded: gradio's own reading has neither a
    list of formats nor a limit.
    """
    image = gr.Image(
        label=label, type="filepath", image_mode=None, sources=["upload", "clipboard"], height=height_px, buttons=[]
    )
    setattr(image, "preprocess", path_of)  # noqa: B010  (gradio writes a stub file beside a subclass)
    return image


def file_input(label: str, suffix: str) -> gr.File:
    """A place to put a file of one kind. What it is, its bytes tell; the suffix is for the browser's own dialog."""
    file = gr.File(label=label, file_count="single", file_types=[suffix], type="filepath", height=150)
    setattr(file, "preprocess", path_of)  # noqa: B010  (as above)
    return file


def name_of(payload: Any) -> str | None:
    """What was chosen in a list."""
    return payload if isinstance(payload, str) else None


def path_of(payload: Any) -> str | None:
    """The file of an upload."""
    return None if payload is None or payload.path is None else str(payload.path)


def layers_of(payload: Any) -> list[str]:
    """The files of the brushed layers. Gradio's page uploads them, as it does a photo."""
    return [] if payload is None else [str(layer.path) for layer in payload.layers]


def for_wire(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The page's settings in the engine's terms."""
    return {setting.key: chosen[setting.name] for setting in settings.of("page") if "wire" in setting.places}


def show_source(source: str) -> tuple[Any, ...]:
    """Show the controls of the chosen source of style."""
    shown = (styles.PAINTING, styles.PAINTING, styles.PICTURE, styles.FILE)
    return tuple(gr.update(visible=source == one) for one in shown)


def show_running() -> tuple[Any, Any]:
    """Buttons while it paints. What was painted before can be saved meanwhile, and after Cancel."""
    return gr.update(interactive=False), gr.update(interactive=True)


def show_idle() -> tuple[Any, Any]:
    """Buttons before and after."""
    return gr.update(interactive=True), gr.update(interactive=False)


def show_preview(pictures: Any) -> tuple[Any, Any]:
    """Before and after in the place of the last result: what is chosen now is looked at."""
    return gr.update(value=pictures, visible=True), gr.update(visible=False)


def show_result() -> tuple[Any, Any]:
    """The painted photo in the place of the preview."""
    return gr.update(visible=False), gr.update(visible=True)
