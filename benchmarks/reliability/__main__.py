"""``python -m benchmarks.reliability [--short] [--only NAME] [--out DIR]``: the server's figures, test by test.

In full it takes half an hour or more; ``--short``, for CI, some minutes. Prints a table of test, target, measured and
verdict. Linux only: it looks into /proc.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks.reliability import cancel, clients, crashes, endurance
from benchmarks.reliability.row import Row, Scale
from benchmarks.report import save_report

CHECKS: Mapping[str, Callable[[Scale], Row]] = {
    "fuzz": clients.fuzz,
    "state-machine": clients.state_machine,
    "killed-worker": crashes.killed_worker,
    "killed-supervisor": crashes.killed_supervisor,
    "cancel": cancel.cancels,
    "client-gone": clients.gone_clients,
    "flood": clients.flood,
    "two-starts": crashes.two_starts,
    "memory": crashes.short_memory,
    "disk": crashes.full_disk,
    "idle": endurance.idle,
    "soak": endurance.soak,
    "cold-start": endurance.cold_start,
    "round-trip": endurance.round_trip,
}


def main(argv: list[str] | None = None) -> int:
    """The command.

    Returns:
        0 all is held that was not left out; 1 something is missed, or a test broke off.
    """
    parser = argparse.ArgumentParser(prog="benchmarks.reliability", description="What the server holds when tried.")
    parser.add_argument("--short", action="store_true", help="fewer rounds: some minutes in all")
    parser.add_argument("--only", action="append", choices=list(CHECKS), help="one test; may be given again")
    parser.add_argument("--out", type=Path, help="folder for reliability.json and reliability.md")
    options = parser.parse_args(argv)
    if not sys.platform.startswith("linux"):
        parser.exit(1, "This looks into /proc: it runs on Linux only.\n")
    rows = [run(name, 1 if options.short else 2) for name in options.only or CHECKS]
    table = format_table(rows)
    if options.out is None:
        print(table)
    else:
        save_report(options.out, "reliability", [asdict(row) for row in rows], table)
    return 0 if all(row.is_held is not False for row in rows) else 1


def run(name: str, level: int) -> Row:
    """One test. That it breaks off is a verdict too."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="impasto-") as folder:
        try:
            row = CHECKS[name](Scale(level, Path(folder)))
        except Exception as error:  # any fault of the server may show as any error here; the other tests go on
            traceback.print_exc()
            row = Row(name, "runs to its end", f"{type(error).__name__}: {error}", False)
    print(f"{name}: {row.verdict}, {row.measured} ({time.monotonic() - began:.0f} s)", flush=True)
    return row


def format_table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| test | target | measured | verdict |", "|---|---|---|---|"]
    lines += [f"| {row.name} | {row.target} | {row.measured} | {row.verdict} |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
