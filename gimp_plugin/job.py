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
    from . import canvas, launch, options, pixels, samples, scratch, wire
    from .arguments import Choices
    from .catalog import Catalog
else:
    import canvas
    import launch
    import options
    import pixels
    import samples
    import scratch
    import wire
    from arguments import Choices
    from catalog import Catalog

# Of the progress bar: how much is finding the engine and sending, the rest is the engine's own progress.
_START_SHARE = 0.05
LEAST_BRUSH_PX = 32  # what the engine takes


@dataclasses.dataclass(frozen=True)
class _Painted:
    """What comes above one layer."""

    source: Gimp.Layer
    reading: canvas.Reading
    result: wire.StylizeResult
    settings: dict[str, Any]


def stylize(image: Gimp.Image, drawables: Sequence[Gimp.Drawable], choices: Choices, catalog: Catalog) -> Gimp.Layer:
    """Paint layers, or what is selected of them, and insert each result above its layer, in one undo step.

    Everything that can fail comes first: the image is touched only once all painted pixels are here.

    Returns:
        The new layer; of several the first layer's.

    Raises:
        WireError: with a sentence for the user; the image is unchanged.
    """
    started = time.monotonic()
    if 0 < choices.style_size_px < LEAST_BRUSH_PX:
        raise pixels.refusal(f"The brush size must be 0 (automatic) or at least {LEAST_BRUSH_PX} pixels: change it.")
    sources = canvas.pick_layers(image, drawables)
    canvas.start_progress("Neural Style: reading the layer")
    read, notes = _read(image, sources, choices)
    style = _style(choices, catalog, notes)
    is_series = choices.consistent and len(read) > 1
    series = samples.series_of([reading.content for _source, reading in read]) if is_series else ()
    painted = []
    for i, (source, reading) in enumerate(read):
        began = time.monotonic()
        request = _request(reading, style, choices, series, label_maps(image, source, reading.box, choices))
        result = _compute(request, (i / len(read), (i + 1) / len(read)))
        if i == 0:
            result.report["notes"] = [*result.report.get("notes", []), *notes]
        settings = _settings(style, choices, result.report)
        settings["seconds"] = {"read": (began - started) if i == 0 else 0.0, "engine": time.monotonic() - began}
        painted.append(_Painted(source, reading, result, settings))
    return _insert(image, painted, _layer_name(style, choices))


def _read(
    image: Gimp.Image, sources: Sequence[Gimp.Layer], choices: Choices
) -> tuple[list[tuple[Gimp.Layer, canvas.Reading]], list[str]]:
    """Each layer with what is to be painted of it, and notes on those of several that the selection misses.

    Raises:
        WireError: one cannot be read, or the selection misses all of them.
    """
    read, notes = [], []
    for layer in sources:
        try:
            read.append((layer, canvas.read_layer(image, layer, choices.selection_only, choices.feather_px)))
        except canvas.MissedError:
            if layer is sources[-1] and not read:
                raise
            notes.append(f'The layer "{layer.get_name()}" was left out: the selection lies outside it.')
    return read, notes


def _insert(image: Gimp.Image, painted: Sequence[_Painted], name: str) -> Gimp.Layer:
    """Put the new layers into the image, as one step of undo; the first of them."""
    layers = []
    for one in painted:
        canvas.check_unchanged(one.source, one.reading)
    image.undo_group_start()
    try:
        for one in painted:
            reading = one.reading
            if one.result.mask is not None:
                reading = dataclasses.replace(reading, mask=one.result.mask)
            layers.append(canvas.insert_layer(image, one.source, reading, one.result.picture, name, one.settings))
    finally:
        image.undo_group_end()
    return layers[0]


def _style(choices: Choices, catalog: Catalog, notes: list[str]) -> wire.StyleEntry:
    """The one style that counts: what the user points at most directly. What is to be said of it joins the notes."""
    source = choices.chosen_source
    if source == "layer":
        if choices.layer is None:
            raise pixels.refusal("No style layer is chosen: choose one, or a painting or a file.")
        return wire.StyleEntry(choices.layer.get_name(), picture=scratch.read_style_layer(choices.layer))
    if source == "file":
        if choices.file is None:
            raise pixels.refusal("No style picture is chosen: choose a file, or a painting.")
        name = pixels.file_name(choices.file).rpartition(".")
        picture, note = scratch.read_style_file(choices.file)
        notes += [note] if note else []
        return wire.StyleEntry(name[0] or name[2], picture=picture)
    title = next((style.title for style in catalog.styles if style.name == choices.preset), choices.preset)
    return wire.StyleEntry(title, preset=choices.preset)


def label_maps(
    image: Gimp.Image, source: Gimp.Layer, box: pixels.Box, choices: Choices
) -> tuple[wire.Plane | None, wire.Plane | None]:
    """The label maps of the part that is painted and of the style, if the user wants any."""
    if choices.regions != "layers":
        return None, None
    ours, theirs = choices.region_map, choices.style_region_map
    if ours is None or theirs is None:
        raise pixels.refusal("A label map is missing: choose a layer for the picture's and one for the style's.")
    if ours.get_image().get_id() != image.get_id():
        raise pixels.refusal(f'The label map "{ours.get_name()}" is of another image: choose a layer of this one.')
    is_layer = choices.chosen_source == "layer"
    return scratch.read_over(ours, source, box), scratch.read_labels(theirs, choices.layer if is_layer else None)


def _request(
    reading: canvas.Reading,
    style: wire.StyleEntry,
    choices: Choices,
    series: tuple[wire.Plane, ...],
    labels: tuple[wire.Plane | None, wire.Plane | None],
) -> wire.StylizeRequest:
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
        series=series,
        auto_regions=choices.regions == "auto",
        labels=labels[0],
        style_labels=labels[1],
    )


def _compute(request: wire.StylizeRequest, stretch: tuple[float, float]) -> wire.StylizeResult:
    """Find or start the engine and let it paint, while the progress bar goes through a stretch of its length.

    The client talks to the engine in a thread of its own and calls back on this one, the only one that may talk to
    GIMP. GIMP's Cancel ends this process; the engine notices that and stops.
    """
    first, last = stretch

    def show(share: float, message: str) -> None:
        canvas.show_progress(first + (last - first) * share, message)

    engine = launch.ensure_engine(on_progress=lambda share, message: show(_START_SHARE * share, message))
    show(_START_SHARE, "Neural Style: sending the picture")
    return engine.stylize(
        request, on_progress=lambda share, message: show(_START_SHARE + (1 - _START_SHARE) * share, message)
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
        "consistent": choices.consistent,
        "feather": choices.feather_px,
        "regions": choices.regions,
        "region-map": _name_of(choices.region_map),
        "style-region-map": _name_of(choices.style_region_map),
        "style-size": choices.style_size_px,
        "seed": choices.seed,
        "device": choices.device,
        "report": report,
    }


def _name_of(layer: Gimp.Layer | None) -> str | None:
    return None if layer is None else layer.get_name()
