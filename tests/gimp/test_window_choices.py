"""The dialog on a small screen: choices that cannot work, choices that are kept, paintings that are changed, what is
said afterwards, and images that are closed meanwhile.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.desktop import GimpDesktop
from tests.conftest import skip_or_fail
from tests.gimp import gimps, samples
from tests.gimp.conftest import HERE, environment
from tests.gimp.test_window import DIALOG, FILE_DIALOG, MAIN_WINDOW, READ_MARKED, User

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(300)]

SCREEN = (1280, 720)
CANCEL_LIMIT_S = 1.0
MESSAGE = "^GIMP Message$"
ANYSTYLE = ["blend", "pictures", "presets", "regions", "size", "quality", "series"]
LEVELS = {"name": "levels", "default": 3, "choices": [], "meaning": "how many", "low": 1, "high": 5, "names": ""}


def catalog() -> dict[str, Any]:
    """The few methods of the other tests, with what they take."""
    told: dict[str, Any] = copy.deepcopy(gimps.FEW)
    analogy, anystyle = told["methods"]
    analogy.update(takes=["blend", "pictures", "regions", "size"], presets=[], options=[])
    anystyle.update(takes=ANYSTYLE, presets=[style["name"] for style in told["styles"]], options=[LEVELS])
    return told


@pytest.fixture(scope="module")
def desktop(gimp: gimps.Gimp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GimpDesktop, Path]]:
    """One start of each GIMP, on the smallest screen that is promised."""
    missing = gimp.missing_for_windows()
    if missing:
        skip_or_fail(f"GIMP {gimp.version} with a window needs {', '.join(missing)}")
    folder = tmp_path_factory.mktemp(f"choices-{gimp.version}")
    samples.write_samples(folder)
    gimps.make_profile(folder / "profile", gimp.version, catalog())
    (folder / "state").mkdir(mode=0o700)
    python = "python3" if gimp.prefix else sys.executable
    with GimpDesktop(gimp.prefix, environment(folder, python), gimp.window, folder, SCREEN) as desktop:
        desktop.start([python, str(HERE / "fake_engine.py")])
        desktop.open(folder / "coffee.jpg")
        desktop.spread(desktop.find_window(MAIN_WINDOW))
        yield desktop, folder


@pytest.fixture
def user(desktop: tuple[GimpDesktop, Path]) -> User:
    """In front of a fresh photo, with no choices left from before."""
    user = User(*desktop)
    for window in user.desktop.windows(f"{FILE_DIALOG}|{DIALOG}|{MESSAGE}"):  # of a test that failed
        user.desktop.run(["xdotool", "windowactivate", "--sync", window, "key", "Escape"])
    user.start_afresh()
    return user


def script(user: User, code: str) -> Any:
    """Run code in GIMP; ``image`` is the user's."""
    return user.desktop.script(f"image = max(Gimp.get_images(), key=lambda one: one.get_id())\n{code}")


def n_cancelled(desktop: tuple[GimpDesktop, Path]) -> int:
    """How many running jobs the engine was told to give up."""
    notes = desktop[1] / "state" / "cancelled"
    return len(notes.read_text().split()) if notes.exists() else 0


def begin_to_hang(user: User) -> None:
    """Start a job that does not end by itself."""
    n_jobs = len(user.jobs())
    user.set_engine("hang")
    user.choose_filter()
    user.confirm()
    user.desktop.wait_for("a job that hangs", lambda: len(user.jobs()) > n_jobs)


def paint(user: User, strength: str) -> dict[str, Any]:
    """Paint with the dialog's choices and a strength."""
    n_jobs = len(user.jobs())
    user.choose_filter()
    user.set_number("g", strength)
    user.confirm()
    user.desktop.wait_for("a job", lambda: len(user.jobs()) > n_jobs)
    return user.jobs()[-1]


def expected(photo: np.ndarray, strength: float) -> np.ndarray:
    """What the engine of these tests makes of a photo."""
    return photo + strength * (255 - 2 * photo.astype(float))


def test_the_second_run_changes_the_painting_in_one_step_of_undo(user: User) -> None:
    photo, selection = user.picture(), user.selection()
    paint(user, "90")
    first = user.wait_for_layers(2)
    coated = user.picture()
    paint(user, "40")
    user.desktop.wait_for("another name", lambda: " 40%" in user.look()["names"][0])
    after = user.wait_for_layers(2)
    assert after["layers"][1:] == first["layers"][1:] and after["selection"] == first["selection"]
    inside = selection == 255
    assert np.abs(user.picture()[inside] - expected(photo, 0.4)[inside]).max() <= 1
    assert np.array_equal(user.picture()[selection == 0], photo[selection == 0])
    user.press("ctrl+z")
    user.desktop.wait_for("the first painting", lambda: user.look()["layers"] == first["layers"])
    assert np.array_equal(user.picture(), coated)
    user.press("ctrl+y")
    user.desktop.wait_for("the second painting", lambda: user.look()["layers"] == after["layers"])


def test_the_painting_can_be_painted_over_and_its_own_settings_come_first(user: User) -> None:
    paint(user, "70")
    user.wait_for_layers(2)
    user.choose_filter()
    user.desktop.press("alt+v")  # Paint over it
    user.set_number("g", "20")
    user.confirm()
    names = user.wait_for_layers(3)["names"]
    assert " 20%" in names[0] and " 70%" in names[1]
    script(user, "image.set_selected_layers([image.get_layers()[1]])\nanswer(1)")
    user.choose_filter()
    user.confirm()
    user.desktop.wait_for("the end of the run", lambda: not user.look()["processes"])
    assert user.wait_for_layers(3)["names"] == names
    assert user.jobs()[-1]["settings"]["strength"] == 0.7


