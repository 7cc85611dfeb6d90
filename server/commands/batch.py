"""``impasto batch``: a folder of pictures, painted in one style, into another folder."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.commands.command import Command
from server.commands.stylize import add_painting_arguments, peak_bytes, settings_of
from server.commands.terminal import progress_bar

if TYPE_CHECKING:
    from engine.series import Series
    from engine.types import Progress, Settings, Style


def run(options: argparse.Namespace) -> int:
    """Paint every picture of the folder; what cannot be painted is named, and the others go on."""
    from engine.errors import ImpastoError, SettingsError  # noqa: PLC0415  (torch: only when needed)
    from engine.methods import get  # noqa: PLC0415
    from engine.progress import part  # noqa: PLC0415
    from server.commands.painting import read_styles  # noqa: PLC0415

    settings = settings_of(options)
    if options.consistent and settings.method != "anystyle":
        raise SettingsError("--consistent is of the method anystyle: leave it or --method out.")
    get(settings.method)
    styles = read_styles(options)
    pictures, skipped = list_pictures(options.folder, options.output)
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with progress_bar() as on_progress:
        series = measure(pictures, settings, part(on_progress, 0.0, 0.05)) if options.consistent else None
        for i, path in enumerate(pictures):
            stretch = part(on_progress, 0.05 + 0.95 * i / len(pictures), 0.05 + 0.95 * (i + 1) / len(pictures))
            try:
                target = options.output / name_of(path)
                done.append(paint(path, target, styles, settings, series, named(stretch, path.name)))
            except SettingsError:
                raise  # it would be the same for all of them
            except ImpastoError as error:
                failed.append({"content": str(path), "error": str(error)})
                on_progress.clear()
                print(f"{path.name}: {error}", file=sys.stderr)
    tell(options, settings, done, failed, skipped)
    return 1 if failed else 0


def list_pictures(folder: Path, output: Path) -> tuple[list[Path], list[Path]]:
    """The pictures of a folder, by name, and the other files in it. Makes the folder for the results.

    Raises:
        InputError: no such folder, no picture in it, or the results would take the pictures' places.
    """
    from engine.errors import InputError  # noqa: PLC0415
    from engine.files import READABLE_SUFFIXES  # noqa: PLC0415

    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    if output.exists() and (not output.is_dir() or output.samefile(folder)):
        raise InputError(f"{output} cannot take the results: name another folder.")
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    pictures = [path for path in files if path.suffix.lower() in READABLE_SUFFIXES]
    if not pictures:
        raise InputError(f"There is no picture in {folder}.")
    taken: dict[str, Path] = {}
    for path in pictures:
        other = taken.setdefault(name_of(path).lower(), path)
        if other is not path:
            raise InputError(f"{path.name} and {other.name} would have the same name in {output}: rename one of them.")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {output} cannot be made ({error.strerror}).") from error
    return pictures, [path for path in files if path not in pictures]


def name_of(path: Path) -> str:
    """A result's name: the picture's own, as PNG where its format can only be read."""
    from engine.files import WRITABLE  # noqa: PLC0415

    return path.name if path.suffix.lower() in WRITABLE else f"{path.stem}.png"


def measure(pictures: Sequence[Path], settings: Settings, on_progress: Progress) -> Series:
    """What all the pictures, or many of them evenly spread, have in common.

    Raises:
        InputError: not one of them can be read.
    """
    from engine.errors import ImpastoError, InputError  # noqa: PLC0415
    from engine.files import read_picture  # noqa: PLC0415
    from engine.series import MAX_PICTURES, Series, sample  # noqa: PLC0415

    step = max(1, -(-len(pictures) // MAX_PICTURES))
    chosen = pictures[::step]
    samples = []
    for i, path in enumerate(chosen):
        on_progress(i / len(chosen), f"Looking at {path.name}")
        try:
            samples.append(sample(read_picture(path), settings.size_px))
        except ImpastoError:
            continue  # it is named when its turn to be painted comes
    if not samples:
        raise InputError("None of the pictures can be read.")
    return Series(tuple(samples))


def paint(
    path: Path,
    target: Path,
    styles: Sequence[Style],
    settings: Settings,
    series: Series | None,
    on_progress: Progress,
) -> dict[str, Any]:
    """One picture from file to file; its report."""
    from engine.files import depth_note, read_picture, write_picture  # noqa: PLC0415
    from engine.stylize import stylize  # noqa: PLC0415

    began = time.perf_counter()
    content = read_picture(path)
    result = stylize(content, styles, settings, on_progress=on_progress, series=series)
    write_picture(target, result.picture, like=path)
    report = dict(result.report)
    report["notes"] = [*report["notes"], *filter(None, [depth_note(path)])]
    report["seconds"]["total"] = round(time.perf_counter() - began, 4)
    return {"content": str(path), "output": str(target), **report}


def named(on_progress: Progress, name: str) -> Progress:
    """A Progress that says which picture it is about."""
    return lambda share, message: on_progress(share, f"{name}: {message}")


def tell(
    options: argparse.Namespace,
    settings: Settings,
    done: list[dict[str, Any]],
    failed: list[dict[str, str]],
    skipped: Sequence[Path],
) -> None:
    """A line for each picture, or everything as JSON."""
    if options.json:
        account = {
            "styles": options.style,
            "settings": asdict(settings),
            "consistent": options.consistent,
            "pictures": done,
            "failed": failed,
            "skipped": [str(path) for path in skipped],
            "peak_bytes": peak_bytes(),
        }
        print(json.dumps(account, indent=2))
        return
    for report in done:
        print(f"{report['output']} ({report['seconds']['total']:.1f} s)")
    for note in dict.fromkeys(note for report in done for note in report["notes"]):
        print(f"Note: {note}")
    if skipped:
        print(f"Note: no pictures, left out: {', '.join(path.name for path in skipped)}")
    print(f"{len(done)} of {len(done) + len(failed)} pictures painted")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="the pictures to paint")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="gets the results")
    parser.add_argument(
        "--consistent",
        action="store_true",
        help="pictures of one series: the same thing looks the same in all of them",
    )
    parser.add_argument("--json", action="store_true", help="report settings, seconds per stage, peak memory")
    add_painting_arguments(parser)


COMMAND = Command("batch", "paint a folder of pictures", run, add_arguments)
