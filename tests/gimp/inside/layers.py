"""Scenes: layers of every kind and place, masks, styles from everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gi.repository import Gimp, Gio
from inside import stage
from inside.stage import Engine, Facts

from gimp_plugin import wire
from gimp_plugin.choices import catalog
from gimp_plugin.choices.arguments import checked, read
from gimp_plugin.filter import job


def in_a_group(engine: Engine) -> Facts:
    """A small layer, moved, in a group in a group, between two others; half of it selected."""
    image = stage.load("chelsea.jpg")
    (background,) = image.get_layers()
    outer, inner = Gimp.GroupLayer.new(image, "outer"), Gimp.GroupLayer.new(image, "inner")
    image.insert_layer(outer, None, 0)
    image.insert_layer(inner, outer, 0)
    layers = []
    for name in ("top", "cat", "bottom"):
        layer = Gimp.Layer.new_from_drawable(background, image)
        layer.set_name(name)
        image.insert_layer(layer, inner, len(layers))
        layers.append(layer)
    source = layers[1]
    source.resize(200, 150, -100, -80)  # its pixels are those of the image at (100, 80)
    source.set_offsets(-30, 40)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 60, 300)
    before = stage.layer_facts(source)
    layer, facts = stage.run_filter(image, [source])
    job = engine.last_job()
    stage.dump("in_a_group-source", stage.pixels(source, "R'G'B'A u8"))
    stage.dump("in_a_group-layer", stage.pixels(layer, "R'G'B'A u8"))
    stage.dump("in_a_group-mask", stage.pixels(layer.get_mask(), "Y u8"))
    return facts | {"before": before, "layer": stage.layer_facts(layer), "content": job["content"]}


def whole_layer(engine: Engine) -> Facts:
    """Only the selection: off. Something is selected all the same."""
    image = stage.load("chelsea.jpg")
    stage.select_ellipse(image)
    (source,) = image.get_layers()
    layer, facts = stage.run_filter(image, [source], selection_only=False)
    return facts | {
        "layer": stage.layer_facts(layer),
        "job": engine.last_job(),
        "is_negative": _is_negative(source, layer),
    }


def repeated(engine: Engine) -> Facts:
    """Filters > Repeat with nothing selected, as somebody does it who has painted a whole layer before."""
    image = stage.load("chelsea.jpg")
    (source,) = image.get_layers()
    layer, facts = stage.run_filter(image, [source], run_mode=Gimp.RunMode.WITH_LAST_VALS)
    return facts | {
        "layer": stage.layer_facts(layer),
        "job": engine.last_job(),
        "is_negative": _is_negative(source, layer),
    }


def feathered(_engine: Engine) -> Facts:
    """A hard selection, softened by the filter; beside it what GIMP's own Select > Feather makes of it."""
    image = stage.load("chelsea.jpg")
    stage.select_ellipse(image, feather_px=0)
    before = stage.state_of(image)
    layer, facts = stage.run_filter(image, image.get_layers(), feather=25.0)
    stage.dump("feathered-mask", stage.pixels(layer.get_mask(), "Y float"))
    after = stage.state_of(image)
    Gimp.Selection.feather(image, 25.0)
    stage.dump("feathered-expected", stage.pixels(image.get_selection(), "Y float"))
    return facts | {"selection_is_untouched": before["selection"] == after["selection"]}


def hard_edge(engine: Engine) -> Facts:
    """A soft selection whose edge the engine draws anew (the fake one cuts it at one half)."""
    image = stage.load("chelsea.jpg")
    stage.select_ellipse(image)
    before = stage.state_of(image)
    layer, facts = stage.run_filter(image, image.get_layers(), blend="hard")
    stage.dump("hard_edge-mask", stage.pixels(layer.get_mask(), "Y u8"))
    stage.dump("hard_edge-selection", stage.pixels(image.get_selection(), "Y u8"))
    return facts | {"selection_is_untouched": before["selection"] == stage.state_of(image)["selection"]}


