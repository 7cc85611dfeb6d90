"""The arguments of ``impasto-stylize``, told to GIMP: its signature, the form of the dialog, the last values.

GIMP replaces a value outside a choice or a range by the default, and the plug-in never learns of it. So there are two
shapes of the same arguments. Scripts see plain words and wide numbers, which ``checks`` judges with a sentence. The
dialog sees choices and ranges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gi.repository import Gimp, GObject

from gimp_plugin import settings
from gimp_plugin.choices.arguments import INT_MAX, entries, limits, usual
from gimp_plugin.choices.catalog import Catalog
from gimp_plugin.language import _
from gimp_plugin.settings import Entry, Setting

FORM = "impasto-stylize-form"  # of the dialog; GIMP keeps what its "Save settings" saves under this name
WIDE = 10**9  # far beyond every range
_FLAGS = GObject.ParamFlags.READWRITE


def declare(procedure: Gimp.Procedure, catalog: Catalog, is_form: bool = False) -> None:
    """Tell GIMP every argument and, of the procedure that scripts call, the returned layer.

    Args:
        is_form: as the dialog shows them; else as scripts see them.
    """
    say = _ if is_form else _as_it_is
    for setting in settings.of("gimp"):
        named = (setting.name, say(setting.title))
        blurb = say(setting.help)
        if words := entries(setting, catalog):
            _declare_word(procedure, setting, words, usual(setting, catalog), is_form)
        elif (range_ := limits(setting)) is not None:
            _declare_number(procedure, setting, range_, usual(setting, catalog), is_form)
        elif setting.kind == "switch":
            procedure.add_boolean_argument(*named, blurb, setting.default, _FLAGS)
        elif setting.kind == "layer":
            procedure.add_layer_argument(*named, blurb, True, _FLAGS)
        elif setting.kind == "file":
            # A file that has to exist would be dropped by GIMP where it does not, and the style be a painting's.
            action = Gimp.FileChooserAction.OPEN if is_form else Gimp.FileChooserAction.ANY
            procedure.add_file_argument(*named, blurb, action, True, None, _FLAGS)
        else:
            if setting.kind == "options":
                blurb = _options_help(setting, catalog, say)
            procedure.add_string_argument(*named, blurb, setting.default, _FLAGS)
    if not is_form:
        procedure.add_layer_return_value("layer", "Layer", "The new layer, above the one that was read", False, _FLAGS)


def _as_it_is(text: str) -> str:
    """Scripts see the same words in every language."""
    return text


def form_of(procedure: Gimp.Procedure, catalog: Catalog) -> Gimp.Procedure:
    """The procedure that the dialog shows in its stead. It is not registered and never runs."""
    form = Gimp.Procedure.new(procedure.get_plug_in(), FORM, Gimp.PDBProcType.PLUGIN, lambda *_: None, None)
    declare(form, catalog, is_form=True)
    return form


def copy(source: Gimp.ProcedureConfig, target: Gimp.ProcedureConfig, catalog: Catalog) -> None:
    """Carry values from one shape to the other. What the target could not hold stays as it is there."""
    for setting in settings.of("gimp"):
        value = source.get_property(setting.name)
        if _fits(setting, value, catalog):
            target.set_property(setting.name, value)


def _fits(setting: Setting, value: Any, catalog: Catalog) -> bool:
    range_ = limits(setting)
    if words := entries(setting, catalog):
        return any(value == entry.name for entry in words)
    if range_ is not None:
        return bool(range_[0] <= value <= range_[1])
    if setting.kind == "layer":
        return value is None or value.is_valid()
    if setting.kind == "file":
        return value is None or value.query_exists(None)
    return value is not None


def _declare_word(
    procedure: Gimp.Procedure, setting: Setting, words: tuple[Entry, ...], default: str, is_form: bool
) -> None:
    if not is_form:
        blurb = f"{setting.help}. One of: {', '.join(entry.name for entry in words)}"
        procedure.add_string_argument(setting.name, setting.title, blurb, default, _FLAGS)
        return
    choice = Gimp.Choice.new()
    for number, entry in enumerate(words):
        choice.add(entry.name, number, _(entry.title), "")
    procedure.add_choice_argument(setting.name, _(setting.title), _(setting.help), choice, default, _FLAGS)


def _declare_number(
    procedure: Gimp.Procedure, setting: Setting, range_: tuple[float, float], default: float, is_form: bool
) -> None:
    low, high = range_
    plain = (setting.title, f"{setting.help}. From {low} to {high}")
    named = (setting.name, *((_(setting.title), _(setting.help)) if is_form else plain))
    if setting.kind == "whole":
        low, high = (low, high) if is_form else (-INT_MAX - 1, INT_MAX)
        procedure.add_int_argument(*named, int(low), int(high), default, _FLAGS)
    else:
        low, high = (low, high) if is_form else (-WIDE, WIDE)
        procedure.add_double_argument(*named, low, high, default, _FLAGS)


def _options_help(setting: Setting, catalog: Catalog, say: Callable[[str], str]) -> str:
    """What can be entered for each method."""
    lines = [f"{say(method.title)}: {method.options}" for method in catalog.methods if method.options]
    return "\n".join([f"{say(setting.help)}.", *lines])
