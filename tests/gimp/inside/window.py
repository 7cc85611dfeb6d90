"""What the tests with a window ask a running GIMP beside its user: to open a photo, and what is so."""

from __future__ import annotations

import sys
from pathlib import Path

from gi.repository import Gimp
from inside import stage
from inside.stage import Facts

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # where ``gimp_plugin`` is
from gimp_plugin.choices import arguments
from gimp_plugin.filter import lastlayers


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


def remember_style_layer() -> None:
    """As if the last run had taken its style from a layer of another image."""
    (layer,) = stage.load("chelsea.jpg").get_layers()
    layer.set_name("Cat")
    config = Gimp.get_pdb().lookup_procedure("impasto-stylize").create_config()
    config.set_property("style-layer", layer)
    lastlayers.keep(arguments.read(config))


def forget_style_layer(number: int) -> None:
    """Close every image but one."""
    for image in Gimp.get_images():
        if image.get_id() != number:
            image.delete()


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
