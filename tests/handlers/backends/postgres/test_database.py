"""The database as a handler sees it: rows, counts, transactions, types. On a real PostgreSQL and a real loop."""

import datetime
import decimal
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.backends.postgres.database import Database
from clerestory.handlers.backends.postgres.prepared import FREQUENT
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.postgres import State as S
from tests.support.postgres import Cluster, Runner


@pytest.fixture(params=list(Dispatch))
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    runner = Runner(request.param)
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def name(postgres: Cluster) -> str:
    """A database with one table, that all these tests share."""
    name = postgres.new_database()
    with postgres.connect(name) as connection:
        connection.execute("CREATE TABLE numbers (n integer PRIMARY KEY, word text)")
    return name


@pytest.fixture
def database(postgres: Cluster, name: str) -> Iterator[Database]:
    with postgres.connect(name) as connection:
        connection.execute("TRUNCATE numbers")
        connection.execute("INSERT INTO numbers VALUES (1, 'one'), (2, 'two'), (3, NULL)")
    database = Database(postgres.url(name), postgres_sessions=2)
    yield database
    database.close()


def numbers(postgres: Cluster, name: str) -> list[int]:
    """What another session sees."""
    with postgres.connect(name) as connection:
        return [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY n").fetchall()]


def test_rows_come_as_tuples_and_null_as_none(runner: Runner, database: Database) -> None:
    async def ask() -> Any:
        return await database.fetch("SELECT n, word FROM numbers WHERE n > $1 ORDER BY n", (1,))

    assert runner.run(ask()) == [(2, "two"), (3, None)]


def test_no_rows_are_an_empty_list(runner: Runner, database: Database) -> None:
    async def ask() -> Any:
        return await database.fetch("SELECT n FROM numbers WHERE n = $1", (99,))

    assert runner.run(ask()) == []


def test_execute_tells_how_many_rows_were_changed(runner: Runner, database: Database) -> None:
    async def ask() -> Any:
        return [
            await database.execute("INSERT INTO numbers VALUES ($1, $2)", (4, "four")),
            await database.execute("UPDATE numbers SET word = upper(word)"),
            await database.execute("DELETE FROM numbers WHERE n = $1", (99,)),
            await database.execute("SET statement_timeout = 0"),
        ]

    assert runner.run(ask()) == [1, 4, 0, 0]


VALUES = [
    ("int8", 1 << 62),
    ("text", "Grüße, \U0001f600 \\ ' \""),
    ("bytea", b"\x00\xff'"),
    ("bool", True),
    ("float8", 1.5),
    ("numeric", decimal.Decimal("123456789012345678901234567890.5")),
    ("uuid", uuid.UUID(int=7)),
    ("date", datetime.date(2026, 11, 23)),
    ("timestamptz", datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)),
    ("interval", datetime.timedelta(days=1, seconds=3)),
    ("int4[]", [1, 2, 3]),
    ("text", None),
]


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_values_go_to_the_server_and_back_by_the_adapters(
    runner: Runner, database: Database, kind: str, value: object
) -> None:
    async def ask() -> Any:
        return await database.fetch(f"SELECT $1::{kind}", (value,))

    assert runner.run(ask()) == [(value,)]


def test_parameters_are_never_text_of_the_statement(runner: Runner, database: Database) -> None:
    evil = "'; DROP TABLE numbers; --"

    async def ask() -> Any:
        await database.execute("INSERT INTO numbers VALUES (7, $1)", (evil,))
        return await database.fetch("SELECT word FROM numbers WHERE word = $1", (evil,))

    assert runner.run(ask()) == [(evil,)]


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELEC 1", psycopg.errors.SyntaxError),
        ("SELECT nothing", psycopg.errors.UndefinedColumn),
        ("INSERT INTO numbers VALUES (1, 'again')", psycopg.errors.UniqueViolation),
        ("SELECT 1; SELECT 2", psycopg.errors.SyntaxError),
        ("SELECT 1 / 0", psycopg.errors.DivisionByZero),
    ],
)
def test_a_wrong_statement_raises_psycopgs_error_and_the_session_goes_on(
    runner: Runner, database: Database, statement: str, kind: type[psycopg.Error]
) -> None:
    async def ask() -> Any:
        with pytest.raises(kind):
            await database.fetch(statement)
        return await database.fetch("SELECT 5")

    assert runner.run(ask()) == [(5,)]
    assert len(database.pool.sessions) == 1


def test_an_error_has_its_diagnosis(runner: Runner, database: Database) -> None:
    async def ask() -> Any:
        with pytest.raises(psycopg.errors.UniqueViolation) as caught:
            await database.execute("INSERT INTO numbers VALUES (1, 'again')")
        return caught.value.diag.constraint_name

    assert runner.run(ask()) == "numbers_pkey"


def test_an_empty_statement_is_no_rows(runner: Runner, database: Database) -> None:
    async def ask() -> Any:
        return await database.fetch("")

    assert runner.run(ask()) == []


def test_a_statement_that_is_used_often_is_prepared_on_the_session_and_forgotten_when_its_table_changes(
    runner: Runner, database: Database
) -> None:
    statement = "SELECT * FROM changing WHERE n = $1"

    async def use(times: int) -> Any:
        for _ in range(times):
            rows = await database.fetch(statement, (1,))
        return rows

    async def ask() -> Any:
        await database.execute("DROP TABLE IF EXISTS changing")
        await database.execute("CREATE TABLE changing AS SELECT 1 AS n")
        await use(FREQUENT)
        before = await database.fetch("SELECT count(*) FROM pg_prepared_statements")
        await use(FREQUENT)
        after = await database.fetch("SELECT statement FROM pg_prepared_statements")
        await database.execute("ALTER TABLE changing ADD COLUMN m integer")
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            await use(1)
        return before, after, await use(2)

    assert runner.run(ask()) == ([(0,)], [(statement,)], [(1, None)])


