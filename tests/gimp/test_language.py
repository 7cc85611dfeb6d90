"""The window in German, as GIMP asks for it: every control has a German name, and all of it fits a small screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.desktop import GimpDesktop
from tests.conftest import skip_or_fail
from tests.gimp import gimps, samples
from tests.gimp.conftest import HERE, environment
from tests.gimp.test_studio import N_TABS, SCREEN, Watched
from tests.gimp.test_window import DIALOG
from tests.gimp.test_window_choices import catalog, place_of

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(300)]

GERMAN = {"LANG": "de_DE.UTF-8", "LANGUAGE": "de"}
MAIN_WINDOW = "Ebenen?.* GIMP$"
TO_ARTISTIC = ["Up"] * 7  # from the end of the menu of filters: two of its entries have K as their key
NAMES = {"Einpassen", "1:1", "Vorher", "Objekt anklicken", "Vorschau", "Favorit", "Gemälde", "Stärke", "Farben von"}
NAMES |= {"Fotorealismus", "Nur die Auswahl", "Mehr", "Malen"}
ENGLISH = {"Fit", "Before", "Click the object", "Preview", "Favorite", "Painting", "Strength", "More", "Paint"}


@pytest.fixture(scope="module", params=["1", "2"])
def desktop(
    gimp: gimps.Gimp, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[GimpDesktop, Path]]:
    """One start of each GIMP with letters of usual size, and one with letters twice as large."""
    missing = gimp.missing_for_windows()
    if missing:
        skip_or_fail(f"GIMP {gimp.version} with a window needs {', '.join(missing)}")
    folder = tmp_path_factory.mktemp(f"german-{gimp.version}")
    samples.write_samples(folder)
    gimps.make_profile(folder / "profile", gimp.version, catalog())
    (folder / "state").mkdir(mode=0o700)
    python = "python3" if gimp.prefix else sys.executable
    told = environment(folder, python) | GERMAN | {"GDK_DPI_SCALE": request.param}
    told["IMPASTO_TRACE"] = str(folder / "trace")
    told["LOCPATH"] = str(folder / "locales")  # a German locale, whichever the system has: words come from catalogs
    (folder / "locales").mkdir()
    gimp.run(["cp", "-r", "/usr/lib/locale/C.utf8", str(folder / "locales" / "de_DE.UTF-8")], {}, 60, check=True)
    with GimpDesktop(gimp.prefix, told, gimp.window, folder, SCREEN) as desktop:
        desktop.start([python, str(HERE / "fake_engine.py")])
        desktop.open(folder / "coffee.jpg")
        desktop.spread(desktop.find_window(MAIN_WINDOW))
        yield desktop, folder


def test_the_german_window_is_german_and_fits_a_small_screen(desktop: tuple[GimpDesktop, Path]) -> None:
    user = Watched(*desktop)
    user.start_afresh()
    user.desktop.find_window(MAIN_WINDOW)
    user.desktop.press("alt+r", *TO_ARTISTIC, "Right", "n")
    window = user.desktop.find_window(DIALOG)
    user.desktop.wait_for("a preview", lambda: user.events("preview"))
    user.desktop.shoot(desktop[1] / "german.png")
    left, top, width, height = place_of(user, window)
    assert left >= 0 and top >= 0 and left + width <= SCREEN[0] and top + height <= SCREEN[1], (width, height)
    for _ in range(N_TABS):
        user.desktop.press("Tab")
    names = {event["name"] for event in user.events("focus")}
    assert names >= NAMES, NAMES - names
    assert not names & ENGLISH
    user.close()
    assert "duplicate mnemonic" not in (desktop[1] / "desktop.log").read_text("utf-8", "replace")
