"""A session in trouble: given up, late, lost, frozen, terminated, too much. Whoever asked is told, and nobody after him
gets a dirty session."""

import os
import re
import resource
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import pq

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.backends.postgres.address import Place
from clerestory.handlers.backends.postgres.cancel import follow_socket
from clerestory.handlers.backends.postgres.database import Database
from clerestory.handlers.backends.postgres.reset import Reset
from clerestory.handlers.backends.postgres.session import CHUNK, Session
from clerestory.statemachines.contract import Cause, Name
from clerestory.statemachines.engine import Dispatch, Machine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.postgres import State as S
from clerestory.statemachines.postgres import Trigger as T
from clerestory.statemachines.postgres_reset import State as ResetState
from clerestory.statemachines.postgres_reset import Trigger as ResetTrigger
from tests.support.postgres import Cluster, Runner, Task, running
from tests.support.waiting import eventually

SLOW = "SELECT pg_sleep(600)"


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A cluster that is stopped and frozen here."""
    yield from running()


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


@pytest.fixture(autouse=True)
def cleared(postgres: Cluster) -> Iterator[None]:
    """Each test finds a server at which nobody is."""
    yield
    postgres.clear()


async def fetch(database: Database, statement: str = "SELECT 1", parameters: tuple[Any, ...] = ()) -> Any:
    return await database.fetch(statement, parameters)


def path(session: Session) -> list[str]:
    """The states it has passed, in order."""
    return [str(edge.dest.state) for _, edge in session.history]


def cause(session: Session) -> Cause | None:
    return next((edge.row.ends for _, edge in session.history if edge.row.ends is not None), None)


def asked(runner: Runner, database: Database, cluster: Cluster, statement: str = SLOW) -> tuple[Session, Task]:
    """A session whose server is at `statement`, and who waits for it."""
    task = runner.start(fetch(database, statement))
    runner.until(lambda: any(session.state is S.AWAITING_RESULT for session in database.pool.sessions))
    [session] = [session for session in database.pool.sessions if session.state is S.AWAITING_RESULT]
    asleep = f"pid = {session.pgconn.backend_pid} AND wait_event = 'PgSleep'"
    runner.until(lambda: cluster.activity(asleep))
    return session, task


def refusal(task: Task) -> tuple[int, str]:
    assert isinstance(task.error, HTTPError)
    return task.error.status, task.error.detail


LOST = (503, "The database connection was lost; the outcome of the statement is unknown.")


# --- what it says of itself


def test_the_way_of_a_first_query(runner: Runner, database: Database) -> None:
    assert runner.run(fetch(database)) == [(1,)]
    [session] = database.pool.sessions
    assert path(session)[-4:] == ["IDLE", "SENDING_QUERY", "AWAITING_RESULT", "IDLE"]
    assert set(path(session)[:-4]) <= {"CONNECTING", "AUTHENTICATING"}
    number, peer, _, _, _, served = session.facts()
    assert (number, peer, served) == (1, str(database.place), 1)


def test_it_names_itself_its_state_and_its_descriptor(runner: Runner, database: Database, postgres: Cluster) -> None:
    session, task = asked(runner, database, postgres)
    assert re.fullmatch(rf"postgres#1 AWAITING_RESULT \d\.\d s <- fd {session.descriptor} readable", task.describe())
    task.leave()


def test_a_session_is_at_rest_when_its_result_is_delivered(runner: Runner, database: Database) -> None:
    """The caller may ask it again at once; where others wait, the server has their query first, and may be faster."""
    found: list[tuple[Name, int]] = []

    async def ask() -> None:
        await database.fetch("SELECT 1")
        [session] = database.pool.sessions
        found.append((session.state, session.served))

    runner.run(ask())
    tasks = [runner.start(ask()), runner.start(ask())]
    for task in tasks:
        runner.outcome(task)
    assert found[0] == (S.IDLE, 1)
    assert found[1] in ((S.AWAITING_RESULT, 2), (S.IDLE, 3))
    assert found[2] == (S.IDLE, 3)


def test_a_caller_that_asks_again_at_once_does_not_overtake_those_in_the_queue(
    runner: Runner, database: Database
) -> None:
    """First come, first served, also where the session has just become free."""
    served: list[tuple[Any, str]] = []

    async def ask(name: str, times: int) -> None:
        for _ in range(times):
            [(when,)] = await database.fetch("SELECT clock_timestamp()")
            served.append((when, name))

    tasks = [runner.start(ask("a", 3)), runner.start(ask("b", 1)), runner.start(ask("c", 2))]
    for task in tasks:
        runner.outcome(task)
    assert "".join(name for _, name in sorted(served)) in ("abcaca", "abcaac")


# --- given up


def test_a_client_that_leaves_has_the_query_cancelled_in_the_server_and_the_session_is_used_again(
    runner: Runner, database: Database, postgres: Cluster
) -> None:
    session, task = asked(runner, database, postgres)
    [(pid, _, _)] = postgres.activity("state = 'active'")
    task.leave()
    runner.until(lambda: session.state is S.IDLE)
    assert path(session)[-2:] == ["RESETTING", "IDLE"]
    assert postgres.activity("state = 'active'") == []
    assert runner.run(fetch(database, "SELECT pg_backend_pid()")) == [(pid,)]


def test_a_deadline_is_504_and_the_query_is_really_cancelled(
    runner: Runner, database: Database, postgres: Cluster
) -> None:
    session, task = asked(runner, database, postgres)
    runner.advance(25)
    runner.until(lambda: task.done)
    assert refusal(task) == (504, "The database did not answer in time.")
    runner.until(lambda: session.state is S.IDLE)
    assert postgres.activity("state = 'active'") == []


def test_a_wait_for_a_lock_is_a_wait_like_any_other(runner: Runner, database: Database, postgres: Cluster) -> None:
    with postgres.connect() as other:
        other.execute("CREATE TABLE IF NOT EXISTS locked (n integer)")
        other.execute("BEGIN")
        other.execute("LOCK TABLE locked")
        task = runner.start(fetch(database, "SELECT * FROM locked"))
        runner.until(lambda: postgres.activity("wait_event_type = 'Lock'"))
        runner.advance(25)
        runner.until(lambda: task.done)
        assert refusal(task)[0] == 504
        runner.until(lambda: not postgres.activity("wait_event_type = 'Lock'"))
        other.execute("ROLLBACK")
    assert runner.run(fetch(database, "SELECT * FROM locked")) == []


def test_a_lock_timeout_of_the_servers_own_is_503(runner: Runner, database: Database, postgres: Cluster) -> None:
    async def ask() -> Any:
        async with database.transaction() as transaction:
            await transaction.execute("SET LOCAL lock_timeout = '1ms'")
            await transaction.execute("LOCK TABLE locked_too")

    with postgres.connect() as other:
        other.execute("CREATE TABLE IF NOT EXISTS locked_too (n integer)")
        other.execute("BEGIN")
        other.execute("LOCK TABLE locked_too")
        with pytest.raises(HTTPError) as caught:
            runner.run(ask())
    assert (caught.value.status, caught.value.detail) == (503, "The database has locked this row or table.")


def test_nobody_gets_what_a_cancelled_query_has_left_behind(
    runner: Runner, database: Database, postgres: Cluster
) -> None:
    statement = "SELECT set_config('application_name', 'dirty', false), pg_advisory_lock(77), pg_sleep(600)"
    session, task = asked(runner, database, postgres, statement)
    task.leave()
    runner.until(lambda: session.state is S.IDLE)
    rows = runner.run(
        fetch(
            database,
            "SELECT current_setting('application_name'), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')",
        )
    )
    assert rows == [("clerestory", 0)]


def test_a_transaction_whose_client_leaves_within_a_query_is_undone(
    runner: Runner, database: Database, postgres: Cluster
) -> None:
    async def change() -> None:
        async with database.transaction() as transaction:
            await transaction.execute("CREATE TABLE never (n integer)")
            await transaction.execute(SLOW)

    task = runner.start(change())
    runner.until(lambda: postgres.activity("state = 'active' AND wait_event = 'PgSleep'"))
    task.leave()
    [session] = database.pool.sessions
    runner.until(lambda: session.state is S.IDLE)
    assert runner.run(fetch(database, "SELECT to_regclass('never')")) == [(None,)]


def test_a_transaction_whose_client_leaves_between_its_queries_is_undone(
    runner: Runner, database: Database, postgres: Cluster
) -> None:
    slow = Database(postgres.url(), postgres_sessions=1)

    async def change() -> None:
        async with database.transaction() as transaction:
            await transaction.execute("CREATE TABLE never (n integer)")
            await slow.fetch(SLOW)

    task = runner.start(change())
    runner.until(lambda: postgres.activity("state = 'active' AND wait_event = 'PgSleep'"))
    [session] = database.pool.sessions
    assert session.state is S.IN_TRANSACTION
    task.leave()
    runner.until(lambda: session.state is S.IDLE)
    assert path(session)[-2:] == ["RESETTING", "IDLE"]
    assert runner.run(fetch(database, "SELECT to_regclass('never')")) == [(None,)]
    runner.until(lambda: slow.pool.sessions[0].state is S.IDLE)
    slow.close()


def test_a_transaction_begun_by_a_bare_statement_is_undone_before_the_session_is_anybodys(
    runner: Runner, database: Database
) -> None:
    assert runner.run(fetch(database, "BEGIN")) == []
    [session] = database.pool.sessions
    runner.until(lambda: session.state is S.IDLE)
    assert path(session)[-2:] == ["RESETTING", "IDLE"]
    assert session.pgconn.transaction_status == pq.TransactionStatus.IDLE


def test_a_session_that_stays_dirty_is_dropped(
    runner: Runner, database: Database, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, task = asked(runner, database, postgres, "SELECT set_config('a.b', 'c', false), pg_sleep(600)")
    monkeypatch.setattr(Reset, "_send", lambda self, statement: ResetTrigger.RESET_REFUSED)
    task.leave()
    runner.until(lambda: session.state is S.CLOSED)
    monkeypatch.undo()
    assert (session not in database.pool.sessions, cause(session)) == (True, Cause.UPSTREAM)
    assert runner.run(fetch(database)) == [(1,)]


def test_a_query_given_up_while_it_is_being_sent_costs_the_session(
    runner: Runner, database: Database, own: Cluster
) -> None:
    frozen = Database(own.url(), postgres_sessions=1)
    runner.run(fetch(frozen))
    own.freeze()
    try:
        task = runner.start(fetch(frozen, "SELECT length($1)", ("x" * 50_000_000,)))
        [session] = frozen.pool.sessions
        assert session.state is S.SENDING_QUERY
        assert task.describe().endswith(f" s <- fd {session.descriptor} readable or writable")
        task.leave()
        assert (session.state, cause(session)) == (S.CLOSED, Cause.CLIENT)
    finally:
        own.thaw()
    assert runner.run(fetch(frozen)) == [(1,)]
    frozen.close()


def test_a_large_query_waits_for_the_socket_and_arrives(runner: Runner, database: Database) -> None:
    text = "é" * 5_000_000
    assert runner.run(fetch(database, "SELECT length($1), $1", (text,))) == [(len(text), text)]
    [session] = database.pool.sessions
    assert "SENDING_QUERY" in path(session)


# --- lost


def test_a_session_that_is_terminated_within_a_query_is_told_and_nothing_is_asked_again(
    runner: Runner, database: Database, postgres: Cluster
) -> None:
    session, task = asked(runner, database, postgres)
    with postgres.connect() as operator:
        operator.execute("SELECT pg_terminate_backend(%s)", (session.pgconn.backend_pid,))
    runner.until(lambda: task.done)
    assert refusal(task) == (503, "The database is starting or shutting down.")
    assert (session.state, cause(session)) == (S.CLOSED, Cause.UPSTREAM)
    assert postgres.activity("state = 'active'") == []
    assert runner.run(fetch(database)) == [(1,)]


def test_a_session_that_is_terminated_in_the_pool_is_replaced_and_nobody_notices(
    runner: Runner, database: Database, postgres: Cluster
) -> None:
    runner.run(fetch(database))
    [session] = database.pool.sessions
    with postgres.connect() as operator:
        operator.execute("SELECT pg_terminate_backend(%s)", (session.pgconn.backend_pid,))
    runner.until(lambda: session.state is S.CLOSED)
    assert database.pool.sessions == []
    assert runner.run(fetch(database)) == [(1,)]


def test_a_session_that_is_terminated_in_a_transaction_ends_it(
    runner: Runner, database: Database, postgres: Cluster
) -> None:
    async def change() -> Any:
        async with database.transaction() as transaction:
            [(pid,)] = await transaction.fetch("SELECT pg_backend_pid()")
            with postgres.connect() as operator:
                operator.execute("SELECT pg_terminate_backend(%s)", (pid,))
            other = Database(postgres.url())
            await other.fetch("SELECT pg_sleep(0.05)")
            await transaction.execute("SELECT 1")

    with pytest.raises(HTTPError) as caught:
        runner.run(change())
    assert caught.value.status == 503


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_server_that_stops_is_told_and_found_again_when_it_is_back(
    runner: Runner, own: Cluster, number: signal.Signals
) -> None:
    database = Database(own.url(), postgres_sessions=2)
    _, task = asked(runner, database, own)
    own.stop(number)
    try:
        runner.until(lambda: task.done)
        assert refusal(task)[0] == 503
        late = runner.start(fetch(database))
        runner.until(lambda: late.done)
        assert refusal(late) == (503, "The database cannot be reached.")
        refused = runner.start(fetch(database))
        assert refused.done, "at once"
        assert refusal(refused) == refusal(late)
    finally:
        own.start()
    runner.advance(20)
    assert runner.run(fetch(database)) == [(1,)]
    database.close()


def test_a_frozen_server_is_504_then_503_and_nobody_waits_for_ever(runner: Runner, own: Cluster) -> None:
    database = Database(own.url(), postgres_sessions=1)
    session, task = asked(runner, database, own)
    own.freeze()
    try:
        runner.advance(25)
        runner.until(lambda: task.done)
        assert refusal(task)[0] == 504
        assert session.reset is not None
        reset = session.reset
        runner.until(lambda: reset.state is ResetState.CANCELLING)
        runner.advance(5)
        runner.until(lambda: session.state is S.CLOSED)
        late = runner.start(fetch(database))
        assert late.describe().startswith("postgres_slot#")
        runner.advance(6)
        runner.until(lambda: late.done)
        assert refusal(late)[0] == 503
        runner.until(lambda: not database.pool.sessions)
        assert database.pool.failures == 1
    finally:
        own.thaw()
    runner.advance(20)
    assert runner.run(fetch(database)) == [(1,)]
    own.clear()
    database.close()


def test_when_all_sessions_of_the_server_are_taken_it_is_503_and_those_that_there_are_go_on(
    runner: Runner, postgres: Cluster
) -> None:
    database = Database(postgres.url(), postgres_sessions=2)
    runner.run(fetch(database))
    taken = []
    try:
        while True:
            try:
                taken.append(postgres.connect())
            except psycopg.OperationalError:
                break
        tasks = [runner.start(fetch(database, "SELECT 2")) for _ in range(10)]
        assert [runner.outcome(task) for task in tasks] == [[(2,)]] * 10
        nobody = Database(postgres.url())
        with pytest.raises(HTTPError) as caught:
            runner.run(fetch(nobody))
        assert caught.value.status == 503
        assert "too many clients" in str(caught.value.__cause__) or "remaining connection" in str(
            caught.value.__cause__
        )
    finally:
        for connection in taken:
            connection.close()
    database.close()


# --- too much, or none that we take


def test_as_many_rows_as_there_may_be_pass_and_one_more_is_refused(runner: Runner, postgres: Cluster) -> None:
    database = Database(postgres.url(), postgres_max_rows=2 * CHUNK)
    assert len(runner.run(fetch(database, "SELECT generate_series(1, $1)", (2 * CHUNK,)))) == 2 * CHUNK
    [session] = database.pool.sessions
    for rows in (2 * CHUNK + 1, 50_000_000):
        with pytest.raises(psycopg.DataError, match="the result has more than 2000 rows"):
            runner.run(fetch(database, "SELECT generate_series(1, $1)", (rows,)))
        runner.until(lambda: session.state is S.IDLE)
    assert runner.run(fetch(database)) == [(1,)]
    database.close()


LIMIT = 1024 * 1024
FRAME = 7 + 4
"""Bytes of a row with one field, besides its value."""


@pytest.mark.parametrize(
    ("rows", "length"),
    [(1, LIMIT - FRAME), (16, LIMIT // 16 - FRAME), (1024, LIMIT // 1024 - FRAME)],
    ids=["one field", "one part", "two parts"],
)
def test_as_many_bytes_as_there_may_be_pass_and_one_more_is_refused(
    runner: Runner, postgres: Cluster, rows: int, length: int
) -> None:
    """A result is bounded in bytes, as PostgreSQL sends them, however they are divided into rows."""
    database = Database(postgres.url(), postgres_sessions=1, postgres_max_bytes=LIMIT)
    statement = "SELECT repeat('x', $1 + (n = 1)::integer * $2) FROM generate_series(1, $3) AS n"
    whole = runner.run(fetch(database, statement, (length, 0, rows)))
    assert sum(FRAME + len(text) for (text,) in whole) == LIMIT
    with pytest.raises(psycopg.DataError, match=f"the result has more than {LIMIT} bytes"):
        runner.run(fetch(database, statement, (length, 1, rows)))
    assert runner.run(fetch(database)) == [(1,)]
    database.close()


def test_a_result_that_is_too_large_is_stopped_while_it_comes(runner: Runner, postgres: Cluster) -> None:
    """Within one part of its rows, whose whole would be many times the bound: it is not all taken into memory first."""
    database = Database(postgres.url(), postgres_sessions=1, postgres_max_bytes=LIMIT)
    before = peak()
    with pytest.raises(psycopg.DataError, match=f"the result has more than {LIMIT} bytes"):
        runner.run(fetch(database, "SELECT repeat('x', 1000000) FROM generate_series(1, 900)"))
    runner.until(lambda: all(session.state is S.IDLE for session in database.pool.sessions))
    assert peak() - before < 200 * LIMIT, "the whole would be 860 MiB"
    database.close()


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_copy_is_refused_and_the_session_dropped(runner: Runner, database: Database) -> None:
    for statement in ("COPY pg_am TO STDOUT", "COPY pg_am FROM STDIN"):
        with pytest.raises(psycopg.NotSupportedError):
            runner.run(fetch(database, statement))
        runner.until(lambda: all(session.state is S.IDLE for session in database.pool.sessions))
    assert runner.run(fetch(database)) == [(1,)]


def test_notifications_and_notices_are_nobodys(runner: Runner, database: Database, postgres: Cluster) -> None:
    runner.run(fetch(database, "LISTEN news"))
    with postgres.connect() as other:
        other.execute("NOTIFY news, 'x'")
    runner.loop.turn(1)
    assert runner.run(fetch(database, "DO $$ BEGIN RAISE NOTICE 'here'; END $$")) == []
    assert runner.run(fetch(database)) == [(1,)]


def test_no_more_statements_are_prepared_than_there_may_be(
    runner: Runner, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres.url(), postgres_sessions=1, postgres_prepared=2)
    monkeypatch.setattr("clerestory.handlers.backends.postgres.session.FREQUENT", 0)
    for number in range(4):
        assert runner.run(fetch(database, f"SELECT {number}")) == [(number,)]
    assert len(runner.run(fetch(database, "SELECT * FROM pg_prepared_statements"))) == 2
    database.close()
    postgres.clear()


def test_a_statement_that_is_not_used_any_more_makes_room_for_one_that_is(
    runner: Runner, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The places for prepared statements are not taken for good: it is closed in the server, and the other prepared."""
    monkeypatch.setattr("clerestory.handlers.backends.postgres.session.FREQUENT", 0)
    monkeypatch.setattr("clerestory.handlers.backends.postgres.prepared.STALE", 0)
    database = Database(postgres.url(), postgres_sessions=1, postgres_prepared=2)
    for number in range(4):
        assert runner.run(fetch(database, f"SELECT {number}")) == [(number,)]
    [session] = database.pool.sessions
    assert [key for key, _ in session.prepared.entries] == [b"SELECT 2", b"SELECT 3"]
    assert path(session).count("PREPARING") == 6, "four are prepared, two are closed"
    found = runner.run(fetch(database, "SELECT statement FROM pg_prepared_statements"))
    assert set(found) == {("SELECT 3",), ("SELECT statement FROM pg_prepared_statements",)}
    database.close()


