"""The plug-in's end of the line: find the engine, send a job, follow it, fetch the result.

Standard library only. No foreign exception leaves it: all become ``WireError`` with a sentence for the user.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from gimp_plugin import wire
from gimp_plugin.client import exchange, line
from gimp_plugin.client.errand import ANSWER_S, Errand, Report
from gimp_plugin.client.line import SILENT, Line

R = TypeVar("R", bound=wire.Result)


def _silent(_share: float, _message: str) -> None:
    """Nobody wants to know how far it is."""


def _never() -> bool:
    return False


class Engine(Line):
    """A running engine."""

    @classmethod
    def find(cls, folder: Path | None = None) -> Engine | None:
        """The running engine, or None if none of our version runs or what answers cannot prove itself.

        Args:
            folder: the state folder; None = the usual one.
        """
        engine = cls.probe(folder)
        return engine if engine is not None and engine.health.protocol == wire.PROTOCOL else None

    @classmethod
    def probe(cls, folder: Path | None = None, timeout_s: float | None = None) -> Engine | None:
        """Like ``find``, but of whatever version: one that speaks another protocol can still be shut down.

        Args:
            folder: the state folder; None = the usual one.
            timeout_s: how long the proof may take in all, whatever answers; at most ``PROOF_S``.
        """
        folder = wire.engine_folder(folder or wire.state_dir())
        endpoint, token = wire.read_endpoint(folder), wire.read_token(folder)
        if endpoint is None or token is None or wire.is_elsewhere(endpoint.host) or not 0 < endpoint.port < 65536:
            return None
        engine = cls(endpoint.port, token, nonce=endpoint.nonce)
        try:
            engine.connect(timeout_s or line.PROOF_S).close()
        except (OSError, http.client.HTTPException, ValueError):
            return None  # nobody, somebody else, or an engine that hangs: none that could paint
        return engine

    def catalog(self) -> dict[str, Any]:
        """The engine's methods and styles.

        Raises:
            WireError: the engine refuses or does not answer.
        """
        with exchange.translated(SILENT):
            return self.ask("GET", "/v1/catalog", ANSWER_S)

    def shutdown(self) -> None:
        """Ask the engine to stop cleanly.

        Raises:
            WireError: the engine refuses or does not answer.
        """
        with exchange.translated(SILENT):
            self.ask("POST", "/v1/shutdown", ANSWER_S)

    def page_address(self) -> str | None:
        """An address that lets a browser into the engine's web page, once; None: it has no page, and is stopping.

        Raises:
            WireError: the engine is at work and has no page ("busy"), or does not answer.
        """
        with exchange.translated(SILENT):
            address = self.ask("POST", "/v1/page", ANSWER_S).get("address")
        return None if address is None else str(address)

    def answer(
        self,
        request: wire.Request[R],
        on_progress: Report = _silent,
        should_cancel: Callable[[], bool] = _never,
    ) -> R:
        """Let the engine paint, or find an object. Whatever happens, no job is left behind in the engine.

        Args:
            request: the job.
            on_progress: called on this thread with the share done, 0 to 1, and the engine's message.
            should_cancel: asked on this thread about twenty times a second.

        Returns:
            The result; its planes have the content's size and dtype.

        Raises:
            WireError: the engine's own error, "unreachable" when it dies or hangs, "cancelled".
        """
        return Errand(self, request).run(on_progress, should_cancel)
