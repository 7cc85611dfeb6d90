"""Plays every scene in one GIMP without a window, since each start of GIMP costs seconds."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # where ``gimp_plugin`` is
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where ``inside`` is

from inside import layers, objects, own_styles, pictures, refusals, repainting, speed, stage


def main() -> None:
    report = stage.Report(stage.FOLDER / "report.json")
    engine = stage.Engine()
    engine.start()
    for kind in pictures.KINDS:
        report.play(f"picture {kind}", pictures.paint, kind)
    for name, scene in layers.SCENES.items():
        report.play(name, scene, engine)
    for name, scene in repainting.SCENES.items():
        report.play(name, scene, engine)
    for name, scene in objects.SCENES.items():
        report.play(name, scene, engine)
    for name, scene in own_styles.SCENES.items():
        report.play(name, scene, engine)
    for setting in refusals.PICTURES:
        report.play(setting.__name__, refusals.try_in_vain, setting, engine)
    report.play("speed", speed.twelve_megapixels)
    for engine_scene in refusals.ENGINES:  # last: they stop the engine
        report.play(engine_scene.__name__, engine_scene, engine)
    engine.stop()
    report.play("the end", lambda: {"processes": stage.plugin_processes()})


main()
