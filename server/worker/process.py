"""The worker's process: a child that holds torch, runs one job at a time, and can be killed at any moment."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TextIO

from engine.compute import malloc
from server.worker.loop import Worker, log


def claim_stdout() -> TextIO:
    """The channel to the supervisor; whatever else prints goes to the error output from now on."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def main() -> None:
    """The process: load torch and the default method, then serve. Its argument: the folder of finished paintings."""
    worker = Worker(sys.stdin, claim_stdout())
    shelf = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    malloc.keep_freed()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    from engine.models.user_models import models_folder  # noqa: PLC0415
    from engine.pipeline.stylize import warm_up  # noqa: PLC0415  (torch: seconds to import)
    from server.supervisor.intake import MODELS_FOLDER  # noqa: PLC0415
    from server.worker.painter import Painter, catalog  # noqa: PLC0415

    try:
        warm_up()
    except Exception:  # whatever it is, a job that it concerns will tell its user; others may not meet it
        log.exception("warm-up")
    painter = Painter(shelf=shelf)
    worker.run(painter.paint, catalog() | {MODELS_FOLDER: str(models_folder())}, painter.rest)


if __name__ == "__main__":
    main()