class TestTransactions:
    def test_it_is_committed_at_the_end_of_its_block(
        self, runner: Runner, database: Database, postgres: Cluster, name: str
    ) -> None:
        async def change() -> Any:
            async with database.transaction() as transaction:
                await transaction.execute("DELETE FROM numbers WHERE n = 1")
                await transaction.execute("DELETE FROM numbers WHERE n = $1", (2,))
                inside = await transaction.fetch("SELECT count(*) FROM numbers")
                seen = numbers(postgres, name)
            return inside, seen

        assert runner.run(change()) == ([(1,)], [1, 2, 3])
        assert numbers(postgres, name) == [3]

    def test_an_error_rolls_it_back_and_nobody_waits_for_that(
        self, runner: Runner, database: Database, postgres: Cluster, name: str
    ) -> None:
        async def change() -> None:
            async with database.transaction() as transaction:
                await transaction.execute("DELETE FROM numbers")
                raise KeyError

        with pytest.raises(KeyError):
            runner.run(change())
        [session] = database.pool.sessions
        runner.until(lambda: session.state is S.IDLE)
        assert numbers(postgres, name) == [1, 2, 3]
        assert postgres.activity("state LIKE 'idle in transaction%'") == []

    def test_an_error_of_the_database_rolls_it_back(
        self, runner: Runner, database: Database, postgres: Cluster, name: str
    ) -> None:
        async def change() -> None:
            async with database.transaction() as transaction:
                await transaction.execute("DELETE FROM numbers")
                await transaction.execute("SELECT 1 / 0")

        with pytest.raises(psycopg.errors.DivisionByZero):
            runner.run(change())
        assert numbers(postgres, name) == [1, 2, 3]

    def test_an_error_that_is_passed_over_is_told_at_the_commit(
        self, runner: Runner, database: Database, postgres: Cluster, name: str
    ) -> None:
        async def change() -> None:
            async with database.transaction() as transaction:
                await transaction.execute("DELETE FROM numbers")
                with pytest.raises(psycopg.errors.DivisionByZero):
                    await transaction.execute("SELECT 1 / 0")

        with pytest.raises(HTTPError) as caught:
            runner.run(change())
        assert (caught.value.status, caught.value.detail) == (
            503,
            "The database has rolled the transaction back, because a part of it failed.",
        )
        assert numbers(postgres, name) == [1, 2, 3]

    def test_its_session_is_nobody_elses_until_it_ends(self, runner: Runner, database: Database) -> None:
        async def pid(asked: Any) -> int:
            [(pid,)] = await asked.fetch("SELECT pg_backend_pid()")
            return int(pid)

        async def ask() -> Any:
            async with database.transaction() as transaction:
                within, beside = await pid(transaction), await pid(database)
                again = await pid(transaction)
            return within, beside, again

        within, beside, again = runner.run(ask())
        assert within == again != beside

    def test_it_may_say_more_at_its_beginning(self, runner: Runner, database: Database) -> None:
        async def ask() -> Any:
            with pytest.raises(HTTPError) as caught:
                async with database.transaction("BEGIN READ ONLY") as transaction:
                    await transaction.execute("DELETE FROM numbers")
            return caught.value.detail

        assert runner.run(ask()) == "The database is read-only."

    def test_what_begins_nothing_raises_and_holds_nothing(self, runner: Runner, database: Database) -> None:
        async def ask() -> Any:
            with pytest.raises(psycopg.errors.SyntaxError):
                async with database.transaction("BEGUN"):
                    raise AssertionError("it has not begun")
            return await database.fetch("SELECT 1")

        assert runner.run(ask()) == [(1,)]

    def test_a_block_that_forgets_its_transaction_loses_it(
        self, runner: Runner, database: Database, postgres: Cluster, name: str
    ) -> None:
        refusals = []

        async def change() -> None:
            async with database.transaction() as transaction:
                await transaction.execute("DELETE FROM numbers")
                runner.ahead += 60
                await database.fetch("SELECT 1")
                try:
                    await transaction.execute("SELECT 1")
                except HTTPError as error:
                    refusals.append(error.detail)

        with pytest.raises(HTTPError) as caught:
            runner.run(change())
        text = "The transaction was rolled back: the database connection was lost, or it took too long."
        assert (refusals, caught.value.status, caught.value.detail) == ([text], 503, text)
        assert numbers(postgres, name) == [1, 2, 3]

    def test_a_transaction_that_is_not_entered_has_no_session(self, runner: Runner, database: Database) -> None:
        async def ask() -> None:
            await database.transaction().fetch("SELECT 1")

        with pytest.raises(HTTPError):
            runner.run(ask())


def test_a_schema_is_prepared_before_there_is_a_loop(postgres: Cluster, database: Database, name: str) -> None:
    def change(connection: "psycopg.Connection[Any]") -> str:
        connection.execute("DELETE FROM numbers WHERE n = 1")
        return "done"

    assert database.prepare(change) == "done"
    assert numbers(postgres, name) == [2, 3]

    def fail(connection: "psycopg.Connection[Any]") -> None:
        connection.execute("DELETE FROM numbers")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one just raised
        database.prepare(fail)
    assert numbers(postgres, name) == [2, 3]
