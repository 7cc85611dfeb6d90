"""Click the thing: the object under a click becomes GIMP's selection, and further clicks add to it or take away."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gtk

from gimp_plugin import wire
from gimp_plugin.client.background import Background, Wish
from gimp_plugin.filter import object_selection
from gimp_plugin.filter.scene import Scene
from gimp_plugin.image import canvas, view
from gimp_plugin.image.pixels import Box
from gimp_plugin.language import _, mark
from gimp_plugin.studio.preview import Preview
from gimp_plugin.studio.preview_area import Point

TIP = mark(
    "Click the thing in the preview that is to be painted: it becomes the selection. Click again to add to it, with "
    "Shift to take away"
)


class Clicking:
    """The button below the preview, and what clicks do while it is pressed.

    Args:
        scene: the image.
        preview: what is clicked.
        background: asks the engine.
        on_selected: called when the selection has become another one.
    """

    def __init__(self, scene: Scene, preview: Preview, background: Background, on_selected: Callable[[], None]) -> None:
        self._scene, self._preview, self._background, self._on_selected = scene, preview, background, on_selected
        self._on: list[wire.segment.Point] = []
        self._beside: list[wire.segment.Point] = []
        self._picture: wire.Plane | None = None
        self.button = Gtk.ToggleButton.new_with_mnemonic(_("Click the _object"))
        self.button.set_tooltip_text(_(TIP))
        self.button.connect("toggled", self._turn)
        preview.bar.pack_start(self.button, False, False, 0)

    def _turn(self, button: Gtk.ToggleButton) -> None:
        is_on = button.get_active()
        self._preview.area.on_click = self._click if is_on else None
        self._on, self._beside = [], []
        self._preview.show_whole(is_on)
        self._preview.area.move_line(0.0 if is_on else 0.5)  # what is clicked is to be seen painted
        if is_on:
            self._preview.say(_("Click the thing that is to be painted."))

    def _click(self, place: Point, takes_away: bool) -> None:
        point = self._preview.point_of(place)
        whole = Box(0, 0, self._scene.image.get_width(), self._scene.image.get_height())
        if point is None or not (0 <= point[0] < whole.width and 0 <= point[1] < whole.height):
            return
        (self._beside if takes_away else self._on).append(point)
        if not self._on:
            self._beside.clear()
            self._preview.say(_("Click the thing itself first."))
            return
        if self._picture is None:
            self._picture = view.visible(self._scene.image, whole)
        picture, on, beside = self._picture, tuple(self._on), tuple(self._beside)
        self._preview.say(_("Looking for the object..."))
        self._background.order(
            Wish(
                lambda: wire.SegmentRequest(picture, points=on, others=beside),
                lambda found: self._take(whole, found),
                lambda error: self._preview.say(error.message, is_problem=True),
            )
        )

    def _take(self, whole: Box, found: wire.SegmentResult) -> None:
        if not self._scene.image.is_valid():
            return
        object_selection.select(self._scene.image, whole, found.mask)
        canvas.show_changes()
        self._on_selected()
