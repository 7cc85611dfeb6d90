"""The filter as a user meets it: a GIMP with a window, the menu, the dialog, the progress bar, undo.

What happened is judged from outside: by what the engine was asked for, and by scripts that GIMP runs beside the user.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scripts.desktop import SIZE, DesktopError, GimpDesktop
from tests.conftest import skip_or_fail
from tests.gimp import gimps, samples
from tests.gimp.conftest import HERE, environment

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(300)]

WIDTH, HEIGHT = 600, 400
DIALOG = "^Neural Style$"
FILE_DIALOG = "^Choose a Style Picture$"
MAIN_WINDOW = "layers?.* GIMP$"
CANCEL_LIMIT_S = 3.0
STATUS_BAR_PX = 32
READ_MARKED = """
import gi
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, Gtk
print(Gtk.Clipboard.get(Gdk.SELECTION_PRIMARY).wait_for_text() or "", end="")
"""


class User:
    """Somebody at a GIMP with one photo open, and a look behind the scenes.

    Args:
        folder: samples, profile and the engine's state.
    """

    def __init__(self, desktop: GimpDesktop, folder: Path) -> None:
        self.desktop = desktop
        self._folder = folder
        self._state = folder / "state"
        self._python = "python3"
        self._image = 0

    # --- what a user does -------------------------------------------------------------------------------

    def choose_filter(self) -> str:
        """Filters > Artistic > Neural Style..., by the keyboard.

        Returns:
            The dialog's window.
        """
        self.press("alt+r", "a", "n")
        return self.desktop.find_window(DIALOG)

    def press(self, *keys: str) -> None:
        """Press keys in GIMP's main window."""
        self.desktop.find_window(MAIN_WINDOW)
        self.desktop.press(*keys)

    def set_number(self, key: str, text: str) -> None:
        """Go to a field by its underlined letter and type a number."""
        self.desktop.press(f"alt+{key}", "ctrl+a")
        self.desktop.write(text)
        self.desktop.press("Tab")

    def set_choice(self, key: str, n_down: int) -> None:
        """Go to a list by its underlined letter and take an entry, counted from the top."""
        self.desktop.press(f"alt+{key}", "Home", *["Down"] * n_down)

    def choose_file(self, key: str, name: str) -> None:
        """Go to a file by its underlined letter and choose one of the samples."""
        self.desktop.press(f"alt+{key}", "space")
        self.desktop.find_window(FILE_DIALOG)
        self.desktop.write(str(self._folder / name))
        self.desktop.press("Return")
        self.desktop.wait_until_gone(FILE_DIALOG)
        self.desktop.find_window(DIALOG)

    def confirm(self) -> None:
        self.desktop.press("alt+p")
        self.desktop.wait_until_gone(DIALOG)

    def find_cancel_button(self, idle: np.ndarray) -> tuple[int, int]:
        """Where Cancel has come at the right end of the status bar.

        Args:
            idle: the status bar without it.
        """

        def find() -> tuple[int, int] | None:
            changed = np.abs(self.see_status_bar().astype(int) - idle).max(axis=2) > 40
            columns = np.flatnonzero(changed.any(axis=0))
            return (int(columns[-1]) - 10, SIZE[1] - STATUS_BAR_PX // 2) if len(columns) else None

        return self.desktop.wait_for("the button Cancel", find)

    def read_message(self) -> str:
        """Mark the text of GIMP's message with the keyboard, and close the message.

        Returns:
            The text.
        """
        self.desktop.find_window("^GIMP Message$")

        def mark_next() -> str:
            self.desktop.press("Tab")
            text = self.desktop.run([self._python, "-c", READ_MARKED]).strip()
            return "" if text == "GIMP Message" else text  # its heading can be marked too

        text = self.desktop.wait_for("a marked text", mark_next)
        self.desktop.press("Escape")
        self.desktop.wait_until_gone("^GIMP Message$")
        return text

    # --- what is so -------------------------------------------------------------------------------------

    def look(self) -> dict[str, Any]:
        """Everything of the image that could change. A layer that goes while it is looked at is no fault: once more."""
        facts: dict[str, Any]
        try:
            facts = self._script("look", self._image)
        except DesktopError:
            self.desktop.wait_for("the end of the run", lambda: not self.processes())
            facts = self._script("look", self._image)
        return facts

    def wait_for_layers(self, n_layers: int) -> dict[str, Any]:
        """What is so once the image has as many layers, and no run of the filter goes on."""

        def is_there() -> dict[str, Any] | None:
            if self.processes():  # a run in its last step has layers that are gone when a script looks at them
                return None
            facts = self.look()
            return facts if len(facts["layers"]) == n_layers and not facts["processes"] else None

        return self.desktop.wait_for(f"{n_layers} layers", is_there)

    def see_status_bar(self) -> np.ndarray:
        """(STATUS_BAR_PX, W, 3) the lower edge of the screen."""
        file = self._folder / "screen.png"
        self.desktop.shoot(file)
        return np.asarray(Image.open(file).convert("RGB"))[-STATUS_BAR_PX:]

    def picture(self) -> np.ndarray:
        """(H, W, 3) what the user sees of the image."""
        self._script("dump_visible", self._image, "visible")
        return samples.read_dump(self._folder, "visible", {"height": HEIGHT, "width": WIDTH, "dtype": "uint8"})

    def selection(self) -> np.ndarray:
        """(H, W) the selection, 0 to 255."""
        self._script("dump_selection", self._image, "selection")
        facts: dict[str, object] = {"height": HEIGHT, "width": WIDTH, "dtype": "uint8"}
        return samples.read_dump(self._folder, "selection", facts)[..., 0]

    def jobs(self) -> list[dict[str, Any]]:
        """What the engine was asked for."""
        notes = self._state / "jobs.jsonl"
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []

    def processes(self) -> list[str]:
        """Runs of the plug-in that go on."""
        lines = self.desktop.run(["ps", "-eo", "args"]).splitlines()
        return [line for line in lines if "impasto/impasto.py" in line]

    def start_afresh(self) -> None:
        """A new photo with a soft ellipse selected, no undo steps, an engine that works."""
        self.set_engine("negative")
        self._image = self._script("start_afresh")

    def set_engine(self, mode: str) -> None:
        """How the engine behaves; see fake_engine.py."""
        (self._state / "mode").write_text(mode)

    def remember_style_layer(self) -> None:
        """As if the last run had taken its style from a layer of an image that is not shown."""
        self._script("remember_style_layer")

    def forget_style_layer(self) -> None:
        """That image is closed."""
        self._script("forget_style_layer", self._image)

    def _script(self, name: str, *arguments: str | int) -> Any:
        call = f"{name}({', '.join(map(repr, arguments))})"
        return self.desktop.script(
            f"import sys; sys.path.insert(0, {str(HERE)!r}); from inside import window; answer(window.{call})"
        )


@pytest.fixture(scope="module")
def desktop(gimp: gimps.Gimp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GimpDesktop, Path]]:
    """One start of each GIMP serves all tests here."""
    missing = gimp.missing_for_windows()
    if missing:
        skip_or_fail(f"GIMP {gimp.version} with a window needs {', '.join(missing)}")
    folder = tmp_path_factory.mktemp(f"window-{gimp.version}")
    samples.write_samples(folder)
    gimps.make_profile(folder / "profile", gimp.version)
    (folder / "state").mkdir(mode=0o700)
    python = "python3" if gimp.prefix else sys.executable
    with GimpDesktop(gimp.prefix, environment(folder, python), gimp.window, folder) as desktop:
        desktop.start([python, str(HERE / "fake_engine.py")])
        desktop.open(folder / "coffee.jpg")
        desktop.spread(desktop.find_window(MAIN_WINDOW))
        yield desktop, folder


