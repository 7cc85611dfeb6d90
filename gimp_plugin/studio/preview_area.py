"""The picture in the window: as it is and as it will be, side by side along a line that can be dragged.

Made of pixbufs and not drawn with cairo: GIMP's Python often comes without its bindings.
"""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gdk, GdkPixbuf, GLib, Gtk

LEAST_PX = (300, 240)
LINE_PX = 2
GRIP_PX = 12  # from the line, within which a drag moves it
CLICK_PX = 4  # a press that moves less is a click
LINE_COLOR = 0xFFFFFFFF
GRAYS = (0x999999, 0x666666)  # of the checks below what is transparent
CHECK_PX = 8
STEP = 0.05  # of the line, by a key
PAN_PX = 80  # likewise of what is seen
Point = tuple[float, float]


class PreviewArea(Gtk.EventBox):  # type: ignore[misc]  # GTK's types are known only in GIMP
    """Shows two pictures of the same thing.

    ``on_pan`` is called with the distance of a drag in pixels of the picture, ``on_click`` with a place in it (shares
    of its width and height) and whether Shift was held, where they are set.
    """

    __gtype_name__ = "ImpastoPreviewArea"

    def __init__(self) -> None:
        super().__init__(can_focus=True, hexpand=True, vexpand=True)
        self.set_size_request(*LEAST_PX)
        self.on_pan: Callable[[float, float], None] | None = None
        self.on_click: Callable[[Point, bool], None] | None = None
        self.is_held = False  # the picture as it is, all of it
        self.split = 0.5
        self._pictures: tuple[GdkPixbuf.Pixbuf, GdkPixbuf.Pixbuf | None] | None = None
        self._may_enlarge = True
        self._shown: tuple[GdkPixbuf.Pixbuf, GdkPixbuf.Pixbuf | None] | None = None
        self._pressed: Point | None = None
        self._drags = ""
        self._is_due = False
        self._image = Gtk.Image(halign=Gtk.Align.CENTER, valign=Gtk.Align.CENTER)
        frame = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.EXTERNAL, vscrollbar_policy=Gtk.PolicyType.EXTERNAL)
        frame.add(self._image)  # which asks for as much room as its picture has: the window could not become smaller
        self.add(frame)
        self.set_above_child(True)
        events = Gdk.EventMask.BUTTON_PRESS_MASK | Gdk.EventMask.BUTTON_RELEASE_MASK
        self.add_events(events | Gdk.EventMask.BUTTON1_MOTION_MASK | Gdk.EventMask.POINTER_MOTION_MASK)
        for signal, handler in (
            ("button-press-event", self._press),
            ("button-release-event", self._release),
            ("motion-notify-event", self._move),
            ("key-press-event", self._key),
            ("size-allocate", self._resize),
        ):
            self.connect(signal, handler)

    def show_pictures(
        self, before: GdkPixbuf.Pixbuf, after: GdkPixbuf.Pixbuf | None, *, may_enlarge: bool = True
    ) -> None:
        """Show two pictures of one size; None: only the first is there."""
        self._pictures, self._may_enlarge = (before, after), may_enlarge
        self._scale()

    @property
    def picture_size(self) -> tuple[int, int]:
        """What is shown takes so much of the screen, (width, height)."""
        return (self._shown[0].get_width(), self._shown[0].get_height()) if self._shown else (1, 1)

    @property
    def room(self) -> tuple[int, int]:
        """How large a picture can be here, (width, height)."""
        given = self.get_allocation()
        return max(LEAST_PX[0], given.width), max(LEAST_PX[1], given.height)

    def hold(self, is_held: bool) -> None:
        """Show the picture as it is, or both."""
        self.is_held = is_held
        self._draw()

    def move_line(self, share: float) -> None:
        """Put the line at a share of the width."""
        self.split = min(1.0, max(0.0, share))
        self._draw()

    # --- drawing ----------------------------------------------------------------------------------------

    def _resize(self, _widget: Gtk.Widget, _given: Gdk.Rectangle) -> None:
        if not self._is_due:  # a new picture during the layout would begin it again
            self._is_due = True
            GLib.idle_add(self._scale)

    def _scale(self) -> bool:
        self._is_due = False
        if self._pictures is not None:
            before, after = self._pictures
            self._shown = self._fitted(before), None if after is None else self._fitted(after)
            self._draw()
        return GLib.SOURCE_REMOVE

    def _fitted(self, picture: GdkPixbuf.Pixbuf) -> GdkPixbuf.Pixbuf:
        width, height = picture.get_width(), picture.get_height()
        factor = min(self.room[0] / width, self.room[1] / height)
        factor = factor if self._may_enlarge else min(1.0, factor)
        size = max(1, int(width * factor)), max(1, int(height * factor))
        return picture.composite_color_simple(*size, GdkPixbuf.InterpType.BILINEAR, 255, CHECK_PX, *GRAYS)

    def _draw(self) -> None:
        if self._shown is None:
            return
        before, after = self._shown
        if self.is_held or after is None:
            self._image.set_from_pixbuf(before)
            return
        width, height = before.get_width(), before.get_height()
        at = round(self.split * width)
        both = after.copy()
        if at > 0:
            before.copy_area(0, 0, at, height, both, 0, 0)
        if 0 < at < width:
            left = min(max(0, at - LINE_PX // 2), width - LINE_PX) if width > LINE_PX else 0
            both.new_subpixbuf(left, 0, min(LINE_PX, width), height).fill(LINE_COLOR)
        self._image.set_from_pixbuf(both)

    # --- mouse and keys ---------------------------------------------------------------------------------

    def _place(self, event: Gdk.EventButton) -> Point:
        """Where the mouse is, in shares of the picture."""
        given, (width, height) = self.get_allocation(), self.picture_size
        return (event.x - (given.width - width) / 2) / width, (event.y - (given.height - height) / 2) / height

    def _is_near_line(self, place: Point) -> bool:
        return abs(place[0] - self.split) * self.picture_size[0] <= GRIP_PX and not self.is_held

    def _press(self, _widget: Gtk.Widget, event: Gdk.EventButton) -> bool:
        if event.button != 1 or self._shown is None:
            return False
        self.grab_focus()
        self._pressed = self._place(event)
        pans = self.on_pan is not None and not self._is_near_line(self._pressed)
        self._drags = "click" if self.on_click is not None else "pan" if pans else "line"
        if self._drags == "line":
            self.move_line(self._pressed[0])
        return True

    def _move(self, _widget: Gtk.Widget, event: Gdk.EventMotion) -> bool:
        place = self._place(event)
        if self._pressed is None:
            name = "crosshair" if self.on_click else "col-resize" if self._is_near_line(place) else "default"
            window = self.get_window()
            if window is not None:
                window.set_cursor(Gdk.Cursor.new_from_name(self.get_display(), name))
        elif self._drags == "line":
            self.move_line(place[0])
        return True

    def _release(self, _widget: Gtk.Widget, event: Gdk.EventButton) -> bool:
        pressed, self._pressed = self._pressed, None
        if pressed is None:
            return False
        place, (width, height) = self._place(event), self.picture_size
        across, down = (place[0] - pressed[0]) * width, (place[1] - pressed[1]) * height
        if self._drags == "click" and self.on_click is not None and max(abs(across), abs(down)) <= CLICK_PX:
            self.on_click(place, bool(event.state & Gdk.ModifierType.SHIFT_MASK))
        elif self._drags == "pan" and self.on_pan is not None:
            self.on_pan(across, down)
        return True

    def _key(self, _widget: Gtk.Widget, event: Gdk.EventKey) -> bool:
        """The arrows move the line; with Shift, the part that is seen."""
        ways = {Gdk.KEY_Left: (-1, 0), Gdk.KEY_Right: (1, 0), Gdk.KEY_Up: (0, -1), Gdk.KEY_Down: (0, 1)}
        if event.keyval not in ways:
            return False
        across, down = ways[event.keyval]
        if event.state & Gdk.ModifierType.SHIFT_MASK and self.on_pan is not None:
            self.on_pan(-PAN_PX * across, -PAN_PX * down)
            return True
        self.move_line(self.split + STEP * across)
        return across != 0
