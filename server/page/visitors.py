"""Whether the visitors of the web page still read what they are sent.

Gradio goes on with a painting for as long as the connection stands, and a browser that the system has stopped keeps it.
So each second something is padded to more than the socket's buffers hold for long, and what is no longer taken shows.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from server.supervisor.jobs import UNREAD_SHARE, Job

if TYPE_CHECKING:
    from server.supervisor.guard import App, Message, Receive, Scope, Send

EVENTS = "/gradio_api/queue/data"
PADDED_BYTES = 32 << 10  # at a time: more at once, and the reader's system would make its buffer larger
N_PADDED = 30  # in the time of a lease: several times what buffers hold
END = b"\n\n"  # of an event; blanks before it are no part of its JSON


class Visitors:
    """When each session's event stream was last taken up."""

    def __init__(self) -> None:
        self.read_at: dict[str, float] = {}

    def renew(self, job: Job, session: str | None, has_listened: bool) -> bool:
        """Renew a visitor's job as far as the visitor reads; one of whom nothing is known yet is taken to be there.

        Args:
            job: of the visitor.
            session: of the visitor.
            has_listened: what this returned last, False at first.

        Returns:
            Whether the visitor has an event stream, or had.
        """
        read_at = self.read_at.get(session or "")
        if read_at is not None:
            job.seen_at = max(job.seen_at, read_at - UNREAD_SHARE * job.lease_s)
        elif has_listened:
            job.client_left()
        else:
            job.renew()
        return has_listened or read_at is not None


class Listening:
    """ASGI shell around the page that notes how its event streams are read.

    Args:
        app: what is wrapped.
        visitors: where it is noted.
        lease_s: how long a client may be silent.
    """

    def __init__(self, app: App, visitors: Visitors, lease_s: float) -> None:
        self.app, self.visitors = app, visitors
        self.pause_s = padding_pause_s(lease_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].endswith(EVENTS):
            await self.app(scope, receive, send)
            return
        session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
        keep_little_unread(scope)
        padded_at = time.monotonic()

        async def send_on(message: Message) -> None:
            nonlocal padded_at
            body = message.get("body", b"")
            if body.endswith(END) and time.monotonic() - padded_at >= 0.9 * self.pause_s:
                padded_at = time.monotonic()
                message = {**message, "body": body[: -len(END)].ljust(PADDED_BYTES) + END}
            await send(message)
            self.visitors.read_at[session] = time.monotonic()

        self.visitors.read_at[session] = time.monotonic()
        try:
            await self.app(scope, receive, send_on)
        finally:
            self.visitors.read_at.pop(session, None)


def padding_pause_s(lease_s: float) -> float:
    """How long after one padded event comes the next."""
    return min(1.0, lease_s / N_PADDED)


def keep_little_unread(scope: Scope) -> None:
    """Let the system hold little for this client, so that it shows when nothing is read any more."""
    transport = scope.get("state", {}).get("transport")
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
