"""Requests of every wrong kind against a running engine: all are answered in the contract's own words.

    python -m benchmarks.fuzz --requests 10000

No 5xx but 503 and 507, no fault of the engine's own, no path in any error, no hang, nothing accepted that must fail.
Deterministic for a seed, up to the engine's own timing.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fuzz_requests import FRAMES, Sent, damaged_http, mutated, route
from gimp_plugin.client import Engine

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 30.0
INTENDED = frozenset({503, 507})
MAX_GROWN_BYTES, MAX_MORE_FILES = 20_000_000, 8
PATH = re.compile(r"(?<![\w.:/\\])(?:[A-Za-z]:)?[\\/]\w[^\s'\"]*[\\/]")  # a folder in it is what makes it a path
OWN_FAULT = ("fault of its own", "Traceback")


@dataclass(frozen=True)
class Target:
    """An engine.

    Args:
        port: of 127.0.0.1.
        token: its secret.
        pid: the supervisor's, for memory and descriptors; 0 = not looked at.
    """

    port: int
    token: str
    pid: int = 0


@dataclass
class Report:
    """What came of it.

    Args:
        n: requests.
        statuses: how often each was answered; 0 = the connection was closed without an answer.
        ends: of the jobs that were taken: "done", or the code of their error.
        late: what those were told that were taken and refused later, which only pixels may be the reason for.
        faults: what must not be, each with the number of its request; at most ``MAX_FAULTS``.
        slowest_s: the longest answer.
        grown_bytes, n_files: memory and descriptors of the supervisor, more than after the first tenth.
    """

    MAX_FAULTS = 50

    n: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    grown_bytes: int = 0
    n_files: int = 0

    def blame(self, what: str) -> None:
        if len(self.faults) < self.MAX_FAULTS:
            self.faults.append(f"request {self.n}: {what}")


def run(target: Target, n: int, seed: int = 0, on_progress: Callable[[int], None] = lambda _n: None) -> Report:
    """Send n requests, and follow each job that is taken to its end.

    Args:
        target: who is asked; nobody else may use it meanwhile.
        n: how many.
        seed: of the requests.
        on_progress: told the number of each.

    Returns:
        The report; ``faults`` is empty where all is well.
    """
    dice, report = random.Random(seed), Report()  # noqa: S311  (no secret)
    before = vitals(target.pid)
    for i in range(n):
        report.n = i
        if i == n // 10:
            before = vitals(target.pid)
        on_progress(i)
        if dice.random() < 0.1:
            send_raw(target, damaged_http(dice, target.port, target.token), report)
        elif dice.random() < 0.2:
            judge(target, route(dice, target.token), report)
        else:
            frame, length = mutated(dice, dice.choice(FRAMES))
            judge(
                target,
                Sent("PUT", f"/v1/jobs/{uuid.UUID(int=dice.getrandbits(128))}", body=frame, length=length),
                report,
            )
    report.n = n
    after = vitals(target.pid)
    report.grown_bytes, report.n_files = (b - a for a, b in zip(before, after, strict=True))
    if report.grown_bytes > MAX_GROWN_BYTES or report.n_files > MAX_MORE_FILES:
        report.blame(f"{report.grown_bytes / 1e6:.1f} MB and {report.n_files} descriptors more than at the beginning")
    return report


def judge(target: Target, sent: Sent, report: Report) -> None:
    """One request, its answer, and its job if it became one."""
    began = time.monotonic()
    try:
        status, body = ask(target, sent)
    except (ConnectionError, http.client.HTTPException):
        report.statuses[0] += 1  # our own length lied, or the engine hung up on a head that is none
        return
    except TimeoutError:
        report.blame(f"no answer after {PATIENCE_S} s: {sent}")
        return
    report.slowest_s = max(report.slowest_s, time.monotonic() - began)
    report.statuses[status] += 1
    check_answer(status, body, sent, report)
    if status == 202 and sent.method == "PUT":
        follow(target, json.loads(body)["id"], sent, report)


def check_answer(status: int, body: bytes, sent: Sent, report: Report) -> None:
    """An error has a code and a sentence, without a path; and it is the client's, not the engine's."""
    if status >= 500 and status not in INTENDED:
        report.blame(f"{status} {body[:200]!r} for {sent}")
    if status < 400:
        return
    try:
        error = json.loads(body)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, LookupError, TypeError):
        if sent.method != "HEAD" and body != b"Invalid HTTP request received.":
            report.blame(f"{status} without code and sentence: {body[:200]!r} for {sent}")
        return
    check_words(code, message, sent, report)


def check_words(code: str, message: str, sent: object, report: Report) -> None:
    """What the user would read."""
    if any(words in message for words in OWN_FAULT):
        report.blame(f"{code}: {message} for {sent}")
    if PATH.search(message) or len(message) > 2000:
        report.blame(f"a path, or no end, in {message[:300]!r} for {sent}")


def follow(target: Target, job_id: str, sent: Sent, report: Report) -> None:
    """A job that was taken: its end, and its result if there is one."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        status, body = ask(target, Sent("GET", f"/v1/jobs/{job_id}"))
        job = json.loads(body)
        if status != 200 or job["state"] in ("done", "failed", "cancelled"):
            break
        if time.monotonic() > give_up_at:
            report.ends["stopped by us"] += 1
            break
        time.sleep(0.005)
    if status != 200:
        report.blame(f"a job that was taken is unknown: {body[:200]!r} for {sent}")
    elif job["state"] == "done":
        report.ends["done"] += 1
        status, body = ask(target, Sent("GET", f"/v1/jobs/{job_id}/result"))
        if status != 200:
            report.blame(f"done, and its result is {status}: {body[:200]!r}")
    elif job["error"]:
        code, message = job["error"]["code"], job["error"]["message"]
        report.ends[code] += 1
        report.late[message] += 1
        check_words(code, message, sent, report)
        if code not in ("unprocessable", "out_of_memory", "disk_full"):
            report.blame(f"taken, then {code}: {message} for {sent}")
    ask(target, Sent("DELETE", f"/v1/jobs/{job_id}"))


