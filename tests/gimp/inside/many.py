"""Scenes: several layers at once, locked ones, very large ones."""

from __future__ import annotations

import json
from collections.abc import Callable

from gi.repository import Gimp, Gio
from inside import stage
from inside.stage import FOLDER, Engine, Facts

from gimp_plugin.choices import arguments
from gimp_plugin.filter import lastlayers

N_LAYERS = 18


def one_missed(_engine: Engine) -> Facts:
    """Three layers: the selection's rectangle misses the second; of the third it holds only a part that is cut out."""
    image = stage.load("chelsea.jpg")
    (first,) = image.get_layers()
    second, third = (Gimp.Layer.new_from_drawable(first, image) for _ in range(2))
    for layer, name in ((second, "Elsewhere"), (third, "In the hole")):
        layer.set_name(name)
        image.insert_layer(layer, None, 0)
        layer.resize(40, 40, 0, 0)
    second.set_offsets(400, 250)
    third.set_offsets(100, 100)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 20, 200, 200)
    image.select_rectangle(Gimp.ChannelOps.SUBTRACT, 90, 90, 60, 60)
    layer, facts = stage.run_filter(image, [second, first, third])
    settings = json.loads(bytes(layer.get_parasite("impasto-settings").get_data()).decode())
    names = [item.get_name() for item in image.get_layers()]
    return facts | {"n_layers": len(names), "notes": settings["report"]["notes"], "names": names}


def all_missed(engine: Engine) -> Facts:
    """Two layers of which the selection misses both: nothing can be painted."""
    image = stage.load("chelsea.jpg")
    (first,) = image.get_layers()
    second = Gimp.Layer.new_from_drawable(first, image)
    image.insert_layer(second, None, 0)
    for layer in (first, second):
        layer.resize(40, 40, 0, 0)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 200, 200, 50, 50)
    n_jobs = engine.n_jobs()
    _layer, facts = stage.run_filter(image, [first, second])
    return facts | {"n_layers": len(image.get_layers()), "jobs_sent": engine.n_jobs() - n_jobs}


def locked(_engine: Engine) -> Facts:
    """A layer whose pixels are locked is only read; the new one is not locked."""
    image = stage.load("chelsea.jpg")
    (source,) = image.get_layers()
    source.set_lock_content(True)
    before = stage.digest(source)
    layer, facts = stage.run_filter(image, [source], selection_only=False)
    return facts | {
        "is_locked": layer.get_lock_content(),
        "is_painted": stage.digest(layer) != before,
        "is_kept": stage.digest(source) == before and source.get_lock_content(),
    }


def eighteen(engine: Engine) -> Facts:
    """More layers than a series is measured on."""
    image = stage.load("chelsea.jpg")
    image.scale(90, 60)
    for _ in range(N_LAYERS - 1):
        image.insert_layer(Gimp.Layer.new_from_drawable(image.get_layers()[0], image), None, 0)
    _layer, facts = stage.run_filter(image, image.get_layers(), selection_only=False)
    return facts | {"n_layers": len(image.get_layers()), "n_series": engine.last_job()["n_series"]}


def large(engine: Engine) -> Facts:
    """Panoramas are painted; what has too many pixels is refused before anything is computed."""
    facts: Facts = {}
    for width, height in ((10000, 100), (9000, 3000), (10100, 10000)):
        image = blank(width, height)
        n_jobs = engine.n_jobs()
        layer, run = stage.run_filter(image, image.get_layers(), selection_only=False)
        facts[f"{width} x {height}"] = run | {
            "size": layer and [layer.get_width(), layer.get_height()],
            "jobs_sent": engine.n_jobs() - n_jobs,
        }
        image.delete()
    return facts


def small_part_of_a_large_one(engine: Engine) -> Facts:
    """Only what is painted counts: a selection in a layer of 180 megapixels."""
    image = blank(16384, 11000)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 9000, 9000, 300, 200)
    _layer, facts = stage.run_filter(image, image.get_layers())
    return facts | {"content": engine.last_job()["content"]}


def large_styles(engine: Engine) -> Facts:
    """180 megapixels as a style, from a file and from a layer with label maps: read small."""
    image, other = stage.load("chelsea.jpg"), blank(16384, 11000)
    (photo,), (style,) = image.get_layers(), other.get_layers()
    ours, theirs = (stage.two_colors(owner, 400, 400, "red", "blue") for owner in (image, other))
    theirs.set_offsets(8192 - 200, 11000 - 400)
    file = Gio.File.new_for_path(str(FOLDER / "huge.png"))
    maps = {"regions": "layers", "region_map": ours, "style_region_map": theirs}
    facts: Facts = {}
    for name, chosen in (("file", {"style_file": file}), ("layer", {"style_layer": style, **maps})):
        _layer, run = stage.run_filter(image, [photo], selection_only=False, **chosen)
        facts[name] = run | {what: engine.last_job()[what] for what in ("picture", "style_labels")}
    return facts


def object_in_a_panorama(engine: Engine) -> Facts:
    """Its rectangle lies far to the right."""
    image = blank(12000, 400)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 500, 100, 11000, 200)
    return stage.select_object(image) | {"box": engine.last_job().get("box")}


def remembered(engine: Engine) -> Facts:
    """Repeat with the layer that the dialog chose; so does Repeat of an object; once more when that layer is gone."""
    image, other = stage.load("chelsea.jpg"), stage.load("coffee.jpg")
    style = other.get_layers()[0]
    style.set_name("Coffee")
    config = Gimp.get_pdb().lookup_procedure("impasto-stylize").create_config()
    config.set_property("style-layer", style)
    lastlayers.keep(arguments.read(config))
    mode = {"run_mode": Gimp.RunMode.WITH_LAST_VALS}
    _layer, there = stage.run_filter(image, image.get_layers()[-1:], **mode)
    style_there = engine.last_job()["style"]
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 50, 50)
    objects = Gimp.get_pdb().lookup_procedure("impasto-select-object").create_config()
    objects.set_property("run-mode", Gimp.RunMode.WITH_LAST_VALS)
    objects.set_property("image", image)
    objects.set_core_object_array("drawables", image.get_layers()[-1:])
    repeated = stage.status_name(objects.get_procedure().run(objects).index(0))
    repeated_style = engine.last_job().get("style")
    Gimp.Selection.none(image)
    other.delete()
    n_jobs = engine.n_jobs()
    _layer, gone = stage.run_filter(image, image.get_layers()[-1:], **mode)
    Gimp.detach_parasite("impasto-last-layers")
    facts = {"there": there | {"style": style_there}, "gone": gone, "jobs_sent": engine.n_jobs() - n_jobs}
    return facts | {"repeated": repeated, "repeated_style": repeated_style}


def blank(width: int, height: int) -> Gimp.Image:
    image = Gimp.Image.new(width, height, Gimp.ImageBaseType.RGB)
    layer = Gimp.Layer.new(image, "long", width, height, Gimp.ImageType.RGB_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, None, 0)
    return image


SCENES: dict[str, Callable[[Engine], Facts]] = {
    scene.__name__: scene
    for scene in (
        one_missed,
        all_missed,
        locked,
        eighteen,
        large,
        small_part_of_a_large_one,
        large_styles,
        object_in_a_panorama,
        remembered,
    )
}
