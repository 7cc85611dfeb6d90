"""Scenes: a layer that the filter painted is painted again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from gi.repository import Gimp
from inside import stage
from inside.stage import Engine, Facts

NAME = "impasto-settings"


def changed(engine: Engine) -> Facts:
    """Painted, then changed to half the strength, while other things are selected and the source has other pixels."""
    image, source, painting, _ = _painted()
    first, mask = engine.last_job(), stage.digest(painting.get_mask())
    painting.set_opacity(60.0)
    painting.set_mode(Gimp.LayerMode.MULTIPLY)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 20, 20)
    stage.set_pixels(source, "R'G'B'A u8", stage.pixels(source, "R'G'B'A u8")[::-1])  # turned, so alpha comes first
    stage.set_pixels(source, "A u8", b"\xff" * (source.get_width() * source.get_height()))
    before = stage.state_of(image)
    after, facts = stage.run_filter(image, [painting], change_painting=True, strength=0.5)
    return facts | {
        "n_layers": len(image.get_layers()),
        "place": image.get_item_position(after),
        "is_old_gone": not painting.is_valid(),
        "keeps_mask": stage.digest(after.get_mask()) == mask,
        "keeps_selection": stage.state_of(image)["selection"] == before["selection"],
        "opacity": after.get_opacity(),
        "is_multiplied": after.get_mode() == Gimp.LayerMode.MULTIPLY,
        "jobs": [_seen(first), _seen(engine.last_job())],
        "worst": _worst(source, after, engine.last_job()),
        "name": after.get_name(),
        "selected": [layer.get_id() for layer in image.get_selected_layers()] == [after.get_id()],
    }


def renamed(_engine: Engine) -> Facts:
    """A name that the user gave stays; the filter's own tells what is there now."""
    image, _source, painting, _ = _painted()
    painting, facts = stage.run_filter(image, [painting], change_painting=True, style_preset="great-wave")
    ours = painting.get_name()
    painting.set_name("my cat")
    painting, _ = stage.run_filter(image, [painting], change_painting=True)
    return facts | {"ours": ours, "theirs": painting.get_name()}


def not_asked(engine: Engine) -> Facts:
    """A script that says nothing paints what it gives: the painting. The negative of a negative is the photo."""
    image, source, painting, _ = _painted(selection_only=False)
    twice, facts = stage.run_filter(image, [painting], selection_only=False)
    same = stage.pixels(twice, "R'G'B' u8") == stage.pixels(source, "R'G'B' u8")
    again, _ = stage.run_filter(image, [twice], change_painting=True)
    return facts | {
        "n_layers": len(image.get_layers()),
        "is_of_the_painting": same,
        "is_changed_from_the_painting": _worst(painting, again, engine.last_job()) == 0,
    }


def repeated_on_a_painting(_engine: Engine) -> Facts:
    """Filters > Repeat on what was just painted does not paint the painting."""
    image, _source, painting, _ = _painted(selection_only=False)
    before = stage.digest(painting)
    after, facts = stage.run_filter(image, [painting], run_mode=Gimp.RunMode.WITH_LAST_VALS, selection_only=False)
    return facts | {"n_layers": len(image.get_layers()), "is_the_same": stage.digest(after) == before}


def moved_source(engine: Engine) -> Facts:
    """The source got another name and another place; then all of it happens in a copy of the image."""
    image, source, painting, _ = _painted(selection_only=False)
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(source, group, 0)
    source.set_name("hidden away")
    after, facts = stage.run_filter(image, [painting], change_painting=True)
    facts["worst"] = _worst(source, after, engine.last_job())
    other, copied_source, copied_painting, _ = _painted(selection_only=False, duplicate=True)
    after, in_copy = stage.run_filter(other, [copied_painting], change_painting=True)
    return facts | {"in_copy": in_copy["status"], "worst_in_copy": _worst(copied_source, after, engine.last_job())}


