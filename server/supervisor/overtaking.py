"""A short job passes a long one that runs: a second worker paints it, and the first one rests meanwhile.

In a process of its own, not in between two steps of the long job: neither can change what the other computes, and the
kill that a deaf job needs hits nobody else. The second worker is started when it is first wanted, and let go soon.
"""

from __future__ import annotations

import asyncio
import logging

from server.supervisor.jobs import Job
from server.supervisor.worker_process import WorkerProcess

IDLE_S = 60.0  # of the second worker: it holds the weights once more
BACKOFF_S = 60.0  # after it did not start, for want of memory perhaps

log = logging.getLogger("impasto")


class Overtaking(WorkerProcess):
    """Runs short jobs while another worker is at a long one.

    Args:
        first: the worker that takes all jobs in their order.
    """

    def __init__(self, first: WorkerProcess) -> None:
        super().__init__(first.command, first.jobs, first.log_path, IDLE_S)
        self.first = first

    async def run(self) -> None:
        """Serve for ever."""
        while True:
            await self.wait_for_work()
            try:
                await self.ensure()
                if not self.is_ready:
                    await self.listen_until_ready()
            except OSError:
                log.exception("the second worker could not be started")
            if not self.is_ready:
                await asyncio.sleep(BACKOFF_S)  # the first one will come to the short jobs in time
            elif (job := self.jobs.take_now(self.is_wanted)) is not None:
                await self.serve(job)

    async def wait_for_work(self) -> None:
        """Wait for a job to take; while there is none for long, let the worker go."""
        try:
            await asyncio.wait_for(self.jobs.wait_for(self.is_wanted), IDLE_S if self.process else None)
        except asyncio.TimeoutError:
            await self.stop()
            await self.jobs.wait_for(self.is_wanted)

    def is_wanted(self, job: Job) -> bool:
        """Whether a job that waits is to pass: it is short, and it would wait for long."""
        return job.is_short and self.first.job is not None and self.first.job.is_long

    def begun(self, job: Job) -> None:
        """The first worker has made room for this one as soon as this one is at work."""
        if not job.has_begun:
            log.info("job %s passes a long one", job.id)
            self.first.tell({"pause": True})

    def ended(self) -> None:
        """The first worker goes on."""
        self.first.tell({"pause": False})
