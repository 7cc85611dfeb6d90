"""A field for each option of the chosen method, in place of the text that scripts write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gi.repository import Gimp, Gtk

from gimp_plugin.choices import options
from gimp_plugin.choices.catalog import Catalog
from gimp_plugin.dialog.fit import prepare
from gimp_plugin.language import _
from gimp_plugin.settings import Setting

ARGUMENT = "options"
SPACING_PX = 6
MOST = 1e9  # of a number that has no limit
N_STEPS = 100  # of a number that has both
ENTRY_CHARS = 24


class OptionFields:
    """The fields, which write the argument.

    Args:
        config: holds method and options.
        catalog: says what options a method has.
        labels: of all rows of the dialog, which are as wide as each other.
    """

    def __init__(self, config: Gimp.ProcedureConfig, catalog: Catalog, labels: Gtk.SizeGroup) -> None:
        self.box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        self._config, self._catalog, self._labels = config, catalog, labels
        self._method = ""
        self._values: dict[str, Any] = {}
        self._texts: dict[str, str] = {}  # method -> what was set of it, while the dialog is open

    @property
    def are_known(self) -> bool:
        """Whether the method's options are known, and so have fields."""
        return self._catalog.method(self._method).settings is not None

    def update(self) -> None:
        """Show the fields of the method that is chosen now."""
        method, text = self._config.get_property("method"), self._config.get_property(ARGUMENT) or ""
        is_ours = bool(self._method) and text == self._texts.get(self._method, "")  # else somebody else has set it
        if method == self._method and is_ours:
            return
        if is_ours:
            text = self._texts.get(method, "")
        self._method = method
        for row in self.box.get_children():
            row.destroy()
        if not self.are_known:
            return
        self._values = options.values_of(text, self._known)
        for setting in self._known:
            self._add_row(setting)
        self.box.show_all()
        prepare(self.box)
        self._write()

    @property
    def _known(self) -> tuple[Setting, ...]:
        return self._catalog.method(self._method).settings or ()

    def _write(self) -> None:
        text = self._texts[self._method] = options.write(self._values, self._known)
        if (self._config.get_property(ARGUMENT) or "") != text:
            self._config.set_property(ARGUMENT, text)

    def _add_row(self, setting: Setting) -> None:
        row = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=SPACING_PX, tooltip_text=_(setting.help))
        label = Gtk.Label(label=_(setting.title), xalign=0.0)
        field = field_of(setting, self._values[setting.name], lambda value: self._take(setting.name, value))
        label.set_mnemonic_widget(field)  # by which screen readers name it
        self._labels.add_widget(label)
        row.pack_start(label, False, False, 0)
        row.pack_start(field, True, True, 0)
        self.box.pack_start(row, False, False, 0)

    def _take(self, name: str, value: Any) -> None:
        self._values[name] = value
        self._write()


def field_of(setting: Setting, value: Any, on_change: Callable[[Any], None]) -> Gtk.Widget:
    """A list, a number or a line of text."""
    if setting.choices:
        combo = Gtk.ComboBoxText()
        for entry in setting.choices:
            combo.append(entry.name, entry.title)
        combo.set_active_id(value)
        combo.connect("changed", lambda box: on_change(box.get_active_id()))
        return combo
    if setting.kind == "text":
        entry = Gtk.Entry(text=value, width_chars=ENTRY_CHARS)
        entry.connect("changed", lambda line: on_change(line.get_text().strip() or setting.default))
        return entry
    low = -MOST if setting.low is None else setting.low
    high = MOST if setting.high is None else setting.high
    is_whole = setting.kind == "whole"
    step = 1 if is_whole or high - low > N_STEPS else (high - low) / N_STEPS
    spin = Gtk.SpinButton.new_with_range(low, high, step)
    spin.set_digits(0 if is_whole else 3)  # which rounds the value, too
    spin.set_value(value)
    spin.connect("value-changed", lambda box: on_change(box.get_value_as_int() if is_whole else box.get_value()))
    return spin
