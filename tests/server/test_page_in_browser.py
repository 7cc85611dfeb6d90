"""The web page in a real browser: what a visitor sees, and what the keyboard and a screen reader find."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from gimp_plugin.wire import write_style
from scripts.page_tour import Browser
from tests.conftest import skip_or_fail
from tests.gimp_plugin.test_style_file import a_style
from tests.server.running_engine import RunningEngine, wait_until
from tests.server.test_ui import CHROMIUM, style

pytest.importorskip("gradio")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="speaks to Chromium over pipes of a POSIX shell"),
]

KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "ArrowDown": (40, ""), "ArrowRight": (39, "")}
# The focused element, and whether it, its label or its frame is drawn around.
FOCUS = """(() => {
  const element = document.activeElement;
  const drawn = [element, element.closest("label"), element.closest(".wrap-inner")].some((one) =>
    one && getComputedStyle(one).outlineStyle !== "none" && parseFloat(getComputedStyle(one).outlineWidth) >= 2);
  return [element.id || element.getAttribute("role") || element.tagName, drawn || element === document.body];
})()"""


BOTTOM_OF = "(selector => document.querySelector(selector).getBoundingClientRect().bottom)"


class Visitor:
    """Somebody with a browser.

    Args:
        browser: shows the page.
        address: of it, once its cookie is there.
        downloads: where the browser puts what is saved.
    """

    def __init__(self, browser: Browser, address: str, downloads: Path) -> None:
        self.browser, self.address, self.downloads = browser, address, downloads
        browser.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))

    def see(self, width_px: int, scheme: str = "light", height_px: int = 844) -> None:
        """Hold a window of this size, on a desktop of this color scheme."""
        size = {"width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": False}
        self.browser.ask("Emulation.setDeviceMetricsOverride", **size)
        self.browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self) -> None:
        """Open the page anew."""
        self.browser.ask("Page.navigate", url=self.address)
        self.wait("document.querySelector('input[role=combobox]')?.value === 'invert'", "the list is there")
        self.wait("!document.querySelector('[role=option]')", "it is at rest")

    def look(self, code: str) -> Any:
        return self.browser.evaluate(code)

    def wait(self, code: str, what: str) -> None:
        wait_until(lambda: self.look(f"!!({code})"), what=f"{what}; it says: {self.status}")

    @property
    def status(self) -> str:
        return str(self.look("document.querySelector('#status')?.innerText.trim()"))

    def choose(self, path: Path, number: int = 0) -> None:
        """Choose a file where the page takes pictures; the system's own dialog is not the page's."""
        root = self.browser.ask("DOM.getDocument")["root"]["nodeId"]
        inputs = self.browser.ask("DOM.querySelectorAll", nodeId=root, selector="input[type=file]")["nodeIds"]
        self.browser.ask("DOM.setFileInputFiles", nodeId=inputs[number], files=[str(path)])
        self.wait(
            f"[...document.images].some(i => i.src.includes({json.dumps(quote(path.name))}))", f"{path.name} is shown"
        )
        time.sleep(0.3)  # the upload is told to the server after it is shown

    def give(self, path: Path, number: int) -> None:
        """Choose a file that is not shown as a picture."""
        root = self.browser.ask("DOM.getDocument")["root"]["nodeId"]
        inputs = self.browser.ask("DOM.querySelectorAll", nodeId=root, selector="input[type=file]")["nodeIds"]
        self.browser.ask("DOM.setFileInputFiles", nodeId=inputs[number], files=[str(path)])

    def press(self, key: str) -> None:
        number, text = KEYS[key]
        event = {"key": key, "code": key, "windowsVirtualKeyCode": number}
        down = event | ({"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"})
        self.browser.ask("Input.dispatchKeyEvent", **down)
        self.browser.ask("Input.dispatchKeyEvent", type="keyUp", **event)

    def tab_to(self, where: str) -> None:
        """Tab on, and see at each step where the focus is."""
        passed: list[str] = []
        for _ in range(40):
            self.press("Tab")
            name, is_drawn = self.look(FOCUS)
            passed.append(name)
            assert is_drawn, f"nobody sees that {name} has the focus"
            if name == where:
                return
        raise AssertionError(f"the keyboard does not reach {where}, only {passed}")

    def click(self, what: str) -> None:
        self.look(f"document.getElementById({what!r}).click()")

    def begin_with(self, style: Path) -> None:
        """Choose a picture as the style, one over which the engine sleeps, and press Paint."""
        self.look("document.querySelector('input[type=radio][value=picture]').click()")
        self.wait("document.querySelectorAll('input[type=file]').length === 2", "a style is asked for")
        self.choose(style, 1)
        self.click("paint")
        self.wait("document.querySelector('#status').innerText.includes('Sleeping')", "it paints")

    def is_enabled(self, what: str) -> bool:
        return bool(self.look(f"!document.getElementById({what!r}).disabled"))


@pytest.fixture(scope="module")
def browser(page: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not CHROMIUM:
        skip_or_fail("no Chromium")
    browser = Browser(CHROMIUM, tmp_path_factory.mktemp("browser"), page.ask("POST", "/v1/page").json["address"])
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture
def visitor(page: RunningEngine, browser: Browser, tmp_path: Path) -> Visitor:
    visitor = Visitor(browser, f"http://127.0.0.1:{page.port}/ui/", tmp_path / "downloads")
    wait_until(lambda: browser.evaluate("location.pathname") == "/ui/", what="the cookie is there")
    visitor.see(1280)
    visitor.open()
    return visitor


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "harbor.png"
    Image.frombytes("RGB", (31, 17), bytes(i * 37 % 256 for i in range(31 * 17 * 3))).save(path)
    return path


@pytest.fixture(scope="session")
def axe() -> str:
    """The checker that browsers' makers use."""
    if importlib.util.find_spec("axe_core_python") is None:
        skip_or_fail("no axe-core-python")
    return (resources.files("axe_core_python") / "axe.min.js").read_text("utf-8")


