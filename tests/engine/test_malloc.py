"""Memory that was freed is at hand for the next picture, and goes back to the system in a time of rest."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, resource, sys
from pathlib import Path
from engine.compute import malloc

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20

def faults_of_a_block():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = bytes(bytearray(64 << 20))  # two of them, every page written to
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

is_able = malloc.keep_freed() if sys.argv[1] == "keep" else None
faults = [faults_of_a_block() for _ in range(3)]
kept_mb = resident_mb()
malloc.give_back()
print(json.dumps({"able": is_able, "faults": faults, "kept": kept_mb, "left": resident_mb()}))
"""


def measured(how: str) -> dict[str, object]:
    answer = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(answer.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told to keep freed memory")
def test_freed_memory_is_used_again_and_given_back_at_rest() -> None:
    ours, usual = measured("keep"), measured("leave")
    if not ours["able"]:
        pytest.skip("this C library cannot be told to keep freed memory")
    faults, usual_faults = ours["faults"], usual["faults"]
    assert isinstance(faults, list) and isinstance(usual_faults, list)
    assert faults[0] > 1000 and max(faults[1:]) < 100  # the first time pages have to come from somewhere
    assert min(usual_faults) > 1000  # or there would be nothing to gain
    kept, left = ours["kept"], ours["left"]
    assert isinstance(kept, int) and isinstance(left, int)
    assert kept > 120 and left < kept - 100
