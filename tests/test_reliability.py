"""The figures of the server, each test of ``benchmarks.reliability`` in its shortest form."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reliability import clients
from benchmarks.reliability.__main__ import CHECKS, format_table, main
from benchmarks.reliability.row import Row, Scale, percentile, slope
from tests.server.conftest import linux_only

# These need the real worker for seconds, or a quiet computer; CI runs them with --short.
LONGER = {"cancel", "cold-start", "fuzz", "memory", "round-trip"}


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("name", sorted(set(CHECKS) - LONGER))
def test_the_server_holds_its_figures(name: str, tmp_path: Path) -> None:
    row = CHECKS[name](Scale(0, tmp_path))
    if row.is_held is None:
        pytest.skip(row.measured)
    assert row.is_held, row


def test_a_test_that_is_missed_or_breaks_off_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_scale: Scale) -> Row:
        raise AssertionError("not so after 20 s")

    monkeypatch.setitem(CHECKS, "idle", broken)  # type: ignore[arg-type]
    monkeypatch.setitem(CHECKS, "soak", lambda _scale: Row("soak", "less", "more", False))  # type: ignore[arg-type]
    monkeypatch.setitem(CHECKS, "disk", lambda _scale: Row("disk", "less", "no disk", None))  # type: ignore[arg-type]
    assert main(["--short", "--only", "disk"]) == 0
    for name, told in (("idle", "not so after 20 s"), ("soak", "| soak | less | more | MISSED |")):
        assert main(["--short", "--only", name]) == 1
        assert told in capsys.readouterr().out


def test_the_table_has_a_line_a_test() -> None:
    table = format_table([Row("a", "b", "c", True), Row("d", "e", "f", None)])
    assert table.splitlines()[2:] == ["| a | b | c | held |", "| d | e | f | left out |"]


def test_the_figures_are_what_they_are_called() -> None:
    assert percentile([5, 1, 4, 2, 3], 0.5) == 3 and percentile(list(range(101)), 0.95) == 95
    assert percentile([7], 0.99) == 7
    assert slope([10, 12, 14, 16]) == pytest.approx(2)


def test_the_steps_that_are_legal_are_those_of_the_queue() -> None:
    from server.supervisor.jobs import NEXT

    assert {(old, new) for old, following in NEXT.items() for new in following} == clients.STEPS
