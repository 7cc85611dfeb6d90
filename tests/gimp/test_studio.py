"""The window as a studio: a preview that follows the choices, the gallery, clicked objects, earlier results."""

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

from scripts.desktop import GimpDesktop
from tests.conftest import skip_or_fail
from tests.gimp import gimps, samples
from tests.gimp.conftest import HERE, environment
from tests.gimp.test_window import DIALOG, FILE_DIALOG, MAIN_WINDOW, User
from tests.gimp.test_window_choices import MESSAGE, catalog, place_of, read_notice, script

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(300)]

SCREEN = (1280, 720)
N_CHANGES = 60
N_TABS = 40


class Watched(User):
    """A user whose window writes down what it does."""

    @property
    def trace(self) -> list[dict[str, Any]]:
        """The events of all windows so far."""
        file = self._folder / "trace"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def events(self, kind: str, since: int = 0) -> list[dict[str, Any]]:
        """Those of a kind, from a place in the trace on."""
        return [event for event in self.trace[since:] if event["event"] == kind]

    def previews(self) -> list[dict[str, Any]]:
        """What the engine was asked for only to be looked at."""
        notes = self._folder / "state" / "previews.jsonl"
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []

    def open_window(self) -> int:
        """Choose the filter and wait for the first preview; where the trace of this window begins."""
        since = len(self.trace)
        self.choose_filter()
        self.desktop.wait_for("a preview", lambda: self.events("preview", since))
        return since

    def see(self) -> np.ndarray:
        """(H, W, 3) the screen."""
        file = self._folder / "screen.png"
        self.desktop.shoot(file)
        return np.asarray(Image.open(file).convert("RGB")).astype(int)

    def close(self) -> None:
        self.desktop.press("Escape")
        self.desktop.wait_until_gone(DIALOG)


@pytest.fixture(scope="module")
def desktop(gimp: gimps.Gimp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GimpDesktop, Path]]:
    """One start of each GIMP, on the smallest screen that is promised."""
    missing = gimp.missing_for_windows()
    if missing:
        skip_or_fail(f"GIMP {gimp.version} with a window needs {', '.join(missing)}")
    folder = tmp_path_factory.mktemp(f"studio-{gimp.version}")
    samples.write_samples(folder)
    gimps.make_profile(folder / "profile", gimp.version, catalog())
    (folder / "state").mkdir(mode=0o700)
    python = "python3" if gimp.prefix else sys.executable
    told = environment(folder, python) | {"IMPASTO_TRACE": str(folder / "trace")}
    with GimpDesktop(gimp.prefix, told, gimp.window, folder, SCREEN) as desktop:
        desktop.start([python, str(HERE / "fake_engine.py")])
        desktop.open(folder / "coffee.jpg")
        desktop.spread(desktop.find_window(MAIN_WINDOW))
        yield desktop, folder


@pytest.fixture
def user(desktop: tuple[GimpDesktop, Path]) -> Watched:
    """In front of a fresh photo, with no window left from before."""
    user = Watched(*desktop)
    for window in user.desktop.windows(f"{FILE_DIALOG}|{DIALOG}|{MESSAGE}"):  # of a test that failed
        user.desktop.run(["xdotool", "windowactivate", "--sync", window, "key", "Escape"])
    user.start_afresh()
    return user


def picture_on(screen: np.ndarray, before: np.ndarray) -> tuple[int, int, int, int]:
    """Where the preview's picture is: left, top, width, height of what changed the most between two screens."""
    changed = np.abs(screen - before).max(axis=2) > 30
    rows, columns = np.flatnonzero(changed.mean(1) > 0.02), np.flatnonzero(changed.mean(0) > 0.02)
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0]), int(rows[-1] - rows[0])


def test_the_preview_is_what_will_be_painted_small_and_with_the_mask(user: Watched) -> None:
    n_before = len(user.previews())
    user.open_window()
    ours = [p for p in user.previews()[n_before:] if p["mask"] is not None]
    assert ours and max(ours[0]["content"][1][:2]) <= 512 and ours[0]["composite"] is True
    assert ours[0]["mask"][2] is True  # something of it is selected
    user.close()


