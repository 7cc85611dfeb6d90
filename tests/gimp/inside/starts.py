"""What is played in the second and in the third start of GIMP in one profile: IMPASTO_TEST_START says which it is."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # where ``gimp_plugin`` is
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where ``inside`` is

from inside import calls, colors, files, many, stage


def main(start: str) -> None:
    report = stage.Report(stage.FOLDER / f"report-{start}.json")
    engine = stage.Engine()
    engine.start()
    for name, scene in calls.SCENES.items():
        report.play(name, scene, engine)
    if start == "2":
        for name, scene in calls.IN_VAIN.items():
            report.play(name, scene, engine)
    else:
        for space, depths in colors.DEPTHS.items():
            for depth in depths:
                report.play(f"{depth} {space}", colors.keep, space, depth)
        report.play("other layers", colors.keep_what_is_no_plain_layer)
        for name, scene in many.SCENES.items():
            report.play(name, scene, engine)
        names = json.loads((stage.FOLDER / "odd.json").read_text())
        for layer_name, style_name in zip(names, names[1:] + names[:1], strict=True):
            report.play(f"file {names.index(layer_name)}", files.paint, layer_name, style_name, engine)
    engine.stop()


main(os.environ["IMPASTO_TEST_START"])
