"""The procedures that GIMP registers; each run is handed on."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

from gi.repository import Gimp, GLib, GObject

from gimp_plugin import language, wire
from gimp_plugin.choices import arguments, catalog
from gimp_plugin.filter import checkup, declaration, drafts, job, lastlayers, notes, object_selection
from gimp_plugin.filter.scene import Scene
from gimp_plugin.image import canvas
from gimp_plugin.language import _, mark

PROCEDURE = "impasto-stylize"
BLURB = mark("Paint a layer, or what is selected of it, in the style of any picture")
HELP = mark(
    "Computes on this machine with the Impasto engine, which is started if it does not run. The result is one new "
    "layer above the given one, with the selection as its mask; the given layer, the selection and the clipboard stay "
    "as they are. The style comes from style-layer if one is given, else from style-file if one is given, else from "
    "style-preset; style-source can name one of the three instead. With selection-only, as it is unless turned off, "
    "something must be selected. With change-painting a layer that this filter made is painted again from the layer "
    "that it was made from, and replaced. What the engine did otherwise than asked stands in the new layer's parasite "
    "impasto-settings: JSON, under report and notes."
)
SELECT_PROCEDURE = "impasto-select-object"
SELECT_BLURB = mark("Turn a rough selection of an object into a selection of that object")
SELECT_HELP = mark(
    "Looks at what is visible in and around the selection, a rough rectangle or outline, and selects the object that "
    "fills it, in one undo step. If nothing is selected, it selects what stands out in the image. Computes on this "
    "machine with the Impasto engine, which is started if it does not run: with the weights of Segment Anything if "
    "they are there, else with a network that ships. Nothing else is changed."
)
# The menu's entry for it. GIMP's Repeat repeats the last entry whose second argument is an image: this one's is the
# display, so that Repeat goes on to repeat the style.
SELECT_MENU_PROCEDURE = "impasto-select-object-menu"
CHANGE_PROCEDURE = "impasto-change-painting"
CHANGE_BLURB = mark("Paint a layer that Neural Style made once more, from what it was made from")
CHANGE_HELP = mark(
    "The given layer must be one that this filter made. The layer that it was made from is painted again, as it is "
    "now, and the painting is replaced in one undo step; its mask and place stay. With a window the settings can be "
    "changed first; without one they are those that the painting keeps. impasto-stylize with change-painting takes "
    "other settings from a script."
)
CHECK_PROCEDURE = "impasto-check-engine"
CHECK_BLURB = mark("Say whether the Neural Style engine works, and how fast")
CHECK_HELP = mark(
    "Starts the engine if it does not run, paints a small picture and reports versions, folders, the device and the "
    "time. The report holds no private paths."
)
# GIMP 3.0 (seen: 3.0.4) crashes when such an entry is chosen. There the menu has the procedure that scripts call, and
# its Repeat hands the run on to the style.
TAKES_DISPLAYS = Gimp.MINOR_VERSION > 0
# Wrong input, as opposed to a failure on the way: scripts can tell them apart by the status.
_CALLING_CODES = {"unprocessable", "bad_request", "too_large"}


class Impasto(Gimp.PlugIn):  # type: ignore[misc]  # GIMP's types are known only in GIMP
    """The plug-in process that GIMP starts for each run."""

    def do_query_procedures(self) -> list[str]:
        return [PROCEDURE, CHANGE_PROCEDURE, SELECT_PROCEDURE, SELECT_MENU_PROCEDURE, CHECK_PROCEDURE]

    def do_set_i18n(self, _name: str) -> tuple[bool, str, str]:
        return language.FOLDER.is_dir(), language.DOMAIN, language.WITHIN

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        if name == SELECT_MENU_PROCEDURE:
            return self._create_menu_entry()
        if name == CHECK_PROCEDURE:
            return self._create_check()
        if name == CHANGE_PROCEDURE:
            return self._create_change()
        is_filter = name == PROCEDURE
        run = _run if is_filter else _run_select
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        # Every kind of image: a greyed-out entry would not say what to do about an indexed one.
        procedure.set_image_types("*")
        procedure.set_attribution("The Impasto authors", "The Impasto authors", "2025")
        if is_filter:
            procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
            procedure.set_menu_label(_("_Neural Style..."))
            procedure.add_menu_path("<Image>/Filters/Artistic")
            procedure.set_documentation(_(BLURB), _(HELP), name)
            declaration.declare(procedure, catalog.load())
        else:
            procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.ALWAYS)
            procedure.set_documentation(_(SELECT_BLURB), _(SELECT_HELP), name)
            object_selection.declare(procedure)
            if not TAKES_DISPLAYS:
                procedure.set_menu_label(_("_Object in Selection (Neural Style)"))
                procedure.add_menu_path("<Image>/Select")
        return procedure

    def _create_change(self) -> Gimp.Procedure:
        procedure = Gimp.ImageProcedure.new(self, CHANGE_PROCEDURE, Gimp.PDBProcType.PLUGIN, _run_change, None)
        procedure.set_image_types("*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
        procedure.set_menu_label(_("Neural Style: C_hange This Painting..."))
        procedure.add_menu_path("<Image>/Filters/Artistic")
        procedure.set_attribution("The Impasto authors", "The Impasto authors", "2025")
        procedure.set_documentation(_(CHANGE_BLURB), _(CHANGE_HELP), CHANGE_PROCEDURE)
        flags = GObject.ParamFlags.READWRITE
        procedure.add_layer_return_value("layer", "Layer", "The new layer, in the place of the old one", False, flags)
        return procedure

    def _create_check(self) -> Gimp.Procedure:
        procedure = Gimp.Procedure.new(self, CHECK_PROCEDURE, Gimp.PDBProcType.PLUGIN, _run_check, None)
        procedure.set_menu_label(_("Neural Style: Check _Engine"))
        procedure.add_menu_path("<Image>/Help")
        procedure.set_attribution("The Impasto authors", "The Impasto authors", "2025")
        procedure.set_documentation(_(CHECK_BLURB), _(CHECK_HELP), CHECK_PROCEDURE)
        flags = GObject.ParamFlags.READWRITE
        procedure.add_enum_argument(
            "run-mode", "Run mode", "With a window or without", Gimp.RunMode, Gimp.RunMode.NONINTERACTIVE, flags
        )
        procedure.add_string_return_value("report", "Report", "Lines of text", "", flags)
        return procedure

    def _create_menu_entry(self) -> Gimp.Procedure:
        procedure = Gimp.Procedure.new(self, SELECT_MENU_PROCEDURE, Gimp.PDBProcType.PLUGIN, _run_select_menu, None)
        procedure.set_image_types("*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.ALWAYS)
        if TAKES_DISPLAYS:
            procedure.set_menu_label(_("_Object in Selection (Neural Style)"))
            procedure.add_menu_path("<Image>/Select")
        procedure.set_attribution("The Impasto authors", "The Impasto authors", "2025")
        help_text = _("The menu's entry. Scripts call {procedure}.").format(procedure=SELECT_PROCEDURE)
        procedure.set_documentation(_(SELECT_BLURB), help_text, procedure.get_name())
        flags = GObject.ParamFlags.READWRITE
        procedure.add_enum_argument(
            "run-mode", "Run mode", "The run mode", Gimp.RunMode, Gimp.RunMode.NONINTERACTIVE, flags
        )
        procedure.add_display_argument("display", "Display", "The window of the image; may be none", True, flags)
        procedure.add_image_argument("image", "Image", "The image", False, flags)
        return procedure


def _run(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    _data: Any,
) -> Gimp.ValueArray:
    def paint() -> Gimp.ValueArray:
        offered = catalog.load()
        if run_mode != Gimp.RunMode.NONINTERACTIVE:
            lastlayers.recall(config, is_repeat=run_mode == Gimp.RunMode.WITH_LAST_VALS)
        if run_mode == Gimp.RunMode.INTERACTIVE:
            layer = _paint_as_asked(procedure, config, image, drawables)
            if layer is None:
                return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
        else:
            choices = arguments.checked(arguments.read(config), offered)
            if run_mode == Gimp.RunMode.WITH_LAST_VALS:
                choices = _as_the_dialog(choices.effective(offered), Scene.look(image, drawables, offered))
            reports: list[dict[str, Any]] = []
            layer = job.stylize(image, drawables, choices, offered, reports.append)
            if run_mode == Gimp.RunMode.WITH_LAST_VALS:
                notes.tell(reports)
        return _returning(procedure, GObject.Value(Gimp.Layer, layer))

    return _answered(procedure, paint)


def _run_change(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    _data: Any,
) -> Gimp.ValueArray:
    def change() -> Gimp.ValueArray:
        offered = catalog.load()
        scene = Scene.look(image, drawables, offered)
        scene.require_paintings()
        style = Gimp.get_pdb().lookup_procedure(PROCEDURE)
        if run_mode == Gimp.RunMode.INTERACTIVE:
            layer = _paint_as_asked(procedure, style.create_config(), image, drawables)
            if layer is None:
                return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
        else:
            values = declaration.form_of(procedure, offered).create_config()
            scene.take_over(values, scene.paintings[0].settings)
            choices = arguments.read(values).effective(offered).changed(change_painting=True)
            layer = job.stylize(image, drawables, choices, offered)
        return _returning(procedure, GObject.Value(Gimp.Layer, layer))

    return _answered(procedure, change)


def _run_check(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, _data: Any) -> Gimp.ValueArray:
    def check() -> Gimp.ValueArray:
        report = checkup.report()
        if config.get_property("run-mode") == Gimp.RunMode.INTERACTIVE:
            from gimp_plugin.dialog import report_window  # noqa: PLC0415

            report_window.show(report)
        return _returning(procedure, GObject.Value(GObject.TYPE_STRING, report))

    return _answered(procedure, check)


def _run_select(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    _data: Any,
) -> Gimp.ValueArray:
    def select() -> Gimp.ValueArray:
        if run_mode == Gimp.RunMode.WITH_LAST_VALS and lastlayers.is_kept():
            _repeat_style(image, drawables)
            return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
        object_selection.select_object(image, config.get_property("model"), config.get_property("edge"))
        return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)

    return _answered(procedure, select)


def _repeat_style(image: Gimp.Image, drawables: Sequence[Gimp.Drawable]) -> None:
    """Filters > Repeat, where the last entry chosen was ours for objects: what is to be repeated is the style."""
    style = Gimp.get_pdb().lookup_procedure(PROCEDURE)
    config = style.create_config()
    config.set_property("run-mode", Gimp.RunMode.WITH_LAST_VALS)
    config.set_property("image", image)
    config.set_core_object_array("drawables", drawables)
    if style.run(config).index(0) != Gimp.PDBStatusType.SUCCESS:
        raise wire.WireError("failed", Gimp.get_pdb().get_last_error())


def _run_select_menu(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, _data: Any) -> Gimp.ValueArray:
    def select() -> Gimp.ValueArray:
        object_selection.select_object(config.get_property("image"), None, None)
        return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)

    return _answered(procedure, select)


def _returning(procedure: Gimp.Procedure, value: GObject.Value) -> Gimp.ValueArray:
    """What a run that succeeded returns."""
    values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
    values.remove(1)
    values.insert(1, value)
    return values


def _answered(procedure: Gimp.Procedure, work: Callable[[], Gimp.ValueArray]) -> Gimp.ValueArray:
    """What a run returns, its errors in GIMP's terms."""
    try:
        return work()
    except wire.WireError as error:
        status = (
            Gimp.PDBStatusType.CALLING_ERROR if error.code in _CALLING_CODES else Gimp.PDBStatusType.EXECUTION_ERROR
        )
        if error.code == "cancelled":
            status = Gimp.PDBStatusType.CANCEL
        return procedure.new_return_values(status, GLib.Error(error.message))
    except Exception as fault:  # the edge: GIMP would say no more than "returned no return values"
        traceback.print_exc()
        return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, GLib.Error(_describe(fault)))


