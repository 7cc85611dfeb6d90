"""A desktop without a screen, with a GIMP on it that is used as a user does: keys, mouse, windows, pictures of it.

For the tests with a window and for the pictures of the documentation. Needs Xvfb, openbox, xdotool, ImageMagick and
dbus-run-session where the GIMP is, which may be inside ``scripts/gimp-sandbox``.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

AGENT = Path(__file__).with_name("desktop_agent.py")
SIZE = (1280, 800)
POLL_S = 0.1
COMMAND_TIMEOUT_S = 30.0
START_TIMEOUT_S = 120.0
Found = TypeVar("Found")
Me = TypeVar("Me", bound="Desktop")


class DesktopError(Exception):
    """What was waited for did not come, or a program of the desktop failed."""


class Desktop:
    """Xvfb and a window manager, in a session of their own; all of it ends with ``close``.

    Args:
        prefix: what stands before a command: nothing, or the sandbox.
        env: variables that the programs need, besides this process's own.
        log: file that takes what started programs print.
        size: of the screen, in pixels.
    """

    def __init__(self, prefix: Sequence[str], env: Mapping[str, str], log: Path, size: tuple[int, int] = SIZE) -> None:
        self._log = log
        self.size = size
        with open(log, "ab") as errors:
            self._agent = subprocess.Popen(
                [*prefix, "dbus-run-session", "--", "python3", str(AGENT), "x".join(map(str, size))],
                env={**os.environ, **env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._answer()

    def __enter__(self: Me) -> Me:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything on it."""
        if self._agent.stdin:
            self._agent.stdin.close()
        try:
            self._agent.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self._agent.terminate()  # the sandbox takes its processes with it
            self._agent.wait()
        if self._agent.stdout:
            self._agent.stdout.close()

    def start(self, command: Sequence[str]) -> int:
        """Start a program that stays.

        Returns:
            Its process number, as the desktop sees it.
        """
        return int(self._ask(wait=False, command=list(command), log=str(self._log))["pid"])

    def run(self, command: Sequence[str], timeout_s: float = COMMAND_TIMEOUT_S, check: bool = True) -> str:
        """Run a program to its end.

        Returns:
            What it printed.

        Raises:
            DesktopError: it failed; not if ``check`` is off.
        """
        answer = self._ask(wait=True, command=list(command), timeout_s=timeout_s)
        if check and answer["status"] != 0:
            raise DesktopError(f"{' '.join(command)[:200]}: status {answer['status']}: {answer['errors'].strip()}")
        return str(answer["out"])

    # --- a user's hands ---------------------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        """Press keys one after another, as "alt+r" or "Escape"."""
        self.run(["xdotool", "key", "--clearmodifiers", "--delay", "120", *keys])

    def write(self, text: str) -> None:
        """Type a text."""
        self.run(["xdotool", "type", "--delay", "40", text])

    def click(self, x: int, y: int, window: str | None = None) -> None:
        """Click the left button at a place of a window, or of the screen."""
        self.point(x, y, window)
        self.run(["xdotool", "click", "1"])

    def point(self, x: int, y: int, window: str | None = None) -> None:
        """Move the mouse to a place of a window, or of the screen."""
        self.run(["xdotool", "mousemove", *(["--window", window] if window else []), str(x), str(y)])

    def spread(self, window: str) -> None:
        """Make a window as large as the screen, without its title bar."""
        width, height = map(str, self.size)
        self.run(["xdotool", "windowsize", window, width, height, "windowmove", window, "0", "0"])

    # --- a user's eyes ----------------------------------------------------------------------------------

    def windows(self, title: str) -> list[str]:
        """Numbers of the visible windows whose title matches a regular expression."""
        out = self.run(["xdotool", "search", "--onlyvisible", "--name", title], check=False)
        return out.split()

    def titles(self) -> list[str]:
        """The titles of all visible windows."""
        names = [self.run(["xdotool", "getwindowname", window], check=False) for window in self.windows(".")]
        return [name.strip() for name in names]

    def find_window(self, title: str, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
        """Wait for a window, and give it the keyboard.

        Returns:
            Its number.

        Raises:
            DesktopError: it did not come.
        """

        def find_active() -> str | None:
            windows = self.windows(title)
            active = self.run(["xdotool", "getactivewindow"], check=False).strip()
            if active in windows:
                return active
            if windows:  # in vain while it is just being opened, so again and again
                self.run(["xdotool", "windowactivate", windows[-1]], check=False)
            return None

        return self.wait_for(f"a window {title!r} with the keyboard", find_active, timeout_s)

    def wait_until_gone(self, title: str, timeout_s: float = COMMAND_TIMEOUT_S) -> None:
        """Wait until no such window is left.

        Raises:
            DesktopError: it stays.
        """
        self.wait_for(f"the end of the window {title!r}", lambda: not self.windows(title), timeout_s)

    def wait_for(self, what: str, look: Callable[[], Found | None], timeout_s: float = COMMAND_TIMEOUT_S) -> Found:
        """Look again and again until something is there.

        Returns:
            What was found, true in a condition.

        Raises:
            DesktopError: it did not come in time.
        """
        end = time.monotonic() + timeout_s
        while not (found := look()):
            if time.monotonic() > end:
                active = self.run(["xdotool", "getactivewindow", "getwindowname"], check=False).strip()
                raise DesktopError(
                    f"Waited {timeout_s:.0f} s for {what} in vain. Windows: {self.titles()}, active: {active!r}"
                )
            time.sleep(POLL_S)
        return found

    def shoot(self, file: Path) -> None:
        """Write a picture of the whole screen."""
        self.run(["import", "-window", "root", str(file)])

    # --- the wire ---------------------------------------------------------------------------------------

    def _ask(self, **request: Any) -> dict[str, Any]:
        if self._agent.stdin is None or self._agent.poll() is not None:
            raise DesktopError(f"The desktop has ended: {self._last_words()}")
        self._agent.stdin.write(json.dumps(request) + "\n")
        self._agent.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._agent.stdout.readline() if self._agent.stdout else ""
        if not line:
            raise DesktopError(f"The desktop has ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-2000:] if self._log.exists() else "it said nothing"


class GimpDesktop(Desktop):
    """A desktop with one GIMP on it.

    Args:
        program: as "gimp-3.0".
        folder: for the answers of scripts that run in this GIMP; the same in the sandbox.
        size: of the screen, in pixels.
    """

    def __init__(
        self,
        prefix: Sequence[str],
        env: Mapping[str, str],
        program: str,
        folder: Path,
        size: tuple[int, int] = SIZE,
    ) -> None:
        super().__init__(prefix, env, folder / "desktop.log", size)
        self._program = program
        self.folder = folder
        self._n_scripts = 0

    def open(self, file: Path) -> None:
        """Start GIMP with a picture, and wait until it shows it."""
        self.start([self._program, "--no-splash", str(file)])
        self.find_window(rf"^\[?{file.stem}.*GIMP$", START_TIMEOUT_S)

    def script(self, code: str, timeout_s: float = COMMAND_TIMEOUT_S) -> Any:
        """Run Python in this GIMP while its window is open, beside whatever the user does.

        Args:
            code: a script that gives its answer, any JSON value, to ``answer(...)``.

        Returns:
            The answer.

        Raises:
            DesktopError: no answer came, or the script failed.
        """
        self._n_scripts += 1
        file = self.folder / f"answer-{self._n_scripts}.json"
        text = _SCRIPT.format(file=str(file), code=code)
        target = ["--session", "--type=method_call", "--print-reply", "--dest=org.gimp.GIMP.UI", "/org/gimp/GIMP/UI"]
        call = ["org.gimp.GIMP.UI.BatchRun", "string:python-fu-eval", f"string:{text}"]
        self.run(["dbus-send", *target, *call])
        self.wait_for("the answer of a script in GIMP", file.exists, timeout_s)
        answer = json.loads(file.read_text("utf-8"))
        if answer["error"]:
            raise DesktopError(answer["error"])
        return answer["value"]


_SCRIPT = """
import json, os, traceback
given = {{"value": None, "error": None}}
def answer(value):
    given["value"] = value
try:
    exec({code!r}, {{**globals(), "answer": answer}})
except Exception:
    given["error"] = traceback.format_exc()
with open({file!r} + ".new", "w") as new:
    json.dump(given, new)
os.replace({file!r} + ".new", {file!r})
"""
