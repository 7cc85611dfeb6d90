"""The set-up's two ways: ``install`` for a user, and ``uninstall``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gimp_plugin import wire
from scripts.installer import gimps, places, plugin, pythons, record
from scripts.installer.changes import Changes
from scripts.installer.gimps import Gimp
from scripts.installer.programs import ask
from scripts.installer.voice import SetupError

ENGINE_STOP_S = 15
NO_HOME = Path(os.devnull)  # of a user without one: nothing is ever found in it


class Carrier(Protocol):
    """What the set-up asks of the environment that carries the engine (see ``environment.Environment``)."""

    folder: Path

    def program(self, name: str) -> Path: ...
    def is_ours(self) -> bool: ...
    def ensure(self, extras: tuple[str, ...] = ()) -> None: ...


@dataclass
class Setup:
    """One run of the set-up.

    Args:
        root: the checkout.
        changes: does, or in a dry run only says, what changes.
        carrier: the environment that carries the engine.
        gimp_dir: the one profile to use; None = every profile found.
        extras: what is installed beside the engine: names of pyproject.toml's optional dependencies.
        platform, env, home: the system; arguments so that tests can stand in for it.
    """

    root: Path
    changes: Changes
    carrier: Carrier
    gimp_dir: Path | None = None
    extras: tuple[str, ...] = ()
    platform: str = sys.platform
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    home: Path = field(default_factory=lambda: wire.home() or NO_HOME)

    @property
    def source(self) -> Path:
        return self.root / "gimp_plugin"

    def find_gimps(self) -> list[Gimp]:
        return gimps.find_gimps(places.console_commands(self.platform, self.env, self.home))

    def find_profiles(self) -> list[Path]:
        override = self.gimp_dir or places.profile_override(self.env, self.home)
        if override:
            return [Path(override)]
        return gimps.find_profiles(places.profile_roots(self.platform, self.env, self.home))


def install(setup: Setup) -> None:
    """Install for this user: environment, launcher, plug-in in every GIMP 3 profile, proof that GIMP knows.

    Raises:
        SetupError: something is missing or failed; the message says what to do.
    """
    say, state_dir = setup.changes.voice.say, wire.state_dir()
    _check_folders(setup)
    say("Engine")
    stop_engine(setup.changes, state_dir)
    setup.carrier.ensure(setup.extras)
    catalog = read_catalog(setup)
    say("GIMP")
    made = record.read(state_dir)
    if "IMPASTO_STATE_DIR" not in setup.env:
        made.is_state_ours = True  # named after us; a folder of the user's choice is only if we make it
    if not state_dir.exists():
        made.is_state_ours = True
        made.note_folders(setup.changes.make_folders(state_dir))
        if not setup.changes.is_dry:
            state_dir.chmod(0o700)
    installed = setup.find_gimps()
    profiles = _profiles_with_new(setup, installed)
    try:
        _place_launcher(setup, made)
        for profile in profiles:
            old = made.plugin_in(profile / "plug-ins" / plugin.NAME)
            starter = _launcher(setup, profile, state_dir)
            made.note_plugin(plugin.place(setup.changes, setup.source, profile, starter, catalog, old))
    finally:
        made.write(setup.changes, state_dir)  # also what a failed run made can be uninstalled
    if not setup.changes.is_dry:
        _prove(setup, installed, profiles)
    _say_next(setup, installed, profiles)


def _check_folders(setup: Setup) -> None:
    """What would fail after minutes of installing is found now.

    Raises:
        SetupError: a profile cannot be written, or nobody knows where profiles are.
    """
    is_chosen = bool(setup.gimp_dir or places.profile_override(setup.env, setup.home))
    if setup.home == NO_HOME and not is_chosen:
        raise SetupError(
            "You have no home folder (HOME is not set), so GIMP's profile cannot be found: set HOME and run this "
            "again, or name the profile with --gimp-dir DIR."
        )
    for profile in setup.find_profiles():
        if wire.is_read_only(profile / "plug-ins" / plugin.NAME):
            raise SetupError(
                f"GIMP's profile {profile} cannot be written: make it writable for you and run this again, or name "
                "another one with --gimp-dir DIR, which GIMP uses if GIMP3_DIRECTORY names it too."
            )


def _launcher(setup: Setup, profile: Path, state_dir: Path) -> bytes:
    """How the plug-in in one profile starts the engine."""
    command = [str(setup.carrier.program("impasto")), "serve"]
    if snap_state := places.snap_state(setup.home, profile):
        return plugin.launcher([*command, "--state-dir", str(snap_state)], Path(snap_state))
    is_usual = state_dir == wire.usual_dir() or bool(setup.env.get("IMPASTO_STATE_DIR"))
    return plugin.launcher(command, state_dir if is_usual else None)


def _profiles_with_new(setup: Setup, installed: Iterable[Gimp]) -> list[Path]:
    """The profiles to fill; a GIMP that was never started is started once, so that it makes its own."""
    profiles = setup.find_profiles()
    if setup.gimp_dir or places.profile_override(setup.env, setup.home):
        return profiles
    for gimp in installed:
        if any(profile.name == gimp.version for profile in profiles):
            continue
        first = f"GIMP {gimp.version} was never started:"
        if setup.changes.announce(f"{first} it makes its profile now ...", f"start GIMP {gimp.version} once"):
            gimps.start_once(gimp)
            profiles = setup.find_profiles()
            if not any(profile.name == gimp.version for profile in profiles):
                setup.changes.voice.say(f"  GIMP {gimp.version} made no profile: start it once, and run this again.")
    return profiles


def _place_launcher(setup: Setup, made: record.Record) -> None:
    """A menu entry for those whose GIMP is in a sandbox and cannot start the engine itself."""
    place = places.desktop_entry(setup.platform, setup.env, setup.home)
    if place is None:
        return
    path = Path(place)
    if setup.home == NO_HOME or wire.is_read_only(path.parent):
        setup.changes.voice.say(
            "  No launcher in the menu: its folder cannot be written. GIMP starts the engine itself."
        )
        return
    made.note_folders(setup.changes.make_folders(path.parent))
    program = str(setup.carrier.program("impasto"))
    if setup.changes.write(path, desktop_entry(program)):
        setup.changes.announce(f"put the launcher into the menu: {path}", f"put a launcher into the menu: {path}")
    made.desktop_entry = path


def desktop_entry(program: str) -> bytes:
    """The launcher's text, quoted and then escaped as the Desktop Entry Specification asks of Exec."""
    quoted = program.replace("%", "%%")
    for special in ("\\", '"', "`", "$"):
        quoted = quoted.replace(special, "\\" + special)
    quoted = quoted.replace("\\", "\\\\")
    return f"""[Desktop Entry]
Type=Application
Name=Impasto Engine
Comment=Paints for GIMP's Neural Style filter; close the window to stop it
Exec=/usr/bin/env -u PYTHONHOME -u PYTHONPATH "{quoted}" serve
Terminal=true
Categories=Graphics;
""".encode()


