"""The dialog of the filter, made from its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gi.repository import Gimp, GimpUi, GLib, Gtk

from gimp_plugin import settings
from gimp_plugin.choices import advice, arguments
from gimp_plugin.dialog import option_fields
from gimp_plugin.dialog.fit import Fit
from gimp_plugin.dialog.notice import Notice
from gimp_plugin.dialog.option_fields import OptionFields
from gimp_plugin.filter.scene import Scene
from gimp_plugin.image import canvas
from gimp_plugin.language import _, mark
from gimp_plugin.settings import Setting
from gimp_plugin.studio.earlier import Earlier
from gimp_plugin.studio.halves import Studio

Update = Callable[[], None]
"""Brings a part of the dialog up to date with the choices."""
# The pages of the style chooser: value of style-source -> title.
PAGES = {"preset": mark("Famous painting"), "file": mark("Picture file"), "layer": mark("Layer")}
SPACING_PX = 6
INDENT_PX = 16
WIDEST_ROW_PX = 1000
GROUPS = {"style": mark("Style"), "look": mark("Look"), "area": mark("Area")}
MORE = ("regions", "more")  # groups that are folded away
APART = ("style-source", "change-painting")  # shown as buttons, where they are of use


def ask(
    procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, scene: Scene, error: str = ""
) -> arguments.Choices | None:
    """Show the dialog with the values that the config has.

    Args:
        scene: without a selection "Only the selection" is off and grey for this run, but kept for the next. If the
            image cannot show colors, the dialog says so.
        error: of the last try, shown until the user changes something.

    Returns:
        What the user chose; None if the dialog was cancelled.
    """
    GimpUi.init("impasto")
    has_selection = canvas.has_selection(scene.image)
    wanted_selection_only = config.get_property("selection-only")
    if not has_selection:
        config.set_property("selection-only", False)
    dialog = GimpUi.ProcedureDialog.new(procedure, config, "Neural Style")
    dialog.set_ok_label(_("_Paint"))
    studio, update = _build(dialog, config, scene, Notice(error))
    update()
    handler = config.connect("notify", update)
    is_confirmed = dialog.run()
    config.disconnect(handler)  # the config outlives this dialog
    studio.close()
    choices = arguments.read(config)
    dialog.destroy()
    while Gtk.events_pending():  # the window goes away now, not when the picture is painted
        Gtk.main_iteration()
    if scene.image.is_valid() and not canvas.has_selection(scene.image):
        config.set_property("selection-only", wanted_selection_only)
    return choices if is_confirmed else None


def _build(
    dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, scene: Scene, notice: Notice
) -> tuple[Studio, Callable[..., None]]:
    """Everything in the window, and what brings it up to date with the choices."""
    dialog.get_content_area().pack_end(notice.row, False, False, 0)
    scroller = _fill(dialog)
    _gather_buttons(dialog)
    _add_target(dialog, config, scene)
    _explain(dialog, canvas.is_gray(scene.image))
    labels = _arrange(dialog)
    _add_earlier(dialog, config, scene)
    studio = Studio(dialog, scroller, config, scene, lambda: config.set_property("selection-only", True))
    Fit(dialog, scroller)
    updates = (
        _add_option_fields(dialog, config, scene, labels),
        _add_style_switch(dialog, config),
        _grey_out(dialog, config, scene),
        _keep_area_apart(dialog, config, scene),
        _advise(dialog, config, scene, notice),
        studio.update,
    )

    def update(*_: Any) -> None:
        for one in updates:
            one()

    return studio, update


def _gather_buttons(dialog: GimpUi.ProcedureDialog) -> None:
    """All buttons in one row, where they fit: GIMP gives those that keep settings one of their own."""
    row = dialog.get_action_area()
    for box in dialog.get_content_area().get_children():
        is_other = isinstance(box, Gtk.ButtonBox) and box is not row
        if is_other and row.get_preferred_width()[0] + box.get_preferred_width()[0] <= WIDEST_ROW_PX:
            for button in box.get_children():
                box.remove(button)
                row.add(button)
                row.set_child_secondary(button, True)
                row.set_child_non_homogeneous(button, True)
            box.hide()
            box.set_no_show_all(True)


def _fill(dialog: GimpUi.ProcedureDialog) -> Gtk.ScrolledWindow:
    """Three groups in the order in which people think: which style, what look, where.

    Returns:
        What holds them all, and scrolls.
    """
    for setting in _shown(*GROUPS, *MORE):
        if setting.kind in ("word", "preset", "method"):
            dialog.get_widget(setting.name, Gtk.ComboBox)  # GIMP 3.2 would show some of them as long lists of buttons
        elif setting.kind == "number" and setting.high == 1:
            _show_percent(dialog.get_scale_entry(setting.name, 100.0))
    for group in GROUPS:
        dialog.fill_box(f"{group}-box", [setting.name for setting in _shown(group)])
    dialog.fill_box("more-box", [setting.name for setting in _shown(*MORE)])
    for group, title in GROUPS.items():
        dialog.get_label(f"{group}-title", f"<b>{GLib.markup_escape_text(_(title))}</b>", True, False)
        dialog.fill_frame(f"{group}-frame", f"{group}-title", False, f"{group}-box").set_margin_bottom(SPACING_PX)
    dialog.get_label("more-title", _("_More"), False, True)
    dialog.fill_expander("more-expander", "more-title", False, "more-box")
    dialog.fill_box("all-box", [*(f"{group}-frame" for group in GROUPS), "more-expander"])
    scroller = dialog.fill_scrolled_window("scroller", "all-box")
    dialog.fill(["scroller"])
    return scroller


def _shown(*groups: str) -> list[Setting]:
    """The settings of some groups that have a control of their own, group by group."""
    table = [setting for setting in settings.of("gimp") if setting.name not in APART]
    return [setting for group in groups for setting in table if setting.group == group]


def _arrange(dialog: GimpUi.ProcedureDialog) -> Gtk.SizeGroup:
    """One column of labels through all groups, air between the rows, and no button that leads nowhere.

    Returns:
        The column.
    """
    labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    for setting in _shown(*GROUPS, *MORE):
        row = dialog.get_widget(setting.name, Gtk.Widget)
        row.get_parent().set_spacing(SPACING_PX)
        _name(row, _(setting.title).replace("_", ""))
        if setting.kind == "switch":  # GIMP draws them bold, as if they were titles
            row.get_child().set_markup_with_mnemonic(f'<span weight="normal">{row.get_child().get_label()}</span>')
        else:
            _label_of(row).set_xalign(0.0)
            labels.add_widget(_label_of(row))
    file = dialog.get_widget("style-file", Gtk.Widget)
    for button in file.get_children()[1:]:
        file.set_child_packing(button, True, True, 0, Gtk.PackType.START)  # names of files are long
        if isinstance(button, Gtk.FileChooserButton):
            button.set_title(_("Choose a Style Picture"))
    more = dialog.get_widget("regions", Gtk.Widget).get_parent()
    more.set_margin_start(INDENT_PX)
    more.set_margin_top(SPACING_PX)
    help_button = dialog.get_widget_for_response(Gtk.ResponseType.HELP)
    if help_button is not None:
        help_button.hide()  # GIMP looks into its own manual, which knows nothing of us
    return labels


def _name(widget: Gtk.Widget, title: str) -> None:
    """Tell screen readers what a control is for."""
    if isinstance(widget, Gtk.ComboBox | Gtk.Range | Gtk.SpinButton) or widget.get_ancestor(Gtk.ComboBox) is not None:
        widget.get_accessible().set_name(title)
    if isinstance(widget, Gtk.Container):
        widget.forall(_name, title)


def _label_of(row: Gtk.Container) -> Gtk.Label:
    return next(child for child in row.get_children() if isinstance(child, Gtk.Label))


def _show_percent(entry: GimpUi.ScaleEntry) -> None:
    label = entry.get_label()
    label.set_text_with_mnemonic(f"{label.get_label()} (%)")
    entry.set_digits(0)


def _add_style_switch(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig) -> Update:
    """Buttons that choose where the style comes from; only the chosen one's argument is shown."""
    box = dialog.get_widget("style-preset", Gtk.ComboBox).get_parent()
    switch = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, homogeneous=True, margin_bottom=SPACING_PX)
    switch.get_style_context().add_class("linked")
    buttons: dict[str, Gtk.RadioButton] = {}
    for source, title in PAGES.items():
        button = Gtk.RadioButton.new_with_label_from_widget(next(iter(buttons.values()), None), _(title))
        button.set_mode(False)  # drawn as a button
        button.connect("toggled", _choose_source, config, source)
        switch.pack_start(button, True, True, 0)
        buttons[source] = button
    switch.show_all()
    box.pack_start(switch, False, False, 0)
    box.reorder_child(switch, 0)

    def update() -> None:
        chosen = arguments.read(config).source
        buttons[chosen].set_active(True)
        for source, button in buttons.items():  # many themes hardly tell a pressed button from others
            title = GLib.markup_escape_text(_(PAGES[source]))
            button.get_child().set_markup(f"<b>{title}</b>" if source == chosen else title)

    return update


