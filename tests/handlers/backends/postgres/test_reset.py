"""A session is as good as new when the next request gets it, whatever the one before has run on it."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.backends.postgres import reset as postgres_reset
from clerestory.handlers.backends.postgres import session as postgres_session
from clerestory.handlers.backends.postgres.database import Database
from clerestory.handlers.backends.postgres.hygiene import KINDS
from clerestory.handlers.backends.postgres.reset import Reset
from clerestory.handlers.backends.postgres.session import Session
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.postgres import State as S
from clerestory.statemachines.postgres import Trigger as T
from clerestory.statemachines.postgres_reset import State as ResetState
from clerestory.statemachines.postgres_reset import Trigger as ResetTrigger
from tests.support.postgres import Cluster, Runner, running

PID = "SELECT pg_backend_pid()"

LEFT: dict[str, tuple[Sequence[str], str]] = {
    "a setting": (["SET search_path = evil"], "SELECT current_setting('search_path')"),
    "a time limit": (["SET statement_timeout = '7s'"], "SELECT current_setting('statement_timeout')"),
    "a setting by function": (
        ["SELECT set_config('app.user', 'alice', false)"],
        "SELECT coalesce(current_setting('app.user', true), '')",
    ),
    "a setting by trigger": (
        ["INSERT INTO watched VALUES (1)"],
        "SELECT coalesce(current_setting('app.user', true), '')",
    ),
    "a setting by block": (
        ["DO $$ BEGIN PERFORM set_config('app.user', 'alice', false); END $$"],
        "SELECT coalesce(current_setting('app.user', true), '')",
    ),
    "a role": (["SET ROLE guest"], "SELECT current_user"),
    "another user": (["SET SESSION AUTHORIZATION guest"], "SELECT session_user, current_user"),
    "a channel": (["LISTEN news"], "SELECT count(*) FROM (SELECT * FROM pg_listening_channels()) AS channels"),
    "a temporary table": (
        ["CREATE TEMP TABLE left_behind AS SELECT 1"],
        "SELECT coalesce(to_regclass('left_behind')::text, 'gone')",
    ),
    "a temporary table by query": (
        ["SELECT 1 AS n INTO TEMP left_behind"],
        "SELECT coalesce(to_regclass('left_behind')::text, 'gone')",
    ),
    "an advisory lock": (
        ["SELECT pg_advisory_lock(77)"],
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
    ),
    "a lock that is tried": (
        ["SELECT pg_try_advisory_lock(77)"],
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
    ),
    "a prepared statement": (
        ["PREPARE theirs AS SELECT 1"],
        "SELECT count(*) FROM pg_prepared_statements WHERE from_sql",
    ),
    "a cursor": (["DECLARE theirs CURSOR WITH HOLD FOR SELECT 1"], "SELECT count(*) FROM pg_cursors"),
    "a sequence": (["SELECT nextval('numbers')"], "SELECT count(*) FROM last_number()"),
}
"""What a request may leave behind, and how the next would see it."""

SCHEMA = """
DROP TABLE IF EXISTS watched;
DROP SEQUENCE IF EXISTS numbers;
CREATE TABLE watched (n integer);
CREATE SEQUENCE numbers;
GRANT ALL ON watched, numbers TO PUBLIC;
CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('app.user', 'alice', false); RETURN NEW; END $$;
CREATE TRIGGER noting BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION note();
CREATE OR REPLACE FUNCTION last_number() RETURNS SETOF bigint LANGUAGE plpgsql AS
    $$ BEGIN RETURN NEXT lastval(); EXCEPTION WHEN object_not_in_prerequisite_state THEN RETURN; END $$;
