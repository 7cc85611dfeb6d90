"""The job API as a client sees it, with a painter that inverts bytes."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from gimp_plugin import wire
from tests.server.conftest import linux_only
from tests.server.running_engine import Answer, RunningEngine, frame_of, picture_request, send_request, wait_until
from tests.server.test_spool import fuzzed, valid_frames

DTYPES = ["U8", "U16", "F16", "F32"]


def inverted(data: wire.Buffer) -> bytes:
    """What the painter should make of these bytes."""
    return bytes(255 - byte for byte in bytes(data))


# --- the way of a job


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back_painted_in_its_own_shape(engine: RunningEngine, dtype: str) -> None:
    request = picture_request("invert", 5, 7, dtype)
    result = engine.paint(request)
    assert (result.picture.dtype, result.picture.shape) == (dtype, (5, 7, 4))
    assert bytes(result.picture.data) == inverted(request.content.data)
    assert result.report == {"method": "invert"}


@pytest.mark.parametrize("dtype", DTYPES)
def test_pixels_that_nobody_paints_come_back_to_the_bit(engine: RunningEngine, dtype: str) -> None:
    request = picture_request("same", 300, 257, dtype)  # larger than one piece of any pipe or chunk
    assert bytes(engine.paint(request).picture.data) == bytes(request.content.data)


def test_a_job_tells_how_far_it_is_and_how_it_ended(engine: RunningEngine) -> None:
    job_id = engine.submit(picture_request("sleep 0.3"))
    events = list(engine.events(job_id))
    assert {event["id"] for event in events} == {job_id}
    states = [event["state"] for event in events]
    assert states == sorted(states, key=["queued", "running", "done"].index) and states[-1] == "done"
    shares = [event["share"] for event in events]
    assert shares == sorted(shares) and shares[-1] == 1.0 and 0 < shares[len(shares) // 2] < 1
    assert all(event["error"] is None for event in events)
    assert engine.look(job_id) == events[-1]
    engine.forget(job_id)


def test_a_listener_hears_at_least_once_a_second(engine: RunningEngine) -> None:
    """Of a job that says nothing; a late heartbeat of a busy machine is allowed for."""
    job_id = engine.submit(picture_request("deaf 2.5"))
    times = [time.monotonic() for _ in engine.events(job_id)]
    assert max(b - a for a, b in itertools.pairwise(times)) < 2.0
    engine.forget(job_id)


def test_the_result_waits_for_the_job(engine: RunningEngine) -> None:
    job_id = engine.submit(picture_request("sleep 5"))
    early = engine.ask("GET", f"/v1/jobs/{job_id}/result")
    assert (early.status, early.code) == (409, "conflict") and early.json["error"]["job"] == job_id
    engine.forget(job_id)
    gone = engine.ask("GET", f"/v1/jobs/{job_id}/result")
    assert (gone.status, gone.code) == (404, "not_found")


def test_a_result_can_be_fetched_again_until_it_is_forgotten(engine: RunningEngine) -> None:
    job_id = engine.submit(picture_request())
    engine.last_event(job_id)
    first, second = (engine.ask("GET", f"/v1/jobs/{job_id}/result") for _ in range(2))
    assert first.status == second.status == 200 and first.body == second.body
    assert first.headers["Content-Length"] == str(len(first.body))
    assert engine.forget(job_id).status == 200
    for path in ("", "/result", "/events"):
        assert engine.ask("GET", f"/v1/jobs/{job_id}{path}").status == 404
    assert engine.forget(job_id).status == 404


def test_the_catalog_is_what_the_worker_said(engine: RunningEngine) -> None:
    from tests.server.paint_worker import CATALOG

    assert engine.ask("GET", "/v1/catalog").json == CATALOG


# --- the same request twice


def test_a_request_sent_twice_is_one_job(engine: RunningEngine) -> None:
    job_id, body = str(uuid.uuid4()), frame_of(picture_request("sleep 0.2"))
    assert [engine.put(body, job_id).status for _ in range(3)] == [202, 200, 200]
    other = engine.put(frame_of(picture_request("sleep 0.3")), job_id)
    assert (other.status, other.code) == (409, "conflict")
    assert engine.last_event(job_id)["state"] == "done"
    again = engine.put(body, job_id)  # also when it is done
    assert (again.status, again.json["state"]) == (200, "done")
    engine.forget(job_id)


def test_a_request_sent_twice_at_once_is_one_job(engine: RunningEngine) -> None:
    job_id, body = str(uuid.uuid4()), frame_of(picture_request("sleep 1"))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: engine.put(body, job_id), range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 7 + [202]
    assert len(engine.spooled) == 1
    engine.forget(job_id)


def test_an_id_that_was_cancelled_can_be_used_again(engine: RunningEngine) -> None:
    """What stopped the first job under this id does not stop the second."""
    job_id = str(uuid.uuid4())
    assert engine.put(picture_request("sleep 20"), job_id).status == 202
    engine.wait_running(job_id)
    engine.forget(job_id)
    assert engine.put(picture_request("sleep 0.3"), job_id).status == 202
    assert engine.last_event(job_id)["state"] == "done"
    answer = engine.ask("GET", f"/v1/jobs/{job_id}/result")
    assert bytes(wire.StylizeResult.unpack(answer.body).picture.data) == inverted(picture_request().content.data)
    engine.forget(job_id)


@pytest.mark.parametrize(
    "job_id",
    ["x", "0", "{ID}", "urn:uuid:ID", "ID ", "UPPER", "HEX", "..", "%2e%2e", "ID%0a", "-" * 36, "0" * 5000, "é",
     "%ff%fe", "ID/../ID"],
)  # fmt: skip
def test_an_id_has_one_spelling_only(engine: RunningEngine, job_id: str) -> None:
    one = "c0ffee00-0000-4000-8000-00000000abcd"
    spelled = job_id.replace("ID", one).replace("UPPER", one.upper()).replace("HEX", one.replace("-", ""))
    from urllib.parse import quote

    for method in ("PUT", "GET", "DELETE"):
        body = frame_of(picture_request()) if method == "PUT" else None
        answer = engine.ask(method, f"/v1/jobs/{quote(spelled, safe='%{}/:')}", body)
        assert answer.status in (400, 404, 405), (method, answer.body)
        assert answer.code in ("bad_request", "not_found") and len(answer.body) < 6000


# --- bodies that lie


def raw(engine: RunningEngine, sent: bytes, hang_up: bool = True) -> bytes:
    """Send bytes as they are; what comes back until the engine hangs up."""
    with socket.create_connection(("127.0.0.1", engine.port), timeout=20) as connection:
        received = b""
        with contextlib.suppress(OSError):  # the engine has hung up already; what it said can still be read
            connection.sendall(sent)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                received += piece
        return received


def head(engine: RunningEngine, *lines: str, method: str = "PUT", close: bool = True) -> bytes:
    """The head of a request that everything is right with but the lines that are given."""
    token = f"Authorization: Bearer {engine.token}"
    whole = [f"{method} /v1/jobs/{uuid.uuid4()} HTTP/1.1", f"Host: 127.0.0.1:{engine.port}", token, *lines]
    return "\r\n".join([*whole, *(["Connection: close"] if close else []), "", ""]).encode("latin-1")


BODY = frame_of(picture_request())


@pytest.mark.parametrize(
    ("lines", "body", "status"),
    [
        ([], b"", 400),
        (["Content-Length: 0"], b"", 400),
        (["Content-Length: -1"], BODY, 400),
        (["Content-Length: 1e3"], BODY, 400),
        (["Content-Length: " + "9" * 30], BODY, 400),
        (["Content-Length: 9999999999999999999"], BODY, 413),
        (["Content-Length: 3000000000"], BODY, 413),
        (["Content-Length: 2147483649"], b"", 413),
        (["Content-Length: \xb2"], BODY, 400),
        ([f"Content-Length: {len(BODY)}", "Content-Length: 5"], BODY, 400),
        (["Transfer-Encoding: chunked"], b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), 400),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), 400),
        ([f"Content-Length: {len(BODY) - 1}"], BODY[:-1], 400),
        ([f"Content-Length: {len(BODY) - 1}"], BODY, 400),
        ([f"Content-Length: {len(BODY) + 1}"], BODY + b"\0", 400),
        (["Content-Length: 7"], BODY[:7], 400),
        (["Content-Length: 2147483648"], BODY, 400),
    ],
)  # fmt: skip
def test_a_length_that_lies_is_refused(engine: RunningEngine, lines: list[str], body: bytes, status: int) -> None:
    answer = raw(engine, head(engine, *lines) + body, hang_up=False)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer


def test_a_client_that_hangs_up_in_the_middle_leaves_nothing(engine: RunningEngine) -> None:
    for n in (0, 7, 8, 100, len(BODY) - 1):
        raw(engine, head(engine, f"Content-Length: {len(BODY)}", close=False) + BODY[:n])
    wait_until(lambda: engine.spooled == [], 5)


def test_damaged_frames_never_cause_a_fault(engine: RunningEngine) -> None:
    dice, valid = random.Random(7), valid_frames()  # noqa: S311
    statuses: list[int] = []
    for _ in range(100):
        whole, _ = fuzzed(dice, valid)
        answer = engine.put(whole)
        statuses.append(answer.status)
        if answer.status == 202:
            last = engine.last_event(answer.json["id"])
            assert last["state"] == "done", last  # what must fail is not taken
            engine.forget(answer.json["id"])
        else:
            assert answer.code in ("bad_request", "too_large", "unprocessable")
    assert set(statuses) <= {202, 400, 413, 422} and len(set(statuses)) > 1
    assert "Traceback" not in engine.log


def test_what_is_not_http_never_causes_a_fault(engine: RunningEngine) -> None:
    dice = random.Random(8)  # noqa: S311
    good = head(engine, "Content-Length: 5") + b"12345"
    for _ in range(150):
        damaged = bytearray(good)
        for _ in range(dice.choice([1, 2, 5, 30])):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        sent = bytes(damaged) if dice.random() < 0.8 else dice.randbytes(dice.randrange(1, 500))
        answer = raw(engine, sent)
        assert answer == b"" or answer[:10] == b"HTTP/1.1 4", (sent, answer)
    oversized = head(engine, "X: " + "y" * 200_000)
    assert raw(engine, oversized)[:10] in (b"HTTP/1.1 4", b"")
    assert engine.status == "ready" and "Traceback" not in engine.log


@pytest.mark.parametrize("method", ["POST", "PATCH", "TRACE", "CONNECT", "BREW", "OPTIONS"])
def test_a_method_that_nobody_knows_is_refused(engine: RunningEngine, method: str) -> None:
    answer = engine.ask(method, f"/v1/jobs/{uuid.uuid4()}")
    assert answer.status == 405 and answer.code == "bad_request"


# --- the queue


def forget_all(engine: RunningEngine, jobs: list[str]) -> None:
    for job_id in reversed(jobs):
        engine.forget(job_id)


def test_a_flood_finds_nine_places_and_a_quick_answer(engine: RunningEngine) -> None:
    body = frame_of(picture_request("sleep 60"))
    seconds: list[float] = []

    def submit(_: int) -> Answer:
        began = time.monotonic()
        answer = engine.put(body)
        seconds.append(time.monotonic() - began)
        return answer

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(submit, range(100)))
    taken = [answer.json["id"] for answer in answers if answer.status == 202]
    refused = [answer for answer in answers if answer.status == 429]
    median, worst = statistics.median(seconds), max(seconds)
    print(f"\n100 submits, 16 at a time: median {median * 1000:.0f} ms, worst {worst * 1000:.0f} ms")
    assert (len(taken), len(refused)) == (9, 91)
    assert all(answer.code == "busy" and int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert median < 0.5
    assert engine.status == "ready"
    forget_all(engine, taken)


def test_positions_in_the_queue_close_up(engine: RunningEngine) -> None:
    running = engine.submit(picture_request("sleep 60"))
    engine.wait_running(running)
    queued = [engine.submit(picture_request("sleep 60")) for _ in range(4)]
    jobs = [running, *queued]
    assert [engine.look(job_id)["queue_position"] for job_id in jobs] == [0, 1, 2, 3, 4]
    engine.forget(queued[1])
    left = [running, queued[0], *queued[2:]]
    assert [engine.look(job_id)["queue_position"] for job_id in left] == [0, 1, 2, 3]
    engine.forget(running)
    engine.wait_running(queued[0])
    assert [engine.look(job_id)["queue_position"] for job_id in left[1:]] == [0, 1, 2]
    forget_all(engine, left[1:])


def test_jobs_are_painted_in_the_order_of_their_coming(engine: RunningEngine) -> None:
    jobs = [engine.submit(picture_request("sleep 0.1")) for _ in range(5)]
    ended: list[str] = []
    while len(ended) < 5:
        ended += [j for j in jobs if j not in ended and engine.look(j)["state"] == "done"]
    assert ended == jobs
    forget_all(engine, jobs)


# --- cancel


def seconds_to_stop(engine: RunningEngine, what: str) -> float:
    """From the wish to cancel a running job to its final state, told by its stream."""
    job_id = engine.submit(picture_request(what))
    engine.wait_running(job_id)
    events = engine.events(job_id)
    next(events)
    began = time.monotonic()
    assert engine.forget(job_id).status == 200
    last = list(events)[-1]
    took = time.monotonic() - began
    assert (last["state"], last["error"]["code"]) == ("cancelled", "cancelled")
    return took


def test_a_painter_that_listens_is_stopped_at_once_and_lives_on(engine: RunningEngine) -> None:
    assert engine.paint(picture_request()).report
    before = engine.log.count("worker started")
    took = [seconds_to_stop(engine, "sleep 60") for _ in range(5)]
    print(f"\ncancel: {sorted(round(s * 1000) for s in took)} ms")
    assert min(took) < 0.5
    assert engine.paint(picture_request()).report
    assert engine.log.count("worker started") - before < 5  # a busy machine may make one too slow, never all


def test_a_painter_that_does_not_listen_is_killed_and_replaced(engine: RunningEngine) -> None:
    before = engine.log.count("worker started")
    took = [seconds_to_stop(engine, "deaf 60") for _ in range(3)]
    print(f"\ncancel by kill: {sorted(round(s * 1000) for s in took)} ms")
    assert min(took) < 0.5
    request = picture_request()
    assert bytes(engine.paint(request).picture.data) == inverted(request.content.data)
    assert engine.log.count("worker started") - before == 3


def test_a_queued_job_is_cancelled_without_a_trace(engine: RunningEngine) -> None:
    running = engine.submit(picture_request("sleep 60"))
    queued = engine.submit(picture_request("sleep 60"))
    events = engine.events(queued)
    assert next(events)["state"] == "queued"
    assert engine.forget(queued).json["state"] == "cancelled"
    assert list(events)[-1]["state"] == "cancelled"
    wait_until(lambda: len(engine.spooled) == 1, 5)
    engine.forget(running)


@linux_only
def test_the_second_answer_of_a_connection_does_not_wait_for_an_acknowledgement(engine: RunningEngine) -> None:
    """40 ms at each of a job's steps, which all come after a proof on the same connection."""
    connection, waits = engine.connect(), []
    for _ in range(10):
        began = time.monotonic()
        send_request(connection, "GET", "/healthz", engine.authorized)
        connection.getresponse().read()
        waits.append(time.monotonic() - began)
    connection.close()
    assert min(waits[1:]) < 0.03, waits


