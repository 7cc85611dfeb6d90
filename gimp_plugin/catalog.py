"""What the dialog offers: styles and methods, as install.py wrote them beside the plug-in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("catalog.json")
DEFAULT_METHOD = "anystyle"


@dataclass(frozen=True)
class Entry:
    """One line of a choice.

    Args:
        name: what crosses the wire and what scripts write.
        title: what the user reads.
        options: of a method, what can be set, for people.
    """

    name: str
    title: str
    options: str = ""


@dataclass(frozen=True)
class Catalog:
    """Never empty: GIMP refuses a choice without entries.

    Args:
        styles: shipped presets.
        methods: those that can be used now.
        others: names of methods that exist but cannot be used now; None: the engine may know any name.
    """

    styles: tuple[Entry, ...]
    methods: tuple[Entry, ...]
    others: tuple[str, ...] | None = ()

    @property
    def default_method(self) -> str:
        """The one that takes every style, wherever it stands in the list."""
        names = [method.name for method in self.methods]
        return DEFAULT_METHOD if DEFAULT_METHOD in names else names[0]


# Where the plug-in was copied by hand, without install.py: enough to register and to reach a running engine.
BUILT_IN = Catalog(
    styles=(Entry("starry-night", "The Starry Night, Vincent van Gogh"),),
    methods=(Entry(DEFAULT_METHOD, "Any style (fast)"),),
    others=None,
)


def load(file: Path = FILE) -> Catalog:
    """The catalog that install.py wrote, or the built-in one where there is none that can be read.

    Never raises: a plug-in that fails while it registers is not in GIMP's menu at all.
    """
    try:
        values = json.loads(file.read_text("utf-8"))
        styles = tuple(Entry(style["name"], _style_title(style)) for style in values["styles"])
        methods = tuple(
            Entry(method["name"], method["title"], _options(method))
            for method in values["methods"]
            if method["is_ready"]
        )
        others = tuple(str(method["name"]) for method in values["methods"] if not method["is_ready"])
    except (OSError, ValueError, KeyError, TypeError):
        return BUILT_IN
    is_whole = bool(styles and methods)
    return Catalog(styles or BUILT_IN.styles, methods or BUILT_IN.methods, others if is_whole else None)


def _style_title(style: dict[str, str]) -> str:
    return ", ".join(part for part in (style["title"], style.get("artist")) if part)


def _options(method: dict[str, Any]) -> str:
    """ "statistic=gram|linear, iterations=200": names with their choices, or the usual value."""
    options = method.get("options", [])
    return ", ".join(f"{o['name']}={'|'.join(o['choices']) or o['default']}" for o in options)