def test_a_statement_that_can_not_be_prepared_is_an_error_like_any_other(
    runner: Runner, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clerestory.handlers.backends.postgres.session.FREQUENT", 0)
    with pytest.raises(psycopg.errors.UndefinedTable):
        runner.run(fetch(database, "SELECT * FROM nowhere"))
    assert runner.run(fetch(database)) == [(1,)]


# --- the end


def test_an_idle_session_is_given_back(runner: Runner, database: Database, postgres: Cluster) -> None:
    runner.run(fetch(database))
    [session] = database.pool.sessions
    pid = session.pgconn.backend_pid
    runner.advance(300)
    assert (session.state, cause(session)) == (S.CLOSED, Cause.DEADLINE)
    runner.until(lambda: not postgres.activity(f"pid = {pid}"))
    assert runner.run(fetch(database)) == [(1,)]


def test_an_operators_order_ends_a_session_and_its_query(runner: Runner, database: Database, postgres: Cluster) -> None:
    session, task = asked(runner, database, postgres)
    runner.loop.fire(session, T.CLOSE_ORDERED)
    runner.until(lambda: task.done)
    assert refusal(task) == LOST
    assert cause(session) is Cause.OPERATOR


def test_closing_the_loop_closes_the_sessions(postgres: Cluster, database: Database) -> None:
    runner = Runner()
    runner.run(fetch(database))
    [session] = database.pool.sessions
    pid = session.pgconn.backend_pid
    descriptor = session.descriptor
    assert postgres.activity(f"pid = {pid}")
    runner.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    eventually(lambda: not postgres.activity(f"pid = {pid}"))
    assert database.pool.sessions == []


def test_libpq_taking_another_socket_is_followed(
    runner: Runner, database: Database, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two addresses in one attempt, of which the first refuses: libpq closes the socket and takes another, often of the
    same number, and the session's own descriptor is made to mean that one."""
    place = database.place.parameters | {"host": "127.0.0.1,127.0.0.1", "port": f"1,{postgres.port}"}
    conninfo = psycopg.conninfo.make_conninfo(**place)
    monkeypatch.setattr(Place, "attempts", lambda self, lookup: [conninfo])
    followed = []

    def follow(loop: Loop, machine: Machine, socket: int, inode: int) -> int:
        found = follow_socket(loop, machine, socket, inode)
        followed.append(found != inode)
        return found

    monkeypatch.setattr("clerestory.handlers.backends.postgres.session.follow_socket", follow)
    assert runner.run(fetch(database)) == [(1,)]
    assert followed.count(True) == 1
    [session] = database.pool.sessions
    assert os.path.sameopenfile(session.descriptor, session.pgconn.socket)
