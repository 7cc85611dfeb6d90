"""Who may talk to the engine: an ASGI shell around everything, the web page included.

Against web pages in the user's browser (DNS rebinding, cross-site requests) exact host names, the Origin of the very
Host, and Sec-Fetch-Site; against other local users the token. No CORS, no regular expressions, no prefix matches.

The Host may say any port: through a forwarded one (``ssh -L 9000:127.0.0.1:PORT``) the page is reached under that.
A rebound page cannot use it, because its browser says the page's own host name. A page on another local port cannot,
because its Origin has that port and its Host ours. Who can choose both is no browser, and needs the token or cookie.
"""

from __future__ import annotations

import asyncio
import hmac
import html
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from gimp_plugin.wire import ERROR_STATUS, WireError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "impasto"
HOST_NAMES = frozenset({"127.0.0.1", "localhost"})
OPEN_PATHS = frozenset({"/healthz", "/login"})
PAGE = "/ui"
IDLE_S = 30.0
REFUSAL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
REFUSAL_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Impasto</title>
<style>:root { color-scheme: light dark } body { font: 1.1rem/1.5 system-ui, sans-serif; margin: 15vh auto;
max-width: 36rem; padding: 0 1rem }</style></head>
<body><main><h1>Impasto</h1><p>SENTENCE</p></main></body></html>
"""


class Guard:
    """Lets a request through, or answers it with 401, 403 or 421.

    Args:
        app: what is guarded.
        token: the engine's secret.
    """

    def __init__(self, app: App, token: str) -> None:
        self.app = app
        self.token = token
        self.cookie = secrets.token_hex(32)
        self.code: str | None = None

    def new_code(self) -> str:
        """A code that buys a browser its cookie, once."""
        self.code = secrets.token_urlsafe(32)
        return self.code

    def redeem(self, code: str) -> str | None:
        """The cookie's value for the current code, which is spent by that; None for any other."""
        if self.code is None or not hmac.compare_digest(code.encode(), self.code.encode()):
            return None
        self.code = None
        return self.cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            self.check(scope["path"], scope["headers"])
        except WireError as error:
            await refuse(scope, send, error)
            return
        await self.app(scope, _patient(receive), send)

    def check(self, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        """Raise ``WireError`` unless host, origin and secret are right; a header given twice is never right."""
        host = self._only(headers, b"host") or ""
        if not is_ours(host):
            raise WireError("wrong_host", "The engine answers on 127.0.0.1 only.")
        if self._only(headers, b"origin") not in (None, f"http://{host}"):
            raise WireError("forbidden", "The engine does not answer other web pages.")
        if self._only(headers, b"sec-fetch-site") not in (None, "same-origin", "none"):
            raise WireError("forbidden", "The engine does not answer other web pages.")
        if path in OPEN_PATHS:
            return
        has_token, has_cookie = self._has_token(headers), self._has_cookie(headers)
        if has_token or (has_cookie and is_of_page(path)):
            return
        if is_of_page(path) or path == "/":
            raise WireError("unauthorized", "This browser is not let in: run `impasto serve --ui` for a new address.")
        raise WireError("unauthorized", "The engine's token is missing or wrong. Start the filter from GIMP again.")

    @staticmethod
    def _only(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
        values = [value.decode("latin-1") for key, value in headers if key.lower() == name]
        if len(values) > 1:
            raise WireError("bad_request", "A header was given twice.")
        return values[0] if values else None

    def _has_token(self, headers: list[tuple[bytes, bytes]]) -> bool:
        given = self._only(headers, b"authorization") or ""
        return hmac.compare_digest(given.encode("latin-1"), f"Bearer {self.token}".encode())

    def _has_cookie(self, headers: list[tuple[bytes, bytes]]) -> bool:
        try:
            morsel = SimpleCookie(self._only(headers, b"cookie") or "").get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(morsel.value.encode(), self.cookie.encode())


def is_of_page(path: str) -> bool:
    """Whether it belongs to the web page; a browser's cookie, which every port of this computer gets, opens no more."""
    return path == PAGE or path.startswith(f"{PAGE}/")


def _patient(receive: Receive) -> Receive:
    """A receive that gives up on a client that stops in the middle of its body."""
    is_whole = False

    async def receive_in_time() -> Message:
        nonlocal is_whole
        if is_whole:
            return await receive()  # waits for the disconnect, however long the answer takes
        message = await asyncio.wait_for(receive(), IDLE_S)
        is_whole = not message.get("more_body", False)
        return message

    return receive_in_time


def is_ours(host: str) -> bool:
    """Whether a Host header names this computer's loopback, with a port in its one spelling."""
    name, colon, port = host.rpartition(":")
    is_port = port.isascii() and port.isdigit() and not port.startswith("0") and len(port) < 6 and int(port) < 65536
    return name in HOST_NAMES and bool(colon) and is_port


def is_visit(scope: Scope) -> bool:
    """Whether somebody opens an address in a browser, and no program looks ahead (HEAD, prefetch, preview)."""
    headers = {name.lower(): value.decode("latin-1").lower() for name, value in scope["headers"]}
    purposes = [headers.get(name, "") for name in (b"sec-purpose", b"purpose", b"x-purpose", b"x-moz")]
    is_navigation = headers.get(b"sec-fetch-mode", "navigate") == "navigate"
    return scope["method"] == "GET" and is_navigation and not any(purposes)


def error_answer(scope: Scope, error: WireError, job_id: str | None = None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a refusal: JSON, or a page with the sentence for a browser that shows pages."""
    accepted = b",".join(value for name, value in scope["headers"] if name.lower() == b"accept")
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    if error.code in ("busy", "starting", "draining"):
        headers["retry-after"] = "5"
    if b"text/html" in accepted:
        headers |= {"content-type": "text/html; charset=utf-8", "content-security-policy": REFUSAL_POLICY}
        body = REFUSAL_PAGE.replace("SENTENCE", html.escape(error.message)).encode("utf-8", "replace")
    else:
        headers["content-type"] = "application/json"
        body = json.dumps({"error": {"code": error.code, "message": error.message, "job": job_id}}).encode()
    return ERROR_STATUS.get(error.code, 500), headers, body


async def refuse(scope: Scope, send: Send, error: WireError) -> None:
    """Answer with an error body, or close a websocket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    status, headers, body = error_answer(scope, error)
    headers["content-length"] = str(len(body))
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
