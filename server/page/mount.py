"""The web page's way into the server: gradio under /ui, with nothing that reaches beyond this computer."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse

from gimp_plugin.wire import WireError
from server.page.door import Door, refuse
from server.page.files import PageFiles
from server.page.visitors import Listening
from server.supervisor import spool

if TYPE_CHECKING:
    from server.supervisor.app import Engine
    from server.supervisor.guard import App, Message, Receive, Scope, Send

PATH = "/ui"
MAX_UPLOAD = "256mb"
# Read by gradio and huggingface_hub while they are imported: no telemetry, no look-ups.
OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
# The browser itself refuses whatever is not of this server. Gradio needs inline scripts, eval and blobs.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
# What gradio's page tells social networks about itself, where it looks for an app to install, its examples elsewhere.
FOREIGN = re.compile(
    rb'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>|<link rel="manifest"[^>]*>'
    rb"|https://(?:raw\.githubusercontent|github)\.com/[\w./-]*"
)
# A dab of paint for the browser's tab; a browser that finds none asks the server in vain.
ICON = (
    b'<head><link rel="icon" href="data:image/svg+xml,'
    b"%3Csvg xmlns='http%3A%2F%2Fwww.w3.org%2F2000%2Fsvg' viewBox='0 0 32 32'%3E"
    b"%3Cpath d='M6 22C2 12 12 3 21 6s9 12 3 17-15 6-18-1z' fill='%230d9488'/%3E"
    b"%3Cpath d='M10 18c0-5 5-9 10-8' fill='none' stroke='%23ccfbf1' stroke-width='3' stroke-linecap='round'/%3E"
    b'%3C/svg%3E">'
)


def mount_page(app: Starlette, engine: Engine, port: int) -> None:
    """Mount the page under /ui.

    Args:
        app: the server, not yet guarded: the guard around it holds for the page too.
        engine: paints. Uploads and results live in a folder of its own in the engine's spool, which is wiped when the
            server starts and when it stops.
        port: of 127.0.0.1.

    Raises:
        SystemExit: gradio is not installed.
    """
    folder = spool.make_private(engine.spool / "page")
    os.environ.update(OFFLINE, GRADIO_TEMP_DIR=str(folder))
    try:
        import gradio  # noqa: PLC0415  (3 seconds and 130 MB: only for those who want the page)
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"The web page needs {error.name}: run `python3 install.py --ui` in Impasto's folder, then this again."
        ) from error
    from server.page.looks import CSS, SCRIPT, theme  # noqa: PLC0415
    from server.page.page import Page  # noqa: PLC0415

    files = PageFiles(folder)
    blocks = Page(engine, folder, files).blocks
    gradio.mount_gradio_app(
        app,
        blocks,
        path=PATH,
        root_path=PATH,  # else the files of a result are looked for beside the page
        server_name="127.0.0.1",
        server_port=port,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        show_error=False,
        allowed_paths=[],
        max_file_size=MAX_UPLOAD,
        theme=theme(),
        css=CSS,
        head=f"<script>{SCRIPT}</script>",
    )
    blocks.has_launched = True  # else gradio takes any path that a client names for an uploaded file
    app.add_middleware(Shell, engine=engine, door=Door(files))
    app.add_middleware(Listening, visitors=engine.visitors, lease_s=engine.jobs.lease_s)
    engine.page = f"http://127.0.0.1:{port}"


class Shell:
    """ASGI shell around the page: adds the browser's own defence, and counts an open page as use.

    Args:
        app: what is wrapped.
        engine: does not fall asleep while a browser shows the page.
        door: decides what gradio gets to see.
    """

    def __init__(self, app: App, engine: Engine, door: Door) -> None:
        self.app, self.engine, self.door = app, engine, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            await RedirectResponse(f"{PATH}/")(scope, receive, send)
        elif scope["type"] == "lifespan" or not scope["path"].startswith(f"{PATH}/"):
            await self.app(scope, receive, send)
        else:
            try:
                admitted = await self.door.admit(scope["path"][len(PATH) :], scope, receive)
            except WireError as error:
                await refuse(scope, send, error)
                return
            await self._show(*admitted, send)

    async def _show(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message | None = None
        parts: list[bytes] = []

        async def send_on(message: Message) -> None:
            nonlocal start
            self.engine.jobs.last_active = time.monotonic()  # an open page has a heartbeat every 15 s
            if message["type"] == "http.response.start":
                if message["status"] == 500 and scope["method"] == "POST":
                    message["status"] = 422  # so gradio answers what it cannot use; its log tells a fault from that
                headers = MutableHeaders(raw=message["headers"])
                headers["Content-Security-Policy"] = POLICY
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Content-Type-Options"] = "nosniff"
                if headers.get("content-type", "").startswith("text/html"):
                    start = message
                    return
            elif start is not None:
                parts.append(message.get("body", b""))
                if message.get("more_body", False):
                    return
                body = FOREIGN.sub(b"", b"".join(parts)).replace(b"<head>", ICON, 1)
                MutableHeaders(raw=start["headers"])["content-length"] = str(len(body))
                await send(start)
                message = {"type": "http.response.body", "body": body}
            await send(message)

        await self.app(scope, receive, send_on)
