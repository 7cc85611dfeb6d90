"""Notices while the engine paints that there is nothing left to paint for."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gi.repository import Gimp

from gimp_plugin import wire
from gimp_plugin.image import pixels

EVERY_S = 0.25  # a look costs GIMP some 0.1 ms for each item


class Watch:
    """Looks at an image and its layers again and again, on GIMP's thread.

    Where GIMP itself has ended, the look fails and ends this process, and with it the job.

    Args:
        image: which may be closed at any time: GIMP's user may go on.
        layers: all that the job needs.
    """

    def __init__(self, image: Gimp.Image, layers: Sequence[Gimp.Layer] = ()) -> None:
        self._image, self._layers = image, layers
        self._next_s = 0.0

    def look(self) -> bool:
        """Look, if the last look is a while ago. Always False, so that it can be asked whether to cancel.

        Raises:
            WireError: "cancelled" if the image was closed, "unprocessable" if a layer was deleted.
        """
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + EVERY_S
        if not self._image.is_valid():
            raise wire.WireError("cancelled", "The image was closed while it was painted.")
        if not all(layer.is_valid() for layer in self._layers):
            raise pixels.refusal("A layer was deleted while it was painted. Nothing was changed: run the filter again.")
        return False
