"""Blind sheets: which painter is preferred by eyes that do not know who painted what.

``python -m benchmarks.blind make OUT --key KEY --photos DIR --art DIR --ours fast best --painted NAME=DIR`` writes one
sheet a pair, its painters in a shuffled order, and apart from them the key. Below the paintings are photo and style.

``python -m benchmarks.blind score KEY RANKING...`` reads rankings, a line a sheet with the best first
(``sheet-01: B A C``), and prints mean ranks and who beats whom how often.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import painters
from benchmarks.pairs import draw_pairs, load_sized
from benchmarks.sheet import Sheet
from engine.core.errors import ImpastoError, InputError
from engine.core.types import Settings

Key = dict[str, list[str]]
"""By sheet the painters in the order of their letters."""


def main(argv: list[str] | None = None) -> int:
    """The command.

    Returns:
        0 done, 1 failed with one sentence on stderr.
    """
    options = _parser().parse_args(argv)
    try:
        if options.command == "make":
            key = make(options)
            options.key.write_text(json.dumps(key, indent=1) + "\n", "utf-8")
        else:
            key = json.loads(options.key.read_text("utf-8"))
            print(score(key, [read_ranking(path, key) for path in options.rankings]))
    except ImpastoError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def make(options: argparse.Namespace) -> Key:
    """Paint or collect every pair, write its sheet, and tell who stands where."""
    folders = dict(entry.split("=", 1) for entry in options.painted)
    who = {name: painters.ours(Settings(quality=name)) for name in options.ours}
    order = random.Random(options.seed)  # noqa: S311  (an order, no secret)
    options.out.mkdir(parents=True, exist_ok=True)
    key: Key = {}
    pairs = draw_pairs(options.photos, options.art, options.pairs, options.size, options.seed)
    for n, pair in enumerate(pairs, 1):
        painted = {name: paint(pair.content, pair.style) for name, paint in who.items()}
        for name, folder in folders.items():
            path = Path(folder) / f"{pair.name.replace(' / ', '_')}.png"
            if not path.is_file():
                raise InputError(f"{name} has not painted {path.name} in {folder}.")
            painted[name] = load_sized(path, max(pair.content.shape[2:]))
        names = list(painted)
        order.shuffle(names)
        sheet = Sheet([chr(ord("A") + i) for i in range(len(names))], options.size)
        sheet.add_row([painted[name] for name in names])
        sheet.add_row([pair.content, pair.style])
        key[f"sheet-{n:02}"] = names
        sheet.save(options.out / f"sheet-{n:02}.png")
        print(f"{n}/{options.pairs} {pair.name}", file=sys.stderr)
    return key


def read_ranking(path: Path, key: Key) -> Key:
    """By sheet the painters from best to worst.

    Raises:
        InputError: a line names no sheet of the key, or not each of its letters once.
    """
    found: Key = {}
    for line in filter(None, map(str.strip, path.read_text("utf-8").splitlines())):
        sheet, _, letters = line.partition(":")
        places = [ord(letter) - ord("A") for letter in letters.split()]
        if sheet not in key or sorted(places) != list(range(len(key[sheet]))):
            raise InputError(f"{path.name}: {line!r} does not rank the letters of a sheet.")
        found[sheet] = [key[sheet][place] for place in places]
    return found


def score(key: Key, rankings: Sequence[Mapping[str, Sequence[str]]]) -> str:
    """A table: each painter's mean rank, and in how many percent of the sheets it is before each other."""
    ranked = [list(order) for ranking in rankings for order in ranking.values()]
    names = sorted({name for order in key.values() for name in order})
    rows = []
    for name in names:
        own = [order for order in ranked if name in order]
        if own:
            mean = sum(order.index(name) + 1 for order in own) / len(own)
            rows.append((mean, [name, f"{mean:.2f}", *(beats(name, other, own) for other in names)]))
    head = ["", "mean rank", *(f"beats {name}" for name in names)]
    lines = [head, ["---"] * len(head), *(row for _, row in sorted(rows))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def beats(name: str, other: str, ranked: Sequence[Sequence[str]]) -> str:
    """In how many of the orders with both one stands before another, as a percentage with its count."""
    both = [order.index(name) < order.index(other) for order in ranked if other in order]
    return "" if name == other or not both else f"{100 * sum(both) / len(both):.0f} % of {len(both)}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.blind", description=(__doc__ or "").split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    make_ = commands.add_parser("make", help="write sheets and their key")
    make_.add_argument("out", type=Path, help="folder of the sheets")
    make_.add_argument("--key", type=Path, required=True, help="file for the key, away from the sheets")
    make_.add_argument("--photos", type=Path, help="folder of photos; ours unless said")
    make_.add_argument("--art", type=Path, help="folder of styles; made-up ones unless said")
    make_.add_argument("--pairs", type=int, default=12)
    make_.add_argument("--size", type=int, default=512, help="longest side in pixels")
    make_.add_argument("--seed", type=int, default=0)
    make_.add_argument("--ours", nargs="*", default=[], choices=("fast", "better", "best"), help="painted now")
    make_.add_argument("--painted", nargs="*", default=[], metavar="NAME=DIR", help="files CONTENT_STYLE.png of others")
    score_ = commands.add_parser("score", help="win rates of rankings")
    score_.add_argument("key", type=Path)
    score_.add_argument("rankings", type=Path, nargs="+")
    return parser


if __name__ == "__main__":
    sys.exit(main())
