"""What the tests with a window ask a running GIMP beside its user: to open a photo, and what is so."""

from __future__ import annotations

from gi.repository import Gimp
from inside import stage
from inside.stage import Facts


def start_afresh() -> int:
    """Show a new photo with a soft ellipse selected instead of the one that is shown.

    Returns:
        The new image's number: the filter may open others for a moment.
    """
    (old,) = Gimp.get_images()
    image = stage.load("coffee.jpg")
    stage.select_ellipse(image)
    image.clean_all()
    image.undo_enable()  # GIMP keeps no steps of images that a script opened
    Gimp.displays_reconnect(old, image)
    Gimp.displays_flush()
    return image.get_id()


def look(number: int) -> Facts:
    """The state of an image, and whether a run of the filter goes on."""
    image = Gimp.Image.get_by_id(number)
    facts = stage.state_of(image)
    names = [layer.get_name() for layer in image.get_layers()]
    return facts | {"names": names, "processes": stage.plugin_processes()}


def dump_visible(number: int, name: str) -> None:
    """Write the pixels that the user sees, R'G'B' u8."""
    image = Gimp.Image.get_by_id(number)
    copy = image.duplicate()
    try:
        stage.dump(name, stage.pixels(copy.flatten(), "R'G'B' u8"))
    finally:
        copy.delete()


def dump_selection(number: int, name: str) -> None:
    """Write the selection's shares, u8."""
    image = Gimp.Image.get_by_id(number)
    stage.dump(name, stage.pixels(image.get_selection(), "Y u8"))
