"""The servers of the suite `hosting`: what ours and the peers are started with, and that their answers are right."""

from pathlib import Path

import pytest

from benchmarks import hosting, load
from benchmarks.catalogue import Entry, Place
from benchmarks.environment import Peers
from benchmarks.load import HOSTING, Fields
from benchmarks.suites.hosting import PARTS, SIZES, Part

CASES = [(part, entry) for part in PARTS for entry in part.entries() if part.name not in ("asyncpg", "websocket")]


@pytest.mark.parametrize(("part", "entry"), CASES, ids=lambda one: one.name)
def test_each_gives_the_right_answers(part: Part, entry: Entry, data: Path, tmp_path: Path, peers: Peers) -> None:
    if entry.build.compiled:
        pytest.skip("the compiled build is made by the benchmark itself")
    if missing := entry.missing(peers):
        pytest.skip(missing)
    with entry.start(data, tmp_path, peers) as server:
        for workload in part.workloads:
            load.verify(server, HOSTING[workload], Fields.VARYING)


def test_granian_takes_websockets_and_nobody_compresses_less() -> None:
    granian = next(entry for entry in hosting.asgi(hosting.APP) if entry.name == hosting.GRANIAN_NAME)
    assert "--no-ws" not in granian.command(Place(1, Path(), Path(), Peers()))


def test_each_aim_is_against_one_that_is_measured() -> None:
    for part in PARTS:
        names = [entry.name for entry in part.entries()]
        assert names[:2] == [hosting.OURS, hosting.PLAIN]
        assert {against for against, _ in part.aims} <= set(names)
        assert set(part.workloads) <= set(HOSTING) | set(SIZES)
