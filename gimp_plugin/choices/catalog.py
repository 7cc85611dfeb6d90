"""What the dialog offers: styles and methods, as install.py wrote them beside the package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gimp_plugin import FOLDER, settings
from gimp_plugin.language import mark
from gimp_plugin.settings import Entry, Setting, option_of

FILE = FOLDER / "catalog.json"
QUICK = "feed-forward"


@dataclass(frozen=True)
class Method(Entry):
    """A method, and what is known of it before it runs.

    Args:
        takes: what it can do with a style, as the engine's registry says; None = not known.
        presets: names of the presets that it can read; None = not known.
        settings: its options; None = not known.
        work: how it works, as the engine's registry says; "" = not known.
    """

    takes: tuple[str, ...] | None = None
    presets: tuple[str, ...] | None = None
    settings: tuple[Setting, ...] | None = None
    work: str = ""

    @property
    def options(self) -> str:
        """ "statistic=gram|linear, iterations=200": names with their choices, or the usual value."""
        return ", ".join(f"{s.name}={'|'.join(s.words) or s.default}" for s in self.settings or ())


@dataclass(frozen=True)
class Catalog:
    """Never empty: GIMP refuses a choice without entries.

    Args:
        styles: shipped presets.
        methods: those that can be used now.
        others: names of methods that exist but cannot be used now; None: the engine may know any name.
    """

    styles: tuple[Entry, ...]
    methods: tuple[Method, ...]
    others: tuple[str, ...] | None = ()

    @property
    def default_method(self) -> str:
        """The one that takes every style, wherever it stands in the list."""
        names = [method.name for method in self.methods]
        return settings.DEFAULT_METHOD if settings.DEFAULT_METHOD in names else names[0]

    def is_quick(self, method: str, quality: str) -> bool:
        """Whether a small picture takes less than some seconds: one pass of a network."""
        return quality == "fast" and self.method(method).work in ("", QUICK)

    def title_of(self, preset: str) -> str:
        """What the user reads of a preset; its name if it is unknown."""
        return next((style.title for style in self.styles if style.name == preset), preset)

    def method(self, name: str) -> Method:
        """The method of a name; of an unknown name one of which nothing is known."""
        return next((method for method in self.methods if method.name == name), Method(name, name))


# Where the plug-in was copied by hand, without install.py: enough to register and to reach a running engine.
BUILT_IN = Catalog(
    styles=(Entry("starry-night", "The Starry Night, Vincent van Gogh"),),
    methods=(Method(settings.DEFAULT_METHOD, mark("Any style (fast)")),),
    others=None,
)


def load(file: Path = FILE) -> Catalog:
    """The catalog that install.py wrote, or the built-in one where there is none that can be read.

    Never raises: a plug-in that fails while it registers is not in GIMP's menu at all.
    """
    try:
        values = json.loads(file.read_text("utf-8"))
        styles = tuple(Entry(style["name"], _style_title(style)) for style in values["styles"])
        methods = tuple(_method(method) for method in values["methods"] if method["is_ready"])
        others = tuple(str(method["name"]) for method in values["methods"] if not method["is_ready"])
    except (OSError, ValueError, KeyError, TypeError):
        return BUILT_IN
    is_whole = bool(styles and methods)
    return Catalog(styles or BUILT_IN.styles, methods or BUILT_IN.methods, others if is_whole else None)


def _method(values: dict[str, Any]) -> Method:
    takes, presets, options = (values.get(name) for name in ("takes", "presets", "options"))
    return Method(
        values["name"],
        values["title"],
        None if takes is None or presets is None else tuple(takes),
        None if presets is None else tuple(presets),
        None if options is None else tuple(map(option_of, options)),
        str(values.get("kind", "")),
    )


def _style_title(style: dict[str, str]) -> str:
    return ", ".join(part for part in (style["title"], style.get("artist")) if part)
