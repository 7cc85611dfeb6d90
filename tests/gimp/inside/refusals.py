"""Scenes in which the filter cannot do its work: what it says, and that nothing changes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

from gi.repository import Gegl, Gimp
from inside import stage
from inside.stage import FOLDER, STATE, Engine, Facts

Setting = tuple[Gimp.Image, list[Gimp.Drawable], dict[str, object]]


def nothing_selected() -> Setting:
    image = stage.load("chelsea.jpg")
    return image, image.get_layers(), {}


def selection_elsewhere() -> Setting:
    image = stage.load("chelsea.jpg")
    (layer,) = image.get_layers()
    layer.resize(100, 100, 0, 0)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 200, 200, 50, 50)
    return image, [layer], {}


def locked_group() -> Setting:
    image = stage.load("chelsea.jpg")
    (background,) = image.get_layers()
    group = Gimp.GroupLayer.new(image, "Keep out")
    image.insert_layer(group, None, 0)
    layer = Gimp.Layer.new_from_drawable(background, image)
    image.insert_layer(layer, group, 0)
    group.set_lock_content(True)
    return image, [layer], {"selection_only": False}


def indexed() -> Setting:
    image = stage.load("indexed.png")
    return image, image.get_layers(), {"selection_only": False}


def channel() -> Setting:
    image = stage.load("chelsea.jpg")
    made = Gimp.Channel.new(image, "mine", image.get_width(), image.get_height(), 50.0, Gegl.Color.new("red"))
    image.insert_channel(made, None, 0)
    return image, [made], {"selection_only": False}


def layer_mask() -> Setting:
    image = stage.load("chelsea.jpg")
    (layer,) = image.get_layers()
    layer.add_mask(layer.create_mask(Gimp.AddMaskType.WHITE))
    return image, [layer.get_mask()], {"selection_only": False}


def floating() -> Setting:
    image = stage.load("chelsea.jpg")
    (layer,) = image.get_layers()
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 10, 50, 50)
    Gimp.edit_copy([layer])
    (pasted,) = Gimp.edit_paste(layer, False)
    return image, [pasted], {"selection_only": False}


def empty_group() -> Setting:
    image = stage.load("chelsea.jpg")
    group = Gimp.GroupLayer.new(image, "Nothing in it")
    image.insert_layer(group, None, 0)
    return image, [group], {"selection_only": False}


def no_style_layer() -> Setting:
    image = stage.load("chelsea.jpg")
    return image, image.get_layers(), {"selection_only": False, "style_source": "layer"}


def tiny_brush() -> Setting:
    image = stage.load("chelsea.jpg")
    return image, image.get_layers(), {"selection_only": False, "style_size": 5}


def no_label_map() -> Setting:
    image = stage.load("chelsea.jpg")
    return image, image.get_layers(), {"selection_only": False, "regions": "layers"}


def label_map_elsewhere() -> Setting:
    image, other = stage.load("chelsea.jpg"), stage.load("coffee.jpg")
    arguments = {"regions": "layers", "region_map": other.get_layers()[0], "style_region_map": image.get_layers()[0]}
    return image, image.get_layers(), {"selection_only": False, **arguments}


def good() -> Setting:
    """Nothing is wrong with the picture; the engine will be."""
    image = stage.load("chelsea.jpg")
    stage.select_ellipse(image)
    return image, image.get_layers(), {}


def try_in_vain(setting: Callable[[], Setting], engine: Engine) -> Facts:
    """Run the filter, and write down what it said and what is different afterwards."""
    image, drawables, arguments = setting()
    image.clean_all()
    n_jobs, before = engine.n_jobs(), stage.state_of(image)
    _layer, facts = stage.run_filter(image, drawables, **arguments)
    return facts | {
        "before": before,
        "after": stage.state_of(image),
        "jobs_sent": engine.n_jobs() - n_jobs,
        "processes": stage.plugin_processes(),
    }


def engine_dies(engine: Engine) -> Facts:
    """kill -9 while it paints; and the next run, with an engine again, works."""
    engine.behave("die")
    facts = try_in_vain(good, engine)
    engine.stop()
    engine.behave("negative")
    engine.start()
    return facts | {"next": try_again()}


def disk_full(engine: Engine) -> Facts:
    engine.behave("disk_full")
    facts = try_in_vain(good, engine)
    engine.behave("negative")
    return facts | {"next": try_again()}


def a_fault(engine: Engine) -> Facts:
    """Nobody has thought of this: half of an update."""
    file = FOLDER / "profile" / "plug-ins" / "impasto" / "gimp_plugin" / "filter" / "job.py"
    text = file.read_text()
    file.write_text(f"{text}\n\ndef stylize(*_):\n    raise RuntimeError('half of an update.\\nand more')\n")
    try:
        return try_in_vain(good, engine)
    finally:
        file.write_text(text)


def no_engine(engine: Engine) -> Facts:
    """None runs, and none can be started."""
    engine.stop()
    (STATE / "refuse-start").touch()
    return try_in_vain(good, engine)


def engine_starts(engine: Engine) -> Facts:
    """None runs, but the plug-in can start one."""
    engine.stop()
    (STATE / "refuse-start").unlink(missing_ok=True)
    try:
        return {"run": try_again()}
    finally:
        started = json.loads((STATE / "engine.json").read_text())
        os.kill(started["pid"], signal.SIGTERM)


def try_again() -> Facts:
    image, drawables, arguments = good()
    return stage.run_filter(image, drawables, **arguments)[1] | {"n_layers": len(image.get_layers())}


PICTURES = (
    nothing_selected,
    selection_elsewhere,
    locked_group,
    indexed,
    channel,
    layer_mask,
    floating,
    empty_group,
    no_style_layer,
    tiny_brush,
    no_label_map,
    label_map_elsewhere,
)
ENGINES = (engine_dies, disk_full, a_fault, no_engine, engine_starts)
