"""How the threads that share a computation wait for each other. Import nothing that loads torch before calling this."""

from __future__ import annotations

import os

SPINS = "10000"  # some 50 microseconds


def wait_briefly() -> None:
    """Let threads look out for the next piece of work for a moment, then sleep; what the user has set stays.

    Threads that wait actively for long starve each other as soon as another program wants a core, and a laptop has
    few. Threads that sleep at once are woken thousands of times a second by methods of many small steps: the
    closed-form smoothing took 2.7 times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
