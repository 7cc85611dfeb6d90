"""The scene of 12 megapixels alone, for the real engine."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where ``inside`` is

from inside import speed, stage

stage.Report(stage.FOLDER / "report.json").play("speed", speed.twelve_megapixels)