def with_a_mask(_engine: Engine) -> Facts:
    """The source has a mask of its own: left half. Once with a selection, once without."""
    image = stage.load("chelsea.jpg")
    (source,) = image.get_layers()
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, image.get_width() // 2, image.get_height())
    mask = source.create_mask(Gimp.AddMaskType.SELECTION)
    source.add_mask(mask)
    own = stage.digest(mask)
    Gimp.Selection.none(image)
    whole, facts = stage.run_filter(image, [source], selection_only=False)
    facts["whole_keeps_it"] = whole.get_mask() is not None and stage.digest(whole.get_mask()) == own
    stage.select_ellipse(image)
    part, _ = stage.run_filter(image, [source])
    for name, drawable in (("own", mask), ("both", part.get_mask()), ("selection", image.get_selection())):
        stage.dump(f"with_a_mask-{name}", stage.pixels(drawable, "Y u8"))
    return facts | {"source_keeps_it": stage.digest(source.get_mask()) == own, "layer": stage.layer_facts(part)}


def odd_looking(_engine: Engine) -> Facts:
    """Half opaque, multiplied, hidden, tagged, in part locked: the new layer is an ordinary one."""
    image = stage.load("chelsea.jpg")
    (source,) = image.get_layers()
    source.set_opacity(50.0)
    source.set_mode(Gimp.LayerMode.MULTIPLY)
    source.set_visible(False)
    source.set_lock_alpha(True)
    source.set_lock_position(True)
    layer, facts = stage.run_filter(image, [source], selection_only=False)
    return facts | {"layer": stage.layer_facts(layer), "is_negative": _is_negative(source, layer)}


def clipped(_engine: Engine) -> Facts:
    """An ordinary layer, but clipped to itself."""
    image = stage.load("chelsea.jpg")
    (source,) = image.get_layers()
    source.set_composite_mode(Gimp.LayerCompositeMode.CLIP_TO_LAYER)
    stage.select_ellipse(image)
    layer, facts = stage.run_filter(image, [source])
    return facts | {"layer": stage.layer_facts(layer)}


def changed_meanwhile(_engine: Engine) -> Facts:
    """While a layer is painted the user selects nothing; or resizes the layer; or deletes it."""
    config = Gimp.get_pdb().lookup_procedure("impasto-stylize").create_config()
    choices = checked(read(config), catalog.load())
    facts: Facts = {}
    compute = job.ask
    for what in ("unselected", "resized", "deleted"):
        image = stage.load("chelsea.jpg")
        (source,) = image.get_layers()
        stage.select_ellipse(image)
        stage.dump("changed_meanwhile-source", stage.pixels(source, "R'G'B'A u8"))
        stage.dump("changed_meanwhile-selection", stage.pixels(image.get_selection(), "Y float"))
        change = {
            "unselected": lambda image=image: Gimp.Selection.none(image),
            "resized": lambda source=source: source.resize(200, 100, 0, 0),
            "deleted": lambda image=image, source=source: image.remove_layer(source),
        }[what]

        def change_and_compute(*given: Any, change: Callable[[], object] = change) -> wire.StylizeResult:
            change()
            return compute(*given)

        job.ask = change_and_compute
        try:
            layer = job.stylize(image, [source], choices, catalog.load())
        finally:
            job.ask = compute
        stage.dump(f"changed_meanwhile-{what}", stage.pixels(layer.get_mask(), "Y float"))
        stage.dump(f"changed_meanwhile-{what}-layer", stage.pixels(layer, "R'G'B'A u8"))
        facts[what] = stage.layer_facts(layer)
    return facts


def text(_engine: Engine) -> Facts:
    """A text layer is painted as what it shows, and stays text."""
    image = stage.load("chelsea.jpg")
    source = Gimp.TextLayer.new(image, "Impasto", Gimp.context_get_font(), 80, Gimp.Unit.pixel())
    image.insert_layer(source, None, 0)
    source.set_offsets(20, 30)
    layer, facts = stage.run_filter(image, [source], selection_only=False)
    return facts | {
        "before": stage.layer_facts(source),
        "layer": stage.layer_facts(layer),
        "is_negative": _is_negative(source, layer),
        "source_is_text": source.is_text_layer(),
    }


