"""Connections that say nothing, or too many of them, keep nobody out who holds the token, and fill no log."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.server.conftest import linux_only
from tests.server.running_engine import RunningEngine, picture_request, send_request, wait_until

Start = Callable[..., RunningEngine]
N_SILENT = 300
HALF_HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127"
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")


def limited(n_files: int) -> Callable[[], None]:
    """Allows a process that many open files."""

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, n_files))

    return limit


@contextlib.contextmanager
def silent(engine: RunningEngine, n: int = N_SILENT) -> Iterator[list[socket.socket]]:
    """Connections of a stranger, of whose every second one sends half a head; made without waiting for the engine."""
    with contextlib.ExitStack() as stack:
        made = []
        for i in range(n):
            made.append(stack.enter_context(socket.socket()))
            made[-1].setblocking(False)
            made[-1].connect_ex(("127.0.0.1", engine.port))
            if i % 2:
                with contextlib.suppress(OSError):
                    made[-1].send(HALF_HEAD)
        yield made


def seconds_to_answer(engine: RunningEngine) -> float:
    """For a token's holder."""
    began = time.monotonic()
    assert engine.ask("GET", "/v1/catalog").status == 200
    return time.monotonic() - began


def paints(engine: RunningEngine) -> None:
    request = picture_request("same")
    assert bytes(engine.paint(request).picture.data) == bytes(request.content.data)


@pytest.mark.slow
def test_three_hundred_silent_connections_keep_no_holder_of_the_token_out(start: Start) -> None:
    engine = start().wait_ready()
    with silent(engine):
        took = [seconds_to_answer(engine) for _ in range(20)]
        paints(engine)
        print(f"\nanswers among {N_SILENT} silent connections: {max(took) * 1000:.0f} ms at most")
        assert max(took) < 1.0
        time.sleep(0.5)  # they are still there
        assert seconds_to_answer(engine) < 1.0
    paints(engine)
    assert engine.log.count("\n") < 30


def test_whoever_waits_for_an_answer_is_not_silent(start: Start) -> None:
    engine = start().wait_ready()
    job_id = engine.submit(picture_request("sleep 2"))
    events = engine.events(job_id)
    assert next(events)["state"] in ("queued", "running")
    with silent(engine):
        assert seconds_to_answer(engine) < 1.0
        assert list(events)[-1]["state"] == "done"


def test_a_client_between_two_requests_outlasts_strangers(start: Start) -> None:
    engine = start().wait_ready()
    connection = engine.connect()
    send_request(connection, "GET", "/healthz", [])
    connection.getresponse().read()
    with silent(engine, 100):
        seconds_to_answer(engine)
        connection.auto_open = 0
        send_request(connection, "GET", "/v1/catalog", engine.authorized)
        with connection.getresponse() as response:
            assert response.status == 200
    connection.close()


@posix_only
@pytest.mark.parametrize("n_files", [40, 64])
def test_with_few_descriptors_silent_connections_keep_nobody_out_either(start: Start, n_files: int) -> None:
    engine = start(before=limited(n_files)).wait_ready()
    with silent(engine):
        took = [seconds_to_answer(engine) for _ in range(10)]
        paints(engine)
    assert max(took) < 2.5  # one pause of asyncio's at most
    assert engine.log.count("\n") < 30


@linux_only
def test_a_lack_of_descriptors_is_one_line_in_the_log_and_is_got_over(start: Start) -> None:
    """Here the token's own holder takes them all, and none of his is silent."""
    engine = start(before=limited(40)).wait_ready()
    job_id = engine.submit(picture_request("sleep 60"))
    streams = [engine.connect() for _ in range(60)]
    for stream in streams:
        send_request(stream, "GET", f"/v1/jobs/{job_id}/events", engine.authorized)
    wait_until(lambda: "no descriptor is left" in engine.log, 5)
    time.sleep(2.5)  # asyncio tries again each second
    assert engine.log.count("no descriptor is left") == 1 and engine.log.count("\n") < 30, engine.log[-2000:]
    for stream in streams:
        stream.close()
    wait_until(lambda: seconds_to_answer(engine) < 1.0, 10)
    with contextlib.suppress(AssertionError):  # its lease may have ended
        engine.forget(job_id)
    paints(engine)