def of_an_older_version(engine: Engine) -> Facts:
    """Its settings say nothing of the source: the layer below is it."""
    image, source, painting, _ = _painted()
    settings = json.loads(bytes(painting.get_parasite(NAME).get_data()))
    for new in ("source", "box", "layers", "name"):
        del settings[new]
    painting.attach_parasite(Gimp.Parasite.new(NAME, 3, json.dumps(settings).encode()))
    first = engine.last_job()
    after, facts = stage.run_filter(image, [painting], change_painting=True)
    jobs = [_seen(first), _seen(engine.last_job())]
    return facts | {"jobs": jobs, "worst": _worst(source, after, engine.last_job()), "name": after.get_name()}


def refused(_engine: Engine) -> Facts:
    """What cannot be changed is said, and nothing happens."""
    causes: dict[str, Callable[[Gimp.Image, Gimp.Layer, Gimp.Layer], object]] = {
        "gone": lambda image, source, _painting: image.remove_layer(source),
        "resized": lambda _image, source, _painting: source.resize(100, 100, 0, 0),
        "no mask": lambda _image, _source, painting: painting.remove_mask(Gimp.MaskApplyMode.DISCARD),
        "locked": lambda _image, _source, painting: painting.set_lock_content(True),
        "hidden": lambda _image, _source, painting: painting.get_mask().fill(Gimp.FillType.FOREGROUND),
    }
    facts: Facts = {}
    for name, cause in causes.items():
        image, source, painting, _ = _painted()
        Gimp.Selection.none(image)
        Gimp.context_set_default_colors()
        cause(image, source, painting)
        before = stage.state_of(image)
        _, run = stage.run_filter(image, [painting], change_painting=True)
        facts[name] = [run["status"], run["message"], stage.state_of(image) == before]
    return facts


def ordinary(_engine: Engine) -> Facts:
    """With the argument on, a layer that is no painting is painted as usual."""
    image = stage.load("chelsea.jpg")
    _layer, facts = stage.run_filter(image, image.get_layers(), selection_only=False, change_painting=True)
    return facts | {"n_layers": len(image.get_layers())}


def _painted(selection_only: bool = True, duplicate: bool = False) -> tuple[Gimp.Image, Gimp.Layer, Gimp.Layer, Facts]:
    """A photo and its painting."""
    image = stage.load("chelsea.jpg")
    image.get_layers()[0].add_alpha()
    stage.select_ellipse(image)
    _layer, facts = stage.run_filter(image, image.get_layers(), selection_only=selection_only)
    if duplicate:
        image = image.duplicate()
    painting, source = image.get_layers()
    return image, source, painting, facts


def _seen(job: Facts) -> dict[str, Any]:
    return {"content": job["content"], "mask": job["mask"], "strength": job["settings"]["strength"]}


def _worst(source: Gimp.Layer, painted: Gimp.Layer, job: Facts) -> int:
    """How far a painting is from the fake engine's of its source, inside the part that was painted and outside."""
    _dtype, (height, width, _) = job["content"]
    strength = job["settings"]["strength"]
    is_whole = (width, height) == (source.get_width(), source.get_height())
    before, after = (stage.pixels(layer, "R'G'B' u8") for layer in (source, painted))
    negative = bytes(round(v + strength * (255 - 2 * v)) for v in range(256))
    expected = before.translate(negative)
    if is_whole:
        return max(abs(a - b) for a, b in zip(expected, after, strict=True))
    assert sum(a == e for e, a in zip(expected, after, strict=True)) > 0.2 * len(after), "hardly anything is painted"
    return max(min(abs(a - e), abs(a - b)) for b, e, a in zip(before, expected, after, strict=True))


SCENES: dict[str, Callable[[Engine], Facts]] = {
    scene.__name__: scene
    for scene in (
        changed,
        renamed,
        not_asked,
        repeated_on_a_painting,
        moved_source,
        of_an_older_version,
        refused,
        ordinary,
    )
}
