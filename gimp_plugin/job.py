"""One run of the filter, from the user's choices to the new layer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

if TYPE_CHECKING or __package__:
    from . import canvas, launch, options, pixels, scratch, wire
    from .arguments import Choices
    from .catalog import Catalog
else:
    import canvas
    import launch
    import options
    import pixels
    import scratch
    import wire
    from arguments import Choices
    from catalog import Catalog

# Of the progress bar: how much is finding the engine and sending, the rest is the engine's own progress.
_START_SHARE = 0.05


def stylize(image: Gimp.Image, drawables: Sequence[Gimp.Drawable], choices: Choices, catalog: Catalog) -> Gimp.Layer:
    """Paint a layer, or what is selected of it, and insert the result above it.

    Everything that can fail comes first: the image is touched only once the painted pixels are here.

    Returns:
        The new layer.

    Raises:
        WireError: with a sentence for the user; the image is unchanged.
    """
    started = time.monotonic()
    source = canvas.pick_layer(image, drawables)
    canvas.start_progress("Neural Style: reading the layer")
    reading = canvas.read_layer(image, source, choices.selection_only, choices.feather_px)
    style = _style(choices, catalog)
    request = _request(reading, style, choices)
    read = time.monotonic()
    result = _compute(request)
    if result.mask is not None:
        reading = dataclasses.replace(reading, mask=result.mask, is_softened=True)
    settings = _settings(style, choices, result.report)
    settings["seconds"] = {"read": read - started, "engine": time.monotonic() - read}
    return canvas.insert_layer(image, source, reading, result.picture, _layer_name(style, choices), settings)


def _style(choices: Choices, catalog: Catalog) -> wire.StyleEntry:
    """The one style that counts: what the user points at most directly."""
    source = choices.chosen_source
    if source == "layer":
        if choices.layer is None:
            raise pixels.refusal("No style layer is chosen: choose one, or a painting or a file.")
        return wire.StyleEntry(choices.layer.get_name(), picture=scratch.read_style_layer(choices.layer))
    if source == "file":
        if choices.file is None:
            raise pixels.refusal("No style picture is chosen: choose a file, or a painting.")
        name = (choices.file.get_basename() or "picture").rpartition(".")
        return wire.StyleEntry(name[0] or name[2], picture=scratch.read_style_file(choices.file))
    title = next((style.title for style in catalog.styles if style.name == choices.preset), choices.preset)
    return wire.StyleEntry(title, preset=choices.preset)


def _request(reading: canvas.Reading, style: wire.StyleEntry, choices: Choices) -> wire.StylizeRequest:
    return wire.StylizeRequest(
        content=reading.content,
        styles=(style,),
        mask=reading.mask,
        method=choices.method,
        options=options.read(choices.options),
        quality=choices.quality,
        strength=choices.strength,
        auto_strength=choices.auto_strength,
        color=choices.color,
        color_map=choices.color_map,
        photoreal=choices.photoreal,
        style_size_px=choices.style_size_px or None,
        seed=choices.seed,
        device=choices.device,
        composite=False,  # the new layer's mask blends, and stays editable
        blend=choices.blend,
    )


def _compute(request: wire.StylizeRequest) -> wire.StylizeResult:
    """Find or start the engine and let it paint.

    The client talks to the engine in a thread of its own and calls back on this one, the only one that may talk to
    GIMP. GIMP's Cancel ends this process; the engine notices that and stops.
    """
    engine = launch.ensure_engine(
        on_progress=lambda share, message: canvas.show_progress(_START_SHARE * share, message)
    )
    canvas.show_progress(_START_SHARE, "Neural Style: sending the picture")
    return engine.stylize(
        request,
        on_progress=lambda share, message: canvas.show_progress(_START_SHARE + (1 - _START_SHARE) * share, message),
    )


def _layer_name(style: wire.StyleEntry, choices: Choices) -> str:
    strength = "" if choices.strength == 1 else f" {choices.strength:.0%}"
    return f"{style.name}{strength} (Neural Style)"


def _settings(style: wire.StyleEntry, choices: Choices, report: dict[str, Any]) -> dict[str, Any]:
    """What is needed to make the layer again, as JSON values; the names are those of the procedure's arguments."""
    source = choices.chosen_source
    return {
        "style": style.name,
        "style-source": source,
        "style-preset": choices.preset if source == "preset" else None,
        "style-file": choices.file.get_uri() if source == "file" and choices.file is not None else None,
        "method": choices.method,
        "options": choices.options,
        "quality": choices.quality,
        "strength": choices.strength,
        "auto-strength": choices.auto_strength,
        "color": choices.color,
        "color-map": choices.color_map,
        "photoreal": choices.photoreal,
        "selection-only": choices.selection_only,
        "blend": choices.blend,
        "feather": choices.feather_px,
        "style-size": choices.style_size_px,
        "seed": choices.seed,
        "device": choices.device,
        "report": report,
    }
