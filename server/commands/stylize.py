"""``impasto stylize``: one picture, painted."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.commands.arguments import AUTO_REGIONS, add_painting_arguments, settings_of
from server.commands.command import Command
from server.terminal import progress_bar

if TYPE_CHECKING:
    from engine.core.types import Settings

MUCH_BYTES = 2 << 30  # of memory: said before the work starts


def run(options: argparse.Namespace) -> int:
    """Read, paint, write, and say what was done."""
    from engine.files import check_size, check_writable, write_or_keep  # noqa: PLC0415  (torch: only when needed)
    from server.commands import painting  # noqa: PLC0415

    began = time.perf_counter()
    settings = settings_of(options)
    check_writable(options.output, inputs_of(options))
    work = painting.read_work(options)
    check_size(options.output, work.content.size)
    read_s = time.perf_counter() - began
    if options.engine is None:
        tell_need(options, settings, work.content.size)
    with progress_bar() as on_progress:
        if options.engine is None:
            picture, report = painting.paint_here(work, settings, on_progress)
        else:
            picture, report = painting.paint_there(options.engine, work, settings, on_progress)
    painted = time.perf_counter()
    lost = write_or_keep(options.output, picture, like=options.content)
    ended = time.perf_counter()
    report["notes"] = [*work.notes, *report.get("notes", []), *lost]
    report["seconds"] = {"read": round(read_s, 4), **report["seconds"], "write": round(ended - painted, 4)}
    report["seconds"]["total"] = round(ended - began, 4)
    tell(options, settings, report)
    return 0


def inputs_of(options: argparse.Namespace) -> list[Path | str | None]:
    """The files that are read, and so must not be overwritten."""
    maps = None if options.regions == AUTO_REGIONS else options.regions
    return [options.content, options.mask, maps, options.style_regions, *options.style]


def tell_need(options: argparse.Namespace, settings: Settings, size: tuple[int, int]) -> None:
    """Say before the work starts that it needs much memory."""
    from engine.compute.memory_need import estimate  # noqa: PLC0415

    need = estimate(settings, size, size)
    if need.n_bytes >= MUCH_BYTES or need.is_tight:
        print(f"Note: {options.content.name}: {need.sentence}", file=sys.stderr)


def tell(options: argparse.Namespace, settings: Settings, report: dict[str, Any]) -> None:
    """One line for people, or everything as JSON."""
    if not options.json:
        print(f"{options.output} ({report['seconds']['total']:.1f} s)")
        for note in report["notes"]:
            print(f"Note: {note}")
        return
    account = {
        "content": str(options.content),
        "styles": options.style,
        "output": str(options.output),
        "settings": asdict(settings),
        **report,
        "peak_bytes": max(report.get("peak_bytes", 0), peak_bytes()),
    }
    print(json.dumps(account, indent=2))


def peak_bytes() -> int:
    """The most memory that this process has had; 0 where the system does not tell."""
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("content", type=Path, metavar="CONTENT", help="the picture to paint")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png")
    parser.add_argument("--mask", type=Path, metavar="PNG", help="gray: black is left untouched, white is painted")
    parser.add_argument(
        "--object",
        type=place,
        metavar="X,Y|X0,Y0,X1,Y1|auto",
        help="paint the object at a point or in a rough box alone; auto: the one that stands out",
    )
    parser.add_argument("--invert", action="store_true", help="paint everything but --object or the --mask")
    parser.add_argument(
        "--regions",
        type=Path,
        metavar="PNG|auto",
        help="label map of the content, with --style-regions; auto: sky from sky, ground from ground, found by itself",
    )
    parser.add_argument("--style-regions", type=Path, metavar="PNG", help="of the style: same color = same region")
    parser.add_argument("--engine", metavar="URL", help="let a running engine of yours paint: http://127.0.0.1:PORT")
    parser.add_argument("--json", action="store_true", help="report settings, seconds per stage, peak memory")
    add_painting_arguments(parser)


def place(text: str) -> tuple[int, ...]:
    """ "120,80" or "10,20,200,220" as numbers; "auto" as none."""
    try:
        numbers = () if text == "auto" else tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = (0,)
    if len(numbers) not in (0, 2, 4):
        raise argparse.ArgumentTypeError(f"{text!r} is neither X,Y nor X0,Y0,X1,Y1 nor auto")
    return numbers


COMMAND = Command("stylize", "paint a picture in the style of another", run, add_arguments)
