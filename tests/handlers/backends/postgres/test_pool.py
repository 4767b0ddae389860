"""The pool: bounds, order, patience, and what it does about a database that cannot be reached."""

import os
import random
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.backends.pool.bounds import POSTGRES_RETRY
from clerestory.handlers.backends.pool.slot import Slot
from clerestory.handlers.backends.postgres.address import parse_url
from clerestory.handlers.backends.postgres.database import Database
from clerestory.handlers.backends.postgres.pool import FIRST_PAUSE, Pool
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.postgres import State as S
from clerestory.statemachines.slot import Trigger as SlotTrigger
from tests.support.postgres import Cluster, Runner, Task


@pytest.fixture(params=list(Dispatch))
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    runner = Runner(request.param)
    yield runner
    runner.close()


@pytest.fixture
def database(postgres: Cluster) -> Iterator[Database]:
    database = Database(postgres.url(), postgres_sessions=2, postgres_backlog=4)
    yield database
    database.close()
    postgres.clear()


async def fetch(database: Database, statement: str = "SELECT 1") -> Any:
    return await database.fetch(statement)


async def sleep(database: Database) -> Any:
    return await database.fetch("SELECT pg_sleep(600)")


def refusal(task: Task) -> tuple[int, str]:
    assert task.done
    assert isinstance(task.error, HTTPError)
    assert dict(task.error.fields).keys() == {b"retry-after"}
    return task.error.status, task.error.detail


def occupied(runner: Runner, database: Database) -> list[Task]:
    """Who has all the sessions, and keeps them."""
    tasks = [runner.start(sleep(database)) for _ in range(database.pool.size)]
    runner.until(lambda: [session.state for session in database.pool.sessions] == [S.AWAITING_RESULT] * len(tasks))
    return tasks


def slots(runner: Runner) -> list[Slot[Any]]:
    """Those who wait, as the loop knows them."""
    return [machine for machine in runner.loop.machines.values() if isinstance(machine, Slot)]


# --- bounds


def test_no_more_sessions_than_there_may_be(runner: Runner, database: Database, postgres: Cluster) -> None:
    tasks = [runner.start(fetch(database, "SELECT pg_backend_pid()")) for _ in range(4)]
    pids = {runner.outcome(task)[0][0] for task in tasks}
    assert 1 <= len(pids) <= 2
    assert len(database.pool.sessions) <= 2
    assert len(postgres.activity()) <= 2


def test_one_after_the_other_needs_one_session(runner: Runner, database: Database) -> None:
    for _ in range(5):
        runner.run(fetch(database))
    assert len(database.pool.sessions) == 1


def test_as_many_as_may_wait_wait_and_one_more_is_refused_at_once(runner: Runner, database: Database) -> None:
    occupied(runner, database)
    waiting = [runner.start(fetch(database)) for _ in range(4)]
    text = r"postgres_slot#\d+ WAITING 0\.\d s of 5 s <- place 2 of 4 for 2 sessions"
    assert re.fullmatch(text, waiting[1].describe())
    assert refusal(runner.start(fetch(database))) == (503, "Too many requests are waiting for the database.")
    assert not any(task.done for task in waiting)


def test_the_first_that_waits_is_served_first(runner: Runner, database: Database) -> None:
    """The server's clock says when each query was carried out: results may be delivered in another order."""
    holders = occupied(runner, database)
    served: list[tuple[Any, int]] = []

    async def note(number: int) -> None:
        [row] = await database.fetch("SELECT clock_timestamp()")
        served.append((row[0], number))

    tasks = [runner.start(note(number)) for number in range(4)]
    holders[0].leave()
    runner.until(lambda: all(task.done for task in tasks))
    assert [number for _, number in sorted(served)] == [0, 1, 2, 3]


def test_who_waits_in_vain_is_told_when_his_time_has_passed_and_not_before(runner: Runner, database: Database) -> None:
    occupied(runner, database)
    first = runner.start(fetch(database))
    runner.advance(3)
    second = runner.start(fetch(database))
    runner.advance(1.5)
    assert not first.done
    runner.advance(1)
    runner.until(lambda: first.done)
    assert refusal(first) == (503, "No session with the database became free in time.")
    assert not second.done
    runner.advance(2.5)
    runner.until(lambda: second.done)
    assert refusal(second) == refusal(first)


def test_who_leaves_while_he_waits_is_forgotten(runner: Runner, database: Database) -> None:
    holders = occupied(runner, database)
    gone, stays = runner.start(fetch(database)), runner.start(fetch(database))
    gone.leave()
    assert stays.describe().endswith(" <- place 1 of 1 for 2 sessions")
    assert [machine.state for machine in slots(runner)] == ["WAITING"]
    holders[0].leave()
    assert runner.outcome(stays) == [(1,)]


