"""The inner half of ``desktop``: owns a screen without glass, and runs on it what it is told.

Standard library only: it runs with the Python of the sandbox, under ``dbus-run-session``. It reads one JSON request a
line and answers each with one line; it ends, with all that it started, when its input does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

POLL_S = 0.05
# A main window has no frame, a new window has the keyboard, and no key is taken away from the programs.
WINDOW_MANAGER = """<?xml version="1.0" encoding="UTF-8"?>
<openbox_config xmlns="http://openbox.org/3.4/rc">
  <focus><focusNew>yes</focusNew><focusLast>yes</focusLast></focus>
  <placement><policy>Smart</policy><center>yes</center></placement>
  <theme><name>Clearlooks</name><titleLayout>NLC</titleLayout></theme>
  <desktops><number>1</number></desktops>
  <mouse><context name="Client">
    <mousebind button="Left" action="Press"><action name="Focus"/><action name="Raise"/></mousebind>
  </context></mouse>
  <applications><application class="*" type="normal"><decor>no</decor></application></applications>
</openbox_config>
"""


def main() -> int:
    """Start the screen and its window manager, then obey.

    Returns:
        0 at the end of the input.
    """
    size = sys.argv[1]
    reading, writing = os.pipe()
    # Xvfb takes a free number itself, so that any number of screens live side by side. Without -noreset it starts again
    # when its last client leaves, and refuses a client that comes just then.
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{size}x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[writing],
        stdout=sys.stderr,
    )
    os.close(writing)
    with os.fdopen(reading) as number:
        os.environ["DISPLAY"] = f":{number.readline().strip()}"
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "rc.xml"
        settings.write_text(WINDOW_MANAGER, "utf-8")
        manager = subprocess.Popen(["openbox", "--config-file", settings], stdout=sys.stderr)
        children = [screen, manager]
        try:
            _wait_for_manager(manager)
            _obey(children)
        finally:
            _end(children)
    return 0


def _wait_for_manager(manager: subprocess.Popen[bytes]) -> None:
    """A window that comes before the window manager would never get the keyboard."""
    query = ["xdotool", "get_num_desktops"]  # only a window manager knows
    while subprocess.run(query, capture_output=True, check=False).returncode:
        if manager.poll() is not None:
            raise SystemExit("openbox has ended.")
        time.sleep(POLL_S)


def _obey(children: list[subprocess.Popen[bytes]]) -> None:
    """Do what the lines of the input say; what is started joins the children."""
    _say({"display": os.environ["DISPLAY"]})
    for line in sys.stdin:
        request = json.loads(line)
        if request["wait"]:
            _say(_run(request["command"], request["timeout_s"]))
        else:
            with open(request["log"], "ab") as log:
                children.append(subprocess.Popen(request["command"], stdout=log, stderr=log))
            _say({"pid": children[-1].pid})


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    for child in reversed(children):
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _run(command: list[str], timeout_s: float) -> dict[str, Any]:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"status": None, "out": "", "errors": f"did not end within {timeout_s:.0f} s"}
    except OSError as error:
        return {"status": 127, "out": "", "errors": str(error)}
    return {"status": done.returncode, "out": done.stdout, "errors": done.stderr}


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    sys.exit(main())
