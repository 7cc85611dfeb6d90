"""The arguments of ``impasto-stylize``, told to GIMP: its signature, the form of the dialog, the last values.

GIMP replaces a value outside a choice or a range by the default, and the plug-in never learns of it. So there are two
shapes of the same arguments. Scripts see plain words and wide numbers, which ``checks`` judges with a sentence. The
dialog sees choices and ranges.
"""

from __future__ import annotations

from typing import Any

from gi.repository import Gimp, GObject

from gimp_plugin.choices.catalog import Catalog, Entry
from gimp_plugin.filter.arguments import RANGES, words_of

FORM = "impasto-stylize-form"  # of the dialog; GIMP keeps what its "Save settings" saves under this name
LAYERS = ("style-layer", "region-map", "style-region-map")
SWITCHES = ("auto-strength", "selection-only", "consistent", "change-painting")
WIDE = 10**9  # far beyond every range
_FLAGS = GObject.ParamFlags.READWRITE


class Shape:
    """One of the two shapes of a procedure's arguments.

    Args:
        is_form: as the dialog shows them; else as scripts see them.
    """

    def __init__(self, procedure: Gimp.Procedure, catalog: Catalog, is_form: bool) -> None:
        self._procedure = procedure
        self._words = words_of(catalog)
        self._is_form = is_form

    def word(self, name: str, label: str, blurb: str) -> None:
        entries, usual = self._words[name]
        if self._is_form:
            self._procedure.add_choice_argument(name, label, blurb, _choice(entries), usual, _FLAGS)
        else:
            names = ", ".join(entry.name for entry in entries)
            self._procedure.add_string_argument(name, label, f"{blurb}. One of: {names}", usual, _FLAGS)

    def number(self, name: str, label: str, blurb: str, usual: float) -> None:
        low, high = RANGES[name] if self._is_form else (-WIDE, WIDE)
        self._procedure.add_double_argument(name, label, self._ranged(name, blurb), low, high, usual, _FLAGS)

    def integer(self, name: str, label: str, blurb: str) -> None:
        low, high = RANGES[name] if self._is_form else (-(2**31), 2**31 - 1)
        self._procedure.add_int_argument(name, label, self._ranged(name, blurb), int(low), int(high), 0, _FLAGS)

    def switch(self, name: str, label: str, blurb: str, usual: bool = True) -> None:
        self._procedure.add_boolean_argument(name, label, blurb, usual, _FLAGS)

    def layer(self, name: str, label: str, blurb: str) -> None:
        self._procedure.add_layer_argument(name, label, blurb, True, _FLAGS)

    def file(self, name: str, label: str, blurb: str) -> None:
        # A file that has to exist would be dropped by GIMP where it does not, and the style be a painting's.
        action = Gimp.FileChooserAction.OPEN if self._is_form else Gimp.FileChooserAction.ANY
        self._procedure.add_file_argument(name, label, blurb, action, True, None, _FLAGS)

    def text(self, name: str, label: str, blurb: str) -> None:
        self._procedure.add_string_argument(name, label, blurb, "", _FLAGS)

    def _ranged(self, name: str, blurb: str) -> str:
        low, high = RANGES[name]
        return blurb if self._is_form else f"{blurb}. From {low} to {high}"


def declare(procedure: Gimp.Procedure, catalog: Catalog, is_form: bool = False) -> None:
    """Tell GIMP every argument and, of the procedure that scripts call, the returned layer."""
    shape = Shape(procedure, catalog, is_form)
    _declare_style(shape)
    _declare_painting(shape, catalog)
    _declare_area(shape)
    _declare_regions(shape)
    shape.switch(
        "change-painting",
        "Change a painting instead of painting o_ver it",
        "Where the given layer is one that this filter made: paint the layer that it was made from again, with the "
        "settings given now, and replace it; its mask and place stay. Other layers are painted as usual",
        False,
    )
    if not is_form:
        procedure.add_layer_return_value("layer", "Layer", "The new layer, above the one that was read", False, _FLAGS)


def form_of(procedure: Gimp.Procedure, catalog: Catalog) -> Gimp.Procedure:
    """The procedure that the dialog shows in its stead. It is not registered and never runs."""
    form = Gimp.Procedure.new(procedure.get_plug_in(), FORM, Gimp.PDBProcType.PLUGIN, lambda *_: None, None)
    declare(form, catalog, is_form=True)
    return form