def violations(visitor: Visitor, axe: str) -> list[Any]:
    """What axe calls serious or critical."""
    code = "axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.nodes.map(n => n.html.slice(0, 200))]))"
    visitor.look(f"{axe}; 0")
    said = visitor.browser.ask("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
    found = said["result"]["value"]
    assert isinstance(found, list), said
    return [one for one in found if one[0] in ("serious", "critical")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_anybody_out(visitor: Visitor, axe: str, photo: Path, scheme: str) -> None:
    visitor.see(390, scheme)
    visitor.open()
    assert visitor.look("document.body.classList.contains('dark')") == (scheme == "dark")
    for stage in ("empty", "painted"):
        for width_px in (390, 1280):
            visitor.see(width_px, scheme)
            assert violations(visitor, axe) == [], (stage, width_px)
        if stage == "empty":
            visitor.click("paint")
            visitor.wait("document.querySelector('#status').innerText.includes('Choose a photo first.')", "refused")
            visitor.wait("!document.getElementById('paint').disabled", "Paint can be pressed again")
            time.sleep(0.5)  # until its color has come back
            assert violations(visitor, axe) == [], "refused"
            visitor.choose(photo)
            visitor.click("paint")
            visitor.wait("document.querySelector('#result img')?.complete", "it is painted")
            visitor.wait("!document.getElementById('paint').disabled", "Paint can be pressed again")
            time.sleep(0.5)  # until its color has come back
    for area in ("brush", "mask"):
        visitor.look(f"document.querySelector('input[type=radio][value={area}]').click()")
    visitor.look("document.querySelector('input[type=radio][value=picture]').click()")
    visitor.wait("document.querySelectorAll('input[type=file]').length >= 2", "a style and a mask are asked for")
    assert violations(visitor, axe) == [], "other controls"
    visitor.look("document.querySelector('input[type=radio][value=file]').click()")
    visitor.wait("document.body.innerText.includes('Style file')", "a style file is asked for")
    time.sleep(0.5)
    assert violations(visitor, axe) == [], "a style file"


def test_axe_finds_what_is_wrong(visitor: Visitor, axe: str) -> None:
    visitor.look("document.body.append(document.createElement('button'))")
    assert [name for _, name, _ in violations(visitor, axe)] == ["button-name"]


def test_the_keyboard_alone_paints_and_saves(visitor: Visitor, photo: Path) -> None:
    visitor.choose(photo)
    visitor.tab_to("combobox")
    for letter in "sam":
        visitor.browser.ask("Input.insertText", text=letter)
    visitor.tab_to("paint")
    assert visitor.look("document.querySelector('input[role=combobox]').value") == "same"
    visitor.press("Enter")
    visitor.wait("document.querySelector('#result img')", "it is painted")
    if visitor.look(FOCUS)[0] != "save":
        visitor.tab_to("save")
    assert visitor.look(FOCUS) == ["save", True]
    visitor.press("Enter")
    saved = visitor.downloads / "harbor - same.png"
    wait_until(saved.is_file, what="it is saved")
    wait_until(lambda: saved.stat().st_size > 0, what="it is whole")
    with Image.open(photo) as before, Image.open(saved) as after:
        assert before.tobytes() == after.convert("RGB").tobytes()


def test_the_arrow_keys_go_through_a_group_that_has_a_name(visitor: Visitor) -> None:
    group = "document.querySelector('input[value=whole]').closest('fieldset')"
    assert visitor.look(f"{group}.getAttribute('role')") == "radiogroup"
    assert visitor.look(f"document.getElementById({group}.getAttribute('aria-labelledby')).innerText") == "Area"
    visitor.look("document.querySelector('input[value=whole]').focus()")
    visitor.press("ArrowRight")
    assert visitor.look("[document.activeElement.value, document.activeElement.checked]") == ["click", True]
    visitor.wait("document.body.innerText.includes('Click the thing')", "the choice is taken")
    for _ in range(2):
        visitor.press("ArrowRight")
    visitor.wait("document.body.innerText.includes('Mask: white is painted')", "the choice is taken")
    assert visitor.look(FOCUS)[1], "the focus is seen"


def test_a_style_file_is_chosen_and_painted_in(visitor: Visitor, photo: Path, tmp_path: Path) -> None:
    friend = tmp_path / "friend.impasto-style"
    write_style(friend, a_style(title="same"))
    visitor.choose(photo)
    visitor.look("document.querySelector('input[type=radio][value=file]').click()")
    visitor.wait("document.querySelectorAll('input[type=file]').length >= 2", "a style file is asked for")
    visitor.give(friend, 1)
    visitor.wait("document.body.innerText.includes('friend')", "its name is shown")
    visitor.click("paint")
    visitor.wait("document.querySelector('#result img')?.src.includes('same')", "it is painted")


def test_what_is_typed_into_the_list_is_painted(visitor: Visitor, photo: Path) -> None:
    visitor.choose(photo)
    visitor.look("document.querySelector('input[role=combobox]').focus()")
    time.sleep(0.1)  # until the text is selected
    visitor.browser.ask("Input.insertText", text="sam")
    assert visitor.look("document.querySelector('input[role=combobox]').value") == "sam", "not appended"
    visitor.wait("document.querySelectorAll('[role=option]').length === 1", "only what fits is offered")
    box = visitor.look(
        "(() => { const r = document.getElementById('paint').getBoundingClientRect(); return [r.x, r.y] })()"
    )
    for kind in ("mousePressed", "mouseReleased"):
        where = {"x": box[0] + 9, "y": box[1] + 9, "button": "left", "clickCount": 1}
        visitor.browser.ask("Input.dispatchMouseEvent", type=kind, **where)
    visitor.wait("document.querySelector('#result img')", "it is painted")
    assert "same.png" in visitor.look("decodeURIComponent(document.querySelector('#result img').src)")


def test_what_is_brushed_is_selected(visitor: Visitor, tmp_path: Path) -> None:
    """The strokes come as an upload. The engine's note about them is shown as a sentence."""
    photo = tmp_path / "wall.png"
    Image.new("RGB", (600, 400), "navy").save(photo)
    visitor.choose(photo)
    visitor.look("document.querySelector('input[type=radio][value=brush]').click()")
    visitor.wait(
        "document.querySelector('canvas')?.getBoundingClientRect().width > 100", "the photo can be brushed over"
    )
    visitor.look("document.querySelector('canvas').scrollIntoView({block: 'center'})")
    time.sleep(1)  # until the editor has drawn the photo
    left, top, width, height = visitor.look(
        "(r => [r.x, r.y, r.width, r.height])(document.querySelector('canvas').getBoundingClientRect())"
    )
    for step, kind in enumerate(("mousePressed", *["mouseMoved"] * 8, "mouseReleased")):
        where = {"x": left + width / 2 - 40 + step * 8, "y": top + height / 2, "button": "left", "buttons": 1}
        visitor.browser.ask("Input.dispatchMouseEvent", type=kind, clickCount=1, **where)
    time.sleep(0.5)
    visitor.click("paint")
    visitor.wait("document.querySelector('#result img')", "it is painted")
    said = re.search(r"Done in .* seconds\. About (\d+)% of it is selected\.$", visitor.status)
    assert said is not None and 2 < int(said[1]) < 40, visitor.status


def test_a_complaint_goes_when_what_it_asked_for_is_chosen(visitor: Visitor, photo: Path) -> None:
    visitor.click("paint")
    visitor.wait("document.querySelector('#status').innerText.includes('Choose a photo first.')", "the complaint")
    visitor.choose(photo)
    wait_until(lambda: visitor.status == "Press Paint.", what=visitor.status)


def test_a_result_goes_with_its_photo_and_stays_through_cancel(visitor: Visitor, photo: Path, tmp_path: Path) -> None:
    visitor.choose(photo)
    visitor.click("paint")
    visitor.wait("document.querySelector('#result img') && !document.getElementById('save').disabled", "painted")
    visitor.begin_with(style(tmp_path, "sleep 60"))
    visitor.click("cancel")
    wait_until(lambda: visitor.status == "Cancelled." and visitor.is_enabled("paint"), what="it has stopped")
    assert visitor.is_enabled("save") and visitor.look("!!document.querySelector('#result img')")
    visitor.look("document.querySelector('[aria-label=\"Remove Image\"]').click()")
    visitor.wait("!document.querySelector('#result img')", "the result has gone with its photo")
    wait_until(lambda: not visitor.is_enabled("save"), what="nothing is left to save")
    wait_until(lambda: visitor.status == "Choose a photo, then press Paint.", what="the page asks for one")


def test_a_result_that_comes_after_its_photo_has_gone_says_so(visitor: Visitor, photo: Path, tmp_path: Path) -> None:
    visitor.choose(photo)
    visitor.begin_with(style(tmp_path, "sleep 4"))
    visitor.look("document.querySelector('[aria-label=\"Remove Image\"]').click()")
    visitor.wait("document.querySelector('#result img')", "what was painted is not thrown away")
    assert "This is the photo that was chosen when Paint was pressed." in visitor.status


def test_paint_and_result_are_in_sight(visitor: Visitor) -> None:
    """Beside the controls on a desk, and right below them in the hand: no empty box stands between."""
    visitor.see(1280, height_px=700)
    visitor.look("window.scrollTo(0, 400)")
    assert visitor.look("window.scrollY") > 200
    assert visitor.look("document.getElementById('paint').getBoundingClientRect().top") >= 0
    assert visitor.look(f"{BOTTOM_OF}('#save')") <= 700
    visitor.see(390)
    assert 0 < visitor.look(f"{BOTTOM_OF}('#paint') - {BOTTOM_OF}('#range_id_2')") < 150
    for box in ("result", "preview"):
        assert visitor.look(f"document.getElementById('{box}')?.getBoundingClientRect().height ?? 0") == 0


# --- before anything is painted


def test_the_gallery_and_the_preview_show_the_photo_painted(visitor: Visitor, photo: Path) -> None:
    visitor.choose(photo)
    visitor.wait("document.querySelectorAll('#preview img').length >= 2", "before and after")
    sources = "[...document.querySelectorAll('#preview img')].map((img) => img.src)"
    first = visitor.look(sources)
    visitor.wait("[...document.querySelectorAll('#styles img')].length >= 4", "the gallery")
    visitor.look("document.querySelectorAll('#styles button.thumbnail-item')[3].click()")
    visitor.wait("document.querySelector('input[role=combobox]').value === 'same'", "the style of the tile is chosen")
    visitor.wait(f"{sources}.join() !== {json.dumps(','.join(first))}", "another preview")
    assert not visitor.look("!!document.querySelector('#result img')")


def test_a_result_gives_way_to_the_preview_of_the_next_choice(visitor: Visitor, photo: Path) -> None:
    visitor.choose(photo)
    visitor.click("paint")
    visitor.wait("document.querySelector('#result img')?.complete", "it is painted")
    assert not visitor.look("!!document.querySelector('#preview')")
    visitor.look("document.querySelector('input[type=radio][value=luminance]').click()")
    visitor.wait("document.querySelector('#preview img')", "the preview")
    assert not visitor.look("!!document.querySelector('#result')")


def test_what_is_clicked_is_found_and_painted(visitor: Visitor, photo: Path) -> None:
    visitor.choose(photo)
    visitor.look("document.querySelector('input[type=radio][value=click]').click()")
    visitor.wait("document.querySelector('#click-here img')?.complete", "the photo to be clicked")
    visitor.click("paint")
    visitor.wait("document.querySelector('#status').innerText.includes('Click the thing')", "what to do is said")
    visitor.wait("!document.getElementById('paint').disabled", "Paint can be pressed again")
    before = visitor.look("document.querySelector('#click-here img').src")
    visitor.look("document.querySelector('#click-here img').scrollIntoView({block: 'center'})")
    x, y = visitor.look(
        "(({left, top, width, height}) => [left + width / 2, top + height / 2])"
        "(document.querySelector('#click-here img').getBoundingClientRect())"
    )
    for kind in ("mousePressed", "mouseReleased"):
        visitor.browser.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    visitor.wait(f"document.querySelector('#click-here img').src !== {json.dumps(before)}", "what was found")
    visitor.click("paint")
    visitor.wait("document.querySelector('#result img')?.complete", "it is painted")
    said = re.search(r"About (\d+)% of it is selected", visitor.status)
    assert said is not None and 40 < int(said[1]) < 60, visitor.status
