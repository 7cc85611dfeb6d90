"""Scenes: every procedure of ours, called from Python and from Script-Fu, with all defaults and with every argument."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gimp, Gio
from inside import stage
from inside.stage import FOLDER, Engine, Facts

# Argument -> what a script writes; none of them is the default.
WORDS = {
    "style-preset": "great-wave",
    "style-source": "layer",
    "method": "analogy",
    "options": "detail=0,7; levels=3",
    "quality": "better",
    "color": "match",
    "color-map": "histogram",
    "device": "cpu",
    "blend": "mrf",
    "regions": "layers",
    "second-preset": "great-wave",
}
NUMBERS = {"strength": 0.25, "photoreal": 0.75, "style-size": 300, "seed": 7, "feather": 3.5}
SWITCHES = {"auto-strength": False, "selection-only": False, "consistent": False, "change-painting": True}
UNKNOWN = {
    "style-preset": "stary-night",
    "method": "anystile",
    "style-source": "picture",
    "quality": "superb",
    "color": "luminence",
    "color-map": "transprt",
    "blend": "mfr",
    "regions": "automatic",
    "device": "gpu",
    "strength": 1.5,
    "photoreal": -0.25,
    "feather": 501.0,
    "style-size": 9000,
    "seed": -1,
    "mix": 1.01,
    "second-preset": "great-wav",
}


def python_defaults(engine: Engine) -> Facts:
    image = stage.load("chelsea.jpg")
    Gimp.Selection.all(image)
    layer, facts = stage.run_filter(image, image.get_layers())
    return facts | {"is_layer": isinstance(layer, Gimp.Layer), "job": engine.last_job()}


def python_everything(engine: Engine) -> Facts:
    image, layers = _with_layers()
    arguments = {**WORDS, **NUMBERS, **SWITCHES, "style-file": _style_file()}
    arguments |= dict(zip(("style-layer", "region-map", "style-region-map"), layers, strict=True))
    layer, facts = stage.run_filter(image, image.get_layers()[-1:], **arguments)
    return facts | {"is_layer": isinstance(layer, Gimp.Layer), "job": engine.last_job()}


def script_fu_defaults(engine: Engine) -> Facts:
    image = stage.load("chelsea.jpg")
    Gimp.Selection.all(image)
    facts = _script_fu("impasto-stylize", image, image.get_layers()[0], {})
    return facts | {"is_layer": len(image.get_layers()) == 2, "job": engine.last_job()}


def script_fu_everything(engine: Engine) -> Facts:
    image, layers = _with_layers()
    n_layers = len(image.get_layers())
    values = {name: f'"{word}"' for name, word in WORDS.items()}
    values |= {name: str(number) for name, number in NUMBERS.items()}
    values |= {name: "TRUE" if is_on else "FALSE" for name, is_on in SWITCHES.items()}
    values["style-file"] = f'"{_style_file().get_path()}"'
    numbers = (str(layer.get_id()) for layer in layers)
    values |= dict(zip(("style-layer", "region-map", "style-region-map"), numbers, strict=True))
    facts = _script_fu("impasto-stylize", image, image.get_layers()[-1], values)
    return facts | {"is_layer": len(image.get_layers()) == n_layers + 1, "job": engine.last_job()}


def last_values(engine: Engine) -> Facts:
    """Filters > Repeat, where nothing was run before: GIMP fills in the defaults."""
    image = stage.load("chelsea.jpg")
    layer, facts = stage.run_filter(image, image.get_layers(), run_mode=Gimp.RunMode.WITH_LAST_VALS)
    return facts | {"is_layer": isinstance(layer, Gimp.Layer), "job": engine.last_job()}


def select_python(engine: Engine) -> Facts:
    """With all defaults, then with every argument."""
    image = _with_a_box()
    defaults = stage.select_object(image) | {"job": engine.last_job()}
    everything = stage.select_object(_with_a_box(), model="grabcut", edge="hard") | {"job": engine.last_job()}
    return {"defaults": defaults, "everything": everything}


def select_script_fu(engine: Engine) -> Facts:
    image = _with_a_box()
    facts = _script_fu("impasto-select-object", image, image.get_layers()[0], {})
    defaults = facts | {"job": engine.last_job()}
    image = _with_a_box()
    values = {"model": '"grabcut"', "edge": '"hard"'}
    facts = _script_fu("impasto-select-object", image, image.get_layers()[0], values)
    return {"defaults": defaults, "everything": facts | {"job": engine.last_job()}}


def select_menu(engine: Engine) -> Facts:
    """The menu's own procedure, as Python and Script-Fu can call it too."""
    image = _with_a_box()
    procedure = Gimp.get_pdb().lookup_procedure("impasto-select-object-menu")
    config = procedure.create_config()
    config.set_property("image", image)
    python = {"status": stage.status_name(procedure.run(config).index(0))} | {"job": engine.last_job()}
    image = _with_a_box()
    code = f"(impasto-select-object-menu #:run-mode RUN-NONINTERACTIVE #:image {image.get_id()})"
    second = [type(argument).__name__ for argument in procedure.get_arguments()][1]
    return {"defaults": python, "everything": _evaluate(code) | {"job": engine.last_job()}, "second_argument": second}


