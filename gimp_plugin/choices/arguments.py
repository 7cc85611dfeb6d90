"""The arguments of ``impasto-stylize``, as the user chose them. ``filter.declaration`` tells GIMP of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gimp_plugin import settings
from gimp_plugin.choices import checks
from gimp_plugin.choices.catalog import Catalog
from gimp_plugin.settings import NONE, Entry, Setting

INT_MAX = 2**31 - 1  # of GIMP's whole numbers
TEXTS = ("word", "preset", "method", "text", "options")


@dataclass(frozen=True)
class Choices:
    """What the user chose.

    Args:
        values: of every argument, by its name. Layers and files are GIMP's objects.
    """

    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def changed(self, **changes: Any) -> Choices:
        """The same with other values; their names are written with "_"."""
        return Choices({**self.values, **{name.replace("_", "-"): value for name, value in changes.items()}})

    @property
    def source(self) -> str:
        """ "preset", "file" or "layer": what "auto" comes to."""
        if self["style-source"] != "auto":
            return str(self["style-source"])
        if self["style-layer"] is not None:
            return "layer"
        return "preset" if self["style-file"] is None else "file"

    @property
    def second(self) -> str:
        """ "preset" or "file": where the second style comes from; "" if there is none, or none of it is wanted."""
        if not self["mix"]:
            return ""
        if self["second-file"] is not None:
            return "file"
        return "" if self["second-preset"] in ("", NONE) else "preset"

    def effective(self, catalog: Catalog) -> Choices:
        """The choices as they count: what the dialog greys out is as if it had never been touched."""
        values = {**self.values, "style-source": self.source}
        return Choices(settings.effective(values, catalog.method(self["method"]).takes))

    def for_wire(self) -> dict[str, Any]:
        """What the engine is to do, in its own terms; the options of the method are text still."""
        both = [setting for setting in settings.of("wire") if "gimp" in setting.places]
        return {s.key: None if s.default is None and not self[s.name] else self[s.name] for s in both}

    def is_used(self, setting: Setting) -> bool:
        """Whether a setting counts beside the others, whatever the method."""
        return settings.is_used(setting, {**self.values, "style-source": self.source}, None)


def entries(setting: Setting, catalog: Catalog) -> tuple[Entry, ...]:
    """The words that can be chosen; none where it is no word."""
    return (*setting.choices, *{"preset": catalog.styles, "method": catalog.methods}.get(setting.kind, ()))


def usual(setting: Setting, catalog: Catalog) -> Any:
    """What it is in GIMP if nothing is chosen."""
    if setting.kind == "preset":
        return setting.default or catalog.styles[0].name
    if setting.kind == "method":
        return catalog.default_method
    return 0 if setting.kind == "whole" and setting.default is None else setting.default


def limits(setting: Setting) -> tuple[float, float] | None:
    """The least and the most of a number in GIMP; 0 stands for "automatic" where there is such a thing."""
    if setting.low is None or setting.high is None:
        return None
    low = setting.low if setting.default is not None else 0
    return low, min(setting.high, INT_MAX)


def read(config: Any) -> Choices:
    """What GIMP holds in a run's configuration, not yet checked.

    An empty text is None once GIMP has read the signature from its cache, so from its second start on.
    """
    values = {setting.name: config.get_property(setting.name) for setting in settings.of("gimp")}
    texts = {s.name: values[s.name] or "" for s in settings.of("gimp") if s.kind in TEXTS}
    return Choices({**values, **texts})


def checked(choices: Choices, catalog: Catalog) -> Choices:
    """The choices, with the usual word where none was written.

    Raises:
        WireError: a word that does not exist, or a number out of its range.
    """
    values = dict(choices.values)
    for setting in settings.of("gimp"):
        name, range_ = setting.name, limits(setting)
        words = [(entry.name, entry.title) for entry in entries(setting, catalog)]
        is_open = setting.kind in ("preset", "method") and (catalog.others is None or values[name] in catalog.others)
        if words and is_open:
            values[name] = values[name] or usual(setting, catalog)  # the engine knows more, and what to do about them
        elif words:
            values[name] = checks.known(name, values[name], words, usual(setting, catalog))
        elif range_ is not None:
            checks.within(name, values[name], *range_)
    return Choices(values)