def test_cancelling_at_any_moment_loses_neither_worker_nor_queue(engine: RunningEngine) -> None:
    dice = random.Random(3)  # noqa: S311
    for _ in range(25):
        jobs = [engine.submit(picture_request(dice.choice(["sleep 0.05", "deaf 0.05", "invert"]))) for _ in range(3)]
        time.sleep(dice.choice([0, 0, 0.01, 0.05]))
        dice.shuffle(jobs)
        for job_id in jobs:
            engine.forget(job_id)
    request = picture_request()
    assert bytes(engine.paint(request).picture.data) == inverted(request.content.data)


def test_health_is_answered_while_the_engine_is_busy(engine: RunningEngine) -> None:
    jobs = [engine.submit(picture_request("sleep 60")) for _ in range(9)]
    seconds: list[float] = []
    connection = engine.connect()
    for _ in range(100):
        began = time.monotonic()
        send_request(connection, "GET", "/healthz", [])
        assert connection.getresponse().read()
        seconds.append(time.monotonic() - began)
    connection.close()
    print(f"\nhealth: median {statistics.median(seconds) * 1000:.1f} ms, 99th {sorted(seconds)[98] * 1000:.1f} ms")
    assert statistics.median(seconds) < 0.1
    forget_all(engine, jobs)
