"""What can be said of the user's choices before anything is painted: what cannot work, and what would surprise.

Standard library only and without GIMP, so that every sentence has a test. The facts come from the catalog, where each
method says what it takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gimp_plugin.choices import options
from gimp_plugin.choices.catalog import Catalog, Method, Setting
from gimp_plugin.wire import WireError

LEAST_BRUSH_PX = 32  # what the engine takes
OWN_STYLE = ("model", "trained")  # options that bring a network or a style of their own


@dataclass(frozen=True)
class Plan:
    """What is chosen, as far as it decides whether it can work.

    Args:
        source: "preset", "file" or "layer".
        preset: the name of a preset.
        has_style: a file or a layer is chosen, where one is needed.
        lost_file: name of the chosen style picture, if it is no longer there.
        method: name of a method.
        options: its options, as typed.
        quality: "fast", "better" or "best".
        regions: "none", "auto" or "layers".
        has_maps: both label maps are chosen.
        foreign_map: name of the label map of the picture, if it is a layer of another image.
        style_size_px: 0 = automatic.
        missed_layer: name of a layer that has nothing of the selection in it, where only the selection counts.
    """

    source: str = "preset"
    preset: str = ""
    has_style: bool = True
    lost_file: str = ""
    method: str = ""
    options: str = ""
    quality: str = "fast"
    regions: str = "none"
    has_maps: bool = True
    foreign_map: str = ""
    style_size_px: int = 0
    missed_layer: str = ""


@dataclass(frozen=True)
class Advice:
    """What to tell the user.

    Args:
        sentences: the reasons why nothing can be painted, or else what would surprise; may be none.
        is_refused: nothing can be painted so.
    """

    sentences: tuple[str, ...] = ()
    is_refused: bool = False


def advise(plan: Plan, catalog: Catalog) -> Advice:
    """Look at a plan: refused with all reasons, or fine with what would surprise."""
    method = catalog.method(plan.method)
    reasons = tuple(_refusals(plan, method, catalog))
    return Advice(reasons, True) if reasons else Advice(tuple(_surprises(plan, method)))


def _refusals(plan: Plan, method: Method, catalog: Catalog) -> Iterator[str]:
    yield from _style_refusals(plan, method, catalog)
    yield from _region_refusals(plan)
    if 0 < plan.style_size_px < LEAST_BRUSH_PX:
        yield f"The brush size must be 0 (automatic) or at least {LEAST_BRUSH_PX} pixels: change it."
    yield from _option_refusals(plan, method)
    if plan.missed_layer:
        yield (
            f'The selection lies outside the layer "{plan.missed_layer}": select a part of the layer, '
            'or turn off "Only the selection".'
        )


def _style_refusals(plan: Plan, method: Method, catalog: Catalog) -> Iterator[str]:
    if plan.source == "layer" and not plan.has_style:
        yield "No style layer is chosen: choose one, or a painting or a file."
    elif plan.source == "file" and not plan.has_style:
        yield "No style picture is chosen: choose a file, or a painting."
    elif plan.source == "file" and plan.lost_file:
        yield f"The style picture {plan.lost_file} is gone: choose another one."
    if plan.source != "preset" or method.presets is None or not _looks_at_pictures(method):
        return
    if not method.presets:
        yield (
            f"{method.title} needs a style picture, and a famous painting is known by its style only: choose a "
            "picture file or a layer, or the method Any style."
        )
    elif plan.preset not in method.presets and not _brings_its_style(plan):
        known = [style.title.partition(",")[0] for style in catalog.styles if style.name in method.presets]
        yield (
            f"{method.title} does not know this painting: choose a picture file, a layer, or one that it knows "
            f"({', '.join(known)})."
        )


def _region_refusals(plan: Plan) -> Iterator[str]:
    if plan.regions == "none":
        return
    if plan.source == "preset":
        yield (
            'A famous painting has no parts for "Like takes from like": choose a picture file or a layer as the style, '
            "or let all of the style feed all of the picture."
        )
    elif plan.regions == "layers" and not plan.has_maps:
        yield "A label map is missing: choose a layer for the picture's and one for the style's."
    elif plan.regions == "layers" and plan.foreign_map:
        yield f'The label map "{plan.foreign_map}" is of another image: choose a layer of this one.'


def _option_refusals(plan: Plan, method: Method) -> Iterator[str]:
    try:
        given = options.read(plan.options or "")
    except WireError as error:
        yield error.message
        return
    if method.settings is None:
        return
    known = {setting.name: setting for setting in method.settings}
    for name, value in given.items():
        if name in known:
            yield from _value_refusals(known[name], str(value))
        else:
            have = f"it has {', '.join(known)}" if known else "it has none"
            yield f"{method.title} has no option {name}: {have}."


def _value_refusals(setting: Setting, value: str) -> Iterator[str]:
    if setting.choices and value not in setting.choices:
        yield f"The option {setting.name} must be one of {', '.join(setting.choices)}, not {value}."
    if not setting.is_number:
        return
    try:
        number = float(value.replace(",", "."))
    except ValueError:
        yield f"The option {setting.name} must be a number, not {value}."
        return
    is_low = setting.low is not None and number < setting.low
    is_high = setting.high is not None and number > setting.high
    if is_low or is_high:
        yield f"The option {setting.name} must be {_range(setting)}, not {value}."


def _range(setting: Setting) -> str:
    if setting.high is None:
        return f"at least {setting.low:g}"
    return f"at most {setting.high:g}" if setting.low is None else f"from {setting.low:g} to {setting.high:g}"


def _surprises(plan: Plan, method: Method) -> Iterator[str]:
    if method.takes is None:
        return
    if not _looks_at_pictures(method):
        yield f"{method.title} has its style in itself: the style that is chosen here is not used."
    if plan.quality != "fast" and "quality" not in method.takes:
        yield f"Better and Best are of the method Any style: {method.title} has settings of its own."
    elif plan.quality != "fast" and plan.source == "preset":
        yield (
            "A famous painting is painted fast: Better and Best lay brush strokes of a style picture. For these choose "
            "a picture file or a layer."
        )
    if plan.regions != "none" and "regions" not in method.takes:
        yield f'{method.title} paints all parts alike: "Like takes from like" is not used.'


def _looks_at_pictures(method: Method) -> bool:
    """Whether the style matters; assumed where nothing is known."""
    return method.takes is None or "pictures" in method.takes


def _brings_its_style(plan: Plan) -> bool:
    try:
        return any(name in OWN_STYLE for name in options.read(plan.options or ""))
    except WireError:
        return False
