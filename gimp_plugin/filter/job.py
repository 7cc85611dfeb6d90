"""One run of the filter, from the user's choices to the new layer."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from gi.repository import Gimp, Gio

from gimp_plugin import settings, wire
from gimp_plugin.choices import advice, options
from gimp_plugin.choices.arguments import Choices
from gimp_plugin.choices.catalog import Catalog
from gimp_plugin.filter import styles
from gimp_plugin.filter.asking import ask
from gimp_plugin.image import canvas, history, pixels, references, repaint, scratch
from gimp_plugin.image.watch import Watch
from gimp_plugin.language import _
from gimp_plugin.wire import samples


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

    With "change-painting" a layer that is a painting of ours is made again from the layer that it was made
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
    foreign_map = scratch.foreign_name(choices["region-map"], image)
    wrong = [*advice.brush_refusals(choices["style-size"]), *advice.style_refusals(choices)]
    wrong += advice.mix_refusals(choices, catalog.method(choices["method"]))
    for sentence in [*wrong, *advice.map_refusals(choices, foreign_map)]:
        raise pixels.refusal(sentence)
    layers = canvas.pick_layers(image, drawables)
    paintings = [repaint.start(image, layer) if choices["change-painting"] else None for layer in layers]
    sources = [(painting and painting.source) or layer for painting, layer in zip(paintings, layers, strict=True)]
    canvas.start_progress(_("Neural Style: reading the layer"))
    read, remarks = _read(image, list(zip(sources, paintings, strict=True)), choices)
    watch = Watch(image)
    entries = styles.read(choices, catalog, remarks)
    is_series = choices["consistent"] and len(read) > 1
    series = samples.series_of([reading.content for _source, _painting, reading in read]) if is_series else ()
    name, painted = _layer_name(entries, choices), []
    settings = _settings(entries, choices) | {"name": name}
    # Whatever layers are asked for comes first: they may be gone once something is painted.
    records = [repaint.record(source, reading) for source, _painting, reading in read]
    maps = [label_maps(image, source, reading.box, choices) for source, _painting, reading in read]
    for i, (source, painting, reading) in enumerate(read):
        began = time.monotonic()
        drawn = choices if painting is None else choices.changed(blend="feather")  # its mask stays as it is
        request = _request(reading, entries, drawn, series, maps[i])
        result = ask(request, watch, i / len(read), (i + 1) / len(read))
        if i == 0:
            result.report["notes"] = [*result.report.get("notes", []), *remarks]
        seconds = {"read": (began - started) if i == 0 else 0.0, "engine": time.monotonic() - began}
        own = settings | records[i] | {"report": result.report, "seconds": seconds}
        painted.append(_Painted(source, painting, reading, result, own))
    layer = _insert(image, painted, name)
    if layer.is_valid() and (layer.get_width(), layer.get_height()) == painted[0].reading.size:
        history.add(image, layer, painted[0].reading.box, painted[0].settings)
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
            read.append((layer, None, canvas.read_layer(image, layer, choices["selection-only"], choices["feather"])))
        except canvas.MissedError:
            if layer is targets[-1][0] and not read:
                raise
            says = _('The layer "{layer}" was left out: the selection lies outside it.')
            notes.append(says.format(layer=layer.get_name()))
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


def label_maps(
    image: Gimp.Image, source: Gimp.Layer, box: pixels.Box, choices: Choices
) -> tuple[wire.Plane | None, wire.Plane | None]:
    """The label maps of the part that is painted and of the style, if the user wants any."""
    if choices["regions"] != "layers":
        return None, None
    ours, theirs = choices["region-map"], choices["style-region-map"]
    style = choices["style-layer"] if choices.source == "layer" else None
    return scratch.read_over(ours, source, box), scratch.read_labels(theirs, style)


def _request(
    reading: canvas.Reading,
    entries: tuple[wire.StyleEntry, ...],
    choices: Choices,
    series: tuple[wire.Plane, ...],
    labels: tuple[wire.Plane | None, wire.Plane | None],
) -> wire.StylizeRequest:
    given = choices.for_wire()
    given["options"] = options.read(choices["options"])
    given["auto_regions"] = choices["regions"] == "auto"
    given["composite"] = False  # the new layer's mask blends, and stays editable
    return wire.StylizeRequest(
        reading.content,
        entries,
        reading.mask,
        labels=labels[0],
        style_labels=labels[1],
        series=series,
        settings=given,
    )


def _layer_name(entries: Sequence[wire.StyleEntry], choices: Choices) -> str:
    strength = "" if choices["strength"] == 1 else f" {choices['strength']:.0%}"
    return f"{_title(entries)}{strength} (Neural Style)"


def _title(entries: Sequence[wire.StyleEntry]) -> str:
    return " + ".join(style.name for style in entries)


def _settings(entries: Sequence[wire.StyleEntry], choices: Choices) -> dict[str, Any]:
    """What is needed to make the layer again, as JSON values; the names are those of the procedure's arguments."""
    used = {s.name: choices[s.name] for s in settings.of("gimp") if s.name != "change-painting" and choices.is_used(s)}
    layers = {name: value for name, value in used.items() if isinstance(value, Gimp.Layer)}
    return {
        **{name: _plain(value) for name, value in used.items()},
        "style": _title(entries),
        "style-source": choices.source,
        "layers": {name: references.describe(layer) for name, layer in layers.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Gio.File):
        return value.get_uri()
    return value.get_name() if isinstance(value, Gimp.Layer) else value