def ask(target: Target, sent: Sent) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=PATIENCE_S)
    try:
        names = {name.lower() for name, _ in sent.headers}
        connection.putrequest(sent.method, sent.path, skip_host="host" in names, skip_accept_encoding=True)
        for name, value in sent.headers:
            connection.putheader(name, value)
        if "authorization" not in names and sent.is_authorized:
            connection.putheader("Authorization", f"Bearer {target.token}")
        if sent.body is not None and "content-length" not in names:
            connection.putheader("Content-Length", str(len(sent.body) if sent.length is None else sent.length))
        connection.endheaders()
        if sent.body is not None:
            try:
                connection.send(sent.body)
                if sent.length is not None and sent.length > len(sent.body):
                    connection.sock.shutdown(socket.SHUT_WR)  # we have no more; it need not wait
            except ConnectionError:
                pass  # refused already: the answer lies there
        with closing(connection.getresponse()) as response:
            return response.status, response.read()
    finally:
        connection.close()


def send_raw(target: Target, text: bytes, report: Report) -> None:
    """Bytes that need not be HTTP; whatever is answered must be an answer."""
    began = time.monotonic()
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", target.port), timeout=PATIENCE_S) as sock:
            sock.sendall(text)
            sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(1 << 16):
                answer += piece
    except ConnectionError:
        pass
    except TimeoutError:
        report.blame(f"no end after {PATIENCE_S} s: {text[:200]!r}")
    report.slowest_s = max(report.slowest_s, time.monotonic() - began)
    status = int(answer[9:12]) if answer[:9] == b"HTTP/1.1 " else 0
    report.statuses[status] += 1
    if status >= 500 and status not in INTENDED:
        report.blame(f"{status} {answer[-200:]!r} for {text[:200]!r}")
    check_words(str(status), answer.partition(b"\r\n\r\n")[2].decode("utf-8", "replace"), text[:200], report)


def vitals(pid: int) -> tuple[int, int]:
    """Resident bytes and open files of a process (Linux; else zeros)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024, len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, ValueError, IndexError):
        return 0, 0


def main() -> int:
    """Against an engine of its own, with the real worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "state"
        process = subprocess.Popen(
            [sys.executable, "-m", "server.supervisor.main", "--state-dir", str(folder)], cwd=ROOT
        )
        try:
            while (engine := Engine.find(folder)) is None or engine.health.status != "ready":
                time.sleep(0.1)
            token = (folder / "token").read_text()
            report = run(Target(engine.port, token, process.pid), options.requests, options.seed, show)
        finally:
            process.terminate()
            process.wait()
    print(f"\n{report.n} requests, slowest {report.slowest_s:.2f} s, statuses {dict(sorted(report.statuses.items()))}")
    print(f"jobs: {dict(report.ends)}; memory {report.grown_bytes / 1e6:+.1f} MB, descriptors {report.n_files:+d}")
    print("\n".join(f"{n} x late: {message}" for message, n in report.late.most_common()))
    print("\n".join(report.faults) or "no fault")
    return 1 if report.faults else 0


def show(i: int) -> None:
    """How far it is, for who waits."""
    if i % 500 == 0:
        print(f"\r{i}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
