"""``impasto batch``: a folder of pictures, painted in one style, into another folder."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.commands.arguments import add_painting_arguments, settings_of
from server.commands.command import Command
from server.commands.stylize import peak_bytes
from server.folder import Marks, list_pictures, make_folder, target_of
from server.terminal import progress_bar

if TYPE_CHECKING:
    from engine.core.errors import ImpastoError
    from engine.core.types import Progress, Series, Settings, Style

STYLE_PX = 2048  # the style is read once for all pictures, whatever their sizes


def run(options: argparse.Namespace) -> int:
    """Paint every picture of the folder; what cannot be painted is named, and the others go on.

    What an earlier run painted in the same way is left as it is. A disk that takes no more stops the work.
    """
    from engine import methods  # noqa: PLC0415
    from engine.core.errors import SettingsError  # noqa: PLC0415  (torch: only when needed)
    from server.commands.painting import read_styles  # noqa: PLC0415

    settings = settings_of(options)
    if "series" not in methods.get(settings.method).takes and options.consistent:
        able = " and ".join(method.name for method in methods.catalog() if "series" in method.takes)
        raise SettingsError(f"--consistent is of the method {able}: leave it or --method out.")
    account = Account()
    styles = read_styles(options, STYLE_PX, account.notes)
    found = list_pictures(options.folder, options.output)
    make_folder(options.output)
    account.failed, account.others = found.failed, found.others
    for one in found.failed:
        print(f"{one['content']}: {one['error']}", file=sys.stderr)
    stopped: ImpastoError | None = None
    try:
        paint_all(options, settings, styles, found.pictures, account)
    except PlaceError as error:
        stopped = error.reason
    tell(options, settings, account)
    if stopped is not None:
        print(f"{stopped} Run the same command again to go on.", file=sys.stderr)
    return 1 if account.failed or stopped is not None else 0


@dataclass
class Account:
    """What became of the pictures.

    Args:
        done: the report of each that was painted.
        failed: file and sentence of each that could not be.
        before: those that were painted before.
        others: files that are no pictures.
        notes: what of the styles was not read.
    """

    done: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    before: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class PlaceError(Exception):
    """The place for results takes no more: to paint on would be in vain."""

    def __init__(self, reason: ImpastoError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def paint_all(
    options: argparse.Namespace, settings: Settings, styles: Sequence[Style], pictures: Sequence[Path], account: Account
) -> None:
    """Paint what is not done yet.

    Raises:
        PlaceError: no more results can be written.
        SettingsError: what would be wrong for all of them.
    """
    from engine.core.errors import ImpastoError, SettingsError  # noqa: PLC0415
    from engine.core.progress import part  # noqa: PLC0415

    marks = Marks(options, settings, pictures if options.consistent else ())
    account.before = [p for p in pictures if not options.again and marks.is_done(p, _target(options, p))]
    before = set(account.before)
    waiting = [path for path in pictures if path not in before]
    with progress_bar() as on_progress:
        series = None
        if options.consistent and waiting:
            series = measure(pictures, settings, part(on_progress, 0.0, 0.05))
        for i, path in enumerate(waiting):
            stretch = part(on_progress, 0.05 + 0.95 * i / len(waiting), 0.05 + 0.95 * (i + 1) / len(waiting))
            name = str(path.relative_to(options.folder))
            try:
                work = Picked(path, _target(options, path), marks.of(path))
                report = paint(work, styles, settings, series, named(stretch, name))
                account.done.append(report | {"notes": [*account.notes, *report["notes"]]})
            except SettingsError:
                raise  # it would be the same for all of them
            except ImpastoError as error:
                account.failed.append({"content": str(path), "error": str(error)})
                on_progress.clear()
                print(f"{name}: {error}", file=sys.stderr)


def _target(options: argparse.Namespace, path: Path) -> Path:
    return target_of(path, options.folder, options.output)


def measure(pictures: Sequence[Path], settings: Settings, on_progress: Progress) -> Series:
    """What all the pictures, or many of them evenly spread, have in common.

    Raises:
        InputError: not one of them can be read.
    """
    from engine.core.errors import ImpastoError, InputError  # noqa: PLC0415
    from engine.core.types import Series  # noqa: PLC0415
    from engine.files import read_picture  # noqa: PLC0415
    from engine.pipeline.series import MAX_PICTURES, sample  # noqa: PLC0415

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


@dataclass(frozen=True)
class Picked:
    """A picture that is to be painted: its file, its result's, and what is written into that of how it was made."""

    path: Path
    target: Path
    mark: str


def paint(
    work: Picked, styles: Sequence[Style], settings: Settings, series: Series | None, on_progress: Progress
) -> dict[str, Any]:
    """One picture from file to file; its report.

    Raises:
        PlaceError: the result cannot be written.
        ImpastoError: it cannot be painted.
    """
    from engine.core.errors import ImpastoError, ResourceError  # noqa: PLC0415
    from engine.files import check_size, check_writable, read_with_notes, write_or_keep  # noqa: PLC0415
    from engine.pipeline.stylize import stylize  # noqa: PLC0415

    began = time.perf_counter()
    try:
        make_folder(work.target.parent)
        check_writable(work.target, [work.path])
    except ResourceError as error:
        raise PlaceError(error) from error
    content, notes = read_with_notes(work.path)
    check_size(work.target, content.size)
    result = stylize(content, styles, settings, on_progress=on_progress, series=series)
    try:
        lost = write_or_keep(work.target, result.picture, like=work.path, made_by=work.mark)
    except ImpastoError as error:
        raise PlaceError(error) from error
    report = dict(result.report)
    report["notes"] = [*notes, *report["notes"], *lost]
    report["seconds"]["total"] = round(time.perf_counter() - began, 4)
    return {"content": str(work.path), "output": str(work.target), **report}


def named(on_progress: Progress, name: str) -> Progress:
    """A Progress that says which picture it is about."""
    return lambda share, message: on_progress(share, f"{name}: {message}")


def tell(options: argparse.Namespace, settings: Settings, account: Account) -> None:
    """A line for each picture, or everything as JSON."""
    if options.json:
        words = {
            "styles": options.style,
            "settings": asdict(settings),
            "consistent": options.consistent,
            "pictures": account.done,
            "failed": account.failed,
            "before": [str(path) for path in account.before],
            "skipped": [str(path) for path in account.others],
            "peak_bytes": peak_bytes(),
        }
        print(json.dumps(words, indent=2))
        return
    for report in account.done:
        print(f"{report['output']} ({report['seconds']['total']:.1f} s)")
    for note in dict.fromkeys(note for report in account.done for note in report["notes"]):
        print(f"Note: {note}")
    if account.others:
        names = ", ".join(str(path.relative_to(options.folder)) for path in account.others)
        print(f"Note: no pictures, left out: {names}")
    if account.before:
        print(f"Note: {len(account.before)} were painted before and are left as they are; --again paints them, too.")
    print(f"{len(account.done)} of {len(account.done) + len(account.failed)} pictures painted")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="the pictures to paint, in folders within it, too")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="gets the results")
    parser.add_argument(
        "--consistent",
        action="store_true",
        help="pictures of one series: the same thing looks the same in all of them",
    )
    parser.add_argument("--again", action="store_true", help="paint what is done already, too")
    parser.add_argument("--json", action="store_true", help="report settings, seconds per stage, peak memory")
    add_painting_arguments(parser)


COMMAND = Command("batch", "paint a folder of pictures", run, add_arguments)
