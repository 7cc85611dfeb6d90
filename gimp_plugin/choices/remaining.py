"""How long a painting will still take, from how far it is. Standard library only."""

from __future__ import annotations

import math

from gimp_plugin.language import _

EARLIEST_S = 2.0  # before that a guess would jump
LEAST_SHARE = 0.08
MINUTES_FROM_S = 90
ROUGH_S = 20  # beyond it, in steps of five


class Remaining:
    """Watches one job.

    Args:
        now_s: when it began, in seconds of any clock.
    """

    def __init__(self, now_s: float) -> None:
        self._began_s = now_s

    def told(self, share: float, message: str, now_s: float) -> str:
        """The message with the time that is left, where that can be guessed.

        Args:
            share: done, 0 to 1.
            message: what is done now.
            now_s: of the same clock.
        """
        spent_s = now_s - self._began_s
        if not message or spent_s < EARLIEST_S or not LEAST_SHARE <= share < 1:
            return message
        left_s = spent_s * (1 - share) / share
        if left_s > ROUGH_S:
            left_s = 5 * math.ceil(left_s / 5)
        seconds = math.ceil(left_s)
        if seconds < MINUTES_FROM_S:
            return _("{message} (about {n} s left)").format(message=message, n=seconds)
        return _("{message} (about {n} min left)").format(message=message, n=round(seconds / 60))