def copy(source: Gimp.ProcedureConfig, target: Gimp.ProcedureConfig, catalog: Catalog) -> None:
    """Carry values from one shape to the other. What the target could not hold stays as it is there."""
    for name, (entries, _usual) in words_of(catalog).items():
        _set(target, name, source, lambda word, entries=entries: any(word == entry.name for entry in entries))
    for name, (low, high) in RANGES.items():
        _set(target, name, source, lambda number, low=low, high=high: low <= number <= high)
    for name in SWITCHES:
        _set(target, name, source)
    _set(target, "options", source, lambda text: text is not None)
    for name in LAYERS:
        _set(target, name, source, lambda layer: layer is None or layer.is_valid())
    _set(target, "style-file", source, lambda file: file is None or file.query_exists(None))


def _set(target: Gimp.ProcedureConfig, name: str, source: Gimp.ProcedureConfig, fits: Any = lambda _: True) -> None:
    value = source.get_property(name)
    if fits(value):
        target.set_property(name, value)


def _declare_style(shape: Shape) -> None:
    shape.word("style-preset", "P_ainting", "Which painting's style to use")
    shape.file(
        "style-file",
        "P_icture file",
        "Any picture that GIMP can open: its brush strokes, textures and colors are used. "
        "It wins over a painting, and a layer wins over it, unless style-source says otherwise",
    )
    shape.layer(
        "style-layer",
        "La_yer",
        "A layer of any open image whose style to use. It wins over a file and a painting, unless style-source "
        "says otherwise",
    )
    shape.word(
        "style-source",
        "Style from",
        "Where the style comes from. Automatic takes the layer if one is given, else the file, else the painting",
    )


def _declare_painting(shape: Shape, catalog: Catalog) -> None:
    shape.word("method", "Met_hod", "How the style is transferred")
    shape.text("options", "Options of the _method", _options_help(catalog))
    shape.word(
        "quality",
        "_Quality",
        "How much care the method Any style takes: better and best lay real brush strokes of the style picture, so "
        "they need a file or a layer as the style (a famous painting is painted fast)",
    )
    shape.number(
        "strength",
        "Stren_gth",
        "How much of the style: the lowest value leaves the picture as it is, the highest paints it fully",
        1.0,
    )
    shape.switch(
        "auto-strength",
        "Hold back _where the picture would be lost",
        "Full strength means as much as this picture bears with this style; a lower strength is taken as it is",
    )
    shape.word("color", "_Take colors from", "Whose colors the result has")
    shape.word("color-map", "Color ma_p", "How the style is recolored where the picture's palette is taken")
    shape.number(
        "photoreal",
        "Photor_ealism",
        "How closely the result keeps the photo's edges: the lowest is a painting, the highest looks like a photo",
        0.0,
    )
    shape.integer(
        "style-size",
        "_Brush size (0 = automatic)",
        "Longest side, in pixels, at which the style is looked at: larger gives larger brush strokes. 0 = automatic",
    )
    shape.integer("seed", "See_d", "For methods that draw random numbers: the same seed, the same result")
    shape.word("device", "Comp_ute on", "What does the computing")


def _declare_area(shape: Shape) -> None:
    shape.switch(
        "selection-only",
        "O_nly the selection",
        "Paint only what is selected: the selection becomes the new layer's mask. Off: the whole layer",
    )
    shape.switch(
        "consistent",
        "Several layers: the same thing looks the _same",
        "Where several layers are selected, the method Any style measures them together: what is the same in two of "
        "them is painted alike. Off: each by itself",
    )
    shape.word(
        "blend",
        "Mas_k edge",
        "How the edge of the new layer's mask is drawn. Finding the object's own edge looks at the picture in a narrow "
        "band along the selection's edge: a rough selection will do",
    )
    shape.number(
        "feather",
        "So_ften the edge (pixels)",
        "How far, in pixels, the edge of the new layer's mask is softened. Your selection stays as it is",
        0.0,
    )


def _declare_regions(shape: Shape) -> None:
    shape.word(
        "regions",
        "_Like takes from like",
        "Whether parts of the picture take only from like parts of the style, which has to be a file or a layer. "
        "Finding them looks for sky, buildings, ground and plants",
    )
    shape.layer(
        "region-map",
        "Label map of the picture",
        "A layer of this image, hidden if you like, on which each region is painted in a flat color. What is "
        "transparent takes from all of the style",
    )
    shape.layer(
        "style-region-map",
        "Label map of the style",
        "The same for the style: what has the same color belongs together. Over a style layer it lies as it does in "
        "their image, over a file it is stretched",
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
