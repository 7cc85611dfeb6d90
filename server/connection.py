"""A connection that asks nothing does not stay: else 256 of them, from any program here, would lock everybody out."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

SILENCE_S = 15.0


class Connection(H11Protocol):
    """HTTP/1.1 that hangs up on a client that sends no request, or half of one and no more.

    uvicorn times the pause after an answer only, and any single byte ends that.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}  # request.state.transport
        self.watch = self.loop.call_later(SILENCE_S, self.check, None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.watch.cancel()  # else it keeps this connection, its buffers and what it has read for as long
        super().connection_lost(exc)

    def check(self, seen: RequestResponseCycle | None) -> None:
        """Hang up if the last request is still the one that was seen one silence ago, and is answered."""
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self.cycle is seen and (seen is None or seen.response_complete):
            self.transport.abort()
        else:
            self.watch = self.loop.call_later(SILENCE_S, self.check, self.cycle)
