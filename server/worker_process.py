"""The supervisor's side of the worker: spawn, hand over jobs, listen, stop, replace."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

from gimp_plugin.wire import WireError
from server.jobs import CANCELLED, DONE, FAILED, Job, Jobs

GRACE_S = 0.15  # what a worker gets to stop between two layers before it is killed
UNLOAD_S = 300.0

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
        self.catalog: dict[str, Any] | None = None
        self.kill_task: asyncio.Task[None] | None = None
        jobs.on_cancel = self.cancel

    async def run(self) -> None:
        """Serve jobs for ever: a worker is started at once, and again after each death."""
        await self.ensure()
        while True:
            job = await self.take()
            try:
                await self.paint(job)
            except (OSError, ValueError) as error:
                log.error("job %s: %r", job.id, error)
                await self.stop()
                self.jobs.finish(job, FAILED, died())

    async def take(self) -> Job:
        """The next job; while there is none for long, the worker is let go."""
        while True:
            wait = self.unload_s if self.process else None
            taking = asyncio.ensure_future(self.jobs.take())
            listening: list[asyncio.Future[Any]] = [taking]
            if self.process and not self.is_ready:
                listening.append(asyncio.ensure_future(self.listen_until_ready()))
            done, pending = await asyncio.wait(listening, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            if taking in done:
                return taking.result()
            if not done:
                log.info("idle: worker let go")
                await self.stop()

    async def ensure(self) -> None:
        """Start a worker if none runs."""
        if self.process is not None and self.process.returncode is None:
            return
        self.is_ready = False
        with self.log_path.open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, stdin=PIPE, stdout=PIPE, stderr=errors, limit=1 << 20
            )
        log.info("worker started, pid %d", self.process.pid)

    async def stop(self) -> None:
        """Kill the worker; it has nothing to lose."""
        process, self.process, self.is_ready = self.process, None, False
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()
            if process.stdin is not None:
                process.stdin.close()

    async def listen(self) -> dict[str, Any] | None:
        """The worker's next message; None once it is dead."""
        if self.process is None or self.process.stdout is None:
            return None
        line = await self.process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        message: dict[str, Any] = json.loads(line)
        if "ready" in message:
            self.is_ready = True
            self.catalog = message["ready"]
        return message

    async def listen_until_ready(self) -> None:
        """Wait for the worker to say that it is ready, or to die."""
        while not self.is_ready and await self.listen() is not None:
            pass
        if not self.is_ready:
            log.error("the worker did not start; see %s", self.log_path.name)
            await asyncio.sleep(1)
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
        await self.ensure()
        began = time.monotonic()
        self.tell({"run": job.id, "request": str(job.request), "result": str(job.result)})
        while (message := await self.listen()) is not None:
            if message.get("progress") == job.id:
                job.share, job.message = message["share"], message["message"]
                job.touch()
            elif message.get("end") == job.id:
                self.end(job, message)
                break
        else:
            await self.stop()
            was_cancelled = self.kill_task is not None
            self.jobs.finish(job, CANCELLED if was_cancelled else FAILED, cancelled() if was_cancelled else died())
            asyncio.ensure_future(self.ensure())  # noqa: RUF006  (a fresh one gets ready meanwhile)
        if self.kill_task is not None:
            self.kill_task.cancel()
            self.kill_task = None
        log.info("job %s %s after %.2f s", job.id, job.state, time.monotonic() - began)

    def end(self, job: Job, message: dict[str, Any]) -> None:
        """Take the worker's word for how a job ended."""
        if message["code"] is None:
            job.share, job.message = 1.0, "Done"
            self.jobs.finish(job, DONE)
        elif message["code"] == "cancelled":
            self.jobs.finish(job, CANCELLED, cancelled())
        else:
            self.jobs.finish(job, FAILED, WireError(message["code"], message["message"]))

    def cancel(self, job: Job) -> None:
        """Ask the worker to stop, and kill it if it does not in time."""
        if self.kill_task is None:
            self.tell({"cancel": job.id})
            self.kill_task = asyncio.ensure_future(self._kill_later(self.process))

    @staticmethod
    async def _kill_later(process: Process | None) -> None:
        await asyncio.sleep(GRACE_S)
        if process is not None and process.returncode is None:
            log.info("worker did not stop in time: killed")
            process.kill()


def died() -> WireError:
    """What the user is told when the worker died."""
    return WireError(
        "worker_died",
        "The engine's worker stopped in the middle of the picture (perhaps for lack of memory). "
        "Nothing was changed: run the filter again, or select a smaller part.",
    )


def cancelled() -> WireError:
    """What the user is told of a job that was cancelled."""
    return WireError("cancelled", "Cancelled.")
