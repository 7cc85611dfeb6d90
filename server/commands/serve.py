"""``impasto serve``: the engine that the plug-in and the web page talk to."""

from __future__ import annotations

import argparse

from server.commands.command import Command


def run(options: argparse.Namespace) -> int:
    """Hand over to the supervisor, which parses its own options."""
    from server.supervisor.main import serve  # noqa: PLC0415  (starlette and uvicorn: only when they serve)

    return serve(options.words)


COMMAND = Command("serve", "run the engine that GIMP's plug-in talks to; --ui adds a web page", run)
