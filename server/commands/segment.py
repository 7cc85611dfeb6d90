"""``impasto segment``: find a thing in a picture, as a mask."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.core.errors import SettingsError
from gimp_plugin.wire import EDGES
from server.commands.command import Command
from server.terminal import progress_bar

if TYPE_CHECKING:
    from engine.segmentation.segment import Found

MAX_OBJECTS = 31  # and the rest: a label map has at most 32 colors
# Colors of a label map, far from each other and from black, neighbors in the list as different as can be.
_LEVELS = (255, 0, 170, 85)
LEGEND = [(_LEVELS[i % 4], _LEVELS[(i // 4 + i) % 4], _LEVELS[(i // 16 + 2 * i) % 4]) for i in range(64)]


def run(options: argparse.Namespace) -> int:
    """Read, look, write, and say what was found."""
    from engine.files import check_writable, read_mask, read_with_notes  # noqa: PLC0415
    from engine.segmentation import segment  # noqa: PLC0415  (torch: only when needed)

    began = time.perf_counter()
    check_usage(options)
    segment.resolve(options.model)
    check_writable(options.output, [options.image, options.lasso])
    picture, notes = read_with_notes(options.image)
    with progress_bar() as on_progress:
        if options.auto:
            found = segment.find_all(picture, options.model, options.edge, on_progress)[:MAX_OBJECTS]
        else:
            region = None if options.lasso is None else read_mask(options.lasso, picture.size).weight >= 0.5
            prompt = segment.Prompt(options.box, tuple(options.point), tuple(options.not_point), region)
            found = [segment.find_object(picture, prompt, options.model, options.edge, on_progress)]
            notes = [*notes, *found[0].notes]
    write(options.output, found, is_map=options.auto, is_inverted=options.invert)
    tell(options, found, time.perf_counter() - began, notes)
    return 0


def check_usage(options: argparse.Namespace) -> None:
    """Refuse what cannot be meant.

    Raises:
        SettingsError: ``--auto`` and a prompt, or both a box and an outline.
    """
    if options.auto and (options.box or options.point or options.not_point or options.lasso or options.invert):
        raise SettingsError("--auto looks for everything: leave out --box, --lasso, --invert and the points.")
    if options.box and options.lasso:
        raise SettingsError("--box and --lasso say the same: give one of them.")


def write(path: Path, found: list[Found], *, is_map: bool, is_inverted: bool = False) -> None:
    """One object as a gray mask, or all but it; several as a label map, a color for each on black."""
    import torch  # noqa: PLC0415

    from engine.core.types import Picture  # noqa: PLC0415
    from engine.files import write_or_keep  # noqa: PLC0415

    if not is_map:
        mask = 1 - found[0].mask if is_inverted else found[0].mask
        write_or_keep(path, Picture(mask.expand(3, *mask.shape)))
        return
    rgb = torch.zeros(3, *found[0].mask.shape)
    for one, color in zip(found, LEGEND, strict=False):  # largest first: what lies on it stays visible
        rgb[:, one.mask >= 0.5] = torch.tensor(color)[:, None] / 255
    write_or_keep(path, Picture(rgb))


def tell(options: argparse.Namespace, found: list[Found], seconds: float, notes: list[str]) -> None:
    """A line for each object, or everything as JSON."""
    objects: list[dict[str, Any]] = [
        {"box": list(one.box), "area": round(one.area, 5), "quality": one.quality and round(one.quality, 4)}
        for one in found
    ]
    if options.json:
        account = {"image": str(options.image), "output": str(options.output), "model": found[0].model}
        print(json.dumps(account | {"objects": objects, "seconds": round(seconds, 3), "notes": notes}, indent=2))
        return
    for number, one in enumerate(found, 1):
        name = f"object {number}: " if options.auto else ""
        print(f"{name}box {','.join(map(str, one.box))}, {one.area:.1%} of the picture")
    print(f"{options.output} ({found[0].model}, {seconds:.1f} s)")
    for note in notes:
        print(f"Note: {note}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the thing is (said nothing: what stands out), and what finds it."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the picture")
    parser.add_argument("--box", type=numbers(4), metavar="X0,Y0,X1,Y1", help="a rough rectangle around the object")
    parser.add_argument(
        "--point", action="append", default=[], type=numbers(2), metavar="X,Y", help="on the object; repeat it"
    )
    parser.add_argument(
        "--not-point", action="append", default=[], type=numbers(2), metavar="X,Y", help="beside the object; repeat it"
    )
    parser.add_argument("--lasso", type=Path, metavar="PNG", help="a rough outline of the object, filled with white")
    parser.add_argument("--auto", action="store_true", help="list all objects; OUT becomes a label map")
    parser.add_argument("--invert", action="store_true", help="everything but the object")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MASK.png")
    parser.add_argument(
        "--model",
        default="auto",
        metavar="NAME",
        help="object (the default, it ships), grabcut, sam, sam-vit-l, sam-vit-h, or a .pth file",
    )
    parser.add_argument("--edge", choices=EDGES, default="auto", help="soft: hair and fur; hard: 0 or 1")
    parser.add_argument("--json", action="store_true", help="report the objects as JSON")


def numbers(n: int) -> Callable[[str], tuple[int, ...]]:
    """A parser of n whole numbers with commas between them."""

    def parse(text: str) -> tuple[int, ...]:
        try:
            found = tuple(int(part) for part in text.split(","))
        except ValueError:
            found = ()
        if len(found) != n:
            raise argparse.ArgumentTypeError(f"{text!r} is not {n} whole numbers with commas between them")
        return found

    return parse


COMMAND = Command("segment", "find an object in a picture, as a mask", run, add_arguments)