def test_one_to_one_shows_a_part_pixel_for_pixel(user: Watched) -> None:
    user.press("shift+ctrl+a")  # Select > None: all of the photo, 600 x 400
    since = user.open_window()
    assert user.events("preview", since)[0]["size"] == [512, 341]
    user.desktop.press("alt+1")
    user.desktop.wait_for("a detail", lambda: user.events("preview", since)[-1]["size"] == [600, 400])
    user.close()


def test_the_line_between_before_and_after_is_moved_by_keys_and_b_shows_the_picture(user: Watched) -> None:
    user.open_window()
    to_preview(user)
    split = user.see()
    user.desktop.press(*["Right"] * 20)
    time.sleep(0.3)
    before = user.see()
    user.desktop.press(*["Left"] * 20)
    time.sleep(0.3)
    after = user.see()
    left, top, width, height = picture_on(after, before)
    part = np.s_[top + 5 : top + height - 5, left + 5 : left + width - 5]
    changed = np.abs(after[part] - before[part]).max(axis=2) > 3
    inverted = np.abs(after[part] - (255 - before[part])).max(axis=2)[changed]
    assert np.quantile(inverted, 0.5) < 60  # the engine of these tests paints the negative; the mask is soft
    middle = left + width // 2
    assert np.array_equal(split[part][:, : width // 2 - 20], before[part][:, : width // 2 - 20])
    assert np.array_equal(split[part][:, middle - left + 20 :], after[part][:, middle - left + 20 :])
    user.desktop.press("b")
    time.sleep(0.3)
    assert np.array_equal(user.see()[part], before[part])
    user.close()


def to_preview(user: Watched) -> None:
    """Go to the preview by the keyboard."""

    def is_there() -> bool:
        focused = user.events("focus")
        if focused and focused[-1]["name"] == "Preview":
            return True
        user.desktop.press("Tab")
        return False

    user.desktop.press("alt+1")
    user.desktop.wait_for("the preview to have the keyboard", is_there)
    user.desktop.press("f")
    time.sleep(0.5)


def test_after_many_changes_the_preview_shows_the_last_of_them(user: Watched) -> None:
    since = user.open_window()
    draw = np.random.default_rng(5)
    strength = 100
    for _ in range(N_CHANGES):
        if draw.random() < 0.5:
            strength = int(draw.integers(1, 101))
            user.set_number("g", str(strength))
        else:
            user.set_choice("t", int(draw.integers(3)))
    user.set_choice("t", 1)
    user.set_number("g", "37")

    def is_last() -> bool:
        shown = user.events("preview", since)[-1]["choices"]
        return shown["strength"] == 0.37 and shown["color"] == "luminance"

    user.desktop.wait_for("the preview of the last choices", is_last)
    time.sleep(0.5)
    assert is_last()
    user.confirm()
    user.wait_for_layers(2)
    settings = user.jobs()[-1]["settings"]
    assert settings["strength"] == 0.37 and settings["color"] == "luminance"


def test_the_gallery_is_painted_from_the_users_own_picture(user: Watched) -> None:
    since = user.open_window()
    (done,) = user.desktop.wait_for("the gallery", lambda: user.events("gallery", since))
    assert done["n"] == len(gimps.FEW["styles"])
    tiles = [p for p in user.previews() if max(p["content"][1][:2]) <= 192 and p["mask"] is None]
    assert {tile["preset"] for tile in tiles} == {style["name"] for style in gimps.FEW["styles"]}
    user.close()


def test_every_control_has_a_name_and_the_keyboard_reaches_it(user: Watched) -> None:
    since = user.open_window()
    for _ in range(N_TABS):
        user.desktop.press("Tab")
    names = [event["name"] for event in user.events("focus", since)]
    assert all(names), user.events("focus", since)
    wanted = {"Fit", "1:1", "Before", "Click the object", "Preview", "Search", "Favorite", "Painting", "Strength"}
    wanted |= {"Take colors from", "Photorealism", "Only the selection", "More", "Reset", "Cancel", "Paint"}
    assert wanted <= set(names), wanted - set(names)
    presets = {event["choices"]["preset"] for event in user.events("preview", since)}
    assert presets == {"starry-night"}  # going past the gallery chooses nothing
    user.close()


def test_the_window_fits_a_small_screen(user: Watched) -> None:
    window = user.choose_filter()
    left, top, width, height = place_of(user, window)
    assert left >= 0 and top >= 0 and left + width <= SCREEN[0] and top + height <= SCREEN[1]
    assert width <= 1180 and height <= 700
    user.close()


def test_closing_the_window_leaves_no_job(user: Watched, desktop: tuple[GimpDesktop, Path]) -> None:
    notes = desktop[1] / "state" / "cancelled"
    n_cancelled = len(notes.read_text().split()) if notes.exists() else 0
    n_before = len(user.previews())
    user.set_engine("preview-hang")
    user.choose_filter()
    user.desktop.wait_for("a preview that hangs", lambda: len(user.previews()) > n_before)
    user.close()
    user.desktop.wait_for("its end", lambda: notes.exists() and len(notes.read_text().split()) > n_cancelled)
    user.desktop.wait_for("the end of the plug-in", lambda: not user.processes())


def test_the_thing_that_is_clicked_becomes_the_selection_in_one_step_of_undo(user: Watched) -> None:
    user.press("shift+ctrl+a")  # Select > None
    photo, before = user.picture(), user.look()
    window = user.choose_filter()
    user.desktop.wait_for("a preview", lambda: user.events("preview"))
    user.desktop.press("alt+o")  # Click the object
    time.sleep(0.5)
    user.desktop.click(150, 250, window)
    user.desktop.wait_for("a selection", lambda: bool(user.selection().any()))
    np.testing.assert_array_equal(user.selection(), np.where(photo[..., 0] > 127, 255, 0))
    user.confirm()
    user.wait_for_layers(2)
    assert user.jobs()[-1]["mask"] is not None  # what was clicked is what is painted
    user.press("ctrl+z", "ctrl+z")
    user.desktop.wait_for("the picture as it was", lambda: user.look()["layers"] == before["layers"])
    assert not user.selection().any()


def test_a_painting_is_changed_from_its_own_menu_entry(user: Watched) -> None:
    user.choose_filter()
    user.set_number("g", "60")
    user.confirm()
    user.wait_for_layers(2)
    user.press("alt+r", "a", "h")  # Neural Style: Change This Painting
    user.desktop.find_window(DIALOG)
    user.set_number("g", "20")
    user.confirm()
    user.desktop.wait_for("another name", lambda: " 20%" in user.look()["names"][0])
    assert len(user.wait_for_layers(2)["layers"]) == 2


def test_a_layer_that_is_no_painting_cannot_be_changed_and_the_message_says_what_to_do(user: Watched) -> None:
    before = user.look()
    user.press("alt+r", "a", "h")
    assert "was not made by Neural Style: select a painting" in user.read_message()
    assert user.look() == before


def test_earlier_results_are_kept_with_the_image(user: Watched) -> None:
    for strength in ("80", "30"):
        user.choose_filter()
        user.desktop.press("alt+v")  # Paint over it, the second time
        user.set_number("g", strength)
        user.confirm()
        user.desktop.wait_for("the end of the run", lambda: not user.processes())
    kept = script(user, 'answer(bytes(image.get_parasite("impasto-history").get_data()).decode())')
    entries = json.loads(kept)
    assert [entry["settings"]["strength"] for entry in entries][:2] == [0.3, 0.8]
    assert all(entry["jpeg"] for entry in entries) and len(kept) < 200_000


def test_choices_that_cannot_work_have_no_preview_but_a_sentence(user: Watched) -> None:
    since = user.open_window()
    user.desktop.press("alt+m")
    n_before = len(user.events("preview", since))
    user.set_choice("h", 0)  # Deep image analogy needs a picture
    assert "needs a style picture" in read_notice(user)
    time.sleep(0.5)
    assert len(user.events("preview", since)) == n_before
    user.set_choice("h", 1)
    user.close()


def test_the_window_answers_while_it_paints(user: Watched) -> None:
    since = user.open_window()
    for strength in range(10, 100, 6):
        user.set_number("g", str(strength))
    begun = user.trace.index(user.events("preview", since)[0])  # until then GTK lays the window out
    held = [event["held_s"] for event in user.trace[begun + 1 :]]
    user.close()
    assert len(held) > 10 and np.quantile(held, 0.8) <= 0.05, held