def _describe(fault: Exception) -> str:
    """A fault of ours or of GIMP's in a sentence, with what whoever mends it must know."""
    first_line = "".join(traceback.format_exception_only(fault)).partition("\n")[0]
    says = _(
        "The filter met a fault of its own ({fault}). Nothing was changed: run install.py in Impasto's folder again, "
        "then start GIMP anew."
    )
    return says.format(fault=first_line[:120].rstrip("."))


def _as_the_dialog(choices: arguments.Choices, scene: Scene) -> arguments.Choices:
    """Filters > Repeat does what the dialog would offer. Scripts get what they ask for: nobody looks at the result."""
    is_part = choices["selection-only"] and canvas.has_selection(scene.image)
    return choices.changed(selection_only=is_part, change_painting=scene.can_change)


def _paint_as_asked(
    procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, image: Gimp.Image, drawables: Sequence[Gimp.Drawable]
) -> Gimp.Layer | None:
    """Show the dialog, again after each error, until something is painted; None: the user cancelled.

    GTK is loaded only now: scripts need no display.
    """
    from gimp_plugin.dialog import window  # noqa: PLC0415

    scene = Scene.look(image, drawables, catalog.load())
    form = declaration.form_of(procedure, scene.catalog)
    shown = form.create_config()
    declaration.copy(config, shown, scene.catalog)
    scene.begin(shown)
    error = ""
    while True:
        choices = window.ask(form, shown, scene, error)
        declaration.copy(shown, config, scene.catalog)  # GIMP keeps the last values of this one
        drafts.keep(shown, scene.layers[0])
        if choices is None:
            return None
        lastlayers.keep(choices)
        reports: list[dict[str, Any]] = []
        try:
            layer = job.stylize(image, drawables, choices.effective(scene.catalog), scene.catalog, reports.append)
        except wire.WireError as outcome:
            if outcome.code == "cancelled" or not all(layer.is_valid() for layer in scene.layers):
                raise
            error = outcome.message
            Gimp.progress_end()
            continue
        drafts.drop()
        notes.tell(reports)
        return layer
