"""Every setting of a painting, declared once.

From this table come GIMP's arguments and the controls of its dialog, what crosses the wire, what a painted layer keeps,
the options of the command line, the page's controls, the JSON catalog and docs/settings.md. Its order is the order of
GIMP's arguments, which scripts may rely on: new settings go to the end.
Standard library only, and of ours the language alone: GIMP's Python and the server both load it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from gimp_plugin.language import _

Kind = Literal["word", "preset", "method", "number", "whole", "switch", "text", "options", "layer", "file"]
Place = Literal["gimp", "command", "page", "wire"]
EVERYWHERE: tuple[Place, ...] = ("gimp", "command", "page", "wire")
GIMP: tuple[Place, ...] = ("gimp",)
NOT_ON_THE_PAGE: tuple[Place, ...] = ("gimp", "command", "wire")
PICTURES = {"style-source": ("file", "layer")}  # the style is a picture, and no preset
DEFAULT_METHOD = "anystyle"
NONE = "none"  # the second style that is none
MAX_QUOTE = 60  # characters of a value that an error repeats
MAX_SIDE_PX = 8192  # at which a picture or a style can be asked to be computed


@dataclass(frozen=True)
class Entry:
    """One line of a choice.

    Args:
        name: what crosses the wire and what scripts write.
        title: what the user reads.
    """

    name: str
    title: str


@dataclass(frozen=True)
class Setting:
    """One setting.

    Args:
        name: as GIMP's argument and on the command line (``--name``).
        kind: of its values. The words of "preset" and "method" are the catalog's. "options" are those of a method.
        default: None = left to the engine; GIMP writes 0 for it.
        title: before its control; the letter after "_" is its key in the dialog.
        help: one or more sentences, without the last full stop.
        choices: of a word; of a preset what there is beside the catalog's.
        low, high: of a number, both ends included.
        group: where it stands in the dialog.
        needs: what of ``MethodInfo.takes`` the method must have, or the setting does nothing.
        when: other settings that must have one of some values, or the setting does nothing.
        places: who offers it; "wire": the engine takes it.
        engine_name: its name in the engine and on the wire, where that is another.
        unsaid: what a request means that does not say it, where that is not the default: an older plug-in's.
    """

    name: str
    kind: Kind
    default: Any
    title: str
    help: str
    choices: tuple[Entry, ...] = ()
    low: float | None = None
    high: float | None = None
    group: Literal["style", "look", "area", "regions", "more"] = "more"
    needs: str = ""
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    places: tuple[Place, ...] = EVERYWHERE
    engine_name: str = ""
    unsaid: Any = None

    @property
    def key(self) -> str:
        """Its name in Python, in the engine and on the wire."""
        return self.engine_name or self.name.replace("-", "_")

    @property
    def label(self) -> str:
        """Its title without the mark of the key."""
        return self.title.replace("_", "")

    @property
    def neutral(self) -> Any:
        """What the engine does where nothing is said."""
        return self.default if self.unsaid is None else self.unsaid

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.choices)


# fmt: off
SETTINGS: tuple[Setting, ...] = (
    Setting("style-preset", "preset", "", "P_ainting",
        "Which painting's style to use",
        group="style", when={"style-source": ("preset",)}, places=GIMP),
    Setting("style-file", "file", None, "P_icture file",
        "Any picture that GIMP can open, or a style file: its brush strokes, textures and colors are used. It wins "
        "over a painting, and a layer wins over it, unless style-source says otherwise",
        group="style", when={"style-source": ("file",)}, places=GIMP),
    Setting("style-layer", "layer", None, "Style la_yer",
        "A layer of any open image whose style to use. It wins over a file and a painting, unless style-source says "
        "otherwise",
        group="style", when={"style-source": ("layer",)}, places=GIMP),
    Setting("style-source", "word", "auto", "Style from",
        "Where the style comes from. Automatic takes the layer if one is given, else the file, else the painting",
        choices=(
            Entry("auto", "Automatic: the layer if given, else the file if given, else the preset"),
            Entry("preset", "A famous painting"), Entry("file", "A picture file"), Entry("layer", "Another layer"),
        ),
        group="style", places=GIMP),
    Setting("method", "method", DEFAULT_METHOD, "Met_hod",
        "How the style is transferred; `impasto methods` lists the methods",
        places=NOT_ON_THE_PAGE),
    Setting("options", "options", "", "Options of the method",
        "Settings that only the chosen method has, as name=value, name=value",
        places=("gimp", "wire")),
    Setting("quality", "word", "fast", "_Quality",
        "How much care the method Any style takes: better and best lay real brush strokes of the style picture, so "
        "they need a picture as the style (a famous painting is painted fast)",
        choices=(
            Entry("fast", "Fast"), Entry("better", "Better: with brush strokes of the style picture (seconds)"),
            Entry("best", "Best: the same, worked out with care (a minute or two)"),
        ),
        group="look", needs="quality", when=PICTURES),
    Setting("strength", "number", 1.0, "Stren_gth",
        "How much of the style: the lowest value leaves the picture as it is, the highest paints it fully",
        low=0, high=1, group="look"),
    Setting("auto-strength", "switch", True, "Keep the photo recogni_zable",
        "Where this style at full strength would hide the photo, take as much of it as the photo bears; a lower "
        "strength is taken as it is",
        group="look", places=("gimp", "wire"), unsaid=False),
    Setting("color", "word", "style", "_Take colors from",
        "Whose colors the result has",
        choices=(
            Entry("style", "The style"), Entry("luminance", "My picture (only light and dark are painted)"),
            Entry("match", "My picture's palette (the style is recolored)"),
        ),
        group="look"),
    Setting("color-map", "word", "transport", "Color map",
        "How the style is recolored where the picture's palette is taken",
        choices=(
            Entry("transport", "Optimal transport: colors move least"), Entry("cholesky", "Cholesky"),
            Entry("symmetric", "Symmetric root"), Entry("histogram", "Histograms of red, green and blue"),
        ),
        when={"color": ("match",)}, places=NOT_ON_THE_PAGE),
    Setting("photoreal", "number", 0.0, "Photor_ealism",
        "How closely the result keeps the photo's edges: the lowest is a painting, the highest looks like a photo",
        low=0, high=1, group="look"),
    Setting("style-size", "whole", None, "_Brush size (0 = automatic)",
        "Longest side, in pixels, at which the style is looked at: larger gives larger brush strokes. 0 = automatic",
        low=32, high=MAX_SIDE_PX, group="look", needs="pictures", places=NOT_ON_THE_PAGE, engine_name="style_size_px"),
    Setting("seed", "whole", 0, "See_d",
        "For methods that draw random numbers: the same seed, the same result",
        low=0, high=2**63 - 1, places=NOT_ON_THE_PAGE),
    Setting("device", "word", "auto", "Comp_ute on",
        "What does the computing",
        choices=(
            Entry("auto", "Automatic"), Entry("cpu", "Processor"), Entry("cuda", "NVIDIA graphics card"),
        ),
        places=NOT_ON_THE_PAGE),
    Setting("selection-only", "switch", True, "O_nly the selection",
        "Paint only what is selected: the selection becomes the new layer's mask. Off: the whole layer",
        group="area", places=GIMP),
    Setting("consistent", "switch", True, "Several layers: the same thing looks the _same",
        "Where several layers are selected, the method Any style measures them together: what is the same in two of "
        "them is painted alike. Off: each by itself",
        group="area", needs="series", places=GIMP),
    Setting("blend", "word", "feather", "Mas_k edge",
        "How the edge of the mask is drawn. Finding the object's own edge looks at the picture in a narrow band along "
        "the selection's edge: a rough selection will do",
        choices=(
            Entry("feather", "As soft as the selection"), Entry("hard", "Hard"),
            Entry("mrf", "Find the object's own edge, with its hairs"),
        ),
        group="area", when={"selection-only": (True,)}, places=NOT_ON_THE_PAGE),
    Setting("feather", "number", 0.0, "So_ften the edge (pixels)",
        "How far, in pixels, the edge of the new layer's mask is softened. Your selection stays as it is",
        low=0, high=500, group="area", when={"selection-only": (True,)}, places=GIMP),
    Setting("regions", "word", "none", "Match _like parts",
        "Whether parts of the picture take only from like parts of the style, which has to be a file or a layer. "
        "Finding them looks for sky, buildings, ground and plants",
        choices=(
            Entry("none", "No: all of the style everywhere"),
            Entry("auto", "Yes: sky from sky, ground from ground"),
            Entry("layers", "By two label maps, painted on layers"),
        ),
        group="regions", needs="regions", when=PICTURES, places=GIMP),
    Setting("region-map", "layer", None, "Label map of the picture",
        "A layer of this image, hidden if you like, on which each region is painted in a flat color. What is "
        "transparent takes from all of the style",
        group="regions", when={"regions": ("layers",)}, places=GIMP),
    Setting("style-region-map", "layer", None, "Label map of the style",
        "The same for the style: what has the same color belongs together. Over a style layer it lies as it does in "
        "their image, over a file it is stretched",
        group="regions", when={"regions": ("layers",)}, places=GIMP),
    Setting("change-painting", "switch", False, "Change a painting instead of painting o_ver it",
        "Where the given layer is one that this filter made: paint the layer that it was made from again, with the "
        "settings given now, and replace it; its mask and place stay. Other layers are painted as usual",
        group="area", places=GIMP),
    Setting("size", "whole", None, "Size",
        "Longest side at which the picture is computed; its own if none is given",
        low=16, high=MAX_SIDE_PX, places=("command", "wire"), engine_name="size_px"),
    Setting("composite", "switch", True, "Blend by the mask",
        "Pixels outside the mask come back untouched. Off, for a host with layer masks: paint everywhere",
        places=("wire",)),
    Setting("auto-regions", "switch", False, "Find regions",
        "Sky takes from the style's sky, ground from its ground, and so on: the engine finds them",
        needs="regions", places=("wire",)),
    Setting("backbone", "text", "embedded", "Feature network",
        "What the methods that optimize see with: embedded, deep, vgg19, or the path of a file with VGG-19 weights",
        places=("command",)),
    Setting("mix", "number", 0.0, "Mi_x in a second style",
        "Share of a second style in the painting: 0 is the first style alone, 1 the second alone",
        low=0, high=1, group="style", needs="blend", places=("gimp", "page")),
    Setting("second-preset", "preset", NONE, "Second painting",
        "Which painting's style is mixed in, if any. A second file wins over it",
        choices=(Entry(NONE, "None"),), group="style", needs="blend", places=GIMP),
    Setting("second-file", "file", None, "Second picture file",
        "A picture or a style file whose style is mixed in. It wins over a second painting",
        group="style", needs="blend", places=GIMP),
)
# fmt: on


def of(place: Place) -> list[Setting]:
    """The settings that a front end, or the wire, knows."""
    return [setting for setting in SETTINGS if place in setting.places]


def is_used(setting: Setting, values: Mapping[str, Any], takes: Collection[str] | None) -> bool:
    """Whether a setting does anything beside the others: a front end greys it out if not.

    Args:
        values: of the other settings, by name.
        takes: of the chosen method, see ``MethodInfo``; None = not known.
    """
    is_taken = takes is None or not setting.needs or setting.needs in takes
    return is_taken and all(values.get(name, allowed[0]) in allowed for name, allowed in setting.when.items())


def effective(values: Mapping[str, Any], takes: Collection[str] | None) -> dict[str, Any]:
    """Values of settings by name, with the default for each that does nothing."""
    found = dict(values)
    for setting in SETTINGS:
        if setting.name in found and not is_used(setting, found, takes):
            found[setting.name] = setting.default
    return found


def fault(setting: Setting, value: Any) -> str:
    """What is wrong with a value, as a sentence that lacks its subject and full stop; "" if nothing is.

    Args:
        value: a number may be written as text.
    """
    if setting.choices and setting.kind != "preset" and value not in setting.words:
        says = _("must be one of {words}, not {value}")
        return says.format(words=", ".join(setting.words), value=brief(value))
    if setting.kind not in ("number", "whole"):
        return ""
    try:
        number = float(value) if isinstance(value, str) else value
        is_number = math.isfinite(number) and not isinstance(value, bool)
    except (ValueError, TypeError, OverflowError):
        is_number = False
    if not is_number or (setting.kind == "whole" and number != int(number)):
        is_whole = setting.kind == "whole"
        says = _("must be a whole number, not {value}") if is_whole else _("must be a number, not {value}")
        return says.format(value=brief(value))
    low, high = setting.low, setting.high
    if (low is None or number >= low) and (high is None or number <= high):
        return ""
    says = _must_be(low, high)
    return says.format(low=low, high=high, value=brief(value))


def _must_be(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return _("must be from {low:.20g} to {high:.20g}, not {value}")
    return (
        _("must be at most {high:.20g}, not {value}") if low is None else _("must be at least {low:.20g}, not {value}")
    )


def brief(value: Any) -> str:
    """A value as an error quotes it, which is no longer than a line."""
    text = repr(value)
    return text if len(text) <= MAX_QUOTE else f"{text[:MAX_QUOTE]}..."


def option_of(values: Mapping[str, Any]) -> Setting:
    """An option of a method, from the catalog: it is declared there in the engine's terms."""
    name, default, choices = values["name"], values["default"], values.get("choices", ())
    kind: Kind = "whole" if isinstance(default, int) else "number" if isinstance(default, float) else "text"
    return Setting(
        name,
        "word" if choices else kind,
        default,
        name.replace("_", " ").capitalize(),
        values.get("meaning", ""),
        tuple(Entry(word, word) for word in choices),
        values.get("low"),
        values.get("high"),
    )


def listed() -> list[dict[str, Any]]:
    """The table as JSON values, for the catalog."""
    return [{**asdict(setting), "title": setting.label} for setting in SETTINGS]
