"""``impasto``: the command line.

Exit status 0 done, 1 failed with one sentence on stderr, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from engine import __version__
from engine.compute import malloc
from engine.compute.threads import wait_briefly
from engine.core.errors import ImpastoError, SettingsError
from gimp_plugin.wire import WireError
from server.commands import batch, bench, catalog, doctor, models, segment, serve, style, stylize, train
from server.commands.command import Command

COMMANDS = (
    stylize.COMMAND,
    batch.COMMAND,
    segment.COMMAND,
    style.COMMAND,
    catalog.METHODS,
    catalog.CATALOG,
    models.COMMAND,
    train.COMMAND,
    serve.COMMAND,
    doctor.COMMAND,
    bench.COMMAND,
)
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: without the program's name; None = the process's own.

    Returns:
        The exit status.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    show_any_name()
    wait_briefly()
    if words[:1] != ["serve"]:  # whose process computes nothing, and stays small
        malloc.keep_freed()
    try:
        return _run(words)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (ImpastoError, WireError) as error:
        print(error, file=sys.stderr)
        return 1
    except RuntimeError as error:
        if "home directory" not in str(error):  # of Path.home()
            raise
        print("You have no home folder on this computer: set HOME to a folder of yours.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `impasto catalog | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def show_any_name() -> None:
    """Let a console that lacks a letter of a file's name show another instead of ending in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _run(words: list[str]) -> int:
    by_name = {command.name: command for command in COMMANDS}
    command = by_name.get(words[0]) if words else None
    if command is not None and command.add_arguments is None:
        return command.run(argparse.Namespace(words=words[1:]))
    options = build_parser().parse_args(words)
    return by_name[options.command].run(options)


def build_parser() -> argparse.ArgumentParser:
    """The parser of everything but what ``serve``, ``train`` and ``bench`` parse themselves."""
    parser = argparse.ArgumentParser(prog="impasto", description="Paint pictures in the style of any picture.")
    parser.add_argument("--version", action="version", version=f"impasto {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        add_command(commands, command)
    return parser


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser], command: Command) -> None:
    """Enter a command into the help."""
    parser = commands.add_parser(command.name, help=command.summary, description=command.summary)
    if command.add_arguments is not None:
        command.add_arguments(parser)


if __name__ == "__main__":
    raise SystemExit(main())
