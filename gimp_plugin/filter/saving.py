"""A picture becomes one of the user's own styles. Needs neither GIMP nor GTK, so a worker thread may call it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gimp_plugin import wire
from gimp_plugin.choices import own_styles
from gimp_plugin.client import launch
from gimp_plugin.language import _, mark

START_SHARE = 0.7  # of the way: to start the engine takes longest
UNNAMED = mark("My style")


def _silent(_share: float, _message: str) -> None:
    """Nobody wants to know how far it is."""


def _never() -> bool:
    return False


def save_style(
    picture: wire.Plane,
    title: str,
    artist: str = "",
    on_progress: Callable[[float, str], None] = _silent,
    should_cancel: Callable[[], bool] = _never,
) -> Path:
    """Let the engine look at a picture, and keep what it says as a style file in the user's folder.

    Args:
        picture: (H, W, 4), at most ``wire.STYLE_PICTURE_PX`` a side, as ``scratch.read_style_file`` gives it.
        title, artist: any text; what a title cannot hold is left out of it.
        on_progress: called on this thread with the share done, 0 to 1, and a message.
        should_cancel: asked on this thread about twenty times a second while the engine works.

    Returns:
        The file.

    Raises:
        WireError: the engine cannot be started or refuses, it was cancelled, or the folder cannot be written.
    """
    engine = launch.ensure_engine(on_progress=lambda share, message: on_progress(START_SHARE * share, message))
    request = wire.StyleRequest(picture, wire.style_text(title, _(UNNAMED)))
    result = engine.answer(
        request,
        on_progress=lambda share, message: on_progress(START_SHARE + (1 - START_SHARE) * share, message),
        should_cancel=should_cancel,
    )
    return own_styles.keep(result.saved(wire.style_text(artist)))