def _grey_out(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, scene: Scene) -> Update:
    """What does nothing with the present choices is grey; pictures are asked for only where they are to be used."""
    fast = _add_hint(
        dialog.get_widget("quality", Gtk.ComboBox),
        _("A famous painting is painted fast. Brush strokes need a picture as the style."),
    )

    def update() -> None:
        choices = arguments.read(config).effective(scene.catalog)
        takes = scene.catalog.method(choices["method"]).takes
        fast.set_visible(choices.source == "preset" and (takes is None or "quality" in takes))
        for setting in _shown(*GROUPS, *MORE):
            is_used = settings.is_used(setting, choices.values, takes)
            is_used = is_used and (not setting.name.startswith("second-") or choices["mix"] > 0)
            widget = dialog.get_widget(setting.name, Gtk.Widget)
            if setting.kind in ("preset", "file", "layer"):
                widget.set_visible(is_used)
            else:
                widget.set_sensitive(is_used)

    return update


def _add_option_fields(
    dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, scene: Scene, labels: Gtk.SizeGroup
) -> Update:
    """The options of the method as fields, right below it; as text where the catalog does not know them."""
    fields = OptionFields(config, scene.catalog, labels)
    text = dialog.get_widget(option_fields.ARGUMENT, Gtk.Widget)
    box = text.get_parent()
    box.pack_start(fields.box, False, False, 0)
    box.reorder_child(fields.box, box.get_children().index(text))
    fields.box.show()

    def update() -> None:
        fields.update()
        text.set_visible(not fields.are_known)

    return update


