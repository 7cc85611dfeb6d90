"""One run of the filter, from the user's choices to the new layer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from gi.repository import Gimp

from gimp_plugin import wire
from gimp_plugin.choices import options
from gimp_plugin.choices.advice import LEAST_BRUSH_PX
from gimp_plugin.choices.catalog import Catalog
from gimp_plugin.client import launch
from gimp_plugin.filter.arguments import Choices
from gimp_plugin.image import canvas, pixels, references, repaint, scratch
from gimp_plugin.image.watch import Watch
from gimp_plugin.wire import samples

# Of the progress bar: how much is finding the engine and sending, the rest is the engine's own progress.
_START_SHARE = 0.05


@dataclasses.dataclass(frozen=True)
class _Painted:
    """What comes above one layer, or in the place of a painting."""

    source: Gimp.Layer
    painting: repaint.Painting | None
    reading: canvas.Reading
    result: wire.StylizeResult
    settings: dict[str, Any]


def stylize(
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    choices: Choices,
    catalog: Catalog,
    on_report: Callable[[dict[str, Any]], None] = lambda _report: None,
) -> Gimp.Layer:
    """Paint layers, or what is selected of them, and insert each result above its layer, in one undo step.

    With ``choices.change_painting`` a layer that is a painting of ours is made again from the layer that it was made
    from, and replaced.

    Everything that can fail comes first: the image is touched only once all painted pixels are here.

    Args:
        on_report: given the engine's report on each layer, once all are in the image.

    Returns:
        The new layer; of several the first layer's.

    Raises:
        WireError: with a sentence for the user; the image is unchanged.
    """
    started = time.monotonic()
    if 0 < choices.style_size_px < LEAST_BRUSH_PX:
        raise pixels.refusal(f"The brush size must be 0 (automatic) or at least {LEAST_BRUSH_PX} pixels: change it.")
    layers = canvas.pick_layers(image, drawables)
    paintings = [repaint.start(image, layer) if choices.change_painting else None for layer in layers]
    sources = [(painting and painting.source) or layer for painting, layer in zip(paintings, layers, strict=True)]
    canvas.start_progress("Neural Style: reading the layer")
    read, remarks = _read(image, list(zip(sources, paintings, strict=True)), choices)
    watch = Watch(image)
    style = _style(choices, catalog, remarks)
    is_series = choices.consistent and len(read) > 1
    series = samples.series_of([reading.content for _source, _painting, reading in read]) if is_series else ()
    name, painted = _layer_name(style, choices), []
    settings = _settings(style, choices) | {"name": name}
    # Whatever layers are asked for comes first: they may be gone once something is painted.
    records = [repaint.record(source, reading) for source, _painting, reading in read]
    maps = [label_maps(image, source, reading.box, choices) for source, _painting, reading in read]
    for i, (source, painting, reading) in enumerate(read):
        began = time.monotonic()
        request = _request(reading, style, choices, series, maps[i])
        if painting is not None:
            request = dataclasses.replace(request, blend="feather")  # its mask stays as it is
        result = _compute(request, (i / len(read), (i + 1) / len(read)), watch)
        if i == 0:
            result.report["notes"] = [*result.report.get("notes", []), *remarks]
        seconds = {"read": (began - started) if i == 0 else 0.0, "engine": time.monotonic() - began}
        own = settings | records[i] | {"report": result.report, "seconds": seconds}
        painted.append(_Painted(source, painting, reading, result, own))
    layer = _insert(image, painted, name)
    for one in painted:
        on_report(one.result.report)
    return layer


def _read(
    image: Gimp.Image, targets: Sequence[tuple[Gimp.Layer, repaint.Painting | None]], choices: Choices
) -> tuple[list[tuple[Gimp.Layer, repaint.Painting | None, canvas.Reading]], list[str]]:
    """Each layer with what is to be painted of it, and notes on those of several that the selection misses.

    Raises:
        WireError: one cannot be read, or the selection misses all of them.
    """
    read: list[tuple[Gimp.Layer, repaint.Painting | None, canvas.Reading]] = []
    notes = []
    for layer, painting in targets:
        if painting is not None:
            read.append((layer, painting, repaint.read(image, layer, painting)))
            continue
        try:
            read.append((layer, None, canvas.read_layer(image, layer, choices.selection_only, choices.feather_px)))
        except canvas.MissedError:
            if layer is targets[-1][0] and not read:
                raise
            notes.append(f'The layer "{layer.get_name()}" was left out: the selection lies outside it.')
    return read, notes


def _insert(image: Gimp.Image, painted: Sequence[_Painted], name: str) -> Gimp.Layer:
    """Put the new layers into the image, as one step of undo; the first of them."""
    layers = []
    image.undo_group_start()
    try:
        for one in painted:
            reading, picture = one.reading, one.result.picture
            is_here = canvas.is_unchanged(one.source, reading)
            if one.painting is not None and one.painting.layer.is_valid() and is_here:
                layers.append(repaint.replace(image, one.source, one.painting, reading, picture, name, one.settings))
                continue
            if one.result.mask is not None:
                reading = dataclasses.replace(reading, mask=one.result.mask)
            layers.append(canvas.insert_layer(image, one.source, reading, picture, name, one.settings))
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


def _compute(request: wire.StylizeRequest, stretch: tuple[float, float], watch: Watch) -> wire.StylizeResult:
    """Find or start the engine and let it paint, while the progress bar goes through a stretch of its length.

    The client talks to the engine in a thread of its own and calls back on this one, the only one that may talk to
    GIMP. GIMP's Cancel ends this process; the engine notices that and stops. If the image is closed meanwhile, the job
    is cancelled.
    """
    first, last = stretch

    def show(share: float, message: str) -> None:
        watch.look()  # first: GIMP has no progress bar for an image that is gone
        canvas.show_progress(first + (last - first) * share, message)

    engine = launch.ensure_engine(on_progress=lambda share, message: show(_START_SHARE * share, message))
    show(_START_SHARE, "Neural Style: sending the picture")
    return engine.stylize(
        request,
        on_progress=lambda share, message: show(_START_SHARE + (1 - _START_SHARE) * share, message),
        should_cancel=watch.look,
    )


def _layer_name(style: wire.StyleEntry, choices: Choices) -> str:
    strength = "" if choices.strength == 1 else f" {choices.strength:.0%}"
    return f"{style.name}{strength} (Neural Style)"


def _settings(style: wire.StyleEntry, choices: Choices) -> dict[str, Any]:
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
        "layers": {name: references.describe(layer) for name, layer in _layers(choices).items()},
    }


def _layers(choices: Choices) -> dict[str, Gimp.Layer]:
    """The layers that were chosen beside the one that is painted, by the names of their arguments."""
    is_used = choices.chosen_source == "layer"
    layers = {
        "style-layer": choices.layer if is_used else None,
        "region-map": choices.region_map,
        "style-region-map": choices.style_region_map,
    }
    return {name: layer for name, layer in layers.items() if layer is not None}


def _name_of(layer: Gimp.Layer | None) -> str | None:
    return None if layer is None else layer.get_name()
