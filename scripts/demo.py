"""The demo: one object of a sample photo, painted by the whole way through Impasto.

Where a GIMP 3 is installed the job goes through GIMP itself, in a profile made for this; else through the
plug-in's own client. The engine is started for it, in a state folder of its own, and ended.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from PIL import Image

from gimp_plugin import wire
from gimp_plugin.client import Engine, launch
from scripts.demo_photo import draw_mask, load_photo
from scripts.demo_sheet import Panel, draw_sheet
from scripts.installer import gimps, places, plugin
from scripts.installer.changes import Changes
from scripts.installer.voice import SetupError, Voice

ROOT = Path(__file__).resolve().parent.parent
JOB_TIMEOUT_S = 300
ENGINE_START_S, ENGINE_STOP_S = 300, 15  # a first start on a slow disk takes minutes


@dataclass(frozen=True)
class Wanted:
    """One result of the demo.

    Args:
        title: under its picture.
        photoreal: amount of photorealistic smoothing.
        file_name: of the single picture.
    """

    title: str
    photoreal: float
    file_name: str


WANTED = (
    Wanted("Painted", 0.0, "painted.png"),
    Wanted("Painted, with photorealistic smoothing", 1.0, "painted-photoreal.png"),
)


@dataclass(frozen=True)
class Painted:
    """What came back: one picture per ``WANTED``, the seconds each took, and the way the job went."""

    pictures: list[Image.Image]
    seconds: list[float]
    way: str


def main() -> int:
    """Paint, write the sheet, and say where it is and what took how long.

    Returns:
        0 done, 1 failed with one sentence on stderr.
    """
    parser = argparse.ArgumentParser(description="Stylize an object of a sample photo; writes a sheet.")
    parser.add_argument("--out", type=Path, default=ROOT / "impasto-demo", metavar="DIR", help="where to")
    parser.add_argument("--style", metavar="PRESET", help="a name as in `impasto catalog`")
    parser.add_argument("--no-gimp", action="store_true", help="use the plug-in's client even where GIMP is")
    options = parser.parse_args()
    try:
        sheet = run(options.out, options.style, may_use_gimp=not options.no_gimp)
    except (SetupError, wire.WireError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(f"\nThe sheet: {sheet}")
    return 0


def run(out: Path, style: str | None, may_use_gimp: bool) -> Path:
    """The whole demo.

    Args:
        out: folder for the pictures; made if missing.
        style: a preset's name; None = the demo's choice.
        may_use_gimp: False = the plug-in's client even where a GIMP is.

    Returns:
        Path of the sheet.

    Raises:
        SetupError, WireError, OSError: the message says what to do.
    """
    voice = Voice()
    photo = load_photo()
    mask = draw_mask(photo.size)
    out.mkdir(parents=True, exist_ok=True)
    photo.save(out / "photo.png")
    mask.save(out / "mask.png")
    found = (
        gimps.find_gimps(places.console_commands(sys.platform, os.environ, wire.home() or Path(os.devnull)))
        if may_use_gimp
        else []
    )
    usable = [gimp for gimp in found if not gimp.is_sandboxed]  # a Flatpak's GIMP cannot see a profile in /tmp
    if not usable:
        voice.say("  No GIMP 3 takes part: the job goes through the plug-in's client.")
    with _engine(voice) as engine:
        catalog = engine.catalog()
        preset = _choose_style(catalog, style)
        if usable:
            painted = _paint_in_gimp(usable[0], catalog, preset["name"], out)
        else:
            painted = _paint_with_client(engine, preset["name"], photo, mask)
    for wanted, picture, seconds in zip(WANTED, painted.pictures, painted.seconds, strict=True):
        picture.save(out / wanted.file_name)
        voice.say(f"  {wanted.title} ({seconds:.1f} s, {painted.way})")
    sheet = out / "sheet.png"
    _draw(photo, mask, preset, painted).save(sheet)
    return sheet


def _program() -> str:
    return str(places.venv_program(sys.platform, ROOT / ".venv", "impasto"))


@contextmanager
def _engine(voice: Voice) -> Iterator[Engine]:
    """An engine of the demo's own: another one that runs is neither used nor stopped."""
    with tempfile.TemporaryDirectory(prefix="impasto-demo-") as folder:
        os.environ["IMPASTO_STATE_DIR"] = folder
        os.environ["IMPASTO_ENGINE_COMMAND"] = f'"{_program()}" serve'
        with voice.step("starting the engine", "the engine started"):
            engine = launch.ensure_engine()
            _wait(lambda: _status(folder) == "ready", ENGINE_START_S)
        try:
            yield engine
        finally:
            engine.shutdown()
            _wait(lambda: _status(folder) is None, ENGINE_STOP_S)


