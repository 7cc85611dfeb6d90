"""The door of the web page: what it lets through to gradio, which would read any file and ask any host that it is told.

Gradio has some eighty routes; the page needs twenty. Whatever a client says about a file is brought into one form
here, with a path inside the page's own folder and without an address, before gradio sees it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from gimp_plugin.wire import ERROR_STATUS, WireError

if TYPE_CHECKING:
    from server.page.files import PageFiles
    from server.supervisor.guard import Message, Receive, Scope, Send

MAX_JSON_BYTES = 1 << 20
MAX_DEPTH = 24
API = "/gradio_api"
FILE = f"{API}/file="
NAME = r"[\w.@~+-]+"
# GET and HEAD. The rest of gradio's routes fetch addresses, keep histories, or are for those who write a page.
SHOWN = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico"
    rf"|/(?:assets|static)(?:/(?!\.){NAME})+"
    rf"|{API}/(?:theme\.css|info/?|startup-events|queue/data|queue/status|upload_progress"
    r"|heartbeat/[\w-]{1,64}|call/\w{1,64}/[\w-]{1,64})"
)
SPOKEN = re.compile(rf"{API}/(?:queue/join|run/\w{{1,64}}/?|call/\w{{1,64}}/?|cancel|reset/?)")  # POST, in JSON
UPLOAD = f"{API}/upload"
# What a query may hold; a link to a saved state ("deep_link") or another page is not among it.
ASKED = {
    "__theme": "light|dark|system", "session_hash": r"[\w-]{1,64}", "upload_id": r"[\w-]{1,64}",
    "serialize": "True|False", "all_endpoints": "True|False",
}  # fmt: skip
# By these a proxy tells where it is reached; gradio would send the browser there.
PROXY_HEADERS = re.compile(rb"forwarded|x-forwarded-.*|x-(?:gradio|direct|original|real|ip|hf|spaces)-.*")
NO_PICTURE = "A picture of this request is not one of this page: choose it again."


class Door:
    """Lets the page's own requests through.

    Args:
        files: the page's folder.
    """

    def __init__(self, files: PageFiles) -> None:
        self.files = files

    async def admit(self, path: str, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        """A request in the form in which gradio may see it.

        Args:
            path: below the page's own ("/config").
            scope, receive: of the request.

        Raises:
            WireError: it is none of the page's.
        """
        if scope["type"] != "http":
            raise WireError("not_found", "The page has nothing under this address.")
        method = scope["method"]
        headers = [(name, value) for name, value in scope["headers"] if not PROXY_HEADERS.fullmatch(name.lower())]
        scope = dict(scope) | {"headers": headers, "query_string": _query(scope["query_string"])}
        if method in ("GET", "HEAD"):
            if not (SHOWN.fullmatch(path) or (path.startswith(FILE) and self._shows(path[len(FILE) :]))):
                raise WireError("not_found", "The page has nothing under this address.")
            return scope, receive
        if method == "POST" and path == UPLOAD:
            return scope, receive
        if method == "POST" and SPOKEN.fullmatch(path):
            body = json.dumps(self._spoken(await _read(receive))).encode()
            headers = [(name, value) for name, value in headers if not name.lower().startswith(b"content-")]
            headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            return scope | {"headers": headers}, _replay(body, receive)
        raise WireError("not_found", "The page has nothing under this address.")

    def _shows(self, path: str) -> bool:
        return self.files.owns(path) and os.path.isfile(path)

    def _spoken(self, body: bytes) -> dict[str, Any]:
        try:
            said = json.loads(body, parse_constant=_no_number)
            if isinstance(said, dict):
                self._confine(said, 0)
                return said
        except (ValueError, RecursionError) as error:
            raise WireError("bad_request", "The page's requests are JSON.") from error
        raise WireError("bad_request", "The page's requests are JSON objects.")

    def _confine(self, said: Any, depth: int) -> None:
        """Bring every file that is named into one form."""
        if depth > MAX_DEPTH:
            raise WireError("bad_request", "The request is nested too deeply.")
        if isinstance(said, dict) and ("path" in said or "url" in said):
            path, url, name = said.get("path"), said.get("url"), said.get("orig_name")
            if path is None and url is None:
                said.pop("url", None)
            elif not self.files.owns(path):
                raise WireError("unprocessable", NO_PICTURE)
            else:
                said.clear()
                said |= {"path": path, "meta": {"_type": "gradio.FileData"}}
                said |= {"orig_name": name} if isinstance(name, str) else {}
        for part in _parts(said):
            self._confine(part, depth + 1)


async def refuse(scope: Scope, send: Send, error: WireError) -> None:
    """Answer in the words of the engine's API and in those that gradio's own page shows; or close a websocket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    said = {"code": error.code, "message": error.message, "job": None}
    body = json.dumps({"error": said, "detail": error.message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": ERROR_STATUS[error.code], "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _parts(said: Any) -> Iterator[Any]:
    if isinstance(said, dict):
        yield from said.values()
    elif isinstance(said, list):
        yield from said


def _query(given: bytes) -> bytes:
    pairs = parse_qsl(given.decode("latin-1"), max_num_fields=20) if len(given) < 2000 else []
    return urlencode(
        [(key, value) for key, value in pairs if key in ASKED and re.fullmatch(ASKED[key], value)]
    ).encode()


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise WireError("bad_request", "The connection broke off in the middle of the request.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_JSON_BYTES:
            raise WireError("too_large", "The request is too long for one of the page's.")
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    is_told = False

    async def receive_body() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()  # waits for the disconnect
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_body


def _no_number(name: str) -> Any:
    raise ValueError(name)
