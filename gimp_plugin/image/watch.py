"""Notices while the engine paints that there is nothing left to paint for."""

from __future__ import annotations

import time

from gi.repository import Gimp

from gimp_plugin import wire
from gimp_plugin.language import _

EVERY_S = 0.25  # a look costs GIMP some 0.1 ms for each item


class Watch:
    """Looks at an image again and again, on GIMP's thread. A painting whose layer was deleted still has a place in it.

    Where GIMP itself has ended, the look fails and ends this process, and with it the job.

    Args:
        image: which may be closed at any time: GIMP's user may go on.
    """

    def __init__(self, image: Gimp.Image) -> None:
        self._image = image
        self._next_s = 0.0

    def look(self) -> bool:
        """Look, if the last look is a while ago. Always False, so that it can be asked whether to cancel.

        Raises:
            WireError: "cancelled" if the image was closed.
        """
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + EVERY_S
        if not self._image.is_valid():
            raise wire.WireError("cancelled", _("The image was closed while it was painted."))
        return False
