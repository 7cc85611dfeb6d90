"""In a real GIMP, 12 megapixels: what reading, sending, receiving and inserting cost beside the painting."""

from __future__ import annotations

import pytest

from tests.gimp.conftest import Played

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

LIMIT_S = 1.0


def test_twelve_megapixels_travel_within_a_second(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    runs = played.facts("speed")["runs"]
    overheads = []
    for run in runs:
        assert run["status"] == "SUCCESS", run["message"]
        paint = run["engine"]["paint"]
        read, engine = run["steps"]["read"], run["steps"]["engine"]
        overheads.append(run["seconds"] - paint)
        with capsys.disabled():
            insert = run["seconds"] - read - engine
            print(f"\n4000 x 3000: read {read:.2f} s, there and back {engine - paint:.2f} s, insert {insert:.2f} s")
    assert min(overheads) <= LIMIT_S
