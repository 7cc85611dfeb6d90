"""Scenes: a style file, and two styles in one painting."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from gi.repository import Gimp, Gio
from inside import stage
from inside.stage import FOLDER, Engine, Facts

from gimp_plugin.filter import saving
from gimp_plugin.image import scratch


def style_file(engine: Engine) -> Facts:
    """A style file is read by us and not by GIMP."""
    n_images = len(Gimp.get_images())
    image = stage.load("chelsea.jpg")
    layer, facts = stage.run_filter(image, image.get_layers(), selection_only=False, style_file=_file("saved"))
    picture, note = scratch.read_style_file(_file("saved"))
    return facts | {
        "job": engine.last_job(),
        "name": layer.get_name(),
        "settings": _settings_of(layer),
        "n_images_more": len(Gimp.get_images()) - n_images,
        "swatch": [list(picture.shape), note],
    }


def broken_style_files(engine: Engine) -> Facts:
    """Damaged, of a stranger, or not there: a sentence, and nothing happens."""
    whole = (FOLDER / "saved.impasto-style").read_bytes()
    (FOLDER / "short.impasto-style").write_bytes(whole[:-7])
    (FOLDER / "other.impasto-style").write_bytes((FOLDER / "coffee.jpg").read_bytes())
    facts: Facts = {}
    for name in ("short", "other", "missing"):
        image = stage.load("chelsea.jpg")
        n_jobs = engine.n_jobs()
        _, run = stage.run_filter(image, image.get_layers(), selection_only=False, style_file=_file(name))
        facts[name] = [run["status"], run["message"], engine.n_jobs() - n_jobs, len(image.get_layers())]
    return facts


def mixed(engine: Engine) -> Facts:
    """Presets, files and layers with a second style; each run with what it asks for."""
    second = {"second_file": _file("saved")}
    cases: dict[str, dict[str, Any]] = {
        "no share": {"second_preset": "great-wave", "second_file": _file("nowhere")},
        "presets": {"mix": 0.25, "second_preset": "great-wave"},
        "a file wins": {"mix": 0.25, "second_preset": "great-wave", **second},
        "files": {"mix": 0.5, "style_file": Gio.File.new_for_path(str(FOLDER / "coffee.jpg")), **second},
        "almost nothing": {"mix": 1e-12, "second_preset": "great-wave"},
        "the second alone": {"mix": 1.0, "style_file": _file("nowhere"), "second_preset": "great-wave"},
    }
    facts: Facts = {}
    for name, arguments in cases.items():
        image = stage.load("chelsea.jpg")
        layer, run = stage.run_filter(image, image.get_layers(), selection_only=False, **arguments)
        facts[name] = run | {
            "styles": engine.last_job()["styles"],
            "name": layer.get_name() if layer is not None else None,
            "settings": _settings_of(layer) if layer is not None else None,
        }
    return facts


def mixed_in_vain(engine: Engine) -> Facts:
    """A share of nothing."""
    facts: Facts = {}
    wrong: dict[str, dict[str, Any]] = {
        "nothing": {"mix": 0.5},
        "none": {"mix": 0.5, "second_preset": "none"},
        "too much": {"mix": 1.5},
        "no such": {"mix": 0.5, "second_preset": "great-wav"},
    }
    for name, arguments in wrong.items():
        image = stage.load("chelsea.jpg")
        n_jobs = engine.n_jobs()
        _, run = stage.run_filter(image, image.get_layers(), selection_only=False, **arguments)
        facts[name] = [run["status"], run["message"], engine.n_jobs() - n_jobs]
    return facts


def mix_changed(engine: Engine) -> Facts:
    """A painting of two styles is changed to another share, and repeated."""
    image = stage.load("chelsea.jpg")
    more: dict[str, Any] = {"second_file": _file("saved"), "selection_only": False}
    painting, _ = stage.run_filter(image, image.get_layers(), mix=0.25, **more)
    after, facts = stage.run_filter(image, [painting], change_painting=True, mix=0.75, **more)
    changed = engine.last_job()["styles"]
    again, _ = stage.run_filter(image, [after], run_mode=Gimp.RunMode.WITH_LAST_VALS, mix=0.5, **more)
    return facts | {
        "changed": changed,
        "repeated": engine.last_job()["styles"],
        "n_layers": len(image.get_layers()),
        "settings": _settings_of(again),
    }


def saved_in_gimp(engine: Engine) -> Facts:
    """GIMP's own Python saves a picture as a style and reads it."""
    image = stage.load("coffee.jpg")
    picture = scratch.read_style_layer(image.get_layers()[0])
    path = saving.save_style(picture, "Coffee", "me")
    try:
        job = engine.last_job()
        return {
            "job": job,
            "path": str(path),
            "read": scratch.read_style_file(Gio.File.new_for_path(str(path)))[0].shape,
        }
    finally:
        path.unlink()


def _file(name: str) -> Gio.File:
    return Gio.File.new_for_path(str(FOLDER / f"{name}.impasto-style"))


def _settings_of(layer: Gimp.Layer) -> dict[str, Any]:
    return json.loads(bytes(layer.get_parasite("impasto-settings").get_data()))


SCENES: dict[str, Callable[[Engine], Facts]] = {
    scene.__name__: scene
    for scene in (style_file, broken_style_files, mixed, mixed_in_vain, mix_changed, saved_in_gimp)
}
