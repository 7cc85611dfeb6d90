"""What the dialog must know of the image before it can say what will be painted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gi.repository import Gimp, Gio

from gimp_plugin import settings as table
from gimp_plugin.choices.advice import Seen
from gimp_plugin.choices.arguments import Choices
from gimp_plugin.choices.catalog import Catalog
from gimp_plugin.filter import drafts
from gimp_plugin.image import canvas, pixels, repaint, scratch
from gimp_plugin.language import _


@dataclass(frozen=True)
class Scene:
    """The image as the filter finds it.

    Args:
        image: it.
        layers: that are selected, at least one.
        paintings: the same as paintings of ours; empty if one of them is none.
        catalog: what can be chosen.
    """

    image: Gimp.Image
    layers: Sequence[Gimp.Layer]
    paintings: Sequence[repaint.Painting]
    catalog: Catalog

    @classmethod
    def look(cls, image: Gimp.Image, drawables: Sequence[Gimp.Drawable], catalog: Catalog) -> Scene:
        """Look at what is selected.

        Raises:
            WireError: it cannot be painted.
        """
        layers = canvas.pick_layers(image, drawables)
        return cls(image, layers, repaint.find_all(image, layers), catalog)

    @property
    def can_change(self) -> bool:
        """Whether what is selected can be made again from what it was made from."""
        return bool(self.paintings) and all(painting.source is not None for painting in self.paintings)

    def require_paintings(self) -> None:
        """Check that what is selected can be painted again.

        Raises:
            WireError: it is no painting of ours, or what it was made from is gone.
        """
        if not self.paintings:
            raise pixels.refusal(
                _("This layer was not made by Neural Style: select a painting in the Layers dialog, then run it again.")
            )
        for painting in self.paintings:
            if painting.problem:
                raise pixels.refusal(
                    _("{problem} Run Filters > Artistic > Neural Style to paint anew.").format(problem=painting.problem)
                )

    def begin(self, config: Gimp.ProcedureConfig) -> None:
        """Set the dialog's first values: of an attempt that came to nothing, else of the painting, else the last."""
        config.set_property("change-painting", self.can_change)
        is_taken = drafts.take_up(config, self.image, self.layers[0], only_its_own=self.can_change)
        if self.can_change and not is_taken:
            self.take_over(config, self.paintings[0].settings)

    def take_over(self, config: Gimp.ProcedureConfig, settings: Mapping[str, Any]) -> None:
        """Choose as for a painting, but for where it goes.

        Args:
            settings: as the painting's layer keeps them.
        """
        layers = settings.get("layers")
        drafts.fill_in(config, _taste(settings), self.image)
        drafts.fill_in(config, layers if isinstance(layers, dict) else {}, self.image)

    def look_closer(self, choices: Choices) -> Seen:
        """What of the image and the disk decides whether choices can work."""
        is_free = choices["change-painting"] or not choices["selection-only"]
        return Seen(
            lost_file=next(filter(None, map(_lost_name, _files(choices))), ""),
            foreign_map=scratch.foreign_name(choices["region-map"], self.image),
            missed_layer="" if is_free else self._missed(),
        )

    def _missed(self) -> str:
        """A layer's name, if the selection lies outside all layers."""
        _ok, is_anything, x1, y1, x2, y2 = Gimp.Selection.bounds(self.image)
        for layer in self.layers if is_anything else ():
            _ok, left, top = layer.get_offsets()
            if x1 < left + layer.get_width() and y1 < top + layer.get_height() and x2 > left and y2 > top:
                return ""
        return str(self.layers[0].get_name()) if is_anything else ""


def _files(choices: Choices) -> list[Gio.File | None]:
    """Those that are to be read."""
    first = [choices["style-file"]] if choices.source == "file" else []
    return [*first, choices["second-file"]] if choices.second == "file" else first


def _taste(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a painting tells of its making, less its layers; where it was painted is told by its mask."""
    names = [s.name for s in table.of("gimp") if s.group != "area" and s.kind != "layer"]
    return {name: settings[name] for name in names if settings.get(name) is not None}


def _lost_name(file: Gio.File | None) -> str:
    """The name of a file of this computer that is not there; others are not asked for, it may take long."""
    if file is None or not file.is_native() or file.query_exists(None):
        return ""
    return file.get_basename() or _("picture")
