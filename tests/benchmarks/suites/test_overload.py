"""Overload is the same request by ever more clients; a refused request is an error, and misses the aim."""

import pytest

from benchmarks.load import OVERLOADS, Fields, Outcome
from benchmarks.suites import overload
from benchmarks.suites.measuring import Case, Measured

OURS = "Clerestory compiled, SQLite"
WORKLOAD = "sqlite-threads-1000"


def outcome(cost: float, errors: dict[str, int]) -> Outcome:
    return Outcome(1000, 1.0, 0, 0.1, 0.4, errors, cpu=cost * 1e-3)


def found(cost: float, errors: dict[str, int]) -> Measured:
    case, other = (Case(name, WORKLOAD, Fields.REPEATED) for name in (OURS, overload.STARLETTE))
    return Measured({case: [outcome(cost, errors)], other: [outcome(100, {})]})


def test_each_workload_is_asked_for_by_ever_more_clients() -> None:
    assert {one.connections for one in OVERLOADS.values()} == {64, 256, 1000}
    assert {one.target for one in OVERLOADS.values()} == {"/constant?n=%d", "/emails/%d"}


def test_those_with_a_database_read_rows_and_the_others_answer_with_the_constant() -> None:
    takes = {entry.name: {name.rpartition("-")[0] for name in entry.workloads} for entry in overload.ENTRIES}
    assert takes["nginx"] == {"constant"}
    assert takes[OURS] == takes[overload.STARLETTE] == {"sqlite-threads"}


@pytest.mark.parametrize(
    ("cost", "errors", "reached"), [(30.0, {}, "yes"), (40.0, {}, "no"), (30.0, {"status": 1}, "no")]
)
def test_an_aim_is_reached_where_it_is_cheap_and_nobody_is_refused(
    cost: float, errors: dict[str, int], reached: str
) -> None:
    (row,) = overload.aims_table(found(cost, errors), [OURS]).rows
    assert row[-1] == reached
    assert row[1] == "JSON from SQLite, through threads, 1,000 connections"


def test_a_table_has_the_latencies_and_the_errors() -> None:
    (first, second) = overload.table_of(found(30.0, {"status": 2}), [OURS, overload.STARLETTE], WORKLOAD).rows
    assert first == (OURS, "1,000", "30.0", "", "100 ms", "400 ms", "2 status")
    assert second[-1] == "0"