def _choose_source(button: Gtk.RadioButton, config: Gimp.ProcedureConfig, source: str) -> None:
    if button.get_active():
        config.set_property("style-source", source)


def _add_target(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, scene: Scene) -> None:
    """On a layer that we painted: whether it is to be changed or painted over."""
    if not scene.paintings:
        return
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX, margin_bottom=2 * SPACING_PX)
    reason = next((painting.problem for painting in scene.paintings if painting.problem), "")
    if reason:
        _pack_text(box, _("{problem} It is painted over.").format(problem=reason))
    else:
        names = dict.fromkeys(p.source.get_name() for p in scene.paintings if p.source is not None)
        quoted = ", ".join(f'"{name}"' for name in names)
        _pack_text(box, _("This layer is a painting, made from {layers}.").format(layers=quoted))
        change = Gtk.RadioButton.new_with_mnemonic_from_widget(None, _("C_hange this painting"))
        over = Gtk.RadioButton.new_with_mnemonic_from_widget(change, _("Paint o_ver it"))
        (change if config.get_property("change-painting") else over).set_active(True)
        change.connect("toggled", lambda button: config.set_property("change-painting", button.get_active()))
        for button in (change, over):
            box.pack_start(button, False, False, 0)
    box.show_all()
    groups = _groups(dialog)
    groups.pack_start(box, False, False, 0)
    groups.reorder_child(box, 0)


def _add_earlier(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, scene: Scene) -> None:
    """What was painted in this image before, below the choices."""
    row = Earlier(config, scene).box
    if row is not None:
        _groups(dialog).pack_end(row, False, False, 0)


def _groups(dialog: GimpUi.ProcedureDialog) -> Gtk.Box:
    """What holds all groups of choices."""
    return dialog.get_widget("selection-only", Gtk.CheckButton).get_ancestor(Gtk.Viewport).get_child()


def _pack_text(box: Gtk.Box, text: str) -> None:
    box.pack_start(Gtk.Label(label=text, xalign=0.0, wrap=True, max_width_chars=60), False, False, 0)


def _keep_area_apart(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, scene: Scene) -> Update:
    """Where the painting goes is not asked where its mask says it; its edge only if there is a mask to make."""
    check = dialog.get_widget("selection-only", Gtk.CheckButton)
    edge = (dialog.get_widget("feather", GimpUi.LabelSpin), dialog.get_widget("blend", Gtk.ComboBox))
    nothing = _add_hint(check, _("Nothing is selected: the whole layer is painted."))
    kept = _add_hint(check, _("The painting keeps its mask: what is selected now does not count."))
    dialog.get_widget("consistent", Gtk.Widget).set_visible(len(scene.layers) > 1)

    def update() -> None:
        is_change = config.get_property("change-painting")
        has_selection = canvas.has_selection(scene.image)  # a click in the preview may have made one
        check.set_sensitive(has_selection and not is_change)
        nothing.set_visible(not has_selection and not is_change)
        for widget in edge:
            widget.set_visible(not is_change)
        kept.set_visible(is_change)

    return update


def _advise(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, scene: Scene, notice: Notice) -> Update:
    """Say what cannot work while it is chosen, and let OK wait for it."""

    def update() -> None:
        choices = arguments.read(config).effective(scene.catalog)
        said = advice.advise(choices, scene.catalog, scene.look_closer(choices))
        notice.show(said)
        dialog.set_response_sensitive(Gtk.ResponseType.OK, not said.is_refused)

    return update


def _explain(dialog: GimpUi.ProcedureDialog, is_gray: bool) -> None:
    """Say what would surprise: that a gray image stays gray."""
    if is_gray:
        combo = dialog.get_widget("color", Gtk.ComboBox)
        _add_hint(combo, _("This image is gray, so the result is too. For colors: Image > Mode > RGB."))


def _add_hint(widget: Gtk.Widget, text: str) -> Gtk.Label:
    """Put a line right below a widget.

    Returns:
        The line.
    """
    box = widget.get_parent()
    hint = Gtk.Label(label=text, xalign=0.0, wrap=True)
    hint.get_style_context().add_class("dim-label")
    hint.show()
    box.pack_start(hint, False, False, 0)
    box.reorder_child(hint, box.get_children().index(widget) + 1)
    return hint
