"""Seconds and memory on this computer: ``python -m benchmarks.speed [--peers DIR] [--out DIR]``.

Every painter and size gets a fresh process; painters take turns, so that what else the computer does meets all alike.
Writes speed.json and speed.md where ``--out`` says, and prints the table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.report import computer, in_fresh_process, report_rows
from engine.compute import malloc
from engine.compute.threads import wait_briefly

SIZES = "512x512,1024x1024,2048x2048,4000x3000"
STYLE_PX = 512
PAINTERS = {
    "Impasto": "ours",
    "Impasto, luminance and photoreal": "ours-all",
    "MicroAST": "microast",
}
Row = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    """The command.

    Returns:
        0 done, 1 a painter failed.
    """
    wait_briefly()  # as the product does, for all painters
    malloc.keep_freed()
    options = _parser().parse_args(argv)
    if options.measure:
        print(json.dumps(measure(options.measure, options.size, options.repeats, options.peers)))
        return 0
    rows = run_all(options)
    return report_rows(options.out, "speed", rows, format_table(rows))


def run_all(options: argparse.Namespace) -> list[Row]:
    """A row per size and painter."""
    who = {name: key for name, key in PAINTERS.items() if key != "microast" or options.peers is not None}
    rows = []
    for size in options.sizes:
        for name, key in who.items():
            width, height = size
            print(f"{name}, {width} x {height}", file=sys.stderr)
            rows.append({"painter": name, "width": width, "height": height, **_in_fresh_process(key, size, options)})
    return rows


def _in_fresh_process(key: str, size: tuple[int, int], options: argparse.Namespace) -> Row:
    words = ["--measure", key, "--size", f"{size[0]}x{size[1]}", "--repeats", str(options.repeats)]
    words += [] if options.peers is None else ["--peers", str(options.peers.resolve())]
    return in_fresh_process("benchmarks.speed", words)


def measure(key: str, size: tuple[int, int], repeats: int, peers: Path | None) -> Row:
    """Let one painter paint one size in this process.

    Returns:
        "load_s" (imports and weights), "first_s" (first picture of that size), "seconds" (of each further one),
        "idle_bytes" (loaded, before the picture is there), "extra_bytes" (peak above that, pictures included).
    """
    began = time.perf_counter()
    import torch  # noqa: PLC0415  (its import is part of what is measured)

    from benchmarks import memory, painters  # noqa: PLC0415
    from benchmarks.landscape import make_landscape  # noqa: PLC0415
    from engine.core.types import Settings  # noqa: PLC0415

    if key == "microast":
        if peers is None:
            raise SystemExit("MicroAST needs --peers.")
        paint = painters.microast(peers / "microast")
    else:
        settings = Settings(color="luminance", photoreal=1.0) if key == "ours-all" else Settings()
        paint = painters.ours(settings)
    style = make_landscape(STYLE_PX, STYLE_PX, seed=1)
    with torch.inference_mode():
        paint(style[:, :, :128, :128].clone(), style)
    load_s = time.perf_counter() - began
    idle_bytes = memory.resident_bytes()
    content = make_landscape(*size, seed=2)
    memory.reset_peak()
    seconds = []
    for _ in range(1 + repeats):
        began = time.perf_counter()
        with torch.inference_mode():
            paint(content, style)
        seconds.append(time.perf_counter() - began)
    return {
        "load_s": load_s,
        "first_s": seconds[0],
        "seconds": seconds[1:],
        "idle_bytes": idle_bytes,
        "extra_bytes": memory.peak_bytes() - idle_bytes,
        "threads": torch.get_num_threads(),
    }


def format_table(rows: list[Row]) -> str:
    """Markdown: the fastest and the median of the repeats, and the ratio to the peer of the same run."""
    lines = [
        "| size | painter | load s | first s | best s | median s | best / MicroAST's | memory above idle |",
        "|---" * 8 + "|",
    ]
    peers = {
        (row["width"], row["height"]): min(row["seconds"])
        for row in rows
        if row["painter"] == "MicroAST" and "seconds" in row
    }
    for row in rows:
        size = row["width"], row["height"]
        cells = [f"{size[0]} x {size[1]}", row["painter"]]
        if "error" in row:
            cells += [f"failed: {row['error']}", "", "", "", "", ""]
        else:
            best, median = min(row["seconds"]), statistics.median(row["seconds"])
            cells += [f"{seconds:.2f}" for seconds in (row["load_s"], row["first_s"], best, median)]
            cells += [f"{best / peers[size]:.2f}" if size in peers else "-", f"{row['extra_bytes'] / 1e6:.0f} MB"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", computer(), ""])


def size_of(text: str) -> tuple[int, int]:
    """ "4000x3000" as width and height."""
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 4000x3000") from None
    if not (16 <= width <= 8192 and 16 <= height <= 8192):
        raise argparse.ArgumentTypeError(f"{text}: sides go from 16 to 8192")
    return width, height


def sizes_of(text: str) -> list[tuple[int, int]]:
    """Several of them, separated by commas."""
    return [size_of(part) for part in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="impasto bench", description="Measure seconds and memory on this computer.")
    parser.add_argument("--sizes", type=sizes_of, default=sizes_of(SIZES), metavar="WxH,...")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", type=Path, metavar="DIR", help="folder with microast/*.safetensors")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write speed.json and speed.md")
    parser.add_argument("--measure", choices=list(PAINTERS.values()), help=argparse.SUPPRESS)
    parser.add_argument("--size", type=size_of, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
