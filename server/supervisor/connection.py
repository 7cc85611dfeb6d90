"""A connection that asks nothing does not stay: else some hundreds, from any program here, would lock everybody out.

Silent is who has not sent the whole head of a request since it came, or since its last answer. Of these only so many
are kept, so that there is always room, and a descriptor, for those that ask.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
from collections.abc import Collection
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

SILENCE_S = 15.0
CROWDED_S = 2.0  # what a silent one gets while more than half of the room is taken
MAX_SILENT, MIN_SILENT = 64, 8
MAX_ACCEPTED = 16
MAX_UNACCEPTED = 1024  # of those that wait in the system
TELL_S = 60.0
NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
log = logging.getLogger("impasto")


def room() -> int:
    """How many silent connections may stay: a quarter of the descriptors that this process may have, and never many."""
    if sys.platform == "win32":
        return MAX_SILENT
    import resource  # noqa: PLC0415  (not on Windows)

    soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_SILENT if soft_limit == resource.RLIM_INFINITY else max(MIN_SILENT, min(MAX_SILENT, soft_limit // 4))


def accepted_at_once() -> int:
    """How many connections asyncio may accept before we look at them: it does so some times over, a descriptor each."""
    return max(2, min(MAX_ACCEPTED, room() // 4))


class Connection(H11Protocol):
    """HTTP/1.1 that hangs up on a client that sends no request, or half of one and no more.

    uvicorn times the pause after an answer only, and any single byte ends that.
    """

    silent_since = 0.0
    timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}  # request.state.transport
        self.silent_since = self.loop.time()
        self.make_room()
        self.timer = self.loop.call_later(SILENCE_S, self.check, None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()  # it would keep each connection, and what it received, for all that time
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self.silent_since = self.loop.time()
        super().on_response_complete()

    @property
    def is_silent(self) -> bool:
        """Whether it stays without a request; not of one that is closing anyway."""
        return (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing()

    def make_room(self) -> None:
        """Hang up on the silent ones that are too many, or silent for too long in a crowd; never on this one.

        Who has asked something before goes last: that is a browser, or a client between two requests.
        """
        silent = [other for other in silent_ones(self.connections) if other is not self]
        most = room() - 1
        silent.sort(key=lambda other: (other.cycle is not None, other.silent_since))
        n_late = 0
        if len(silent) > most // 2:
            n_late = sum(self.loop.time() - other.silent_since > CROWDED_S for other in silent if other.cycle is None)
        for other in silent[: max(len(silent) - most, n_late)]:
            other.transport.abort()

    def check(self, seen: RequestResponseCycle | None) -> None:
        """Hang up if the last request is still the one that was seen one silence ago, and is answered."""
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self.cycle is seen and (seen is None or seen.response_complete):
            self.transport.abort()
        else:
            self.timer = self.loop.call_later(SILENCE_S, self.check, self.cycle)


def silent_ones(connections: Collection[Any]) -> list[Connection]:
    """The silent ones among a server's connections, of which some are websockets."""
    return [other for other in connections if isinstance(other, Connection) and other.is_silent]


class Shortage:
    """Takes the event loop's complaints: of missing descriptors a line now and then, of all else as usual.

    asyncio itself stops accepting for a second then, and would write a traceback for each try.

    Args:
        connections: the server's; the silent ones are given up for their descriptors.
    """

    def __init__(self, connections: Collection[Any]) -> None:
        self.connections = connections
        self.told_at = -TELL_S

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in NO_DESCRIPTOR:
            loop.default_exception_handler(context)
            return
        for connection in silent_ones(self.connections):
            connection.transport.abort()
        if loop.time() - self.told_at >= TELL_S:
            self.told_at = loop.time()
            log.warning("no descriptor is left for a new connection (%s): silent ones are closed", error.strerror)
