"""The suite `databases`: each server gives the right answers from a real database, and an aim is reached or not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import catalogue, load
from benchmarks.catalogue import DATABASES, EVERY_NAME
from benchmarks.environment import Peers
from benchmarks.load import EVERY, Fields, Outcome
from benchmarks.plot import Kind
from benchmarks.suites import databases
from benchmarks.suites.measuring import Case, Measured


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    try:
        with databases._databases(tmp_path_factory.mktemp("databases")) as places:
            yield places
    except LookupError as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", [entry.name for entry in DATABASES])
def test_a_server_gives_the_right_answers(
    name: str, places: dict[str, str], data: Path, tmp_path: Path, peers: Peers
) -> None:
    entry = EVERY_NAME[name]
    if missing := entry.missing(peers):
        pytest.skip(f"{name} is not installed: {missing}")
    with databases._placed(entry, places).start(data, tmp_path, peers) as server:
        for workload in entry.workloads:
            for fields in Fields:
                load.verify(server, EVERY[workload], fields)


def test_each_database_has_ours_plain_and_compiled_and_others_to_compare_with() -> None:
    for workload in load.DATABASES:
        kinds = [entry.kind for entry in DATABASES if workload in entry.workloads]
        assert kinds.count(Kind.OURS) == 2
        assert Kind.PEER in kinds
        plain, compiled = (EVERY_NAME[name] for name in databases.ours_for(workload))
        assert (plain.kind, plain.build.compiled, compiled.build.compiled) == (Kind.OURS, False, True)
    assert not {entry.name for entry in DATABASES} & {entry.name for entry in catalogue.ENTRIES}


@pytest.mark.parametrize(("ours", "ratio", "reached"), [(60e-6, "0.60", "yes"), (61e-6, "0.61", "no")])
def test_an_aim_is_held_against_the_better_one(ours: float, ratio: str, reached: str) -> None:
    costs = {"Clerestory, PostgreSQL": ours, "Starlette, asyncpg": 100e-6, "Starlette, psycopg": 300e-6}
    found = Measured(
        {
            Case(name, "postgres", Fields.REPEATED): [Outcome(1, 1.0, 1, 0.1, 0.1, {}, cpu=cost)]
            for name, cost in costs.items()
        }
    )
    [row] = databases.aims_table(found).rows
    assert (row[3], row[4], row[-2], row[-1]) == ("Starlette, asyncpg", "100.0", ratio, reached)