def read_catalog(setup: Setup) -> dict[str, Any]:
    """What the engine offers, for the plug-in's dialog; empty in a dry run without an engine.

    Raises:
        SetupError: the engine does not answer.
    """
    program = setup.carrier.program("impasto")
    if setup.changes.is_dry and not program.exists():
        return {}
    try:
        answer = ask([program, "catalog"], timeout_s=120, is_python=True)
        value = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise SetupError(
            f"The engine does not say what it offers ({type(error).__name__}): remove {setup.carrier.folder} "
            "and run this again."
        ) from error
    if not (isinstance(value, dict) and isinstance(value.get("methods"), list)):
        raise SetupError(
            f"The engine's catalog is not of this version: remove {setup.carrier.folder} and run this again."
        )
    return value


def stop_engine(changes: Changes, state_dir: Path) -> None:
    """Ask a running engine to end, so that the next job starts the new one; a job in progress is given up.

    Raises:
        SetupError: it does not end.
    """
    from gimp_plugin.client import Engine  # noqa: PLC0415  (the client reads the network; only this needs it)

    running = Engine.probe(state_dir)  # of whatever version
    if running is None:
        return
    if not changes.announce("stopping the running engine ...", "stop the running engine"):
        return
    running.shutdown()
    deadline = time.monotonic() + ENGINE_STOP_S
    while Engine.probe(state_dir) is not None:
        if time.monotonic() > deadline:
            raise SetupError("The running engine does not end: let it finish or end it, and run this again.")
        time.sleep(0.1)