DO $$ BEGIN CREATE ROLE guest; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
"""


@pytest.fixture(params=list(Dispatch))
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    runner = Runner(request.param)
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def schema(postgres: Cluster) -> None:
    with postgres.connect() as connection:
        connection.execute(SCHEMA)


@pytest.fixture
def database(postgres: Cluster, schema: None) -> Iterator[Database]:
    database = Database(postgres.url(), postgres_sessions=1)
    yield database
    database.close()
    postgres.clear()


async def fetch(database: Database, statement: str) -> Any:
    return await database.fetch(statement)


async def alone(database: Database, statements: Sequence[str]) -> None:
    """Each statement by itself."""
    for statement in statements:
        await database.execute(statement)


async def together(database: Database, statements: Sequence[str]) -> None:
    """All of them in a transaction that commits."""
    async with database.transaction() as transaction:
        for statement in statements:
            await transaction.execute(statement)


async def failing(database: Database, statements: Sequence[str]) -> None:
    """All of them in a transaction that is left by an error: advisory locks outlive its end."""
    try:
        async with database.transaction() as transaction:
            for statement in statements:
                await transaction.execute(statement)
            raise KeyError
    except KeyError:
        pass


async def failing_in_the_database(database: Database, statements: Sequence[str]) -> None:
    """All of them in a transaction that the database aborts, and that ends with a COMMIT all the same."""
    try:
        async with database.transaction() as transaction:
            for statement in statements:
                await transaction.execute(statement)
            with pytest.raises(psycopg.Error):
                await transaction.execute("SELECT 1 / 0")
    except HTTPError:
        return
    raise AssertionError("the commit of an aborted transaction has succeeded")


async def given_up(database: Database, statements: Sequence[str]) -> None:
    """All of them in a transaction whose client then leaves within a query."""
    async with database.transaction() as transaction:
        for statement in statements:
            await transaction.execute(statement)
        await transaction.execute("SELECT pg_sleep(600)")


def session_of(database: Database) -> Session:
    [session] = database.pool.sessions
    return session


@pytest.mark.parametrize("way", [alone, together, failing, failing_in_the_database, given_up])
@pytest.mark.parametrize("left", LEFT)
def test_what_a_request_leaves_behind_is_not_found_by_the_next(
    runner: Runner, database: Database, postgres: Cluster, left: str, way: Any
) -> None:
    """The next request gets the same session, and finds what it would find on a new one."""
    statements, seen = LEFT[left]
    new = runner.run(fetch(database, seen))
    [(pid,)] = runner.run(fetch(database, PID))
    if way is given_up:
        task = runner.start(way(database, statements))
        runner.until(lambda: postgres.activity(f"pid = {pid} AND wait_event = 'PgSleep'"))
        task.leave()
    else:
        runner.run(way(database, statements))
    found = runner.start(fetch(database, seen))
    same = runner.start(fetch(database, PID))
    assert (runner.outcome(found), runner.outcome(same)) == (new, [(pid,)])


@pytest.mark.parametrize("left", LEFT)
def test_a_request_that_waits_for_the_session_does_not_find_it_either(
    runner: Runner, database: Database, left: str
) -> None:
    """Those in the queue get the session after its reset, not before."""
    statements, seen = LEFT[left]
    new = runner.run(fetch(database, seen))
    tasks = []
    for _ in range(5):
        tasks += [runner.start(alone(database, statements)), runner.start(fetch(database, seen))]
    assert [runner.outcome(task) for task in tasks] == [None, new] * 5


def test_the_answer_does_not_wait_for_the_reset(runner: Runner, database: Database) -> None:
    """The caller has its result when it has come; the session is made clean behind its back."""
    states = []

    async def ask() -> None:
        await database.execute("SET a.b = 'c'")
        states.append(session_of(database).state)

    runner.run(ask())
    assert states == [S.RESETTING]
    runner.until(lambda: session_of(database).state is S.IDLE)


def test_reading_costs_no_reset(runner: Runner, database: Database) -> None:
    """A query that is known to leave nothing behind gives the session on at once."""
    runner.run(fetch(database, "SELECT count(*) FROM watched"))
    assert session_of(database).state is S.IDLE
    assert S.RESETTING not in [edge.dest.state for _, edge in session_of(database).history]


def test_with_reset_always_reading_is_followed_by_a_reset_too(runner: Runner, postgres: Cluster, schema: None) -> None:
    """For a schema whose views or policies change the session, which no text shows."""
    with postgres.connect() as connection:
        connection.execute("CREATE OR REPLACE VIEW sly AS SELECT set_config('app.user', 'alice', false)")
    database = Database(postgres.url(), postgres_sessions=1, reset_always=True)
    runner.run(fetch(database, "SELECT * FROM sly"))
    user = "SELECT coalesce(current_setting('app.user', true), '')"
    assert runner.run(fetch(database, user)) == [("",)]
    database.close()


def test_what_a_database_keeps_is_found_and_nothing_else(runner: Runner, postgres: Cluster, schema: None) -> None:
    """`kept` names what sessions may keep."""
    database = Database(postgres.url(), postgres_sessions=1, kept={"settings"})
    runner.run(alone(database, ["SET a.b = 'c'", "SELECT pg_advisory_lock(78)"]))
    seen = "SELECT current_setting('a.b'), count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 78"
    assert runner.run(fetch(database, seen)) == [("c", 0)]
    database.close()


def test_a_database_that_keeps_everything_never_resets(runner: Runner, postgres: Cluster, schema: None) -> None:
    """Nothing is sent where nothing is to be forgotten."""
    database = Database(postgres.url(), postgres_sessions=1, kept=KINDS)
    runner.run(alone(database, ["SET a.b = 'c'"]))
    assert session_of(database).state is S.IDLE
    assert runner.run(fetch(database, "SELECT current_setting('a.b')")) == [("c",)]
    database.close()


def test_our_prepared_statements_outlive_a_reset(
    runner: Runner, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write resets the session, and what is frequent is not prepared anew for that."""
    monkeypatch.setattr(postgres_session, "FREQUENT", 0)
    runner.run(alone(database, ["SELECT 1", "SET a.b = 'c'", "SELECT 1"]))
    assert [entry.name for entry in session_of(database).prepared.entries.values()] == [b"c1", b"c2"]


