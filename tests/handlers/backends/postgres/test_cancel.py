"""A request to cancel: it goes by a connection of its own, and its session is told what became of it."""

import os
import socket
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import capabilities

from clerestory.handlers.backends.postgres import cancel as postgres_cancel
from clerestory.handlers.backends.postgres.cancel import CancelRequest
from clerestory.handlers.backends.postgres.database import Database
from clerestory.handlers.backends.postgres.reset import Reset
from clerestory.handlers.backends.postgres.session import Session
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.postgres import State as S
from clerestory.statemachines.postgres_cancel import State
from clerestory.statemachines.postgres_reset import State as ResetState
from tests.support.postgres import Cluster, Runner, Task


@pytest.fixture(params=list(Dispatch))
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    runner = Runner(request.param)
    yield runner
    runner.close()


@pytest.fixture
def database(postgres: Cluster) -> Iterator[Database]:
    database = Database(postgres.url(), postgres_sessions=1)
    yield database
    database.close()
    postgres.clear()


async def sleep(database: Database) -> Any:
    return await database.fetch("SELECT pg_sleep(600)")


def asleep(runner: Runner, database: Database, postgres: Cluster) -> tuple[Session, Task]:
    task = runner.start(sleep(database))
    runner.until(lambda: postgres.activity("state = 'active' AND wait_event = 'PgSleep'"))
    return database.pool.sessions[0], task


def requests(runner: Runner) -> list[CancelRequest]:
    return [machine for machine in runner.loop.machines.values() if isinstance(machine, CancelRequest)]


def leave(runner: Runner, session: Session, task: Task) -> tuple[CancelRequest, Reset]:
    """Have the caller leave; the request to cancel, and the reset that has made it."""
    task.leave()
    runner.until(lambda: requests(runner))
    assert session.reset is not None
    return requests(runner)[0], session.reset


def test_it_is_a_machine_on_the_loop_and_goes_when_it_is_done(
    runner: Runner, database: Database, postgres: Cluster
) -> None:
    session, task = asleep(runner, database, postgres)
    request, reset = leave(runner, session, task)
    assert (request.state, reset.state, session.state) == (State.SENDING, ResetState.CANCELLING, S.RESETTING)
    runner.until(lambda: session.state is S.IDLE)
    assert request.state is State.DONE
    assert requests(runner) == []
    assert postgres.activity("state = 'active'") == []


def test_the_session_is_not_looked_at_before_the_server_has_taken_the_request(
    runner: Runner, database: Database, postgres: Cluster
) -> None:
    session, task = asleep(runner, database, postgres)
    request, reset = leave(runner, session, task)
    runner.until(lambda: reset.state is not ResetState.CANCELLING)
    assert request.state is State.DONE


@pytest.mark.parametrize("ending", ["DEADLINE_PASSED", "CLOSE_ORDERED", "CONNECTION_LOST"])
def test_a_request_that_does_not_arrive_costs_the_session(
    runner: Runner, database: Database, postgres: Cluster, ending: str
) -> None:
    session, task = asleep(runner, database, postgres)
    request, _ = leave(runner, session, task)
    runner.loop.fire(request, request.engine.table.triggers[ending])
    runner.loop.turn(0)
    assert session.state is S.CLOSED


def test_a_session_that_has_ended_meanwhile_is_not_told(runner: Runner, database: Database, postgres: Cluster) -> None:
    session, task = asleep(runner, database, postgres)
    leave(runner, session, task)
    runner.loop.fire(session, session.engine.table.triggers["CLOSE_ORDERED"])
    runner.until(lambda: not requests(runner))
    assert session.state is S.CLOSED


def test_where_libpq_can_not_even_begin_the_session_is_closed(
    runner: Runner, database: Database, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, task = asleep(runner, database, postgres)

    def refuse(descriptor: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "dup", refuse)
    task.leave()
    assert session.state is S.CLOSED


def test_an_older_libpq_waits_in_a_thread(
    runner: Runner, database: Database, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capabilities, "has_cancel_safe", lambda: False)
    session, task = asleep(runner, database, postgres)
    task.leave()
    runner.loop.turn(0)
    assert requests(runner) == []
    assert (session.state, session.reset is not None) == (S.RESETTING, True)
    runner.until(lambda: session.state is S.IDLE)
    assert postgres.activity("state = 'active'") == []


def test_an_older_libpq_that_does_not_get_through_costs_the_session(
    runner: Runner, database: Database, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cancel:
        def cancel(self) -> None:
            raise psycopg.OperationalError("no way")

    class Connection:
        """A session's connection, but for its requests to cancel."""

        def get_cancel(self) -> Cancel:
            return Cancel()

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    monkeypatch.setattr(capabilities, "has_cancel_safe", lambda: False)
    session, task = asleep(runner, database, postgres)
    real = session.pgconn
    session.pgconn = Connection()  # type: ignore[assignment]
    task.leave()
    runner.until(lambda: session.state is S.CLOSED)


def test_a_socket_that_is_another_is_followed_under_the_same_descriptor(
    runner: Runner, database: Database, postgres: Cluster
) -> None:
    session, _ = asleep(runner, database, postgres)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        descriptor, inode = session.descriptor, os.fstat(session.descriptor).st_ino
        kept = os.dup(descriptor)
        same = postgres_cancel.follow_socket(runner.loop, session, session.pgconn.socket, inode)
        assert same == inode
        other = postgres_cancel.follow_socket(runner.loop, session, ours.fileno(), inode)
        assert other == os.fstat(descriptor).st_ino != inode
        assert not os.get_inheritable(descriptor)
        os.close(kept)
    runner.loop.fire(session, session.engine.table.triggers["CLOSE_ORDERED"])
