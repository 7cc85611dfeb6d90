"""Hosts that answer anything at all: ``impasto models get`` says a sentence and leaves no wrong file."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.core.errors import ImpastoError, WeightsError
from engine.models.published import Published
from server import fetch as fetching
from server.fetch import check_address, fetch
from tests.server.test_models import DATA, HOSTS, SHA256, file_at

OK = b"HTTP/1.1 200 OK\r\n"
BELL = b"\x1b]0;owned\x07\x1b[2J"
REPLIES: dict[str, bytes] = {
    "length is no number": OK + b"Content-Length: abc\r\n\r\nxyz",
    "length is negative": OK + b"Content-Length: -5\r\n\r\nxyz",
    "length has a sign": OK + b"Content-Length: +5\r\n\r\nxyz",
    "length is a float": OK + b"Content-Length: 5.0\r\n\r\nxyz",
    "length is endless": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nxyz",
    "length is huge": OK + b"Content-Length: 99999999999999\r\n\r\nxyz",
    "length in other digits": OK + b"Content-Length: \xd9\xa5\r\n\r\nxyz",
    "no length at all": OK + b"\r\nxyz",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "cut off": OK + b"Content-Length: 500\r\n\r\nxyz",
    "chunks that are none": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nxyz",
    "chunks cut off": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "a negative chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
    "not HTTP": BELL + b"220 mail\r\n",
    "nothing": b"",
    "a status that is none": b"HTTP/1.1 2x0 OK\r\n\r\n",
    "escapes in the reason": b"HTTP/1.1 404 " + BELL + b"Gone\r\nContent-Length: 0\r\n\r\n",
    "headers without end": OK + b"x: y\r\n" * 2000,
    "redirects to itself": b"HTTP/1.1 302 Found\r\nLocation: https://weights.example/x\r\nContent-Length: 0\r\n\r\n",
    "redirects to no address": b"HTTP/1.1 302 Found\r\nLocation: https://[::1/x\r\nContent-Length: 0\r\n\r\n",
    "redirects to escapes": b"HTTP/1.1 302 Found\r\nLocation: https://" + BELL + b"/x\r\nContent-Length: 0\r\n\r\n",
    "redirects to a port that is none": b"HTTP/1.1 302 Found\r\nLocation: https://weights.example:x/\r\n\r\n",
    "redirects to a file": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
}


class Host:
    """Gives every request the same reply, and an opener that asks it whatever the address."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.02)
        self._is_over = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self._opener = urllib.request.build_opener(ToHere(self._listener.getsockname()[1]), Checked(HOSTS))

    def _serve(self) -> None:
        while not self._is_over:
            with contextlib.suppress(OSError):
                connection = self._listener.accept()[0]
                with connection:
                    connection.settimeout(1)
                    connection.recv(1 << 16)
                    connection.sendall(self._reply)

    def open(self, fullurl: urllib.request.Request, data: None = None, timeout: float = 5.0) -> Any:
        return self._opener.open(fullurl, data, 2.0)

    def close(self) -> None:
        self._is_over = True
        self._thread.join()
        self._listener.close()


class Checked(fetching.CheckedRedirects):
    """The real one; a name of its own, so that build_opener takes it in place of the usual."""


class ToHere(urllib.request.HTTPSHandler):
    """https to any host is plain HTTP to a port of this computer."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def https_open(self, req: urllib.request.Request) -> Any:
        import http.client

        port = self._port

        def connect(_host: str, timeout: float = 2.0, **_more: Any) -> http.client.HTTPConnection:
            return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

        return self.do_open(connect, req)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("IMPASTO_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "models"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # urllib leaves the sockets of hosts that break off
@pytest.mark.parametrize("is_published", [True, False], ids=["checksum known", "no checksum"])
@pytest.mark.parametrize("kind", REPLIES)
def test_any_reply_ends_in_a_sentence(kind: str, is_published: bool, folder: Path) -> None:
    known = {} if is_published else {"n_bytes": None, "sha256": None}
    host = Host(REPLIES[kind])
    try:
        with pytest.raises(ImpastoError) as caught:
            fetch(file_at(**known), HOSTS, host)
    finally:
        host.close()
    said = str(caught.value)
    assert said.isprintable() and said.endswith(".") and len(said) < 1000, said
    assert not (folder / "file.pth").exists()


def test_what_comes_whole_is_taken(folder: Path) -> None:
    replies = {
        "length": b"Content-Length: %d\r\n\r\n%s" % (len(DATA), DATA),
        "chunks": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(DATA), DATA),
    }
    for reply in replies.values():
        host = Host(OK + reply)
        try:
            file: Published = file_at(n_bytes=None, sha256=None)
            assert fetch(file, HOSTS, host) == SHA256
            file.path.unlink()
        finally:
            host.close()


@pytest.mark.parametrize(
    "url", ["https://[::1/x", "https://weights.example:x]/", "\x1b[31mhttp://x/", "https://\x1b[2J/"]
)
def test_an_address_that_is_none_is_told_without_its_escapes(url: str) -> None:
    with pytest.raises(WeightsError) as caught:
        check_address(url, HOSTS)
    assert str(caught.value).isprintable()
