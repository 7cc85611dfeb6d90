"""The demo's part inside a real GIMP: open the photo, select, run the filter, export.

``gimp-console`` runs this file with its python-fu-eval; IMPASTO_DEMO_JOB names the JSON file with the job.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio  # noqa: E402


def main() -> None:
    """Do the job's results one after another, each on the untouched photo, and write the answer."""
    job = json.loads(Path(os.environ["IMPASTO_DEMO_JOB"]).read_text("utf-8"))
    answer: dict[str, Any] = {"version": Gimp.version(), "seconds": [], "error": None}
    try:
        image = _open(job["photo"])
        _select(image, job["mask"])
        for wanted in job["results"]:
            started = time.monotonic()
            painted = _run_filter(image, wanted["arguments"])
            answer["seconds"].append(time.monotonic() - started)
            _export(image, wanted["file"])
            image.remove_layer(painted)
    except Exception as error:  # the answer carries it out of GIMP, which would only print it
        answer["error"] = str(error)
    Path(job["answer"]).write_text(json.dumps(answer), "utf-8")


def _open(path: str) -> Gimp.Image:
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(path))


def _select(image: Gimp.Image, mask_path: str) -> None:
    """Select what a gray picture says, softness and all: through a channel, as a user would load one."""
    picture = _open(mask_path)
    width, height = image.get_width(), image.get_height()
    area = Gegl.Rectangle.new(0, 0, width, height)
    gray = picture.get_layers()[0].get_buffer().get(area, 1.0, "Y' u8", Gegl.AbyssPolicy.NONE)
    channel = Gimp.Channel.new(image, "object", width, height, 100.0, Gegl.Color.new("white"))
    image.insert_channel(channel, None, 0)
    buffer = channel.get_buffer()
    buffer.set(area, "Y u8", gray)  # a channel's numbers are the selection's shares, not light
    buffer.flush()
    channel.update(0, 0, width, height)
    image.select_item(Gimp.ChannelOps.REPLACE, channel)
    image.remove_channel(channel)
    picture.delete()


def _run_filter(image: Gimp.Image, arguments: dict[str, Any]) -> Gimp.Layer:
    """Run impasto-stylize on the photo's layer.

    Returns:
        The new layer, above the photo's.
    """
    before = image.get_layers()
    procedure = Gimp.get_pdb().lookup_procedure("impasto-stylize")
    if procedure is None:
        raise RuntimeError("GIMP did not take the plug-in up.")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", [before[-1]])
    for name, value in arguments.items():
        config.set_property(name, value)
    if procedure.run(config).index(0) != Gimp.PDBStatusType.SUCCESS:
        raise RuntimeError(Gimp.get_pdb().get_last_error())
    (painted,) = (layer for layer in image.get_layers() if layer not in before)
    return painted


def _export(image: Gimp.Image, path: str) -> None:
    flat = image.duplicate()
    flat.flatten()
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, flat, Gio.File.new_for_path(path), None)
    flat.delete()


main()
