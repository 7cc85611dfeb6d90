"""Whether the engine works: what a user can copy into a question, without private paths."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from gi.repository import Gimp

from gimp_plugin import FOLDER, settings, wire
from gimp_plugin.choices import catalog
from gimp_plugin.client import launch
from gimp_plugin.client.engine import Engine

SIDE_PX = 256
METHOD = settings.DEFAULT_METHOD


def report() -> str:
    """Lines of text: this computer, GIMP, the engine, and how long a small painting took."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield f"GIMP {Gimp.version()}, Python {platform.python_version()} ({_plain(sys.executable)}), {platform.platform()}"
    yield f"Plug-in: {_plain(str(FOLDER))}"
    offered = catalog.load()
    is_built_in = offered is catalog.BUILT_IN
    what = (
        "none, install.py has not been run"
        if is_built_in
        else f"{len(offered.styles)} styles, {len(offered.methods)} methods"
    )
    yield f"Catalog: {what}"
    installation = launch.read_installation(FOLDER)
    yield f"Engine's command: {_plain(' '.join(installation.command)) or 'none, it is not installed'}"
    yield f"Engine's folder: {_plain(str(installation.state_dir))}"
    began = time.monotonic()
    try:
        engine = launch.ensure_engine()
        yield f"Engine: version {engine.health.version}, protocol {engine.health.protocol} (ours: {wire.PROTOCOL})"
        yield from _painted(engine, offered, began)
    except wire.WireError as error:
        yield f"Problem: {error.message}"


def _painted(engine: Engine, offered: catalog.Catalog, began: float) -> Iterator[str]:
    pixels = bytes(range(256)) * (4 * SIDE_PX * SIDE_PX // 256)
    style = wire.StyleEntry("check", preset=offered.styles[0].name)
    request = wire.StylizeRequest(wire.Plane("U8", (SIDE_PX, SIDE_PX, 4), pixels), (style,), method=METHOD)
    first = engine.answer(request)
    started_s = time.monotonic() - began
    began = time.monotonic()
    engine.answer(wire.StylizeRequest(request.content, (style,), method=METHOD, strength=0.9))
    yield f"Device: {first.report.get('device')}; ready after {started_s:.1f} s"
    yield f"A picture of {SIDE_PX} x {SIDE_PX} pixels: {time.monotonic() - began:.2f} s"
    yield "The engine works."


def _plain(text: str) -> str:
    """Without the user's name: the home folder as "~"."""
    return text.replace(str(Path.home()), "~")
