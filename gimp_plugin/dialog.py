"""The dialog of the filter, made from its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gimp, GimpUi, GLib, GObject, Gtk  # noqa: E402

if TYPE_CHECKING or __package__:
    from . import arguments
else:
    import arguments

# The pages of the style chooser: value of style-source -> (title, the argument that it shows).
PAGES = {
    "preset": ("Famous painting", "style-preset"),
    "file": ("Picture file", "style-file"),
    "layer": ("Layer", "style-layer"),
}
SPACING_PX = 6
INDENT_PX = 16
REGION_ARGUMENTS = ("regions", "region-map", "style-region-map")
GROUPS = {"style": "Style", "look": "Look", "area": "Area"}


def ask(
    procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, has_selection: bool, is_gray: bool
) -> arguments.Choices | None:
    """Show the dialog with the last values.

    Args:
        has_selection: without one "Only the selection" is off and grey for this run, but kept for the next.
        is_gray: the image cannot show colors; the dialog says so.

    Returns:
        What the user chose; None if the dialog was cancelled.
    """
    GimpUi.init("impasto")
    wanted_selection_only = config.get_property("selection-only")
    if not has_selection:
        config.set_property("selection-only", False)
    dialog = GimpUi.ProcedureDialog.new(procedure, config, "Neural Style")
    _fill(dialog)
    for widget in (dialog.get_widget("feather", GimpUi.LabelSpin), dialog.get_widget("blend", Gtk.ComboBox)):
        config.bind_property("selection-only", widget, "sensitive", GObject.BindingFlags.SYNC_CREATE)
    _add_style_switch(dialog, config)
    _show_maps_when_wanted(dialog, config)
    _explain(dialog, has_selection, is_gray)
    _arrange(dialog)
    is_confirmed = dialog.run()
    choices = arguments.read(config)
    dialog.destroy()
    while Gtk.events_pending():  # the window goes away now, not when the picture is painted
        Gtk.main_iteration()
    if not has_selection:
        config.set_property("selection-only", wanted_selection_only)
    return choices if is_confirmed else None


def _fill(dialog: GimpUi.ProcedureDialog) -> None:
    """Three groups in the order in which people think: which style, what look, where."""
    for name in ("style-preset", "color", "blend", "method", "color-map", "device", "quality", "regions"):
        dialog.get_widget(name, Gtk.ComboBox)  # GIMP 3.2 would show some of them as long lists of buttons
    for name in ("strength", "photoreal"):
        _show_percent(dialog.get_scale_entry(name, 100.0))
    dialog.fill_box("style-box", [argument for _title, argument in PAGES.values()])
    dialog.fill_box("look-box", ["quality", "strength", "auto-strength", "color", "photoreal", "style-size"])
    dialog.fill_box("area-box", ["selection-only", "blend", "feather", "consistent"])
    dialog.fill_box("more-box", [*REGION_ARGUMENTS, "method", "options", "color-map", "seed", "device"])
    for group, title in GROUPS.items():
        dialog.get_label(f"{group}-title", f"<b>{title}</b>", True, False)
        dialog.fill_frame(f"{group}-frame", f"{group}-title", False, f"{group}-box")
    dialog.get_label("more-title", "_More", False, True)
    dialog.fill_expander("more-expander", "more-title", False, "more-box")
    dialog.fill([*(f"{group}-frame" for group in GROUPS), "more-expander"])


def _arrange(dialog: GimpUi.ProcedureDialog) -> None:
    """One column of labels through all groups, air between the rows, and no button that leads nowhere."""
    labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    for name in arguments.LABELLED:
        row = dialog.get_widget(name, Gtk.Widget)
        _label_of(row).set_xalign(0.0)
        labels.add_widget(_label_of(row))
        row.get_parent().set_spacing(SPACING_PX)
    file = dialog.get_widget("style-file", Gtk.Widget)
    for button in file.get_children()[1:]:
        file.set_child_packing(button, True, True, 0, Gtk.PackType.START)  # names of files are long
        if isinstance(button, Gtk.FileChooserButton):
            button.set_title("Choose a Style Picture")
    more = dialog.get_widget("regions", Gtk.Widget).get_parent()
    more.set_margin_start(INDENT_PX)
    more.set_margin_top(SPACING_PX)
    for frame in dialog.get_content_area().get_children()[: len(GROUPS)]:
        frame.set_margin_bottom(SPACING_PX)
    # GIMP draws it bold, as if it were the title of its group.
    check = dialog.get_widget("selection-only", Gtk.Widget).get_child()
    check.set_markup_with_mnemonic(f'<span weight="normal">{check.get_label()}</span>')
    help_button = dialog.get_widget_for_response(Gtk.ResponseType.HELP)
    if help_button is not None:
        help_button.hide()  # GIMP looks into its own manual, which knows nothing of us


def _label_of(row: Gtk.Container) -> Gtk.Label:
    return next(child for child in row.get_children() if isinstance(child, Gtk.Label))


def _show_percent(entry: GimpUi.ScaleEntry) -> None:
    label = entry.get_label()
    label.set_text_with_mnemonic(f"{label.get_label()} (%)")
    entry.set_digits(0)


def _add_style_switch(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig) -> None:
    """Buttons that choose where the style comes from; only the chosen one's argument is shown."""
    box = dialog.get_widget("style-preset", Gtk.ComboBox).get_parent()
    switch = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, homogeneous=True, margin_bottom=SPACING_PX)
    switch.get_style_context().add_class("linked")
    buttons: dict[str, Gtk.RadioButton] = {}
    for source, (title, _argument) in PAGES.items():
        button = Gtk.RadioButton.new_with_label_from_widget(next(iter(buttons.values()), None), title)
        button.set_mode(False)  # drawn as a button
        button.connect("toggled", _choose_source, config, source)
        switch.pack_start(button, True, True, 0)
        buttons[source] = button
    switch.show_all()
    box.pack_start(switch, False, False, 0)
    box.reorder_child(switch, 0)

    def update(*_: Any) -> None:
        choices = arguments.read(config)
        chosen = choices.chosen_source
        buttons[chosen].set_active(True)
        for source, button in buttons.items():  # many themes hardly tell a pressed button from others
            title = GLib.markup_escape_text(PAGES[source][0])
            button.get_child().set_markup(f"<b>{title}</b>" if source == chosen else title)
        for source, (_title, argument) in PAGES.items():
            dialog.get_widget(argument, Gtk.ComboBox).set_visible(source == chosen)
        is_complete = {"preset": True, "file": choices.file is not None, "layer": choices.layer is not None}[chosen]
        dialog.set_response_sensitive(Gtk.ResponseType.OK, is_complete)

    for name in ("style-source", "style-file", "style-layer"):
        config.connect(f"notify::{name}", update)
    update()


