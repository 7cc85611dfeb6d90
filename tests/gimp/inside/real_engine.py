"""Scenes with the real engine, which runs outside; the test outside kills it when a flag file asks for that."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where ``inside`` is

from gi.repository import Gimp
from inside import stage
from inside.stage import FOLDER, Facts

LARGE = (3600, 2400)  # 8.6 megapixels, 43 MB with the selection: fits into the test's small disk
AROUND_THE_SAUCER = (38, 0, 481, 400)  # x, y, width, height: a tenth too large
TOO_LARGE = (4000, 2800)  # 56 MB: does not


def paint() -> Facts:
    """The main job: an object, its colors kept, smoothed."""
    image = stage.load("chelsea.jpg")
    stage.select_ellipse(image)
    (source,) = image.get_layers()
    stage.dump("real-source", stage.pixels(source))
    stage.dump("real-selection", stage.pixels(image.get_selection(), "Y float"))
    layer, facts = stage.run_filter(
        image, [source], style_preset="great-wave", color="luminance", photoreal=0.5, strength=1.0
    )
    stage.dump("real-layer", stage.pixels(layer))
    copy = image.duplicate()
    stage.dump("real-flat", stage.pixels(copy.flatten()))
    copy.delete()
    return facts | {"layer": stage.layer_facts(layer)}


def find() -> Facts:
    """A rough rectangle around the cup and its saucer becomes a selection of them."""
    image = stage.load("coffee.jpg")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, *AROUND_THE_SAUCER)
    facts = stage.select_object(image)
    stage.dump("real-object", stage.pixels(image.get_selection(), "Y u8"))
    return facts


def killed(what: str) -> Facts:
    """A large picture, in the middle of which something is killed."""
    (FOLDER / f"kill-{what}").touch()
    return in_vain(LARGE)


def in_vain(size: tuple[int, int]) -> Facts:
    """A picture of a size, and what was different afterwards."""
    image = stage.load("chelsea.jpg")
    image.scale(*size)
    Gimp.Selection.all(image)
    before = stage.state_of(image)
    _layer, facts = stage.run_filter(image, image.get_layers())
    return facts | {"before": before, "after": stage.state_of(image), "processes": stage.plugin_processes()}


def again() -> Facts:
    """An ordinary run."""
    image = stage.load("chelsea.jpg")
    stage.select_ellipse(image)
    _layer, facts = stage.run_filter(image, image.get_layers())
    return facts | {"n_layers": len(image.get_layers())}


def main() -> None:
    report = stage.Report(FOLDER / "report.json")
    report.play("paint", paint)
    report.play("find", find)
    report.play("worker", killed, "worker")
    report.play("again", again)
    if (FOLDER / "disk-is-small").exists():
        report.play("full disk", in_vain, TOO_LARGE)
        report.play("after the full disk", again)
    report.play("engine", killed, "engine")


main()