def unknown(engine: Engine) -> Facts:
    """One wrong value at a time, from Python."""
    facts: Facts = {}
    for name, value in UNKNOWN.items():
        image = stage.load("chelsea.jpg")
        n_jobs = engine.n_jobs()
        _layer, run = stage.run_filter(image, image.get_layers(), **{"selection-only": False, name: value})
        facts[name] = run | {"jobs_sent": engine.n_jobs() - n_jobs, "n_layers": len(image.get_layers())}
        image.delete()
    image = _with_a_box()
    facts["edge"] = stage.select_object(image, edge="softly") | {"jobs_sent": 0, "n_layers": 1}
    image = stage.load("chelsea.jpg")
    n_jobs = engine.n_jobs()
    nowhere = Gio.File.new_for_path("/no/such/picture.jpg")
    _layer, run = stage.run_filter(image, image.get_layers(), **{"selection-only": False, "style-file": nowhere})
    facts["style-file"] = run | {"jobs_sent": engine.n_jobs() - n_jobs, "n_layers": len(image.get_layers())}
    return facts


def unknown_in_script_fu(engine: Engine) -> Facts:
    """The same from Script-Fu: one word, one number, one file."""
    facts: Facts = {}
    wrong = {"style-preset": '"stary-night"', "strength": "1.5", "style-file": '"/no/such/picture.jpg"'}
    for name, value in wrong.items():
        image = stage.load("chelsea.jpg")
        n_jobs = engine.n_jobs()
        values = {"selection-only": "FALSE", name: value}
        run = _script_fu("impasto-stylize", image, image.get_layers()[0], values)
        facts[name] = run | {"jobs_sent": engine.n_jobs() - n_jobs, "n_layers": len(image.get_layers())}
    return facts


def _with_layers() -> tuple[Gimp.Image, list[Gimp.Layer]]:
    """A photo with a style layer and two label maps above it."""
    image = stage.load("chelsea.jpg")
    size = image.get_width(), image.get_height()
    return image, [
        stage.two_colors(image, *size, *colors) for colors in (("red", "blue"), ("lime", "red"), ("red", "lime"))
    ]


def _with_a_box() -> Gimp.Image:
    image = stage.load("chelsea.jpg")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 120, 60, 200, 150)
    return image


def _style_file() -> Gio.File:
    return Gio.File.new_for_path(str(FOLDER / "coffee.jpg"))


def _script_fu(procedure: str, image: Gimp.Image, layer: Gimp.Layer, values: dict[str, str]) -> Facts:
    named = "".join(f" #:{name} {value}" for name, value in values.items())
    start = f"{procedure} #:run-mode RUN-NONINTERACTIVE #:image {image.get_id()}"
    return _evaluate(f"({start} #:drawables (vector {layer.get_id()}){named})")


def _evaluate(code: str) -> Facts:
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-script-fu-eval")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("script", code)
    values = procedure.run(config)
    return {"status": stage.status_name(values.index(0)), "message": Gimp.get_pdb().get_last_error()}


SCENES: dict[str, Callable[[Engine], Facts]] = {
    scene.__name__: scene
    for scene in (
        python_defaults,
        python_everything,
        script_fu_defaults,
        script_fu_everything,
        last_values,
        select_python,
        select_script_fu,
        select_menu,
    )
}
IN_VAIN = {scene.__name__: scene for scene in (unknown, unknown_in_script_fu)}
