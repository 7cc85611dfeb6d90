"""What every scene needs: open pictures, run the filter, write down facts and pixels, run the fake engine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Gegl, Gimp, Gio  # noqa: E402

FOLDER = Path(os.environ["IMPASTO_TEST_DIR"])
STATE = Path(os.environ["IMPASTO_STATE_DIR"])
FAKE_ENGINE = Path(__file__).resolve().parents[1] / "fake_engine.py"
Facts = dict[str, Any]


class Report:
    """The facts of every scene, on disk after each: a GIMP that crashes takes only one scene with it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._scenes: dict[str, Facts] = {}

    def play(self, name: str, scene: Callable[..., Facts], *arguments: Any) -> None:
        started = time.monotonic()
        try:
            facts = scene(*arguments)
        except Exception:
            facts = {"crash": traceback.format_exc()}
        for image in Gimp.get_images():
            image.delete()
        self._scenes[name] = facts | {"seconds_in_all": time.monotonic() - started}
        self._file.write_text(json.dumps(self._scenes, default=str), "utf-8")


class Engine:
    """The fake engine, as a child process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (STATE / "engine.json").unlink(missing_ok=True)
        self._process = subprocess.Popen([sys.executable, str(FAKE_ENGINE)])
        while not (STATE / "engine.json").exists():
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def behave(self, mode: str) -> None:
        """What it does with the next job: see fake_engine.py."""
        (STATE / "mode").write_text(mode)

    def last_job(self) -> Facts:
        return json.loads((STATE / "jobs.jsonl").read_text().splitlines()[-1])

    def n_jobs(self) -> int:
        notes = STATE / "jobs.jsonl"
        return len(notes.read_text().splitlines()) if notes.exists() else 0


def load(name: str) -> Gimp.Image:
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(FOLDER / name)))


def select_ellipse(image: Gimp.Image, feather_px: float = 12.0) -> None:
    """An ellipse in the middle with a soft edge: with inside, outside, and between."""
    width, height = image.get_width(), image.get_height()
    image.select_ellipse(Gimp.ChannelOps.REPLACE, width * 0.3, height * 0.25, width * 0.4, height * 0.5)
    if feather_px:
        Gimp.Selection.feather(image, feather_px)


def two_colors(image: Gimp.Image, width: int, height: int, above: str, below: str) -> Gimp.Layer:
    """A layer at the top of the image, its upper half of one color, the lower of another."""
    canvas = Gimp.Image.new(width, height, Gimp.ImageBaseType.RGB)  # what the other image cannot show is painted too
    painted = Gimp.Layer.new(canvas, "", width, height, Gimp.ImageType.RGBA_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    canvas.insert_layer(painted, None, 0)
    for color, top in ((above, 0), (below, height // 2)):
        canvas.select_rectangle(Gimp.ChannelOps.REPLACE, 0, top, width, height // 2)
        Gimp.context_set_foreground(Gegl.Color.new(color))
        painted.edit_fill(Gimp.FillType.FOREGROUND)
    layer = Gimp.Layer.new_from_drawable(painted, image)
    layer.set_name(f"{above} and {below}")
    image.insert_layer(layer, None, 0)
    canvas.delete()
    return layer


def run_filter(image: Gimp.Image, drawables: list[Gimp.Drawable], **arguments: Any) -> tuple[Gimp.Layer | None, Facts]:
    """Call impasto-stylize as a script would.

    Returns:
        The new layer, and the facts: status, message, seconds.
    """
    procedure = Gimp.get_pdb().lookup_procedure("impasto-stylize")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", drawables)
    for name, value in arguments.items():
        config.set_property(name.replace("_", "-"), value)
    started = time.monotonic()
    values = procedure.run(config)
    facts = {"status": status_name(values.index(0)), "seconds": time.monotonic() - started}
    facts["message"] = Gimp.get_pdb().get_last_error()
    layer = values.index(1) if values.index(0) == Gimp.PDBStatusType.SUCCESS else None
    return layer, facts


def select_object(image: Gimp.Image, **arguments: Any) -> Facts:
    """Call impasto-select-object as a script would; the facts as ``run_filter`` gives them."""
    procedure = Gimp.get_pdb().lookup_procedure("impasto-select-object")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", image.get_layers()[:1])
    for name, value in arguments.items():
        config.set_property(name, value)
    started = time.monotonic()
    values = procedure.run(config)
    facts = {"status": status_name(values.index(0)), "seconds": time.monotonic() - started}
    return facts | {"message": Gimp.get_pdb().get_last_error()}


def status_name(status: Gimp.PDBStatusType) -> str:
    names = ("SUCCESS", "CANCEL", "CALLING_ERROR", "EXECUTION_ERROR", "PASS_THROUGH")
    return next(name for name in names if getattr(Gimp.PDBStatusType, name) == status)


def pixels(drawable: Gimp.Drawable, pixel_format: str | None = None) -> bytes:
    """All pixels of a drawable; without a format as GIMP holds them, unconverted."""
    area = Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
    return drawable.get_buffer().get(area, 1.0, pixel_format, Gegl.AbyssPolicy.NONE)


def set_pixels(drawable: Gimp.Drawable, pixel_format: str, data: bytes) -> None:
    buffer = drawable.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height()), pixel_format, data)
    buffer.flush()
    drawable.update(0, 0, drawable.get_width(), drawable.get_height())


def dump(name: str, data: bytes) -> None:
    (FOLDER / f"{name}.raw").write_bytes(data)


def layer_facts(layer: Gimp.Layer) -> Facts:
    """What a user sees of a layer in the Layers dialog."""
    image, parent = layer.get_image(), layer.get_parent()
    siblings = parent.get_children() if parent is not None else image.get_layers()
    mask = layer.get_mask()
    return {
        "name": layer.get_name(),
        "offsets": list(layer.get_offsets()[1:]),
        "size": [layer.get_width(), layer.get_height()],
        "parent": parent.get_name() if parent is not None else None,
        "siblings": [sibling.get_name() for sibling in siblings],
        "opacity": layer.get_opacity(),
        "is_normal": layer.get_mode() == Gimp.LayerMode.NORMAL,
        "is_usually_composited": layer.get_composite_mode() == Gimp.LayerCompositeMode.AUTO,
        "is_visible": layer.get_visible(),
        "is_plain": type(layer) is Gimp.Layer,
        "n_effects": len(layer.get_filters()),
        "is_locked": layer.get_lock_content() or layer.get_lock_alpha() or layer.get_lock_position(),
        "has_alpha": layer.has_alpha(),
        "has_mask": mask is not None,
        "edits_mask": mask is not None and layer.get_edit_mask(),
        "applies_mask": mask is not None and layer.get_apply_mask(),
    }


def state_of(image: Gimp.Image) -> Facts:
    """All that must not change when the filter refuses or fails, and most of it when it succeeds."""

    def tree(items: list[Gimp.Item]) -> list[Any]:
        return [
            [item.get_id(), item.get_name(), digest(item), tree(item.get_children()) if item.is_group() else None]
            for item in items
        ]

    return {
        "layers": tree(image.get_layers()),
        "channels": tree(image.get_channels()),
        "selection": hashlib.sha256(pixels(image.get_selection(), "Y float")).hexdigest(),
        "selected_layers": [layer.get_id() for layer in image.get_selected_layers()],
        "is_dirty": image.is_dirty(),
        "n_images": len(Gimp.get_images()),
    }


def digest(drawable: Gimp.Drawable) -> str:
    return hashlib.sha256(pixels(drawable)).hexdigest()


def plugin_processes(patience_s: float = 5.0) -> list[str]:
    """Command lines of plug-in processes of ours that still run, once they have had time to end."""
    deadline = time.monotonic() + patience_s
    while (found := _plugin_processes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _plugin_processes() -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue  # it ended while we looked
        if any(word.endswith(b"impasto/impasto.py") for word in words):
            found.append(b" ".join(words).decode())
    return found
