"""Makes the picture of the web page for the documentation: ``python -m scripts.page_tour``.

A headless Chromium opens the page of this repository's engine, uploads the demo's photo, and the picture is taken
once the gallery and the preview are painted: docs/images/web-page.png.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from scripts.demo_photo import load_photo

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 120.0
SIZE = (1240, 1400)
TILES = "document.querySelectorAll('#styles img').length"
BUTTON = "[...document.querySelectorAll('button')].find(b => b.innerText.trim() === 'Paint')"

# Chromium reads commands from descriptor 3 and answers on 4. A shell takes no descriptor above 9.
START = (
    "import fcntl, os, sys; ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]; "
    "os.dup2(ends[0], 3); os.dup2(ends[1], 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Browser:
    """One page of a headless Chromium, spoken to in the DevTools protocol over a pair of pipes."""

    def __init__(self, program: str, folder: Path, address: str) -> None:
        options = [
            "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
            "--remote-debugging-pipe", f"--user-data-dir={folder}", f"--window-size={SIZE[0]},{SIZE[1]}",
        ]  # fmt: skip
        (its_in, our_out), (our_in, its_out) = os.pipe(), os.pipe()
        command = [sys.executable, "-c", START, str(its_in), str(its_out), program, *options]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, pass_fds=(its_in, its_out))
        os.close(its_in)
        os.close(its_out)
        self.commands, self.answers = os.fdopen(our_out, "wb", 0), os.fdopen(our_in, "rb")
        self.numbers = itertools.count(1)
        self.session: str | None = None
        target = self.ask("Target.createTarget", url=address)["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command; its result."""
        number = next(self.numbers)
        session = {"sessionId": self.session} if self.session else {}
        self.commands.write(json.dumps({"id": number, "method": method, "params": params, **session}).encode() + b"\0")
        while (message := self.read()).get("id") != number:
            pass
        result: dict[str, Any] = message["result"]
        return result

    def read(self) -> dict[str, Any]:
        """The next message: JSON up to a zero byte."""
        parts = []
        while (byte := self.answers.read(1)) not in (b"\0", b""):
            parts.append(byte)
        message: dict[str, Any] = json.loads(b"".join(parts))
        return message

    def evaluate(self, code: str) -> Any:
        """The value of a JavaScript expression."""
        return self.ask("Runtime.evaluate", expression=code, returnByValue=True)["result"].get("value")

    def upload(self, file: Path) -> None:
        """Give the page's first file input a file."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector="input[type=file]")["nodeId"]
        self.ask("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def close(self) -> None:
        self.commands.close()
        self.answers.close()
        self.process.terminate()
        self.process.wait()


def wait_until(is_so: Callable[[], Any], what: str) -> None:
    """Poll.

    Raises:
        SystemExit: it never came to be.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"This did not happen within {PATIENCE_S:.0f} s: {what}.")
        time.sleep(0.2)


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m scripts.page_tour", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "web-page.png")
    out = parser.parse_args(argv).out
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("This needs Chromium.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "engine.out"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "server.supervisor.main", "--state-dir", str(folder / "state"), "--ui"]
            engine = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: "Open http" in log.read_text(), "the engine starts")
            address = log.read_text().partition("Open ")[2].split()[0]
            take_picture(Browser(program, folder / "browser", address), folder, out)
        finally:
            engine.terminate()
            engine.wait()
    return 0


def take_picture(browser: Browser, folder: Path, out: Path) -> None:
    """Choose a photo in the page, and keep what it shows."""
    try:
        photo = folder / "coffee.png"
        load_photo().save(photo)
        wait_until(lambda: browser.evaluate(f"!!{BUTTON}"), "the page is there")
        wait_until(lambda: browser.evaluate(f"{TILES} >= 20"), "the gallery is there")
        browser.upload(photo)
        wait_until(lambda: browser.evaluate("document.querySelectorAll('img').length >= 2"), "the photo is there")
        wait_until(lambda: browser.evaluate("!!document.querySelector('#preview img')"), "the preview is there")
        time.sleep(5.0)  # the gallery is painted
        picture = folder / "page.png"
        data = browser.ask("Page.captureScreenshot", format="png")["data"]
        picture.write_bytes(base64.b64decode(data))
    finally:
        browser.close()
    with Image.open(picture) as shot:
        shot.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(out, optimize=True)


if __name__ == "__main__":
    raise SystemExit(main())
