"""The arguments of ``impasto-stylize``: declared to GIMP once, which makes the signature, the dialog and the last
values; read back as ``Choices``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, Gio, GObject  # noqa: E402

if TYPE_CHECKING or __package__:
    from .catalog import Catalog, Entry
else:
    from catalog import Catalog, Entry

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


def declare(procedure: Gimp.Procedure, catalog: Catalog) -> None:
    """Tell GIMP every argument and the returned layer."""
    _declare_style(procedure, catalog)
    _declare_painting(procedure, catalog)
    _declare_area(procedure)
    _declare_regions(procedure)
    _declare_target(procedure)
    procedure.add_layer_return_value(
        "layer", "Layer", "The new layer, above the one that was read", False, GObject.ParamFlags.READWRITE
    )


def read(config: Gimp.ProcedureConfig) -> Choices:
    """What GIMP holds in a run's configuration."""

    def get(name: str) -> Any:
        return config.get_property(name)

    return Choices(
        source=get("style-source"),
        preset=get("style-preset"),
        file=get("style-file"),
        layer=get("style-layer"),
        method=get("method"),
        options=get("options"),
        quality=get("quality"),
        strength=get("strength"),
        auto_strength=get("auto-strength"),
        color=get("color"),
        color_map=get("color-map"),
        photoreal=get("photoreal"),
        selection_only=get("selection-only"),
        consistent=get("consistent"),
        blend=get("blend"),
        feather_px=get("feather"),
        regions=get("regions"),
        region_map=get("region-map"),
        style_region_map=get("style-region-map"),
        style_size_px=get("style-size"),
        seed=get("seed"),
        device=get("device"),
        change_painting=get("change-painting"),
    )


def _declare_style(procedure: Gimp.Procedure, catalog: Catalog) -> None:
    flags = GObject.ParamFlags.READWRITE
    procedure.add_choice_argument(
        "style-preset",
        "P_ainting",
        "Which painting's style to use",
        _choice(catalog.styles),
        catalog.styles[0].name,
        flags,
    )
    procedure.add_file_argument(
        "style-file",
        "P_icture file",
        "Any picture that GIMP can open: its brush strokes, textures and colors are used. "
        "It wins over a painting, and a layer wins over it, unless style-source says otherwise",
        Gimp.FileChooserAction.OPEN,
        True,
        None,
        flags,
    )
    procedure.add_layer_argument(
        "style-layer",
        "La_yer",
        "A layer of any open image whose style to use. It wins over a file and a painting, unless style-source "
        "says otherwise",
        True,
        flags,
    )
    procedure.add_choice_argument(
        "style-source",
        "Style from",
        "Where the style comes from. Automatic takes the layer if one is given, else the file, else the painting",
        _choice(SOURCES),
        "auto",
        flags,
    )


def _declare_painting(procedure: Gimp.Procedure, catalog: Catalog) -> None:
    flags = GObject.ParamFlags.READWRITE
    procedure.add_choice_argument(
        "method",
        "Met_hod",
        "How the style is transferred",
        _choice(catalog.methods),
        catalog.default_method,
        flags,
    )
    procedure.add_string_argument("options", "Options of the _method", _options_help(catalog), "", flags)
    procedure.add_choice_argument(
        "quality",
        "_Quality",
        "How much care the method Any style takes: better and best lay real brush strokes of the style picture, so "
        "they need a file or a layer as the style (a famous painting is painted fast)",
        _choice(QUALITIES),
        "fast",
        flags,
    )
    procedure.add_double_argument(
        "strength",
        "Stren_gth",
        "How much of the style: the lowest value leaves the picture as it is, the highest paints it fully",
        0.0,
        1.0,
        1.0,
        flags,
    )
    procedure.add_boolean_argument(
        "auto-strength",
        "Hold back _where the picture would be lost",
        "Full strength means as much as this picture bears with this style; a lower strength is taken as it is",
        True,
        flags,
    )
    procedure.add_choice_argument(
        "color", "_Take colors from", "Whose colors the result has", _choice(COLORS), "style", flags
    )
    procedure.add_choice_argument(
        "color-map",
        "Color ma_p",
        "How the style is recolored where the picture's palette is taken",
        _choice(COLOR_MAPS),
        "transport",
        flags,
    )
    procedure.add_double_argument(
        "photoreal",
        "Photor_ealism",
        "How closely the result keeps the photo's edges: the lowest is a painting, the highest looks like a photo",
        0.0,
        1.0,
        0.0,
        flags,
    )
    procedure.add_int_argument(
        "style-size",
        "_Brush size (0 = automatic)",
        "Longest side, in pixels, at which the style is looked at: larger gives larger brush strokes. 0 = automatic",
        0,
        4096,
        0,
        flags,
    )
    procedure.add_int_argument(
        "seed", "See_d", "For methods that draw random numbers: the same seed, the same result", 0, 2**31 - 1, 0, flags
    )
    procedure.add_choice_argument("device", "Comp_ute on", "What does the computing", _choice(DEVICES), "auto", flags)


