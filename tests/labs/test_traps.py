"""epoll's traps: each goes wrong one way, and right the other."""

import pytest

from labs import traps
from labs.findings import Stage

WRONG = {
    "duplicate: close it",
    "edge: edge-triggered, one read a report",
    "reused number: close within the batch",
}


def test_each_trap_is_walked_into_and_around(stage: Stage) -> None:
    figures = traps.run(stage).figures
    assert {way for way, right in figures.items() if not right} == WRONG
    assert {way.split(":")[0] for way, right in figures.items() if right} == {trap.name for trap in traps.TRAPS}


def test_a_duplicate_is_reported_by_every_wait_and_can_not_be_taken_out() -> None:
    outcome = traps.duplicate(unregister=False)
    assert outcome.told.startswith(f"{traps.WAITS:,} reports in {traps.WAITS:,} waits")
    assert "Bad file descriptor" in outcome.told


def test_the_edge_leaves_bytes_unreported() -> None:
    (_, half_read), (_, drained), (_, level) = traps.TRAPS[1].ways
    assert half_read().told == "1 report, 4 bytes read; then silence, with 8 bytes left in the socket"
    assert drained().told == "1 report, 12 bytes read; the request is whole"
    assert level().told == "3 reports, 12 bytes read; the request is whole"


@pytest.mark.parametrize(("deferred", "misled"), [(False, "newcomer"), (True, "nobody")])
def test_a_report_for_a_reused_number_reaches_the_newcomer_unless_closing_waits(deferred: bool, misled: str) -> None:
    assert traps.reused_number(deferred).told.endswith(f"went to: {misled}")