def test_an_operator_may_end_the_waiting(runner: Runner, database: Database) -> None:
    occupied(runner, database)
    ended, stays = runner.start(fetch(database)), runner.start(fetch(database))
    runner.loop.fire(slots(runner)[0], SlotTrigger.CLOSE_ORDERED)
    runner.until(lambda: ended.done)
    assert refusal(ended) == (503, "The operation was cancelled by an operator.")
    assert not stays.done


def test_a_pool_belongs_to_one_loop(runner: Runner, database: Database) -> None:
    runner.run(fetch(database))
    other = Runner()
    with pytest.raises(RuntimeError, match="are on another loop"):
        other.run(fetch(database))
    other.close()


def test_the_loops_limits_are_those_of_a_pool_that_is_given_none(postgres: Cluster) -> None:
    runner, database = Runner(), Database(postgres.url(), postgres_max_rows=7)
    runner.loop.limits = {
        "postgres_sessions": 1,
        "postgres_backlog": 1,
        "postgres_slot_timeout": 2,
        "postgres_max_rows": 9,
    }
    runner.start(sleep(database))
    waits, refused = runner.start(fetch(database)), runner.start(fetch(database))
    assert refusal(refused)[1] == "Too many requests are waiting for the database."
    assert (database.pool.size, len(slots(runner)), database.pool.max_rows) == (1, 1, 7)
    runner.advance(2.5)
    runner.until(lambda: waits.done)
    runner.close()
    database.close()
    postgres.clear()


def test_a_limit_that_there_is_not_is_no_typing_error_that_goes_unseen() -> None:
    with pytest.raises(TypeError, match=r"unknown limit postgres_session$"):
        Database("postgresql:///x", postgres_session=4)


def test_the_limits_that_it_is_given_are_those_of_its_sessions(runner: Runner, postgres: Cluster) -> None:
    database = Database(postgres.url(), postgres_query_timeout=2.0)
    task = runner.start(sleep(database))
    runner.until(lambda: [session.state for session in database.pool.sessions] == [S.AWAITING_RESULT])
    runner.advance(2)
    runner.until(lambda: task.done)
    assert isinstance(task.error, HTTPError)
    assert task.error.status == 504
    runner.until(lambda: database.pool.sessions[0].state is S.IDLE)
    database.close()


# --- a database that cannot be reached


@pytest.fixture
def nowhere(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"postgresql:///x?host={tmp_path}", postgres_sessions=2)
    yield database
    database.close()


def test_a_database_that_is_not_there_is_503_for_all_who_wait(runner: Runner, nowhere: Database) -> None:
    tasks = [runner.start(fetch(nowhere)) for _ in range(3)]
    runner.until(lambda: all(task.done for task in tasks))
    assert {refusal(task) for task in tasks} == {(503, "The database cannot be reached.")}
    assert tasks[0].error is not None
    assert "No such file or directory" in str(tasks[0].error.__cause__)


