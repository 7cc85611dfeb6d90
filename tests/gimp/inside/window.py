"""What the tests with a window ask a running GIMP beside its user: to open a photo, and what is so."""

from __future__ import annotations

from gi.repository import Gimp
from inside import stage
from inside.stage import Facts


def start_afresh() -> None:
    """Show a new photo with a soft ellipse selected instead of the one that is shown."""
    (old,) = Gimp.get_images()
    image = stage.load("coffee.jpg")
    stage.select_ellipse(image)
    image.clean_all()
    image.undo_enable()  # GIMP keeps no steps of images that a script opened
    Gimp.displays_reconnect(old, image)
    Gimp.displays_flush()


def look() -> Facts:
    """The state of the one image that is open, and whether a run of the filter goes on."""
    (image,) = Gimp.get_images()
    facts = stage.state_of(image)
    names = [layer.get_name() for layer in image.get_layers()]
    return facts | {"names": names, "processes": stage.plugin_processes()}


def dump_visible(name: str) -> None:
    """Write the pixels that the user sees, R'G'B' u8."""
    (image,) = Gimp.get_images()
    copy = image.duplicate()
    try:
        stage.dump(name, stage.pixels(copy.flatten(), "R'G'B' u8"))
    finally:
        copy.delete()


def dump_selection(name: str) -> None:
    """Write the selection's shares, u8."""
    (image,) = Gimp.get_images()
    stage.dump(name, stage.pixels(image.get_selection(), "Y u8"))