def group(_engine: Engine) -> Facts:
    """A group is painted as the picture that it shows."""
    image = stage.load("chelsea.jpg")
    (background,) = image.get_layers()
    source = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(source, None, 0)
    member = Gimp.Layer.new_from_drawable(background, image)
    image.insert_layer(member, source, 0)
    member.set_offsets(15, 25)
    stage.select_ellipse(image)
    layer, facts = stage.run_filter(image, [source])
    return facts | {"before": stage.layer_facts(source), "layer": stage.layer_facts(layer)}


def with_effects(_engine: Engine) -> Facts:
    """What is painted is what is seen. The effect inverts, so the negative of what is seen is the bare layer."""
    image = stage.load("chelsea.jpg")
    (source,) = image.get_layers()
    source.append_filter(Gimp.DrawableFilter.new(source, "gegl:invert-gamma", "Invert"))
    layer, facts = stage.run_filter(image, [source], selection_only=False)
    painted, bare = stage.pixels(layer, "R'G'B'A u8"), stage.pixels(source, "R'G'B'A u8")
    worst = max(abs(a - b) for a, b in zip(painted, bare, strict=True))
    return facts | {"worst": worst, "layer": stage.layer_facts(layer), "effects_left": len(source.get_filters())}


def wide_colors(engine: Engine) -> Facts:
    """8 bits in a wider color space: floats cross the wire, so that nothing is cut off."""
    image = stage.load("chelsea.jpg")
    image.set_color_profile(Gimp.ColorProfile.new_rgb_adobe())
    (source,) = image.get_layers()
    before = stage.digest(source)
    stage.select_ellipse(image, feather_px=0)
    layer, facts = stage.run_filter(image, [source], strength=0.0)
    same = stage.pixels(layer) == stage.pixels(source)
    return facts | {
        "job": engine.last_job(),
        "strength_0_changes_nothing": same,
        "kept": before == stage.digest(source),
    }


def tiny(_engine: Engine) -> Facts:
    """One pixel."""
    image = Gimp.Image.new(1, 1, Gimp.ImageBaseType.RGB)
    source = Gimp.Layer.new(image, "dot", 1, 1, Gimp.ImageType.RGBA_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(source, None, 0)
    Gimp.Selection.all(image)
    layer, facts = stage.run_filter(image, [source])
    return facts | {"layer": stage.layer_facts(layer)}


def clipboard(_engine: Engine) -> Facts:
    """What was copied before can be pasted after."""
    image = stage.load("chelsea.jpg")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 20, 33, 44)
    Gimp.edit_copy(image.get_layers())
    stage.select_ellipse(image)
    _layer, facts = stage.run_filter(image, image.get_layers())
    pasted = Gimp.edit_paste_as_new_image()
    image.crop(33, 44, 10, 20)
    same = stage.pixels(pasted.flatten()) == stage.pixels(image.get_layers()[-1])
    return facts | {"pasted": [pasted.get_width(), pasted.get_height()], "pasted_is_what_was_copied": same}


def styles(engine: Engine) -> Facts:
    """Each source of a style alone, then all at once, then all at once with one named."""
    image, other = stage.load("chelsea.jpg"), stage.load("coffee.jpg")
    other.get_layers()[0].set_name("Coffee")
    file = Gio.File.new_for_path(str(stage.FOLDER / "large.jpg"))
    layer = other.get_layers()[0]
    cases = {
        "nothing": {},
        "preset": {"style_preset": "great-wave"},
        "file": {"style_file": file},
        "layer": {"style_layer": layer},
        "file and preset": {"style_file": file, "style_preset": "great-wave"},
        "all": {"style_layer": layer, "style_file": file, "style_preset": "great-wave"},
        "all, preset named": {"style_layer": layer, "style_preset": "great-wave", "style_source": "preset"},
        "all, file named": {"style_layer": layer, "style_file": file, "style_source": "file"},
    }
    facts: Facts = {}
    for name, arguments in cases.items():
        painted, run = stage.run_filter(image, [image.get_layers()[-1]], selection_only=False, **arguments)
        job = engine.last_job()
        facts[name] = run | {key: job[key] for key in ("style", "preset", "picture")}
        facts[name]["layer_name"] = painted.get_name()
    return facts | {"n_images": len(Gimp.get_images()), "other_is_untouched": len(other.get_layers()) == 1}


