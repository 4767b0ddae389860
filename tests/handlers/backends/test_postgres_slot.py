"""A place in the queue, seen from the x-ray: what it says of itself, and that it is gone when it is served."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from handlers.backends.postgres import Database
from handlers.backends.postgres_slot import Slot
from server.xray.cut import take
from server.xray.snapshot import row
from tests.support.postgres import Cluster, Runner


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


async def fetch(database: Database) -> Any:
    return await database.fetch("SELECT 1")


def test_it_is_seen_while_it_waits_and_gone_when_it_is_served(runner: Runner, postgres: Cluster) -> None:
    database = Database(postgres.url(), postgres_sessions=1)
    task = runner.start(fetch(database))
    [seen] = [seen for seen in take(runner.loop).seen if isinstance(seen[0], Slot)]
    told = row(seen, runner.loop.clock())
    assert (told.id, told.kind, told.peer) == (
        f"postgres_slot:{-seen[0].descriptor}",
        "postgres_slot",
        str(database.place),
    )
    assert re.fullmatch(r"WAITING 0\.\d s of 5 s <- a free session", told.why)
    assert re.match(
        rf"postgres slot#{-seen[0].descriptor} WAITING 0\.\d s <- 1 session, 1 waiting <- ", task.describe()
    )
    assert runner.outcome(task) == [(1,)]
    assert not any(isinstance(machine, Slot) for machine in runner.loop.machines.values())
    [engine] = [engine for engine in runner.loop.engines if engine.table.name == "postgres_slot"]
    assert engine.ended() == 1
    database.close()
    postgres.clear()