def test_what_cannot_work_cannot_be_confirmed_and_all_of_it_is_on_the_screen(user: User) -> None:
    n_jobs = len(user.jobs())
    window = user.choose_filter()
    user.desktop.press("alt+m")  # More
    user.set_choice("h", 0)  # a method that needs a picture, of a painting that is none
    assert "Deep image analogy needs a style picture" in read_notice(user)
    user.desktop.press("alt+p")
    time.sleep(0.5)
    assert user.desktop.windows(DIALOG) and len(user.jobs()) == n_jobs
    left, top, width, height = place_of(user, window)
    assert left >= 0 and top >= 0 and left + width <= SCREEN[0] and top + height <= SCREEN[1]
    assert height > 500  # More is open
    user.set_choice("h", 1)
    user.confirm()
    user.wait_for_layers(2)
    assert user.jobs()[-1]["preset"] is not None


def test_an_option_of_the_method_has_a_field_and_what_does_nothing_is_grey(user: User) -> None:
    user.choose_filter()
    user.set_choice("q", 2)  # grey with a famous painting, so that the keys go nowhere
    user.desktop.press("alt+m", "alt+h", "Tab", "ctrl+a")
    user.desktop.write("4")
    user.desktop.press("Tab")
    user.confirm()
    user.wait_for_layers(2)
    settings = user.jobs()[-1]["settings"]
    assert settings["options"] == {"levels": "4"} and settings["quality"] == "fast"


@pytest.mark.parametrize(("mode", "words"), [("disk_full", "disk for temporary files is full"), ("die", "engine")])
def test_an_error_brings_the_dialog_back_with_all_choices(user: User, mode: str, words: str) -> None:
    before = user.look()
    user.set_engine(mode)
    user.choose_filter()
    user.set_number("g", "35")
    user.set_choice("t", 1)
    user.desktop.press("alt+p")
    user.desktop.wait_for("the run", lambda: not user.desktop.windows(DIALOG))
    assert words in read_notice(user)
    assert not user.desktop.windows(MESSAGE)
    user.desktop.press("Escape")
    user.desktop.wait_until_gone(DIALOG)
    assert user.wait_for_layers(1) == before
    user.set_engine("negative")
    user.choose_filter()  # and the next time, too
    user.confirm()
    user.wait_for_layers(2)
    settings = user.jobs()[-1]["settings"]
    assert settings["strength"] == 0.35 and settings["color"] == "luminance"


def test_a_run_that_is_killed_loses_no_choice(user: User) -> None:
    user.set_engine("hang")
    paint(user, "45")
    pids = [
        line.split()[0] for line in user.desktop.run(["ps", "-eo", "pid,args"]).splitlines() if "impasto.py" in line
    ]
    user.desktop.run(["kill", "-9", *pids])  # as GIMP's own Cancel does
    user.desktop.wait_for("the end of the run", lambda: not user.processes())
    user.desktop.find_window(MESSAGE)  # GIMP says that it crashed
    user.desktop.press("Escape")
    user.desktop.wait_until_gone(MESSAGE)
    user.set_engine("negative")
    user.choose_filter()
    user.confirm()
    user.wait_for_layers(2)
    assert user.jobs()[-1]["settings"]["strength"] == 0.45


def test_what_the_engine_did_otherwise_is_told_in_one_message(user: User) -> None:
    user.set_engine("notes")
    paint(user, "100")
    user.desktop.find_window(MESSAGE)

    def mark_next() -> str:  # a heading, then the notes
        user.desktop.press("Tab")
        text = user.desktop.run(["python3", "-c", READ_MARKED])
        return text if "Held back" in text else ""

    text = user.desktop.wait_for("the notes", mark_next)
    assert text.strip() == "Painted fast: a preset is only a code.\nHeld back to 80%."
    user.desktop.press("Escape")
    user.desktop.wait_until_gone(MESSAGE)
    user.wait_for_layers(2)


def test_a_closed_image_ends_the_job_and_nobody_is_bothered(user: User, desktop: tuple[GimpDesktop, Path]) -> None:
    number = script(
        user, "image = image.duplicate()\nGimp.Display.new(image)\nimage.clean_all()\nanswer(image.get_id())"
    )
    begin_to_hang(user)
    n_before, closed_at = n_cancelled(desktop), time.monotonic()
    user.press("ctrl+w")
    user.desktop.wait_for("the end of the job", lambda: n_cancelled(desktop) > n_before)
    assert time.monotonic() - closed_at < CANCEL_LIMIT_S + 1  # xdotool's own time
    user.desktop.wait_for("the end of the plug-in", lambda: not user.processes())
    assert not user.desktop.windows(f"{DIALOG}|{MESSAGE}")
    assert script(user, f"answer(Gimp.Image.id_is_valid({number}))") is False


def read_notice(user: User) -> str:
    """Mark the text above the dialog's buttons, with the mouse; its last line."""
    window = user.desktop.find_window(DIALOG)
    _left, _top, _width, height = place_of(user, window)

    def mark() -> str:
        for above in range(58, 145, 8):  # one or two rows of buttons are below it
            user.desktop.point(200, height - above, window)
            user.desktop.run(["xdotool", "click", "--repeat", "3", "--delay", "60", "1"])
            text = user.desktop.run(["python3", "-c", READ_MARKED]).strip()
            if text.endswith("."):
                return text
        return ""

    return user.desktop.wait_for("a marked notice", mark)


def place_of(user: User, window: str) -> tuple[int, int, int, int]:
    """Left, top, width, height of a window in its frame's inner part."""
    out = user.desktop.run(["xdotool", "getwindowgeometry", "--shell", window])
    facts = dict(line.split("=") for line in out.split())
    return int(facts["X"]), int(facts["Y"]), int(facts["WIDTH"]), int(facts["HEIGHT"])
