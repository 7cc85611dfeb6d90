"""Scenes of "Object in Selection": what was visible, what is selected afterwards, and what it says in vain."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gimp
from inside import stage
from inside.stage import Engine, Facts

BOX = (120, 60, 200, 150)  # x, y, width, height
LARGE_BOX = (2000, 1000, 300, 200)


def plain(engine: Engine) -> Facts:
    """A rough rectangle in a photo."""
    return found(stage.load("chelsea.jpg"), "plain", engine)


def round_selection(engine: Engine) -> Facts:
    """A soft ellipse is an outline, and goes with the rectangle around it; arguments reach the engine."""
    image = stage.load("chelsea.jpg")
    stage.select_ellipse(image)
    _ok, _is_any, x1, y1, x2, y2 = Gimp.Selection.bounds(image)
    n_inside = sum(value >= 128 for value in stage.pixels(image.get_selection(), "Y u8"))
    facts = stage.select_object(image, model="sam-vit-b", edge="hard")
    return facts | {"job": engine.last_job(), "bounds": [x1, y1, x2, y2], "n_inside": n_inside}


def covered(engine: Engine) -> Facts:
    """What is visible counts, not the layer that is selected: a half transparent one lies over the photo, moved."""
    image = stage.load("chelsea.jpg")
    cover = Gimp.Layer.new(image, "cover", 180, 300, Gimp.ImageType.RGBA_IMAGE, 60.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(cover, None, 0)
    cover.set_offsets(150, -20)
    cover.fill(Gimp.FillType.WHITE)
    hidden = Gimp.Layer.new(image, "hidden", 451, 300, Gimp.ImageType.RGB_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(hidden, None, 0)
    hidden.set_visible(False)
    return found(image, "covered", engine)


def deep(engine: Engine) -> Facts:
    """An image of 32-bit floats."""
    return found(stage.load("chelsea.tif"), "deep", engine)


def indexed_colors(engine: Engine) -> Facts:
    """An indexed image: selecting needs no more colors."""
    return found(stage.load("indexed.png"), "indexed_colors", engine)


def gray(engine: Engine) -> Facts:
    """A gray image."""
    image = stage.load("chelsea.jpg")
    image.convert_grayscale()
    return found(image, "gray", engine)


def large(engine: Engine) -> Facts:
    """Of a very large image only the surroundings are sent."""
    image = stage.load("large.jpg")
    image.scale(5000, 2400)
    return found(image, "large", engine, LARGE_BOX)


def unselected(engine: Engine) -> Facts:
    """Nothing is selected: what stands out in the picture is."""
    return found(stage.load("chelsea.jpg"), "unselected", engine, None)


def found(image: Gimp.Image, name: str, engine: Engine, box: tuple[int, int, int, int] | None = BOX) -> Facts:
    """Run it, and write down what was visible and what is selected."""
    if box is not None:
        image.select_rectangle(Gimp.ChannelOps.REPLACE, *box)
    before = stage.state_of(image)
    facts = stage.select_object(image)
    after = stage.state_of(image)
    stage.dump(f"object-{name}-selection", stage.pixels(image.get_selection(), "Y u8"))
    copy = image.duplicate()
    if copy.get_base_type() == Gimp.ImageBaseType.INDEXED:
        copy.convert_rgb()
    stage.dump(f"object-{name}-visible", stage.pixels(copy.flatten(), "R'G'B' u8"))
    copy.delete()
    kept = ("layers", "channels", "selected_layers", "n_images")
    size = {"width": image.get_width(), "height": image.get_height(), "dtype": "u1"}
    return facts | size | {"kept": [before[part] == after[part] for part in kept], "job": engine.last_job()}


def refused(prepare: Callable[[], Gimp.Image], engine: Engine, **arguments: object) -> Facts:
    """Run it in vain; what it said, and what is different afterwards."""
    image = prepare()
    image.clean_all()
    n_jobs, before = engine.n_jobs(), stage.state_of(image)
    facts = stage.select_object(image, **arguments)
    return facts | {
        "before": before,
        "after": stage.state_of(image),
        "jobs_sent": engine.n_jobs() - n_jobs,
        "processes": stage.plugin_processes(),
    }


def with_a_box() -> Gimp.Image:
    image = stage.load("chelsea.jpg")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, *BOX)
    return image


def with_something_floating() -> Gimp.Image:
    image = with_a_box()
    (layer,) = image.get_layers()
    Gimp.edit_copy([layer])
    Gimp.edit_paste(layer, False)
    return image


def of_a_floating_one(engine: Engine) -> Facts:
    return refused(with_something_floating, engine)


def of_a_file(engine: Engine) -> Facts:
    return refused(with_a_box, engine, model="/home/me/weights.pth")


def of_nothing(engine: Engine) -> Facts:
    engine.behave("nothing")
    try:
        return refused(with_a_box, engine)
    finally:
        engine.behave("negative")


def of_a_dying_engine(engine: Engine) -> Facts:
    engine.behave("die")
    try:
        return refused(with_a_box, engine)
    finally:
        engine.stop()
        engine.behave("negative")
        engine.start()


def tidy(_engine: Engine) -> Facts:
    """Nothing is left of what it needs on the way."""
    image = with_a_box()
    facts = stage.select_object(image)
    return facts | {"n_layers": len(image.get_layers()), "n_channels": len(image.get_channels())}


FOUND = (plain, covered, deep, indexed_colors, gray, large, unselected)
REFUSED = (of_a_floating_one, of_a_file, of_nothing, of_a_dying_engine)
SCENES = {f"object {scene.__name__}": scene for scene in (*FOUND, round_selection, tidy, *REFUSED)}
