"""A request on its way to the engine, while GIMP's progress bar shows how far it is."""

from __future__ import annotations

import time
from typing import TypeVar

from gimp_plugin import wire
from gimp_plugin.choices.remaining import Remaining
from gimp_plugin.client import launch
from gimp_plugin.image import canvas
from gimp_plugin.image.watch import Watch
from gimp_plugin.language import _

R = TypeVar("R", bound=wire.Result)
START_SHARE = 0.05  # of the stretch: finding the engine and sending; the rest is the engine's own progress


def ask(request: wire.Request[R], watch: Watch, first: float = 0.0, last: float = 1.0) -> R:
    """Find or start the engine and let it answer, while the progress bar goes through a stretch of its length.

    The client talks to the engine in a thread of its own and calls back on this one, the only one that may talk to
    GIMP. GIMP's Cancel ends this process; the engine notices that and stops. If the image is closed or the layer is
    deleted meanwhile, the job is cancelled.
    """

    remaining = Remaining(time.monotonic())

    def show(share: float, message: str) -> None:
        watch.look()  # first: GIMP has no progress bar for an image that is gone
        canvas.show_progress(first + (last - first) * share, message)

    engine = launch.ensure_engine(on_progress=lambda share, message: show(START_SHARE * share, message))
    show(START_SHARE, _("Neural Style: sending the picture"))
    return engine.answer(
        request,
        on_progress=lambda share, message: show(
            START_SHARE + (1 - START_SHARE) * share, remaining.told(share, message, time.monotonic())
        ),
        should_cancel=watch.look,
    )