def every_argument(engine: Engine) -> Facts:
    """All settings reach the engine."""
    image = stage.load("chelsea.jpg")
    layer, facts = stage.run_filter(
        image,
        image.get_layers(),
        selection_only=False,
        method="anystyle",
        strength=0.25,
        color="luminance",
        color_map="histogram",
        photoreal=0.75,
        blend="mrf",
        style_size=300,
        seed=7,
        device="cpu",
        quality="better",
        options="iterations = 50",
    )
    return facts | {"job": engine.last_job(), "layer": stage.layer_facts(layer)}


def label_maps(engine: Engine) -> Facts:
    """Regions from two layers: one that is hidden, smaller than the picture and moved; one over the style's layer."""
    image, other = stage.load("chelsea.jpg"), stage.load("coffee.jpg")
    source, style = image.get_layers()[0], other.get_layers()[0]
    ours = stage.two_colors(image, 300, 300, "red", "blue")
    ours.set_offsets(100, 0)
    ours.set_visible(False)
    theirs = stage.two_colors(other, 700, 500, "blue", "red")
    theirs.set_offsets(-50, -50)
    _layer, facts = stage.run_filter(
        image,
        [source],
        selection_only=False,
        style_layer=style,
        regions="layers",
        region_map=ours,
        style_region_map=theirs,
    )
    both = engine.last_job()
    file = Gio.File.new_for_path(str(stage.FOLDER / "large.jpg"))
    arguments = {"regions": "layers", "region_map": ours, "style_region_map": theirs}
    stage.select_ellipse(image)
    stage.run_filter(image, [source], style_file=file, style_source="file", **arguments)
    over_a_file = engine.last_job()
    stage.run_filter(image, [source], style_layer=style, regions="auto")
    return facts | {
        "both": both,
        "over_a_file": over_a_file,
        "found": engine.last_job(),
        "style_size": [style.get_height(), style.get_width()],
        "maps_are_untouched": not ours.get_visible() and ours.get_offsets()[1:] == (100, 0),
    }


def several_layers(engine: Engine) -> Facts:
    """Two selected layers: two new ones, one step of undo, and the engine is told of both."""
    image = stage.load("chelsea.jpg")
    image.insert_layer(Gimp.Layer.new_from_drawable(image.get_layers()[0], image), None, 0)
    sources = image.get_layers()
    first, facts = stage.run_filter(image, sources, selection_only=False)
    new = [layer for layer in image.get_layers() if layer not in sources]
    places = [image.get_item_position(layer) for layer in new]
    job = engine.last_job()
    stage.run_filter(image, sources, selection_only=False, consistent=False)
    return facts | {
        "n_new": len(new),
        "places": places,
        "first_is_above_the_first": first is not None and first in new and image.get_item_position(first) == 0,
        "n_series": job["n_series"],
        "n_series_without": engine.last_job()["n_series"],
        "is_painted": all(_is_negative(source, layer) for source, layer in zip(sources, new, strict=True)),
    }


def _is_negative(source: Gimp.Layer, layer: Gimp.Layer) -> bool:
    """Whether the fake engine's negative of the one is the other, alpha kept."""
    expected = bytearray(stage.pixels(source, "R'G'B'A u8"))
    for channel in range(3):
        expected[channel::4] = bytes(255 - value for value in expected[channel::4])
    painted = stage.pixels(layer, "R'G'B'A u8")
    is_seen = [alpha > 0 for alpha in expected[3::4]]
    return painted[3::4] == expected[3::4] and all(
        painted[4 * i : 4 * i + 3] == expected[4 * i : 4 * i + 3] for i, seen in enumerate(is_seen) if seen
    )


SCENES: dict[str, Callable[[Engine], Facts]] = {
    scene.__name__: scene
    for scene in (
        in_a_group,
        whole_layer,
        repeated,
        feathered,
        hard_edge,
        with_a_mask,
        odd_looking,
        clipped,
        changed_meanwhile,
        text,
        group,
        with_effects,
        wide_colors,
        tiny,
        clipboard,
        styles,
        every_argument,
        label_maps,
        several_layers,
    )
}
