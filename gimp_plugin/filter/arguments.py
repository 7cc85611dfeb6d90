"""The arguments of ``impasto-stylize`` as ``Choices``, and what each of them can be. ``declaration`` tells GIMP."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from gi.repository import Gimp, Gio

from gimp_plugin.choices import checks
from gimp_plugin.choices.catalog import Catalog, Entry

# Which of the three style arguments counts. Scripts may leave it at "auto".
SOURCES = (
    Entry("auto", "Automatic: the layer if given, else the file if given, else the preset"),
    Entry("preset", "A famous painting"),
    Entry("file", "A picture file"),
    Entry("layer", "Another layer"),
)
COLORS = (
    Entry("style", "The style"),
    Entry("luminance", "My picture (only light and dark are painted)"),
    Entry("match", "My picture's palette (the style is recolored)"),
)
COLOR_MAPS = (
    Entry("transport", "Optimal transport: colors move least"),
    Entry("cholesky", "Cholesky"),
    Entry("symmetric", "Symmetric root"),
    Entry("histogram", "Histograms of red, green and blue"),
)
BLENDS = (
    Entry("feather", "As soft as the selection"),
    Entry("hard", "Hard"),
    Entry("mrf", "Find the object's own edge, with its hairs"),
)
QUALITIES = (
    Entry("fast", "Fast"),
    Entry("better", "Better: with brush strokes of the style picture (seconds)"),
    Entry("best", "Best: the same, worked out with care (a minute or two)"),
)
REGIONS = (
    Entry("none", "All of the style feeds all of the picture"),
    Entry("auto", "Sky from sky, ground from ground: found automatically"),
    Entry("layers", "Two label maps, painted on layers"),
)
DEVICES = (
    Entry("auto", "Automatic"),
    Entry("cpu", "Processor"),
    Entry("cuda", "NVIDIA graphics card"),
)
# Argument -> least, most.
RANGES = {
    "strength": (0.0, 1.0),
    "photoreal": (0.0, 1.0),
    "feather": (0.0, 500.0),
    "style-size": (0, 4096),
    "seed": (0, 2**31 - 1),
}
# Argument -> field of the choices, where it is not the same word.
_FIELDS = {
    "style-source": "source",
    "style-preset": "preset",
    "feather": "feather_px",
    "style-size": "style_size_px",
}
# Those that the dialog shows with a label before them.
LABELLED = (
    *("style-preset", "style-file", "style-layer", "quality", "strength", "color", "photoreal"),
    *("style-size", "blend", "feather", "regions", "region-map", "style-region-map"),
    *("method", "options", "color-map", "seed", "device"),
)


@dataclass(frozen=True)
class Choices:
    """What the user chose.

    Args:
        source: name of one of ``SOURCES``.
        preset: name of a shipped style.
        file: a picture in any format that GIMP opens.
        layer: any layer of any open image.
        feather_px: how far the new layer's mask is softened.
        regions: name of one of ``REGIONS``.
        region_map: a layer of the image, on which each region is painted in a flat color.
        style_region_map: the same of the style.
        style_size_px: 0 = the method's own.
        change_painting: where the given layer is a painting of ours, make it again.
    """

    source: str
    preset: str
    file: Gio.File | None
    layer: Gimp.Layer | None
    method: str
    options: str
    quality: str
    strength: float
    auto_strength: bool
    color: str
    color_map: str
    photoreal: float
    selection_only: bool
    consistent: bool
    blend: str
    feather_px: float
    regions: str
    region_map: Gimp.Layer | None
    style_region_map: Gimp.Layer | None
    style_size_px: int
    seed: int
    device: str
    change_painting: bool = False

    @property
    def chosen_source(self) -> str:
        """ "preset", "file" or "layer": what "auto" comes to."""
        if self.source != "auto":
            return self.source
        if self.layer is not None:
            return "layer"
        return "preset" if self.file is None else "file"


def words_of(catalog: Catalog) -> dict[str, tuple[tuple[Entry, ...], str]]:
    """Argument -> what can be written there, and what it is if nothing is written."""
    return {
        "style-source": (SOURCES, "auto"),
        "style-preset": (catalog.styles, catalog.styles[0].name),
        "method": (catalog.methods, catalog.default_method),
        "quality": (QUALITIES, "fast"),
        "color": (COLORS, "style"),
        "color-map": (COLOR_MAPS, "transport"),
        "blend": (BLENDS, "feather"),
        "regions": (REGIONS, "none"),
        "device": (DEVICES, "auto"),
    }


def read(config: Gimp.ProcedureConfig) -> Choices:
    """What GIMP holds in a run's configuration, not yet checked.

    An empty text is None once GIMP has read the signature from its cache, so from its second start on.
    """

    def get(name: str) -> Any:
        return config.get_property(name)

    def text(name: str) -> str:
        return get(name) or ""

    return Choices(
        source=text("style-source"),
        preset=text("style-preset"),
        file=get("style-file"),
        layer=get("style-layer"),
        method=text("method"),
        options=text("options"),
        quality=text("quality"),
        strength=get("strength"),
        auto_strength=get("auto-strength"),
        color=text("color"),
        color_map=text("color-map"),
        photoreal=get("photoreal"),
        selection_only=get("selection-only"),
        consistent=get("consistent"),
        blend=text("blend"),
        feather_px=get("feather"),
        regions=text("regions"),
        region_map=get("region-map"),
        style_region_map=get("style-region-map"),
        style_size_px=get("style-size"),
        seed=get("seed"),
        device=text("device"),
        change_painting=get("change-painting"),
    )


def checked(choices: Choices, catalog: Catalog) -> Choices:
    """The choices, with the usual word where none was written.

    Raises:
        WireError: a word that does not exist, or a number out of its range.
    """
    words: dict[str, Any] = {}
    for argument, (entries, usual) in words_of(catalog).items():
        field = _FIELDS.get(argument, argument.replace("-", "_"))
        written = getattr(choices, field)
        if argument in ("style-preset", "method") and (catalog.others is None or written in catalog.others):
            words[field] = written or usual  # the engine knows more names, and what to do about them
        else:
            words[field] = checks.known(argument, written, [(e.name, e.title) for e in entries], usual)
    for argument, (low, high) in RANGES.items():
        checks.within(argument, getattr(choices, _FIELDS.get(argument, argument)), low, high)
    return dataclasses.replace(choices, **words)
