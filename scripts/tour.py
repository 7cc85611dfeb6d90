"""Plays the tour through the filter in a GIMP with a window and keeps its pictures: ``python -m scripts.tour``.

docs/images/gimp-menu.png, gimp-dialog.png and gimp-result.png: the demo's photo with the cup selected, the menu entry,
the dialog, the new layer. Everything is real: GIMP (of this system, or in ``scripts/gimp-sandbox``), the plug-in as
``install.py`` places it, and this repository's engine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from PIL import Image

from gimp_plugin.client import Engine
from scripts.demo_photo import draw_mask, load_photo
from scripts.desktop import SIZE, DesktopError, GimpDesktop
from scripts.installer import plugin
from scripts.installer.changes import Changes
from scripts.installer.voice import Voice

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
SANDBOX = ROOT / "scripts" / "gimp-sandbox"
SUITES = {"3.0": "trixie", "3.2": "forky"}
PHOTO_SIZE = (660, 440)  # fills GIMP's canvas at 100 %
MAX_BYTES = 400_000
STILL_S = 0.5
ENGINE_START_S = 120.0
PAINTING_S = 300.0
MAIN_WINDOW = "^.?.?coffee.* GIMP$"
DIALOG = "^Neural Style$"
N_ENTRIES_ABOVE = 11  # of the filter in its menu

# The selection hardly moves, so that two looks can be equal; no welcome, no look for a newer version.
PREFERENCES = """
(show-welcome-dialog no)
(check-updates no)
(config-version "{version}.99")
(marching-ants-speed 10000)
"""
SESSION = """
(session-info "toplevel"
    (factory-entry "gimp-single-image-window") (position 0 0) (size {width} {height}) (open-on-exit)
    (aux-info (left-docks-width "170") (right-docks-width "380") (maximized "no"))
    (gimp-toolbox (side left)
        (book (current-page 0) (dockable "gimp-tool-options" (tab-style automatic))))
    (gimp-dock (side right)
        (book (current-page 0) (dockable "gimp-layer-list" (tab-style automatic) (preview-size 32)))))
