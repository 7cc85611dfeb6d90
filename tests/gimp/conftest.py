"""One start of each GIMP plays all scenes of ``inside``; the tests read what it wrote down."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import skip_or_fail
from tests.gimp import gimps, oddfiles, samples

HERE = Path(__file__).resolve().parent
START_TIMEOUT_S = 540


@dataclass(frozen=True)
class Played:
    """What a GIMP wrote down.

    Args:
        scenes: name -> facts.
        folder: of the dumped pixels.
        log: what GIMP printed.
    """

    scenes: Mapping[str, dict[str, Any]]
    folder: Path
    log: str

    def facts(self, scene: str) -> dict[str, Any]:
        """The facts of a scene, if it came to its end."""
        assert scene in self.scenes, f"GIMP never came to {scene!r}:\n{self.log[-4000:]}"
        facts = self.scenes[scene]
        assert "crash" not in facts, facts["crash"]
        return facts

    def pixels(self, name: str, facts: Mapping[str, Any], dtype: str | None = None) -> np.ndarray:
        """(H, W, C) pixels that a scene dumped."""
        return samples.read_dump(self.folder, name, {**facts, "dtype": dtype or facts["dtype"]})


@pytest.fixture(scope="session", params=list(gimps.SUITES))
def gimp(request: pytest.FixtureRequest) -> gimps.Gimp:
    """Each GIMP that can be had."""
    found = gimps.find(request.param)
    if isinstance(found, str):
        skip_or_fail(found)
    return found


@pytest.fixture(scope="session")
def stage_folder(gimp: gimps.Gimp, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples, a profile with the plug-in, and a state folder, for one GIMP."""
    folder = tmp_path_factory.mktemp(f"gimp-{gimp.version}")
    samples.write_samples(folder)
    gimps.make_profile(folder / "profile", gimp.version)
    return folder


def environment(folder: Path, python: str = "python3") -> dict[str, str]:
    """What GIMP, the plug-in and the fake engine must know."""
    return {
        "GIMP3_DIRECTORY": str(folder / "profile"),
        "IMPASTO_STATE_DIR": str(folder / "state"),
        "IMPASTO_TEST_DIR": str(folder),
        "IMPASTO_ENGINE_COMMAND": f"{python} {HERE / 'fake_engine.py'}",
    }


@dataclass(frozen=True)
class Started:
    """What the second and the third start of a GIMP in one profile wrote down.

    Args:
        starts: "2" and "3".
        odd: the odd files that were opened; those of start 3 are its scenes "file 0", "file 1" and so on.
    """

    starts: Mapping[str, Played]
    odd: Sequence[oddfiles.Odd]


@pytest.fixture(scope="session")
def started(gimp: gimps.Gimp, tmp_path_factory: pytest.TempPathFactory) -> Started:
    """GIMP's first start asks the plug-in what it can do, all later ones read that from a file: as users know it."""
    folder = tmp_path_factory.mktemp(f"starts-{gimp.version}")
    samples.write_samples(folder)
    (folder / "display_p3.icc").write_bytes(oddfiles.profile(2.2, "p3"))
    Image.new("1", (16384, 11000)).save(folder / "huge.png")
    odd = oddfiles.write(folder / "odd")
    (folder / "odd.json").write_text(json.dumps([os.fsdecode(file.name) for file in odd]))
    gimps.make_profile(folder / "profile", gimp.version)
    (folder / "state").mkdir(mode=0o700)
    known = environment(folder, "python3" if gimp.prefix else sys.executable)
    (folder / "nothing.py").write_text("")
    gimp.run_script(folder / "nothing.py", known, START_TIMEOUT_S)
    starts = {}
    for start in ("2", "3"):
        script = HERE / "inside" / "starts.py"
        done = gimp.run_script(script, known | {"IMPASTO_TEST_START": start}, START_TIMEOUT_S)
        log, report = done.stdout + done.stderr, folder / f"report-{start}.json"
        (folder / f"gimp-{start}.log").write_text(log)
        assert report.exists(), f"GIMP {gimp.version} played nothing in start {start}:\n{log[-4000:]}"
        starts[start] = Played(json.loads(report.read_text("utf-8")), folder, log)
    return Started(starts, odd)


@pytest.fixture(scope="session")
def played(gimp: gimps.Gimp, stage_folder: Path) -> Played:
    """All scenes, played in one GIMP without a window."""
    (stage_folder / "state").mkdir(mode=0o700)
    python = "python3" if gimp.prefix else sys.executable
    done = gimp.run_script(HERE / "inside" / "headless.py", environment(stage_folder, python), START_TIMEOUT_S)
    report = stage_folder / "report.json"
    log = done.stdout + done.stderr
    (stage_folder / "gimp.log").write_text(log)
    assert report.exists(), f"GIMP {gimp.version} played nothing:\n{log[-4000:]}"
    return Played(json.loads(report.read_text("utf-8")), stage_folder, log)