@pytest.fixture
def user(desktop: tuple[GimpDesktop, Path]) -> User:
    """In front of a fresh photo."""
    user = User(*desktop)
    for message in user.desktop.windows(f"{FILE_DIALOG}|{DIALOG}|^GIMP Message$"):  # of a test that failed
        user.desktop.run(["xdotool", "windowactivate", "--sync", message, "key", "Escape"])
    user.start_afresh()
    return user


def test_the_dialog_paints_the_selection_as_it_says(user: User) -> None:
    photo, selection, n_jobs = user.picture(), user.selection(), len(user.jobs())
    user.choose_filter()
    user.set_number("g", "40")
    user.set_choice("t", 1)
    user.confirm()
    after = user.wait_for_layers(2)
    assert after["names"][0] == "The Starry Night, Vincent van Gogh 40% (Neural Style)"
    (job,) = user.jobs()[n_jobs:]
    assert job["preset"] == "starry-night"
    assert job["settings"]["strength"] == 0.4 and job["settings"]["color"] == "luminance"
    painted = user.picture()
    assert np.array_equal(painted[selection == 0], photo[selection == 0])
    inside = photo[selection == 255].astype(float)
    expected = inside + 0.4 * (255 - 2 * inside)  # what the engine of these tests does
    assert np.abs(painted[selection == 255] - expected).max() <= 1
    assert (selection == 255).mean() > 0.05 and (selection == 0).mean() > 0.5


def test_one_undo_takes_everything_away_and_redo_brings_it_back(user: User) -> None:
    before, photo = user.look(), user.picture()
    user.choose_filter()
    user.confirm()
    after, painted = user.wait_for_layers(2), user.picture()
    assert not np.array_equal(painted, photo)
    user.press("ctrl+z")
    assert user.wait_for_layers(1) == before
    assert np.array_equal(user.picture(), photo)
    user.press("ctrl+y")
    assert user.wait_for_layers(2) == after
    assert np.array_equal(user.picture(), painted)


