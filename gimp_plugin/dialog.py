"""The dialog of the filter, made from its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gimp, GimpUi  # noqa: E402

if TYPE_CHECKING or __package__:
    from . import arguments
else:
    import arguments


def ask(
    procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, has_selection: bool, is_gray: bool
) -> arguments.Choices | None:
    """Show the dialog with the last values.

    Args:
        has_selection: without one the option "Only the selection" is off and grey for this run, and kept for the next.
        is_gray: says that the result will be gray.

    Returns:
        What the user chose; None if the dialog was cancelled.
    """
    GimpUi.init("impasto")
    if config.get_property("style-source") == "auto":
        config.set_property("style-source", arguments.read(config).chosen_source)
    wanted_selection_only = config.get_property("selection-only")
    if not has_selection:
        config.set_property("selection-only", False)
    dialog = GimpUi.ProcedureDialog.new(procedure, config, None)
    _fill(dialog, config, has_selection, is_gray)
    is_confirmed = dialog.run()
    dialog.destroy()
    choices = arguments.read(config)
    if not has_selection:
        config.set_property("selection-only", wanted_selection_only)
    return choices if is_confirmed else None


def _fill(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, has_selection: bool, is_gray: bool) -> None:
    dialog.get_scale_entry("strength", 100.0)
    dialog.get_scale_entry("photoreal", 100.0)
    dialog.get_scale_entry("feather", 1.0)
    dialog.fill_box("style-box", ["style-source", "style-preset", "style-file", "style-layer"])
    dialog.get_label("style-title", "Style", False, False)
    dialog.fill_frame("style-frame", "style-title", False, "style-box")
    dialog.fill_box("look-box", ["strength", "color", "photoreal", "style-size"])
    dialog.get_label("look-title", "Look", False, False)
    dialog.fill_frame("look-frame", "look-title", False, "look-box")
    dialog.fill_box("area-box", ["selection-only", "feather"])
    dialog.get_label("area-title", "Area", False, False)
    dialog.fill_frame("area-frame", "area-title", False, "area-box")
    dialog.fill_box("more-box", ["method", "seed", "device"])
    dialog.get_label("more-title", "More", False, False)
    dialog.fill_expander("more-expander", "more-title", False, "more-box")
    dialog.fill(["style-frame", "look-frame", "area-frame", "more-expander"])
