"""`impasto serve`: one supervisor a user, on loopback, with one worker."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import logging
import logging.handlers
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from gimp_plugin import client
from gimp_plugin.wire import Endpoint, WireError, state_dir, this_host, usual_dir
from server.supervisor import spool
from server.supervisor.app import Engine, make_app
from server.supervisor.connection import MAX_UNACCEPTED, Connection, Shortage, accepted_at_once
from server.supervisor.guard import Guard
from server.supervisor.jobs import LEASE_S, Job, Jobs
from server.supervisor.lock import OWNER, Held, claim, take
from server.supervisor.overtaking import Overtaking
from server.supervisor.worker_process import UNLOAD_S, WorkerProcess

WORKER = "server.worker.process"  # the module that the worker runs
IDLE_EXIT_S = 1800.0
KEPT = "kept"  # folder of finished paintings, which outlive the worker but not the engine
ROOM_S = 15.0  # a start takes a second or two, a stop at most as much
log = logging.getLogger("impasto")


def package_version() -> str:
    """Our version, without importing the engine."""
    try:
        return version("impasto")
    except PackageNotFoundError:
        return "0"


def port_of(text: str) -> int:
    """A port, from the command line."""
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 (the system chooses) to 65535")
    return int(text)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="impasto serve", description="Run the engine that GIMP's plug-in talks to.")
    parser.add_argument("--state-dir", type=Path, help="folder of token, port, lock, log and jobs")
    parser.add_argument("--port", type=port_of, default=0, help="port on 127.0.0.1 (default: the system chooses)")
    parser.add_argument("--ui", action="store_true", help="also serve a web page, and print its address")
    parser.add_argument("--idle-exit-s", type=float, default=IDLE_EXIT_S, help="exit after so long without work")
    parser.add_argument("--unload-s", type=float, default=UNLOAD_S, help="free the weights after so long without work")
    parser.add_argument("--lease-s", type=float, default=LEASE_S, help="cancel the job of a client silent for so long")
    parser.add_argument("--worker", default=WORKER, help=argparse.SUPPRESS)  # tests bring their own
    return parser.parse_args(argv)


def serve(argv: list[str] | None = None) -> int:
    """Serve until told to stop, or idle for long.

    Returns:
        The exit status: 0, also of a second engine in the same folder, which ends at once (with ``--ui`` it prints a
        way into the first one's page, or takes its place if it has none); 1 if there is no serving here, said in a
        sentence on stderr.
    """
    args = arguments(argv)
    os.umask(0o077)  # whatever is written from here on, by the worker too, is for its owner only
    try:
        base = (args.state_dir or state_dir()).absolute()
        folder, held = claim(base)
        if not args.state_dir and not os.environ.get("IMPASTO_STATE_DIR") and base != usual_dir():
            print(f"Your home folder cannot be written: the engine's files are in {base} until it ends.", flush=True)
        if held is None and args.ui:
            held = make_room(folder)
        elif held is None:
            print("An engine is running already.", flush=True)
        if held is not None:
            with held:
                run_in(folder, args)
    except WireError as error:
        print(error.message, file=sys.stderr, flush=True)
        return 1
    except OSError as error:
        print(why_not(error), file=sys.stderr, flush=True)
        return 1
    return 0


def why_not(error: OSError) -> str:
    """Why there is no serving here, and what to do."""
    reason = f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
    advice = "."
    if error.errno in spool.DISK_FULL:
        advice = ": make room on the disk and start it again."
    elif error.errno == errno.EADDRINUSE:
        advice = ": choose another port with --port, or none; then a free one is taken."
    elif isinstance(error.filename, str | os.PathLike):
        advice = ": set IMPASTO_STATE_DIR to a folder that you can write and start it again."
    return f"The engine could not start: {reason}{advice}"


def make_room(folder: Path) -> Held | None:
    """The lock, once the engine that holds it has stopped because it has no web page.

    Returns:
        None if it has one: its new address is printed instead.

    Raises:
        WireError: it is at work, or does not answer.
    """
    give_up_at = time.monotonic() + ROOM_S
    while time.monotonic() < give_up_at:
        if held := take(folder):
            return held
        engine = client.Engine.probe(folder)
        if engine is not None and engine.health.status != "draining" and (address := engine.page_address()):
            print(f"Open {address}", flush=True)
            return None
        time.sleep(0.2)
    raise WireError("unreachable", "Another engine runs and does not answer: end it, then run this again.")


def run_in(folder: Path, args: argparse.Namespace) -> None:
    """Serve from a folder that is ours alone, and leave nothing but logs in it."""
    start_log(folder)
    try:
        Supervisor(args, folder).run()
    except OSError:
        log.exception("could not serve")
        raise
    finally:
        for name in ("engine.json", "token", OWNER):
            (folder / name).unlink(missing_ok=True)
        spool.wipe(folder / "jobs")
        spool.wipe(folder / KEPT)
        log.info("stopped")
        logging.shutdown()


def start_log(folder: Path) -> None:
    """Log to a file that cannot grow without end."""
    handler = logging.handlers.RotatingFileHandler(
        folder / "engine.log", maxBytes=1_000_000, backupCount=2, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    worker_log = folder / "worker.log"
    if worker_log.exists() and worker_log.stat().st_size > 1_000_000:
        worker_log.unlink()


class Server(uvicorn.Server):
    """uvicorn's server, which stops the jobs before it waits for the clients that watch them.

    Args:
        config: uvicorn's.
        drain: stops the jobs.
    """

    def __init__(self, config: uvicorn.Config, drain: Callable[[], None]) -> None:
        super().__init__(config)
        self.drain = drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(MAX_UNACCEPTED)  # asyncio knows one figure for this and for what it accepts at once
        asyncio.get_running_loop().set_exception_handler(Shortage(self.server_state.connections))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.drain()
        await super().shutdown(sockets)


class Supervisor:
    """Everything that lives as long as the server."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder
        # asyncio sends answers without delay only where the protocol is named; else each one waits 40 ms for an ACK.
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if sys.platform != "win32":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", args.port))
        self.port: int = self.socket.getsockname()[1]
        spool.wipe(folder / "jobs")
        self.jobs = Jobs(args.lease_s)
        spool.wipe(folder / KEPT)
        command = [sys.executable, "-m", args.worker, str(folder / KEPT)]
        self.worker = WorkerProcess(command, self.jobs, folder / "worker.log", args.unload_s)
        self.overtaking = Overtaking(self.worker)
        self.jobs.on_cancel = self.cancel
        token = secrets.token_hex(32)
        self.engine = Engine(
            self.jobs,
            self.worker,
            spool.make_private(folder / "jobs"),
            token=token,
            nonce=secrets.token_hex(16),
            version=package_version(),
            shut_down=self.stop,
        )
        app = make_app(self.engine, self.lifespan)
        if args.ui:
            from server.page.mount import mount_page  # noqa: PLC0415  (gradio: only when the page is wanted)

            mount_page(app, self.engine, self.port)
        self.engine.guard = Guard(app, token)
        config = uvicorn.Config(
            self.engine.guard,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            http=Connection,
            loop="asyncio",
            proxy_headers=False,
            limit_concurrency=256,
            backlog=accepted_at_once(),
            timeout_graceful_shutdown=2,
            ws="none" if not args.ui else "auto",
        )
        self.server = Server(config, self.jobs.drain)

    def run(self) -> None:
        """Announce the port and serve."""
        for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn takes them over, and raises them again at its end
            signal.signal(number, lambda _number, _frame: self.stop())
        self.socket.listen(64)
        endpoint = Endpoint(self.port, os.getpid(), self.engine.nonce, self.engine.version, this_host())
        spool.write_private(self.folder / "token", self.engine.token)
        spool.write_private(self.folder / "engine.json", json.dumps(asdict(endpoint)))
        log.info("listening on 127.0.0.1:%d, pid %d", self.port, os.getpid())
        if address := self.engine.page_address():
            print(f"Open {address}", flush=True)
        self.server.run(sockets=[self.socket])

    def stop(self) -> None:
        """Stop serving; a job that runs is cancelled."""
        self.jobs.is_draining = True
        self.server.should_exit = True

    def cancel(self, job: Job) -> None:
        """Stop a running job, whichever worker is at it."""
        for worker in (self.worker, self.overtaking):
            worker.cancel(job)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """The tasks beside the routes."""
        services = (self.worker.run(), self.overtaking.run(), self.watch())
        tasks = [asyncio.create_task(service) for service in services]
        for task in tasks:
            task.add_done_callback(self.task_ended)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.worker.stop()
            await self.overtaking.stop()

    def task_ended(self, task: asyncio.Task[None]) -> None:
        """A task that fails takes the engine along: the next one starts afresh, and nobody waits for a dead queue."""
        if not task.cancelled() and (error := task.exception()):
            log.error("a task failed", exc_info=error)
            self.stop()

    async def watch(self) -> None:
        """Five times a second: leases, and the long silence after which the engine goes."""
        while True:
            await asyncio.sleep(min(0.2, self.args.lease_s / 2))
            self.jobs.forget_expired()
            idle_s = time.monotonic() - self.jobs.last_active
            if not self.jobs.by_id and idle_s > self.args.idle_exit_s:
                log.info("idle for %.0f s", idle_s)
                self.stop()


if __name__ == "__main__":
    raise SystemExit(serve())