def test_a_session_whose_prepared_statements_an_application_drops_prepares_them_again(
    runner: Runner, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After DISCARD ALL, by an application or by the reset, a statement is not asked for under a name that is gone."""
    monkeypatch.setattr(postgres_session, "FREQUENT", 0)
    runner.run(alone(database, ["SELECT 1", "DISCARD ALL", "SELECT 1", "PREPARE p AS SELECT 2", "SELECT 1"]))


def test_a_transaction_that_is_left_while_it_waits_for_its_statement_to_be_prepared_is_undone(
    runner: Runner, database: Database, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PREPARING waits for locks like a query, and is given up like one."""
    monkeypatch.setattr(postgres_session, "FREQUENT", 0)
    with postgres.connect() as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE watched")
        task = runner.start(fetch(database, "SELECT * FROM watched"))
        runner.until(lambda: postgres.activity("wait_event_type = 'Lock'"))
        session = session_of(database)
        assert session.state is S.PREPARING
        task.leave()
        runner.until(lambda: not postgres.activity("wait_event_type = 'Lock'"))
    assert runner.run(fetch(database, "SELECT * FROM watched")) is not None
    assert session_of(database) is session


def test_a_statement_that_waits_too_long_to_be_prepared_is_504(
    runner: Runner, database: Database, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline of PREPARING is told as that of a query."""
    monkeypatch.setattr(postgres_session, "FREQUENT", 0)
    with postgres.connect() as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE watched")
        task = runner.start(fetch(database, "SELECT * FROM watched"))
        runner.until(lambda: postgres.activity("wait_event_type = 'Lock'"))
        runner.advance(25)
        runner.until(lambda: task.done)
    assert isinstance(task.error, HTTPError)
    assert task.error.status == 504


# --- a reset in trouble


def resetting(runner: Runner, database: Database) -> tuple[Session, Reset]:
    """A session whose reset has begun, and whose server has not answered it."""
    found: list[tuple[Session, Reset]] = []

    async def ask() -> None:
        await database.execute("SET a.b = 'c'")
        session = session_of(database)
        assert session.reset is not None
        found.append((session, session.reset))

    runner.run(ask())
    return found[0]


def test_it_names_itself_and_what_it_waits_for(runner: Runner, database: Database) -> None:
    """A session that is being reset is shown with its reset, from end to end."""
    session, reset = resetting(runner, database)
    told = session.describe()
    assert told.startswith("postgres#1 RESETTING 0.0 s <- postgres_reset#1 ")
    assert told.endswith(f" 0.0 s <- fd {reset.descriptor} readable")
    assert reset.facts()[:2] == (1, str(database.place))
    runner.until(lambda: session.state is S.IDLE)


@pytest.mark.parametrize("trigger", [T.CLOSE_ORDERED, T.CONNECTION_LOST])
def test_a_session_that_is_closed_takes_its_reset_with_it(runner: Runner, database: Database, trigger: T) -> None:
    """No machine is left behind, and no descriptor."""
    session, reset = resetting(runner, database)
    runner.loop.fire(session, trigger)
    runner.loop.turn(0)
    assert (session.state, reset.state) == (S.CLOSED, ResetState.FAILED)
    assert not {session, reset} & set(runner.loop.machines.values())
    assert runner.run(fetch(database, "SELECT 1")) == [(1,)]


@pytest.mark.parametrize("trigger", ["DEADLINE_PASSED", "CONNECTION_LOST", "RESET_REFUSED", "CLOSE_ORDERED"])
def test_a_reset_that_fails_costs_the_session(runner: Runner, database: Database, trigger: str) -> None:
    """A session is clean or it is gone; the next request gets another."""
    session, reset = resetting(runner, database)
    runner.until(lambda: reset.state is ResetState.FORGETTING)
    runner.loop.fire(reset, reset.engine.table.triggers[trigger])
    runner.loop.turn(0)
    assert session.state is S.CLOSED
    assert runner.run(fetch(database, "SELECT coalesce(current_setting('a.b', true), '')")) == [("",)]


@pytest.fixture
def own() -> Iterator[Cluster]:
    """A cluster that is frozen here."""
    yield from running()


def test_a_server_that_freezes_within_a_reset_costs_the_session_and_those_in_the_queue_get_another(
    runner: Runner, own: Cluster
) -> None:
    """Those who wait for the end of a reset are not forgotten when it does not come."""
    database = Database(own.url(), postgres_sessions=1)
    session, reset = resetting(runner, database)
    own.freeze()
    try:
        task = runner.start(fetch(database, "SELECT 2"))
        assert task.describe().startswith("postgres_slot#")
        if reset.state is not ResetState.CLEAN:
            runner.until(lambda: reset.state is not ResetState.DISCARDING)
            runner.advance(2)
        runner.until(lambda: session.state in (S.CLOSED, S.AWAITING_RESULT))
    finally:
        own.thaw()
    assert runner.outcome(task) == [(2,)]
    database.close()


def test_a_time_limit_that_the_reset_itself_cannot_keep_does_no_harm(runner: Runner, database: Database) -> None:
    """The shortest limit that a request may set either lets the reset pass, or costs the session."""
    runner.run(alone(database, ["SET statement_timeout = 1"]))
    assert runner.run(fetch(database, "SELECT current_setting('statement_timeout')")) == [("0",)]


LIMIT = 1024 * 1024


def test_what_is_discarded_is_bounded_and_beyond_it_the_session_is_closed(
    runner: Runner, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that sends on after a request to cancel does not make us read for ever."""
    monkeypatch.setattr(postgres_reset, "request_cancel", lambda reset, threads: True)
    database = Database(postgres.url(), postgres_sessions=1, postgres_max_bytes=LIMIT)
    task = runner.start(fetch(database, "SELECT repeat('x', 10000), generate_series(1, 1000000)"))
    runner.until(lambda: database.pool.sessions and session_of(database).state is S.AWAITING_RESULT)
    session = session_of(database)
    task.leave()
    reset = session.reset
    assert reset is not None
    runner.until(lambda: reset.state is ResetState.CANCELLING)
    runner.loop.fire(reset, ResetTrigger.CANCEL_SENT)
    runner.until(lambda: session.state is S.CLOSED)
    assert reset.history[-1][1].trigger is ResetTrigger.RESET_REFUSED
    database.close()


def arrived(session: Session) -> int:
    """Bytes that are known to have been read of the result it waits for."""
    arrivals = session.query.arrivals if session.query is not None else None
    return arrivals.total if arrivals is not None else 0


def test_rows_that_are_discarded_after_a_request_to_cancel_do_not_cost_the_session(
    runner: Runner, postgres: Cluster
) -> None:
    """What is on its way when the server stops is far less than a result may have."""
    database = Database(
        postgres.url(), postgres_sessions=1, postgres_max_bytes=64 * LIMIT, postgres_max_rows=10_000_000
    )
    task = runner.start(fetch(database, "SELECT repeat('x', 1000), generate_series(1, 10000000)"))
    runner.until(lambda: database.pool.sessions and arrived(session_of(database)) > LIMIT)
    session = session_of(database)
    task.leave()
    runner.until(lambda: session.state is not S.RESETTING)
    assert session.state is S.IDLE
    database.close()
