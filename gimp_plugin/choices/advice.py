"""What can be said of the user's choices before anything is painted: what cannot work, and what would surprise.

Standard library only and without GIMP, so that every sentence has a test. The facts come from the catalog, where each
method says what it takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gimp_plugin import settings
from gimp_plugin.choices import options
from gimp_plugin.choices.arguments import Choices
from gimp_plugin.choices.catalog import Catalog, Method
from gimp_plugin.language import _
from gimp_plugin.wire import WireError

OWN_STYLE = ("model", "trained")  # options that bring a network or a style of their own


@dataclass(frozen=True)
class Seen:
    """What only a look at the image and the disk tells.

    Args:
        lost_file: name of the chosen style picture, if it is no longer there.
        foreign_map: name of the label map of the picture, if it is a layer of another image.
        missed_layer: name of a layer that has nothing of the selection in it, where only the selection counts.
    """

    lost_file: str = ""
    foreign_map: str = ""
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


def advise(choices: Choices, catalog: Catalog, seen: Seen = Seen()) -> Advice:
    """Look at choices: refused with all reasons, or fine with what would surprise."""
    method = catalog.method(choices["method"])
    reasons = tuple(_refusals(choices, method, catalog, seen))
    return Advice(reasons, True) if reasons else Advice(tuple(_surprises(method)))


def _refusals(choices: Choices, method: Method, catalog: Catalog, seen: Seen) -> Iterator[str]:
    yield from style_refusals(choices)
    if seen.lost_file:
        yield _("The style picture {name} is gone: choose another one.").format(name=seen.lost_file)
    yield from _preset_refusals(choices, method, catalog)
    yield from mix_refusals(choices, method)
    yield from map_refusals(choices, seen.foreign_map)
    yield from brush_refusals(choices["style-size"])
    yield from _option_refusals(choices["options"], method)
    if seen.missed_layer:
        yield _(
            'The selection lies outside the layer "{layer}": select a part of the layer, or turn off "Only the '
            'selection".'
        ).format(layer=seen.missed_layer)


def brush_refusals(style_size_px: int | None) -> Iterator[str]:
    """Why a brush size is none; GIMP's own limits cannot say that a range begins beyond "automatic"."""
    (least,) = (setting.low for setting in settings.SETTINGS if setting.name == "style-size")
    if style_size_px and style_size_px < (least or 0):
        yield _("The brush size must be 0 (automatic) or at least {least:.0f} pixels: change it.").format(least=least)


def style_refusals(choices: Choices) -> Iterator[str]:
    """Why there is no style."""
    if choices.second and choices["mix"] == 1:
        return  # the first one does not count
    if choices.source == "layer" and choices["style-layer"] is None:
        yield _("No style layer is chosen: choose one, or a painting or a file.")
    elif choices.source == "file" and choices["style-file"] is None:
        yield _("No style picture is chosen: choose a file, or a painting.")


def mix_refusals(choices: Choices, method: Method) -> Iterator[str]:
    """Why a second style cannot be mixed in."""
    if not choices["mix"]:
        return
    if not choices.second:
        yield _("No second style is chosen to be mixed in: choose one, or set the mix to 0.")
    if method.takes is not None and "blend" not in method.takes:
        yield _("{method} cannot mix two styles: set the mix to 0, or choose the method Any style.").format(
            method=_(method.title)
        )
    elif 0 < choices["mix"] < 1 and choices["regions"] != "none":
        yield _("Where like parts are matched there can be one style only: set the mix to 0, or match none.")


def _presets_of(choices: Choices) -> Iterator[str]:
    """The presets that are to be painted in."""
    if choices.source == "preset" and choices["mix"] < 1:
        yield choices["style-preset"]
    if choices.second == "preset":
        yield choices["second-preset"]


def _preset_refusals(choices: Choices, method: Method, catalog: Catalog) -> Iterator[str]:
    chosen = list(_presets_of(choices))
    if not chosen or method.presets is None or not _looks_at_pictures(method):
        return
    if not method.presets:
        yield _(
            "{method} needs a style picture, and a famous painting is known by its style only: choose a picture file "
            "or a layer, or the method Any style."
        ).format(method=_(method.title))
    elif not set(chosen) <= set(method.presets) and not _brings_its_style(choices["options"]):
        known = [style.title.partition(",")[0] for style in catalog.styles if style.name in method.presets]
        yield _(
            "{method} does not know this painting: choose a picture file, a layer, or one that it knows ({paintings})."
        ).format(method=_(method.title), paintings=", ".join(known))


def map_refusals(choices: Choices, foreign_map: str) -> Iterator[str]:
    """Why label maps cannot be used."""
    if choices["regions"] != "layers":
        return
    if choices["region-map"] is None or choices["style-region-map"] is None:
        yield _("A label map is missing: choose a layer for the picture's and one for the style's.")
    elif foreign_map:
        yield _('The label map "{layer}" is of another image: choose a layer of this one.').format(layer=foreign_map)


def _option_refusals(text: str, method: Method) -> Iterator[str]:
    try:
        given = options.read(text)
    except WireError as error:
        yield error.message
        return
    if method.settings is None:
        return
    known = {setting.name: setting for setting in method.settings}
    for name, value in given.items():
        if name in known:
            wrong = settings.fault(known[name], value)
            yield from [_("The option {name} {wrong}.").format(name=name, wrong=wrong)] if wrong else []
        else:
            says = (
                _("{method} has no option {name}: it has {known}.")
                if known
                else _("{method} has no option {name}: it has none.")
            )
            yield says.format(method=_(method.title), name=name, known=", ".join(known))


def _surprises(method: Method) -> Iterator[str]:
    if not _looks_at_pictures(method):
        yield _("{method} has its style in itself: the style that is chosen here is not used.").format(
            method=_(method.title)
        )


def _looks_at_pictures(method: Method) -> bool:
    """Whether the style matters; assumed where nothing is known."""
    return method.takes is None or "pictures" in method.takes


def _brings_its_style(text: str) -> bool:
    try:
        return any(name in OWN_STYLE for name in options.read(text))
    except WireError:
        return False
