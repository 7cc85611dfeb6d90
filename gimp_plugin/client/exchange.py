"""One HTTP exchange with the engine: planes out, planes or JSON in, and its errors as ours.

The edge of the plug-in: here the exceptions of sockets, HTTP and JSON become ``WireError``.
"""

from __future__ import annotations

import http.client
import json
import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gimp_plugin import wire
from gimp_plugin.language import _, mark

CHUNK_BYTES = 1 << 20
MAX_JSON_BYTES = 1 << 20

GARBLED = mark("The engine sent something that the plug-in cannot read: run install.py in Impasto's folder again.")


@contextmanager
def translated(sentence: str) -> Iterator[None]:
    """The edge: what sockets, HTTP and JSON raise leaves as WireError."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise wire.WireError("unreachable", _(sentence)) from error
    except ValueError as error:
        raise wire.WireError("failed", _(GARBLED)) from error
    except MemoryError as error:
        raise wire.WireError(
            "out_of_memory", _("There is too little memory for the painted picture: select a smaller part.")
        ) from error


def send_body(sock: socket.socket, buffers: list[wire.Buffer]) -> None:
    """Send planes as they lie in memory, and stop when the engine answers early: it has refused the job."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        for buffer in buffers:
            view = memoryview(buffer).cast("B")
            for start in range(0, len(view), CHUNK_BYTES):
                if selector.select(0):
                    return
                sock.sendall(view[start : start + CHUNK_BYTES])


def fill(view: memoryview, response: http.client.HTTPResponse) -> None:
    """Read a body straight into its place.

    Raises:
        HTTPException: it ends early.
    """
    at = 0
    while at < len(view):
        n_read = response.readinto(view[at:])
        if not n_read:
            raise http.client.IncompleteRead(b"", len(view) - at)
        at += n_read


def checked(response: http.client.HTTPResponse) -> http.client.HTTPResponse:
    """The response, if it is one of success.

    Raises:
        WireError: what the engine refused, in its own words.
    """
    if 200 <= response.status < 300:
        return response
    try:
        error = read_json(response).get("error")
    except ValueError:
        error = None
    raise refusal(error, response.status)


def refusal(error: Any, status: int) -> wire.WireError:
    """What the engine says went wrong, as our error; a general sentence where it says nothing."""
    if isinstance(error, dict) and isinstance(error.get("code"), str) and isinstance(error.get("message"), str):
        return wire.WireError(error["code"], error["message"])
    says = _("The engine failed without a reason (status {status}): run the filter again.")
    return wire.WireError("failed", says.format(status=status))


def read_json(response: http.client.HTTPResponse) -> dict[str, Any]:
    """The JSON object in a response, which is closed.

    Raises:
        ValueError: there is none.
    """
    text = response.read(MAX_JSON_BYTES)
    response.close()
    return parse_json(text)


def parse_json(text: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: it is something else.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value
