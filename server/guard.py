"""Who may talk to the engine: an ASGI shell around everything, the web page included.

Against web pages in the user's browser (DNS rebinding, cross-site requests) exact Host and Origin sets and
Sec-Fetch-Site; against other local users the token. No CORS, no regular expressions, no prefix matches.
"""

from __future__ import annotations

import asyncio
import hmac
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
OPEN_PATHS = frozenset({"/healthz", "/login"})
PAGE = "/ui"
IDLE_S = 30.0


class Guard:
    """Lets a request through, or answers it with 401, 403 or 421.

    Args:
        app: what is guarded.
        port: of 127.0.0.1.
        token: the engine's secret.
    """

    def __init__(self, app: App, port: int, token: str) -> None:
        self.app = app
        self.token = token
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.origins = {f"http://{host}" for host in self.hosts}
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
        if self._only(headers, b"host") not in self.hosts:
            raise WireError("wrong_host", "The engine answers on 127.0.0.1 only.")
        origin = self._only(headers, b"origin")
        if origin is not None and origin not in self.origins:
            raise WireError("forbidden", "The engine does not answer other web pages.")
        if self._only(headers, b"sec-fetch-site") not in (None, "same-origin", "none"):
            raise WireError("forbidden", "The engine does not answer other web pages.")
        if path in OPEN_PATHS:
            return
        has_token, has_cookie = self._has_token(headers), self._has_cookie(headers)
        if has_token or (has_cookie and is_of_page(path)):
            return
        if is_of_page(path):
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


async def refuse(scope: Scope, send: Send, error: WireError) -> None:
    """Answer with an error body, or close a websocket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = json.dumps({"error": {"code": error.code, "message": error.message, "job": None}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": ERROR_STATUS[error.code], "headers": headers})
    await send({"type": "http.response.body", "body": body})