def _status(state_dir: str) -> str | None:
    """What the engine says of itself; None if none answers."""
    engine = Engine.find(Path(state_dir))
    return engine.health.status if engine else None


def _wait(is_done: Callable[[], bool], seconds: float) -> None:
    """Wait for something, but not for ever: who needs it will say what is missing."""
    deadline = time.monotonic() + seconds
    while not is_done() and time.monotonic() < deadline:
        time.sleep(0.1)


def _choose_style(catalog: dict[str, Any], name: str | None) -> dict[str, Any]:
    styles: list[dict[str, Any]] = catalog["styles"]
    if not styles:
        raise SetupError("The engine has no style presets: this checkout is damaged; fetch it again.")
    if name is None:
        return styles[0]
    for style in styles:
        if style["name"] == name:
            return style
    raise SetupError(f"There is no style {name!r}; there are: {', '.join(style['name'] for style in styles)}.")


def _paint_with_client(engine: Engine, preset: str, photo: Image.Image, mask: Image.Image) -> Painted:
    """The job as the plug-in sends it, without a GIMP around it."""
    width, height = photo.size
    content = wire.Plane("U8", (height, width, 4), photo.convert("RGBA").tobytes())
    selection = wire.Plane("U8", (height, width), mask.tobytes())
    pictures, seconds = [], []
    for wanted in WANTED:
        request = wire.StylizeRequest(
            content=content,
            styles=(wire.StyleEntry(preset, preset=preset),),
            mask=selection,
            color="luminance",
            photoreal=wanted.photoreal,
        )
        started = time.monotonic()
        result = engine.answer(request)
        seconds.append(time.monotonic() - started)
        pictures.append(Image.frombytes("RGBA", (width, height), bytes(result.picture.data)).convert("RGB"))
    return Painted(pictures, seconds, "through the plug-in's client")


def _paint_in_gimp(gimp: gimps.Gimp, catalog: dict[str, Any], preset: str, out: Path) -> Painted:
    """The same job through GIMP: the plug-in in a profile made for this, run by a batch script.

    Raises:
        SetupError: GIMP or the filter failed.
    """
    with tempfile.TemporaryDirectory(prefix="impasto-gimp-") as temporary:
        folder = Path(temporary)
        profile = folder / "profile"
        profile.mkdir()
        engine_json = plugin.launcher([_program(), "serve"], wire.state_dir())
        plugin.place(Changes(Voice(StringIO())), ROOT / "gimp_plugin", profile, engine_json, catalog, None)
        common = {"style-preset": preset, "color": "luminance", "selection-only": True, "feather": 0.0}
        job = {
            "photo": str(out / "photo.png"),
            "mask": str(out / "mask.png"),
            "answer": str(folder / "answer.json"),
            "results": [
                {
                    "file": str(folder / wanted.file_name),
                    "arguments": {**common, "photoreal": wanted.photoreal},
                }
                for wanted in WANTED
            ],
        }
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
        script = ROOT / "scripts" / "demo_in_gimp.py"
        env = {"GIMP3_DIRECTORY": str(profile), "IMPASTO_DEMO_JOB": str(folder / "job.json")}
        try:
            output = gimp.run_batch(f"exec(open({str(script)!r}).read())", env, JOB_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise SetupError(f"GIMP {gimp.version} did not end within {JOB_TIMEOUT_S} s: try --no-gimp.") from error
        answer = _read_answer(folder / "answer.json", output)
        pictures = [Image.open(folder / wanted.file_name).convert("RGB") for wanted in WANTED]
    return Painted(pictures, answer["seconds"], f"in GIMP {answer['version']}")


def _read_answer(path: Path, output: str) -> dict[str, Any]:
    if not path.exists():
        last = (output.strip().splitlines() or ["it said nothing"])[-1]
        raise SetupError(f"GIMP ended before the demo did ({last}).")
    answer: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if answer["error"]:
        raise SetupError(f"The demo failed in GIMP: {answer['error']}")
    return answer


def _draw(photo: Image.Image, mask: Image.Image, preset: dict[str, Any], painted: Painted) -> Image.Image:
    style = f"{preset['title']} by {preset['artist']}, {preset['year']}"
    panels = [
        Panel(photo, "Photo", f"{photo.width} x {photo.height} pixels; from scikit-image, public domain"),
        Panel(mask, "Selection", "white is selected"),
    ]
    for wanted, picture, seconds in zip(WANTED, painted.pictures, painted.seconds, strict=True):
        panels.append(Panel(picture, wanted.title, f"style of {style}; the photo's colors; {seconds:.1f} s"))
    return draw_sheet("Impasto", "One object of a photo, painted. The rest is untouched to the bit.", panels)


if __name__ == "__main__":
    sys.exit(main())
