"""The filter again, as a user asks for it: Repeat after other things were done, and with a layer as the style."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from scripts.desktop import GimpDesktop
from tests.gimp.test_window import DIALOG, User, desktop

__all__ = ["desktop"]

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def painter(desktop: tuple[GimpDesktop, Path]) -> Iterator[User]:
    """Somebody who has painted once, with the dialog's own settings, and looks at a fresh photo."""
    user = User(*desktop)
    user.start_afresh()
    user.choose_filter()
    user.confirm()
    user.wait_for_layers(2)
    user.start_afresh()
    yield user
    user.forget_style_layer()


def test_repeat_after_select_object_repeats_the_style(painter: User) -> None:
    before = painter.selection()
    painter.press("alt+s", "o")  # Select > Object in Selection (Neural Style)
    painter.desktop.wait_for("an object", lambda: not np.array_equal(painter.selection(), before))
    painter.desktop.wait_for("the end of it", lambda: not painter.processes())
    n_jobs = len(painter.jobs())
    painter.press("ctrl+f")
    painter.wait_for_layers(2)
    (job,) = painter.jobs()[n_jobs:]
    assert job["preset"] == "starry-night"


def test_re_show_and_repeat_know_the_style_layer_as_long_as_it_is_there(painter: User) -> None:
    painter.remember_style_layer()
    painter.press("shift+ctrl+f")  # Filters > Re-Show
    painter.desktop.find_window(DIALOG)
    painter.confirm()
    painter.wait_for_layers(2)
    assert painter.jobs()[-1]["style"] == "Cat"
    painter.forget_style_layer()
    painter.start_afresh()
    painter.press("ctrl+f")
    text = painter.read_message()
    assert 'layer "Cat"' in text and "(Style layer)" in text and "is gone" in text, text