def _declare_area(procedure: Gimp.Procedure) -> None:
    flags = GObject.ParamFlags.READWRITE
    procedure.add_boolean_argument(
        "selection-only",
        "O_nly the selection",
        "Paint only what is selected: the selection becomes the new layer's mask. Off: the whole layer",
        True,
        flags,
    )
    procedure.add_boolean_argument(
        "consistent",
        "Several layers: the same thing looks the _same",
        "Where several layers are selected, the method Any style measures them together: what is the same in two of "
        "them is painted alike. Off: each by itself",
        True,
        flags,
    )
    procedure.add_choice_argument(
        "blend",
        "Mas_k edge",
        "How the edge of the new layer's mask is drawn. Finding the object's own edge looks at the picture in a narrow "
        "band along the selection's edge: a rough selection will do",
        _choice(BLENDS),
        "feather",
        flags,
    )
    procedure.add_double_argument(
        "feather",
        "So_ften the edge (pixels)",
        "How far, in pixels, the edge of the new layer's mask is softened. Your selection stays as it is",
        0.0,
        500.0,
        0.0,
        flags,
    )


def _declare_target(procedure: Gimp.Procedure) -> None:
    procedure.add_boolean_argument(
        "change-painting",
        "Change a painting instead of painting o_ver it",
        "Where the given layer is one that this filter made: paint the layer that it was made from again, with the "
        "settings given now, and replace it; its mask, place and name stay. Other layers are painted as usual",
        False,
        GObject.ParamFlags.READWRITE,
    )


def _declare_regions(procedure: Gimp.Procedure) -> None:
    flags = GObject.ParamFlags.READWRITE
    procedure.add_choice_argument(
        "regions",
        "_Like takes from like",
        "Whether parts of the picture take only from like parts of the style, which has to be a file or a layer. "
        "Finding them looks for sky, buildings, ground and plants",
        _choice(REGIONS),
        "none",
        flags,
    )
    procedure.add_layer_argument(
        "region-map",
        "Label map of the picture",
        "A layer of this image, hidden if you like, on which each region is painted in a flat color. What is "
        "transparent takes from all of the style",
        True,
        flags,
    )
    procedure.add_layer_argument(
        "style-region-map",
        "Label map of the style",
        "The same for the style: what has the same color belongs together. Over a style layer it lies as it does in "
        "their image, over a file it is stretched",
        True,
        flags,
    )


def _options_help(catalog: Catalog) -> str:
    """What can be entered for each method."""
    lines = [f"{method.title}: {method.options}" for method in catalog.methods if method.options]
    return "\n".join(["Settings that only the chosen method has, as name=value, name=value.", *lines])


def _choice(entries: tuple[Entry, ...]) -> Gimp.Choice:
    choice = Gimp.Choice.new()
    for number, entry in enumerate(entries):
        choice.add(entry.name, number, entry.title, "")
    return choice
