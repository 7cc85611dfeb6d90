"""``impasto methods`` and ``impasto catalog``: what there is to choose from."""

from __future__ import annotations

import argparse
import json
from typing import Any

from server.commands.command import Command


def read_catalog() -> dict[str, Any]:
    """Version, methods and style presets, as the HTTP API tells them."""
    from server.worker.painter import catalog  # noqa: PLC0415  (torch: only when it is needed)

    return catalog()


def print_catalog(_options: argparse.Namespace) -> int:
    """All of it as JSON; install.py puts it beside the plug-in."""
    print(json.dumps(read_catalog(), indent=2, ensure_ascii=True))
    return 0


def print_methods(options: argparse.Namespace) -> int:
    """The methods, as a table or as JSON."""
    methods = read_catalog()["methods"]
    if options.json:
        print(json.dumps(methods, indent=2, ensure_ascii=True))
        return 0
    for method in methods:
        state = "ready" if method["is_ready"] else "its weights are not here"
        source = f", after {method['paper']}" if method["paper"] else ""
        print(f"{method['name']:12} {method['title']} ({method['kind']}{source}); {state}")
        if method["takes"]:
            print(f"{'':12} takes {', '.join(method['takes'])}")
        for option in method["options"]:
            allowed = f" ({', '.join(option['choices'])})" if option["choices"] else ""
            print(f"{'':12} --option {option['name']}={option['default']}: {option['meaning']}{allowed}")
    return 0


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def _add_nothing(_parser: argparse.ArgumentParser) -> None:
    """It has no options."""


METHODS = Command(
    "methods", "list the methods, what they take, and whether their weights are here", print_methods, _add_json
)
CATALOG = Command("catalog", "print methods and style presets as JSON", print_catalog, _add_nothing)