def test_select_object_in_selection_is_one_step_of_undo(user: User) -> None:
    before, selection, photo = user.look(), user.selection(), user.picture()
    user.press("alt+s", "o")  # Select > Object in Selection (Neural Style)

    def is_selected() -> dict[str, Any] | None:
        if user.processes():  # as in ``wait_for_layers``
            return None
        facts = user.look()
        return facts if facts["selection"] != before["selection"] and not facts["processes"] else None

    after = user.desktop.wait_for("another selection", is_selected)
    rows, columns = np.flatnonzero(selection.any(1)), np.flatnonzero(selection.any(0))
    rectangle = np.zeros(selection.shape, bool)
    rectangle[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    expected = np.where(rectangle & (photo[..., 0] > 127), 255, 0)  # what the engine of these tests does
    np.testing.assert_array_equal(user.selection(), expected)
    assert {**after, "selection": None, "is_dirty": None} == {**before, "selection": None, "is_dirty": None}
    user.press("ctrl+z")
    user.desktop.wait_for("the former selection", lambda: user.look() == before)
    user.press("ctrl+y")
    user.desktop.wait_for("the object", lambda: user.look() == after)


def test_the_dialog_opens_with_the_last_values(user: User) -> None:
    user.choose_filter()
    user.set_number("g", "65")
    user.set_number("e", "30")
    user.set_number("b", "384")
    user.set_choice("a", 1)
    user.set_choice("t", 2)
    user.confirm()
    user.wait_for_layers(2)
    user.start_afresh()
    user.choose_filter()
    user.confirm()
    user.wait_for_layers(2)
    first, second = user.jobs()[-2:]
    assert first == second
    assert first["preset"] == "great-wave"
    assert first["settings"]["strength"] == 0.65 and first["settings"]["photoreal"] == 0.3
    assert first["settings"]["color"] == "match" and first["settings"]["style_size_px"] == 384


def test_without_a_selection_the_whole_layer_is_painted_this_time_only(user: User) -> None:
    photo = user.picture()
    user.press("shift+ctrl+a")  # Select > None
    user.choose_filter()
    user.set_number("g", "100")
    user.confirm()
    user.wait_for_layers(2)
    assert user.jobs()[-1]["mask"] is None
    assert np.array_equal(user.picture(), 255 - photo)
    user.start_afresh()
    user.choose_filter()
    user.confirm()
    user.wait_for_layers(2)
    assert user.jobs()[-1]["mask"] is not None


def test_a_picture_file_gives_the_style(user: User) -> None:
    user.choose_filter()
    user.desktop.press("alt+a", "shift+Tab", "shift+Tab", "space")  # from the list to the switch above it
    user.choose_file("i", "chelsea.jpg")
    user.confirm()
    after = user.wait_for_layers(2)
    job = user.jobs()[-1]
    assert after["names"][0].startswith("chelsea ")
    assert job["preset"] is None and job["picture"][:2] == [300, 451]  # height and width of the cat's photo
    user.start_afresh()
    user.choose_filter()  # shows the file now; back to the paintings, for the other tests
    user.desktop.press("alt+i", *["shift+Tab"] * 3, "space")
    user.confirm()
    user.wait_for_layers(2)
    assert user.jobs()[-1]["preset"] is not None and user.jobs()[-1]["picture"] is None


def test_repeat_runs_without_the_dialog(user: User) -> None:
    user.choose_filter()
    user.set_number("g", "80")
    user.confirm()
    user.wait_for_layers(2)
    user.start_afresh()
    n_jobs = len(user.jobs())
    user.press("alt+r", "p")  # Filters > Repeat "Neural Style"
    user.wait_for_layers(2)
    assert not user.desktop.windows(DIALOG)
    before, repeated = user.jobs()[n_jobs - 1 :]
    assert repeated == before
    assert repeated["settings"]["strength"] == 0.8


def test_cancel_in_the_dialog_changes_nothing(user: User) -> None:
    before, n_jobs = user.look(), len(user.jobs())
    user.choose_filter()
    user.set_number("g", "10")
    user.desktop.press("Escape")
    user.desktop.wait_until_gone(DIALOG)
    assert user.wait_for_layers(1) == before
    assert len(user.jobs()) == n_jobs


def test_cancel_of_the_progress_ends_at_once_and_changes_nothing(user: User) -> None:
    before, n_jobs = user.look(), len(user.jobs())
    idle = user.see_status_bar()
    user.set_engine("hang")
    user.choose_filter()
    user.confirm()
    user.desktop.wait_for("a job that hangs", lambda: len(user.jobs()) > n_jobs)
    x, y = user.find_cancel_button(idle)
    assert user.processes()
    cancelled_at = time.monotonic()
    user.desktop.click(x, y)
    user.desktop.wait_for("the end of the plug-in", lambda: not user.processes())
    assert time.monotonic() - cancelled_at < CANCEL_LIMIT_S
    assert user.wait_for_layers(1) == before
