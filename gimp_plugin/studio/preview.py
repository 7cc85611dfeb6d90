"""What the choices come to, painted small while the user chooses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gi.repository import Gdk, Gimp, GLib, Gtk, Pango

from gimp_plugin import wire
from gimp_plugin.choices import advice, arguments, options
from gimp_plugin.choices.arguments import Choices
from gimp_plugin.client.background import Background, Wish
from gimp_plugin.filter.scene import Scene
from gimp_plugin.filter.styles import StyleReader
from gimp_plugin.image import canvas, view
from gimp_plugin.image.pixels import Box
from gimp_plugin.image.view import Sight, View
from gimp_plugin.language import _
from gimp_plugin.studio.preview_area import PreviewArea
from gimp_plugin.studio.trace import Trace

FIT_PX = 512
DETAIL_PX = (600, 480)
SETTLE_MS = 30  # changes that come together are one
READING_S = 6.0
N_RATES = 7
MOMENT_S, SOME_S, LONG_S = 3, 12, 90
SPACING_PX = 6


class Preview:
    """The left half of the window.

    Args:
        config: the choices.
        scene: what is to be painted.
        background: paints.
        on_view: told what is looked at, whenever that is another part of the picture.
        trace: told what is shown.
    """

    def __init__(
        self,
        config: Gimp.ProcedureConfig,
        scene: Scene,
        background: Background,
        on_view: Callable[[View], None],
        trace: Trace,
    ) -> None:
        self._config, self._scene, self._background, self._on_view = config, scene, background, on_view
        self._trace = trace
        self._styles = StyleReader()
        painting = scene.paintings[0] if scene.can_change else None
        self._sight = Sight(scene.image, scene.layers[0], painting)
        self._seen: tuple[Any, View] | None = None
        self._asked: Any = None
        self._is_due = self._is_whole = False
        self._center: tuple[float, float] | None = None  # of the detail, in the layer
        self._rates: dict[tuple[str, str], list[float]] = {}  # seconds a pixel, of the last previews
        self._read_until_s = 0.0
        self._is_over = False
        self.area = PreviewArea()
        self.area.get_accessible().set_name(_("Preview"))
        self.area.connect("key-press-event", self._key)
        self.box = self._laid_out()

    # --- the widgets ------------------------------------------------------------------------------------

    def _laid_out(self) -> Gtk.Box:
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=SPACING_PX)
        bar = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=SPACING_PX)
        self._fit = Gtk.RadioButton.new_with_label(None, _("Fit"))
        self._detail = Gtk.RadioButton.new_with_mnemonic_from_widget(self._fit, "_1:1")
        zoom = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL)
        zoom.get_style_context().add_class("linked")
        for button, tip in (
            (self._fit, _("All that is painted, small (key F in the preview)")),
            (self._detail, _("A part of it pixel for pixel, as it will be. Drag to see another part (key 1)")),
        ):
            button.set_mode(False)
            button.set_tooltip_text(tip)
            button.connect("toggled", self._zoom)
            zoom.pack_start(button, False, False, 0)
        self._before = Gtk.ToggleButton.new_with_label(_("Before"))
        self._before.set_tooltip_text(_("Show the picture as it is. Drag the line in the preview to compare (key B)"))
        self._before.connect("toggled", lambda button: self.area.hold(button.get_active()))
        self._paint_detail = Gtk.Button.new_with_label(_("Preview this part"))
        self._paint_detail.get_child().set_ellipsize(Pango.EllipsizeMode.END)  # it comes late, and widens no window
        self._paint_detail.set_no_show_all(True)
        self._paint_detail.connect("clicked", lambda _button: self._ask(is_on_demand=True))
        for widget in (zoom, self._before):
            bar.pack_start(widget, False, False, 0)
        bar.pack_end(self._paint_detail, False, False, 0)
        frame = Gtk.Frame(shadow_type=Gtk.ShadowType.IN)
        frame.add(self.area)
        self.status = Gtk.Label(xalign=0.0, ellipsize=3, max_width_chars=40)
        self.status.get_style_context().add_class("dim-label")
        self._progress = Gtk.ProgressBar(no_show_all=True)
        for widget, grows in ((bar, False), (frame, True), (self._progress, False), (self.status, False)):
            box.pack_start(widget, grows, grows, 0)
        self.bar = bar
        return box

    def say(self, text: str, is_problem: bool = False) -> None:
        """Say what goes on. A problem stays to be read for a while, whatever else goes on."""
        if not is_problem and time.monotonic() < self._read_until_s:
            return
        self._read_until_s = time.monotonic() + READING_S if is_problem else 0.0
        style = self.status.get_style_context()
        (style.remove_class if is_problem else style.add_class)("dim-label")
        self.status.set_text(f"\N{WARNING SIGN} {text}" if is_problem else text)
        self.status.set_tooltip_text(text)

    # --- what is so -------------------------------------------------------------------------------------

    @property
    def choices(self) -> Choices:
        return arguments.read(self._config).effective(self._scene.catalog)

    @property
    def is_detail(self) -> bool:
        return bool(self._detail.get_active())

    def look(self) -> View:
        """What is looked at now.

        Raises:
            WireError: there is nothing to paint with these choices.
        """
        choices = self.choices
        is_change = bool(choices["change-painting"]) and self._sight.painting is not None
        box, is_masked = self._sight.area(is_change, choices["selection-only"])
        feather_px = 0.0 if is_change else float(choices["feather"])
        if self._is_whole:
            box = self._sight.whole
        part = self._detail_of(box) if self.is_detail else box
        key = (part, is_change, is_masked, feather_px, self.is_detail)
        if self._seen is not None and self._seen[0] == key:
            return self._seen[1]
        if self.is_detail:
            found = self._sight.detail(part, is_change, is_masked, feather_px)
        else:
            found = self._sight.fit(part, FIT_PX, is_change, is_masked, feather_px)
        self._seen = key, found
        self._show(found, None)
        self._on_view(found)
        return found

    def _show(self, seen: View, painted: wire.Plane | None) -> None:
        """Show what is looked at, and what it comes to; while objects are clicked, what is selected stands out."""
        mask = seen.mask if self._is_whole else None
        after = None if painted is None else view.spotlit(painted, mask)
        self.area.show_pictures(
            view.spotlit(seen.content, mask), after, may_enlarge=seen.scale != 1 or not self.is_detail
        )

    def show_whole(self, is_whole: bool) -> None:
        """Look at all of the layer, as what is to be clicked may lie outside the selection; or at the usual part."""
        self._is_whole = is_whole
        self._fit.set_active(True)
        self.forget()

    def point_of(self, place: tuple[float, float]) -> tuple[int, int] | None:
        """A place in the preview, in pixels of the image."""
        if self._seen is None:
            return None
        box, (left, top) = self._seen[1].box, canvas.offset_of(self._sight.layer)
        return int(left + box.x + place[0] * box.width), int(top + box.y + place[1] * box.height)

    def forget(self) -> None:
        """What was seen is no longer so: the selection is another one."""
        self._seen = self._asked = None
        self.update()

    def _detail_of(self, box: Box) -> Box:
        width, height = (min(most, side) for most, side in zip(DETAIL_PX, (box.width, box.height), strict=True))
        x, y = self._center or (box.x + box.width / 2, box.y + box.height / 2)
        left = min(max(box.x, round(x - width / 2)), box.x + box.width - width)
        top = min(max(box.y, round(y - height / 2)), box.y + box.height - height)
        return Box(left, top, width, height)

    def _zoom(self, button: Gtk.RadioButton) -> None:
        if button.get_active():
            self.area.on_pan = self._pan if self.is_detail else None
            self.update()

    def _key(self, _area: PreviewArea, event: Gdk.EventKey) -> bool:
        """B: before; F: fit; 1: pixel for pixel."""
        buttons = {Gdk.KEY_b: self._before, Gdk.KEY_f: self._fit, Gdk.KEY_1: self._detail}
        button = buttons.get(event.keyval)
        if button is None or event.state & Gdk.ModifierType.MOD1_MASK:
            return False
        button.set_active(True if button is not self._before else not button.get_active())
        return True

    def _pan(self, across: float, down: float) -> None:
        if self._seen is None:
            return
        box = self._seen[1].box
        factor = box.width / self.area.picture_size[0]
        self._center = box.x + box.width / 2 - across * factor, box.y + box.height / 2 - down * factor
        self.update()

    # --- painting ---------------------------------------------------------------------------------------

    def update(self, *_: Any) -> None:
        """The choices are other ones, perhaps."""
        if not self._is_due:
            self._is_due = True
            GLib.timeout_add(SETTLE_MS, self._refresh)

    def _refresh(self) -> bool:
        self._is_due = False
        if not self._is_over and self._scene.image.is_valid():
            self._ask()
        return GLib.SOURCE_REMOVE

    def close(self) -> None:
        """The window goes."""
        self._is_over = True

    def _ask(self, *, is_on_demand: bool = False) -> None:
        """Let the engine paint what is looked at, unless it does already."""
        choices = self.choices
        said = advice.advise(choices, self._scene.catalog, self._scene.look_closer(choices))
        if said.is_refused:
            self._asked = None
            self._background.drop()
            self.say(_("No preview: see below what is missing."))
            return
        try:
            seen = self.look()
            make = self._request(choices, seen)
        except wire.WireError as error:
            self.say(error.message, is_problem=True)
            return
        is_live = self._scene.catalog.is_quick(choices["method"], choices["quality"])
        self._paint_detail.set_visible(not is_live)
        key = (self._seen and self._seen[0], _taste(choices), is_on_demand)
        if key == self._asked:
            return
        self._asked = key
        if is_live or is_on_demand:
            self._want(make, seen, is_on_demand)
        else:
            self._background.drop()  # of other choices
            self._show(seen, None)
            self.say(_("This takes longer: choose 1:1 and Preview this part to see it."))

    def _want(self, make: Callable[[], wire.StylizeRequest], seen: View, is_on_demand: bool) -> None:
        self.say(_("Painting the preview..."))
        began, asked = time.monotonic(), wire_settings(self.choices) | {"preset": self.choices["style-preset"]}

        def done(result: wire.StylizeResult) -> None:
            seconds = time.monotonic() - began
            self._progress.hide()
            self._show(seen, result.picture)
            self.say(self._told(seen, result.report))
            self._trace.note("preview", took_s=round(seconds, 3), size=seen.size, choices=asked)

        def failed(error: wire.WireError) -> None:
            self._progress.hide()
            self._asked = None
            self.say(error.message, is_problem=True)

        def progress(share: float, message: str) -> None:
            if is_on_demand:
                self._progress.show()
                self._progress.set_fraction(share)
                self.say(message)

        self._background.want(Wish(make, done, failed, progress))

    def _told(self, seen: View, report: dict[str, Any]) -> str:
        """How long the painting will take, from how long its previews took."""
        choices = self.choices
        spent = report.get("seconds", {})
        work_s = sum(spent.values()) if isinstance(spent, dict) else 0.0
        rates = self._rates.setdefault((choices["method"], choices["quality"]), [])
        rates.append(work_s / (seen.size[0] * seen.size[1]))
        del rates[:-N_RATES]
        box = self._sight.area(bool(choices["change-painting"]), choices["selection-only"])[0]
        expected_s = sorted(rates)[len(rates) // 2] * box.width * box.height
        return _about(expected_s).format(
            width=box.width, height=box.height, seconds=10 * round(expected_s / 10), minutes=round(expected_s / 60)
        )

    def _request(self, choices: Choices, seen: View) -> Callable[[], wire.StylizeRequest]:
        entries = self._styles.of(choices, self._scene.catalog)
        given = wire_settings(choices)
        if given.get("style_size_px"):
            given["style_size_px"] = max(32, round(given["style_size_px"] * seen.scale))

        def make() -> wire.StylizeRequest:
            return wire.StylizeRequest(seen.content, entries(), seen.mask, settings=given)

        return make


def _about(seconds: float) -> str:
    """A sentence with a time as roughly as it is known."""
    if seconds < MOMENT_S:
        return _("Painting {width} x {height} pixels takes a moment.")
    if seconds < SOME_S:
        return _("Painting {width} x {height} pixels takes some seconds.")
    if seconds < LONG_S:
        return _("Painting {width} x {height} pixels takes about {seconds} s.")
    return _("Painting {width} x {height} pixels takes about {minutes} min.")


def wire_settings(choices: Choices) -> dict[str, Any]:
    """The choices in the engine's terms, with the result blended into the picture."""
    given = choices.for_wire()
    given["options"] = options.read(choices["options"])
    return given | {"composite": True, "auto_regions": choices["regions"] == "auto"}


def _taste(choices: Choices) -> tuple[tuple[str, Any], ...]:
    """What decides the picture, so that two choices can be compared."""

    def plain(value: Any) -> Any:
        if isinstance(value, Gimp.Layer):
            return value.get_id()
        return value.get_uri() if hasattr(value, "get_uri") else value

    return tuple(sorted((name, plain(value)) for name, value in choices.values.items()))
