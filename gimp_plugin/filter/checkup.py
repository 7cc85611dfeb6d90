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
from gimp_plugin.language import _

SIDE_PX = 256
METHOD = settings.DEFAULT_METHOD


def report() -> str:
    """Lines of text: this computer, GIMP, the engine, and how long a small painting took."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield f"GIMP {Gimp.version()}, Python {platform.python_version()} ({_plain(sys.executable)}), {platform.platform()}"
    yield _("Plug-in: {folder}").format(folder=_plain(str(FOLDER)))
    offered = catalog.load()
    is_built_in = offered is catalog.BUILT_IN
    says = (
        _("Catalog: none, install.py has not been run")
        if is_built_in
        else _("Catalog: {styles} styles, {methods} methods")
    )
    yield says.format(styles=len(offered.styles), methods=len(offered.methods))
    installation = launch.read_installation(FOLDER)
    command = _plain(" ".join(installation.command)) or _("none, it is not installed")
    yield _("Engine's command: {command}").format(command=command)
    yield _("Engine's folder: {folder}").format(folder=_plain(str(installation.state_dir)))
    began = time.monotonic()
    try:
        engine = launch.ensure_engine()
        says = _("Engine: version {version}, protocol {protocol} (ours: {ours})")
        yield says.format(version=engine.health.version, protocol=engine.health.protocol, ours=wire.PROTOCOL)
        yield from _painted(engine, offered, began)
    except wire.WireError as error:
        yield _("Problem: {reason}").format(reason=error.message)


def _painted(engine: Engine, offered: catalog.Catalog, began: float) -> Iterator[str]:
    pixels = bytes(range(256)) * (4 * SIDE_PX * SIDE_PX // 256)
    style = wire.StyleEntry("check", preset=offered.styles[0].name)
    request = wire.StylizeRequest(wire.Plane("U8", (SIDE_PX, SIDE_PX, 4), pixels), (style,), method=METHOD)
    first = engine.answer(request)
    started_s = time.monotonic() - began
    began = time.monotonic()
    engine.answer(wire.StylizeRequest(request.content, (style,), method=METHOD, strength=0.9))
    says = _("Device: {device}; ready after {seconds:.1f} s")
    yield says.format(device=first.report.get("device"), seconds=started_s)
    says = _("A picture of {side} x {side} pixels: {seconds:.2f} s")
    yield says.format(side=SIDE_PX, seconds=time.monotonic() - began)
    yield _("The engine works.")


def _plain(text: str) -> str:
    """Without the user's name: the home folder as "~"."""
    return text.replace(str(Path.home()), "~")