(hide-docks no)
(single-window-mode yes)
"""
# A channel's numbers are the selection's shares, not light.
SELECT = """
image = Gimp.get_images()[0]
picture = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path({mask!r}))
width, height = image.get_width(), image.get_height()
area = Gegl.Rectangle.new(0, 0, width, height)
gray = picture.get_layers()[0].get_buffer().get(area, 1.0, "Y' u8", Gegl.AbyssPolicy.NONE)
channel = Gimp.Channel.new(image, "object", width, height, 100.0, Gegl.Color.new("white"))
image.insert_channel(channel, None, 0)
buffer = channel.get_buffer()
buffer.set(area, "Y u8", gray)
buffer.flush()
channel.update(0, 0, width, height)
image.select_item(Gimp.ChannelOps.REPLACE, channel)
image.remove_channel(channel)
picture.delete()
image.clean_all()
Gimp.displays_flush()
answer(True)
"""
COUNT_LAYERS = "answer(len(Gimp.get_images()[0].get_layers()))"


def main() -> int:
    """The command.

    Returns:
        0 done, 1 failed with one sentence on stderr.
    """
    parser = argparse.ArgumentParser(prog="python -m scripts.tour", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--gimp", choices=SUITES, default="3.2", help="which GIMP (default: %(default)s)")
    parser.add_argument("--style", type=int, default=0, metavar="N", help="the Nth preset of the list, from 0")
    parser.add_argument("--out", type=Path, default=IMAGES, metavar="DIR", help="where to")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="impasto-tour-") as folder:
            play(options.gimp, options.style, Path(folder), options.out)
    except (DesktopError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def play(version: str, style: int, folder: Path, out: Path) -> None:
    """The whole tour.

    Args:
        version: of GIMP.
        style: index of a preset.
        folder: empty, the same in the sandbox.
        out: takes the three pictures.

    Raises:
        DesktopError: something did not come.
    """
    photo = load_photo()
    photo.resize(PHOTO_SIZE, Image.Resampling.LANCZOS).save(folder / "coffee.jpg", quality=95)
    draw_mask(photo.size).resize(PHOTO_SIZE, Image.Resampling.LANCZOS).save(folder / "mask.png")
    with run_engine(folder / "state") as engine:
        profile = make_profile(folder / "profile", version, folder / "state", engine)
        env = {"GIMP3_DIRECTORY": str(profile), "IMPASTO_STATE_DIR": str(folder / "state")}
        with GimpDesktop(prefix(version, folder), env, f"gimp-{version}", folder) as desktop:
            desktop.open(folder / "coffee.jpg")
            window = desktop.find_window(MAIN_WINDOW)
            desktop.spread(window)
            desktop.script(SELECT.format(mask=str(folder / "mask.png")))
            take_pictures(desktop, style, out)


def take_pictures(desktop: GimpDesktop, style: int, out: Path) -> None:
    """Menu, dialog, result."""
    desktop.point(SIZE[0] - 1, SIZE[1] - 1)  # nothing lights up below the mouse
    desktop.find_window(MAIN_WINDOW)
    desktop.press("f")  # the free selection: any tool, but the same one in every GIMP
    desktop.press("alt+r", "a", *["Down"] * N_ENTRIES_ABOVE)
    keep(desktop, out / "gimp-menu.png")
    desktop.press("n")
    desktop.find_window(DIALOG)
    desktop.press("alt+a", "Home", *["Down"] * style)
    keep(desktop, out / "gimp-dialog.png")
    started = time.monotonic()
    desktop.press("alt+p")
    desktop.wait_for("the new layer", lambda: desktop.script(COUNT_LAYERS) == 2, PAINTING_S)
    print(f"painted in {time.monotonic() - started:.1f} s")
    desktop.find_window(MAIN_WINDOW)
    desktop.press("f")
    keep(desktop, out / "gimp-result.png")


def keep(desktop: GimpDesktop, file: Path) -> None:
    """A picture of the screen once it stands still, as small a file as the limit wants."""

    def look() -> Image.Image:
        desktop.shoot(desktop.folder / "screen.png")
        return Image.open(desktop.folder / "screen.png").convert("RGB")

    def look_twice() -> Image.Image | None:
        first = look()
        time.sleep(STILL_S)
        second = look()
        return second if second.tobytes() == first.tobytes() else None

    screen = desktop.wait_for("a screen that stands still", look_twice)
    for n_colors in (256, 192, 128, 96, 64):
        small = screen.quantize(n_colors, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
        small.save(file, optimize=True)
        if file.stat().st_size < MAX_BYTES:
            break
    print(f"{file} ({file.stat().st_size / 1000:.0f} kB, {n_colors} colors)")


@contextmanager
def run_engine(state_dir: Path) -> Iterator[Engine]:
    """This repository's engine, outside of any sandbox."""
    command = [sys.executable, "-m", "server.supervisor.main", "--state-dir", str(state_dir)]
    with open(state_dir.with_name("engine.log"), "wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + ENGINE_START_S
        while (engine := Engine.find(state_dir)) is None or engine.health.status != "ready":
            if process.poll() is not None or time.monotonic() > deadline:
                log_text = state_dir.with_name("engine.log").read_text(errors="replace")
                raise DesktopError(f"The engine does not start: {log_text[-1000:]}")
            time.sleep(0.1)
        yield engine
    finally:
        process.terminate()
        process.wait(timeout=30)


def make_profile(folder: Path, version: str, state_dir: Path, engine: Engine) -> Path:
    """A profile of GIMP for the tour, with the plug-in as the set-up places it."""
    folder.mkdir()
    launcher = plugin.launcher([sys.executable, "-m", "server.supervisor.main"], state_dir)
    plugin.place(Changes(Voice(StringIO())), ROOT / "gimp_plugin", folder, launcher, engine.catalog(), None)
    (folder / "gimprc").write_text(PREFERENCES.format(version=version), "utf-8")
    (folder / "sessionrc").write_text(SESSION.format(width=SIZE[0], height=SIZE[1]), "utf-8")
    return folder


def prefix(version: str, folder: Path) -> list[str]:
    """What stands before a command, so that it runs where this GIMP is, and sees the folder.

    Raises:
        DesktopError: there is none, and none can be made.
    """
    if shutil.which(f"gimp-{version}"):
        return []
    if os.geteuid() != 0:
        raise DesktopError(f"GIMP {version} is not installed, and scripts/gimp-sandbox needs root.")
    return [str(SANDBOX), "--suite", SUITES[version], "--bind", str(ROOT), "--bind", str(folder), "--"]


if __name__ == "__main__":
    sys.exit(main())