def test_it_is_not_asked_again_before_a_pause_which_grows_and_has_an_end(
    runner: Runner, nowhere: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    begun: list[str] = []
    connect = Pool._connect

    def counted(pool: Pool, attempts: list[str]) -> None:
        begun.append("x")
        connect(pool, attempts)

    monkeypatch.setattr(Pool, "_connect", counted)
    pause = FIRST_PAUSE
    for attempt in range(1, 12):
        with pytest.raises(HTTPError):
            runner.run(fetch(nowhere))
        assert len(begun) == attempt
        runner.advance(pause * 0.9 - 0.02)
        refused = runner.start(fetch(nowhere))
        assert refused.done, "fast: nobody waits for the pause"
        assert refusal(refused)[0] == 503
        assert len(begun) == attempt
        runner.advance(pause * 0.1 + 0.04)
        pause = min(2 * pause, POSTGRES_RETRY.default)
    assert pause == POSTGRES_RETRY.default
    assert dict(refused.error.fields)[b"retry-after"] == b"2"  # type: ignore[union-attr]


def test_the_longest_pause_is_a_bound(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    database = Database(f"postgresql:///x?host={tmp_path}", postgres_retry=0.25)
    for pause in (0.1, 0.2, 0.25, 0.25):
        began = runner.loop.clock()
        with pytest.raises(HTTPError):
            runner.run(fetch(database))
        assert began + pause <= database.pool._not_before <= runner.loop.clock() + pause
        runner.advance(pause + 0.01)
    database.close()


def test_after_a_failure_one_attempt_is_made_and_the_others_are_refused_meanwhile(runner: Runner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        database = Database(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x", postgres_sessions=4)
        first = runner.start(fetch(database))
        runner.until(lambda: database.pool.sessions[0].state is S.AUTHENTICATING)
        assert re.fullmatch(
            r"postgres_slot#\d+ WAITING \d\.\d s of 5 s <- place 1 of 1 for 4 sessions <- "
            rf"postgres#1 AUTHENTICATING \d\.\d s <- fd {database.pool.sessions[0].descriptor} readable",
            first.describe(),
        )
        runner.advance(6)
        runner.until(lambda: first.done)
        runner.until(lambda: database.pool.sessions == [])
        assert database.pool.reason == "no response in AUTHENTICATING"
        runner.advance(1)
        second, third = runner.start(fetch(database)), runner.start(fetch(database))
        assert not second.done
        assert refusal(third) == (503, "The database cannot be reached.")
        assert len(database.pool.sessions) == 1
        database.close()


def test_the_pauses_of_many_servers_are_spread(runner: Runner, tmp_path: Path) -> None:
    ends = set()
    for _ in range(5):
        database = Database(f"postgresql:///x?host={tmp_path}")
        with pytest.raises(HTTPError):
            runner.run(fetch(database))
        ends.add(round(database.pool._not_before - runner.loop.clock(), 3))
        database.close()
    assert len(ends) > 1
    assert all(FIRST_PAUSE * 0.5 - 0.05 <= end <= FIRST_PAUSE * 1.5 for end in ends)


def test_a_session_that_is_made_ends_the_pauses(runner: Runner, database: Database) -> None:
    database.pool.failures = 5
    assert runner.run(fetch(database)) == [(1,)]
    assert database.pool.failures == 0


def test_where_a_first_address_fails_the_next_one_is_tried_without_a_pause(
    runner: Runner, postgres: Cluster, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"postgresql://postgres@/postgres?host={tmp_path},127.0.0.1,127.0.0.1&port=1,{port},{postgres.port}"
    database = Database(url)
    assert runner.run(fetch(database)) == [(1,)]
    assert database.pool.failures == 0
    database.close()


def test_a_name_is_looked_up_in_a_thread_and_whoever_waits_says_so(runner: Runner, postgres: Cluster) -> None:
    allowed = threading.Event()

    def lookup(host: str, port: str) -> list[str]:
        assert (host, port) == ("db.example", str(postgres.port))
        assert allowed.wait(20)
        return ["127.0.0.1"]

    pool = Pool(parse_url(f"postgresql://postgres@db.example:{postgres.port}/postgres"), lookup=lookup)
    database = Database(postgres.url())
    database.pool = pool
    task = runner.start(fetch(database))
    runner.until(lambda: "RUNNING" in task.describe())
    slot, pool_of, work = task.describe().split(" <- ")
    assert re.fullmatch(r"postgres_slot#\d+ WAITING \d\.\d s of 5 s", slot)
    assert pool_of == "place 1 of 1 for 10 sessions"
    assert re.fullmatch(r"work#\d+ RUNNING postgres address: Place\.attempts \d\.\d s", work)
    allowed.set()
    assert runner.outcome(task) == [(1,)]
    database.close()


def test_every_session_that_may_be_opened_may_have_its_name_looked_up_whatever_the_bounds_of_other_threads(
    runner: Runner, postgres: Cluster
) -> None:
    runner.loop.limits = {"thread_backlog": 1, "postgres_sessions": 6}
    allowed = threading.Event()

    def lookup(host: str, port: str) -> list[str]:
        assert allowed.wait(20)
        return ["127.0.0.1"]

    database = Database(postgres.url())
    database.pool = Pool(parse_url(f"postgresql://postgres@db.example:{postgres.port}/postgres"), lookup=lookup)
    tasks = [runner.start(fetch(database)) for _ in range(6)]
    allowed.set()
    assert [runner.outcome(task) for task in tasks] == [[(1,)]] * 6
    assert database.pool.failures == 0
    database.close()


def test_a_name_that_nobody_knows_is_503(runner: Runner) -> None:
    def lookup(host: str, port: str) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    database = Database("postgresql://db.example/x")
    database.pool._lookup = lookup
    with pytest.raises(HTTPError) as caught:
        runner.run(fetch(database))
    assert (caught.value.status, str(caught.value.__cause__)) == (503, "[Errno -2] Name or service not known")
    database.close()


def test_without_a_descriptor_to_spare_it_is_503(
    runner: Runner, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "dup", refuse)
    with pytest.raises(HTTPError) as caught:
        runner.run(fetch(database))
    monkeypatch.undo()
    assert caught.value.status == 503
    runner.advance(1)
    assert runner.run(fetch(database)) == [(1,)]


def test_ending_the_loop_opens_nothing_for_those_who_still_wait(postgres: Cluster) -> None:
    runner = Runner()
    database = Database(postgres.url(), postgres_sessions=1)
    tasks = [runner.start(sleep(database)), runner.start(fetch(database))]
    runner.until(lambda: [session.state for session in database.pool.sessions] == [S.AWAITING_RESULT])
    runner.close()
    assert database.pool.sessions == []
    assert not any(task.done for task in tasks)
    for task in tasks:
        task.coroutine.close()
    database.close()
    postgres.clear()