def _show_maps_when_wanted(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig) -> None:
    """The layers of label maps are asked for only where they are to be used."""

    def update(*_: Any) -> None:
        for name in REGION_ARGUMENTS[1:]:
            dialog.get_widget(name, Gtk.Widget).set_visible(config.get_property("regions") == "layers")

    config.connect("notify::regions", update)
    update()


def _choose_source(button: Gtk.RadioButton, config: Gimp.ProcedureConfig, source: str) -> None:
    if button.get_active():
        config.set_property("style-source", source)


def _explain(dialog: GimpUi.ProcedureDialog, has_selection: bool, is_gray: bool) -> None:
    """Say what would surprise: that nothing is selected, that a gray image stays gray."""
    if not has_selection:
        check = dialog.get_widget("selection-only", Gtk.CheckButton)
        check.set_sensitive(False)
        _add_hint(check, "Nothing is selected: the whole layer is painted.")
    if is_gray:
        combo = dialog.get_widget("color", Gtk.ComboBox)
        _add_hint(combo, "This image is gray, so the result is too. For colors: Image > Mode > RGB.")


def _add_hint(widget: Gtk.Widget, text: str) -> None:
    """Put a line right below a widget."""
    box = widget.get_parent()
    hint = Gtk.Label(label=text, xalign=0.0, wrap=True)
    hint.get_style_context().add_class("dim-label")
    hint.show()
    box.pack_start(hint, False, False, 0)
    box.reorder_child(hint, box.get_children().index(widget) + 1)