def _prove(setup: Setup, installed: Iterable[Gimp], profiles: list[Path]) -> None:
    """Start each GIMP once more and look for our procedure in it."""
    is_one_for_all = bool(setup.gimp_dir or places.profile_override(setup.env, setup.home))
    for gimp in installed:
        profile = next((p for p in profiles if is_one_for_all or p.name == gimp.version), None)
        if profile is None:
            continue
        with setup.changes.voice.step(f"asking GIMP {gimp.version}", f"asked GIMP {gimp.version}"):
            reason = gimps.why_unregistered(gimp, profile)
        folder = profile / "plug-ins" / plugin.NAME / plugin.PACKAGE
        is_by_path = setup.platform == "linux" and not gimp.is_sandboxed  # others bring a Python of their own
        if reason:
            why = pythons.why_none(folder) if is_by_path else None
            raise SetupError(f"{reason.rstrip('.')}. {why}" if why else reason)
        setup.changes.voice.say(f"  GIMP {gimp.version} knows the filter.")
        if is_by_path and (words := pythons.note(folder)):
            setup.changes.voice.say(f"  Note: {words}")


def _say_next(setup: Setup, installed: list[Gimp], profiles: list[Path]) -> None:
    say = setup.changes.voice.say
    say()
    if setup.changes.is_dry:
        say("Nothing was changed.")
    elif not profiles:
        say("The engine is ready, but no GIMP 3 was found. Install GIMP 3, start it once, and run this again;")
        say(f"or paint on the command line: {setup.carrier.program('impasto')} stylize --help")
    else:
        if not installed:
            say("No gimp-console was found, so nobody asked GIMP whether it knows the filter.")
        say("Done. Start GIMP again, open a picture, and choose Filters > Artistic > Neural Style...")


def uninstall(setup: Setup) -> None:
    """Take away exactly what the set-up made: plug-in, launcher, environment, the engine's state."""
    changes, state_dir = setup.changes, wire.state_dir()
    stop_engine(changes, state_dir)
    made = record.read(state_dir)
    recorded = {placed.folder for placed in made.plugins}
    for profile in setup.find_profiles():
        unrecorded = plugin.find_unrecorded(profile, setup.source)
        if unrecorded and unrecorded.folder not in recorded:
            made.note_plugin(unrecorded)
    for placed in made.plugins:
        plugin.remove(changes, placed)
    entry = made.desktop_entry
    if entry and changes.remove_file(entry):
        changes.announce(f"removed the launcher: {entry}", f"remove the launcher: {entry}")
    if made.is_state_ours:
        changes.remove_tree(state_dir, "the engine's state")
    else:
        changes.remove_file(state_dir / record.NAME)
    for profile in (placed.folder.parent.parent for placed in made.plugins):
        if snap_state := places.snap_state(setup.home, profile):
            stop_engine(changes, Path(snap_state))
            changes.remove_tree(Path(snap_state), "the engine's state for Snap's GIMP")
    for folder in reversed(made.made_folders):
        changes.remove_folder_if_empty(folder)
    if setup.carrier.is_ours():
        changes.remove_tree(setup.carrier.folder, "the engine's environment")
        changes.remove_tree(setup.root / "impasto.egg-info", "pip's notes")
    changes.voice.say("Nothing was changed." if changes.is_dry else "Impasto is uninstalled; this folder may go now.")
