"""The supervisor's side of the worker: spawn, hand over jobs, listen, stop, replace."""

from __future__ import annotations

import asyncio
import json
import logging
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

from gimp_plugin.wire import WireError
from server.supervisor.jobs import CANCELLED, DONE, FAILED, FINAL, Job, Jobs
from server.wording import without_paths

GRACE_S = 0.1  # what a worker gets to stop between two operations of torch before it is killed
UNLOAD_S = 300.0
HOUSE = Path(__file__).resolve().parents[2]  # the checkout, or site-packages

log = logging.getLogger("impasto")


class WorkerProcess:
    """Runs jobs one after another in a child that can be killed at any moment.

    Args:
        command: starts the child.
        jobs: where the work comes from.
        log_path: takes the child's error output.
        unload_s: idle seconds after which the child, and the weights with it, are let go.
    """

    def __init__(self, command: list[str], jobs: Jobs, log_path: Path, unload_s: float = UNLOAD_S) -> None:
        self.command, self.jobs, self.log_path, self.unload_s = command, jobs, log_path, unload_s
        self.process: Process | None = None
        self.is_ready = False
        self.has_failed = False
        self.is_spoiled = False  # memory ran out in the worker, it met a fault or was killed: the next gets a fresh one
        self.catalog: dict[str, Any] | None = None
        self.kill_task: asyncio.Task[None] | None = None
        self.job: Job | None = None  # which it is at

    async def run(self) -> None:
        """Serve jobs for ever: a worker is started at once, and again after each death."""
        await self.prepare()
        while True:
            await self.serve(await self.take())

    async def serve(self, job: Job) -> None:
        """Run one job to its end, whatever happens: the next one must not wait for ever."""
        self.job = job
        self.jobs.touch()
        if job.is_unwanted:  # since a moment ago, when no worker had it yet
            self.cancel(job)
        try:
            await self.paint(job)
        except Exception:
            log.exception("job %s", job.id)
            await self.stop()
            self.finish(job, died())
        finally:
            self.job = None
            self.ended()
        log.info("job %s %s", job.id, job.state)

    def begun(self, job: Job) -> None:
        """The worker says something of a job."""

    def ended(self) -> None:
        """The worker is through with its job."""

    async def take(self) -> Job:
        """The next job; while there is none for long, the worker is let go."""
        while True:
            taking = asyncio.ensure_future(self.jobs.take())
            listening: list[asyncio.Future[Any]] = [taking]
            if self.process and not self.is_ready:
                listening.append(asyncio.ensure_future(self.listen_until_ready()))
            wait = self.unload_s if self.process and self.is_ready else None
            done, pending = await asyncio.wait(listening, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            if taking in done:
                return taking.result()
            if not done:
                log.info("idle: worker let go")
                await self.stop()

    async def prepare(self) -> None:
        """Start a worker before there is work, so that it is ready when it comes."""
        try:
            await self.ensure()
        except OSError:
            self.has_failed = True
            log.exception("the worker could not be started")  # the next job tries again

    async def ensure(self) -> None:
        """Start a worker if none runs.

        Raises:
            OSError: the system has no room for another process.
        """
        if self.process is not None and self.process.returncode is None:
            return
        await self.stop()
        with self.log_path.open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=errors,
                cwd=HOUSE,  # what "-m" finds first: ours, and not a torch.py that lies where somebody typed the command
                limit=1 << 20,
                start_new_session=True,  # Ctrl-C in the supervisor's terminal is the supervisor's business
            )
        log.info("worker started, pid %d", self.process.pid)

    async def stop(self) -> None:
        """Kill the worker; it has nothing to lose."""
        process, self.process, self.is_ready, self.is_spoiled = self.process, None, False, False
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()
            if process.stdin is not None:
                process.stdin.close()

    async def listen(self) -> dict[str, Any] | None:
        """The worker's next message; None once it is dead, or as good as that."""
        if self.process is None or self.process.stdout is None:
            return None
        try:
            line = await self.process.stdout.readline()
            if not line.endswith(b"\n"):
                return None
            message: dict[str, Any] = json.loads(line)
        except ValueError as error:
            log.error("the worker said something else than JSON: %r", error)
            return None
        if "ready" in message:
            self.is_ready, self.has_failed = True, False
            self.catalog = message["ready"]
        return message

    async def listen_until_ready(self) -> None:
        """Wait for the worker to say that it is ready, or to die."""
        while not self.is_ready and await self.listen() is not None:
            pass
        if not self.is_ready:
            await self.stop_unready()

    async def stop_unready(self) -> None:
        """Give up a worker that died before it was ready; the next job tries another."""
        self.has_failed = True
        log.error("the worker did not start; see %s", self.log_path.name)
        await self.stop()

    def tell(self, message: dict[str, Any]) -> None:
        """Send the worker a message; one that is dead is noticed by ``listen``."""
        if self.process is not None and self.process.stdin is not None:
            try:
                self.process.stdin.write(json.dumps(message).encode() + b"\n")
            except (BrokenPipeError, ConnectionResetError, RuntimeError):
                log.info("the worker was gone when a message came for it")

    async def paint(self, job: Job) -> None:
        """Run one job to its final state."""
        if await self.hand_over(job):
            if self.is_spoiled:
                await self.stop()
                await self.prepare()
            return
        if self.is_ready and not job.has_begun and self.kill_task is None:  # it died while it had nothing to do
            await self.stop()
            if await self.hand_over(job):
                return
        if self.is_ready or self.kill_task is not None:
            await self.stop()
            self.finish(job, died())
            await self.prepare()
        else:
            await self.stop_unready()
            self.finish(job, did_not_start())

    async def hand_over(self, job: Job) -> bool:
        """Give the worker a job and follow it; False when the worker died of it, or before."""
        await self.ensure()
        if self.kill_task is not None:  # cancelled before the worker heard of it
            self.finish(job)
            return True
        self.tell({"run": job.id, "request": str(job.request), "result": str(job.result)})
        while (message := await self.listen()) is not None:
            if message.get("progress") == job.id:
                self.begun(job)
                job.has_begun, job.share, job.message = True, message["share"], message["message"]
                job.touch()
            elif message.get("end") == job.id:
                self.end(job, message)
                return True
        return False

    def end(self, job: Job, message: dict[str, Any]) -> None:
        """Take the worker's word for how a job ended."""
        self.is_spoiled |= bool(message.get("is_spoiled"))
        if message["code"] is None:
            job.share, job.message = 1.0, "Done"
            self.finish(job, state=DONE)
        elif message["code"] == "cancelled":
            self.finish(job, cancelled(), CANCELLED)
        else:
            self.finish(job, WireError(message["code"], without_paths(message["message"])))

    def finish(self, job: Job, error: WireError | None = None, state: str = FAILED) -> None:
        """Bring a job to its end, unless it has come to it; a death that we caused ourselves is no failure."""
        was_killed = self.kill_task is not None
        if self.kill_task is not None:
            self.kill_task.cancel()
            self.kill_task = None
        if job.state in FINAL:
            return
        if was_killed and state == FAILED:
            state, error = CANCELLED, cancelled()
        self.jobs.finish(job, state, error)

    def cancel(self, job: Job) -> None:
        """If it is this worker's job, ask it to stop, and kill it if it does not in time."""
        if job is self.job and self.kill_task is None:
            self.tell({"cancel": job.id})
            self.kill_task = asyncio.ensure_future(self.kill_later())

    async def kill_later(self) -> None:
        """Kill whatever worker runs when the time of grace is over; ``finish`` calls this off."""
        await asyncio.sleep(GRACE_S)
        if self.process is not None and self.process.returncode is None:
            log.info("worker did not stop in time: killed")
            self.process.kill()
            self.is_spoiled = True  # its answer may lie in the pipe already


def died() -> WireError:
    """What the user is told when the worker died."""
    return WireError(
        "worker_died",
        "The engine's worker stopped in the middle of the picture (perhaps for lack of memory). "
        "Nothing was changed: run the filter again, or select a smaller part.",
    )


def did_not_start() -> WireError:
    """What the user is told when there is no worker to be had."""
    return WireError(
        "worker_died",
        "The engine could not start its worker, so nothing was painted. Run install.py again; if that does not help, "
        "worker.log in the engine's folder says why.",
    )


def cancelled() -> WireError:
    """What the user is told of a job that was cancelled."""
    return WireError("cancelled", "Cancelled.")
