"""The mail in PostgreSQL: migrations, bounds, and many at the same inbox at once. What the site does with it is in
test_mail.py, the same for both databases."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from clerestory.handlers.backends.postgres.database import Database
from clerestory.handlers.mail import postgres as mail_postgres
from clerestory.handlers.mail import store as mail_store
from clerestory.handlers.mail.postgres import MIGRATIONS, PostgresMail, prepare
from clerestory.handlers.mail.store import FieldError
from tests.support.postgres import Cluster, Runner


@pytest.fixture
def name(postgres: Cluster) -> str:
    return postgres.new_database()


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


@pytest.fixture
def database(postgres: Cluster, name: str) -> Iterator[Database]:
    database = Database(postgres.url(name))
    yield database
    database.close()


def query(postgres: Cluster, name: str, statement: str) -> list[tuple[Any, ...]]:
    with postgres.connect(name) as connection:
        return connection.execute(statement).fetchall()


def check(postgres: Cluster, name: str) -> None:
    """Every inbox counts what is in it, and the total the messages, which are numbered without a gap."""
    assert (
        query(
            postgres,
            name,
            "SELECT recipient FROM inboxes AS i WHERE count > capacity"
            " OR count != (SELECT count(*) FROM deliveries AS d WHERE d.recipient = i.recipient)",
        )
        == []
    )
    [(total, count, last)] = query(
        postgres, name, "SELECT (SELECT emails FROM mail_totals), count(*), coalesce(max(id), 0) FROM emails"
    )
    assert total == count == last


# --- migrations


def test_an_empty_database_is_given_its_tables_once(postgres: Cluster, name: str, database: Database) -> None:
    for _ in range(2):
        PostgresMail(database)
        assert query(postgres, name, "SELECT version FROM mail_migrations") == [(len(MIGRATIONS),)]
        assert query(postgres, name, "SELECT count(*) FROM inboxes") == [(13,)]
        assert query(postgres, name, "SELECT count(*) FROM emails") == [(0,)]


def test_samples_come_only_when_they_are_asked_for_and_only_into_a_new_database(
    postgres: Cluster, name: str, database: Database
) -> None:
    for _ in range(2):
        PostgresMail(database, with_samples=True)
        assert query(postgres, name, "SELECT count(*) FROM emails") == [(1000,)]
    check(postgres, name)


def test_an_older_database_is_brought_up_to_date_and_keeps_what_it_has(
    postgres: Cluster, name: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    PostgresMail(database, with_samples=True)
    monkeypatch.setattr(mail_postgres, "MIGRATIONS", (*MIGRATIONS, "ALTER TABLE emails ADD COLUMN seen boolean"))
    PostgresMail(database)
    assert query(postgres, name, "SELECT version FROM mail_migrations ORDER BY version") == [(1,), (2,)]
    assert query(postgres, name, "SELECT count(*), bool_or(seen) FROM emails") == [(1000, None)]


def test_a_migration_that_fails_leaves_all_as_it_was(
    postgres: Cluster, name: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    PostgresMail(database)
    broken = (*MIGRATIONS, "DROP TABLE deliveries", "SELECT 1 / 0")
    monkeypatch.setattr(mail_postgres, "MIGRATIONS", broken)
    with pytest.raises(psycopg.errors.DivisionByZero):
        PostgresMail(database)
    assert query(postgres, name, "SELECT version FROM mail_migrations") == [(1,)]
    assert query(postgres, name, "SELECT count(*) FROM deliveries") == [(0,)]


def test_a_newer_database_is_refused(postgres: Cluster, name: str, database: Database) -> None:
    PostgresMail(database)
    with postgres.connect(name) as connection:
        connection.execute("INSERT INTO mail_migrations (version) VALUES (2)")
    with pytest.raises(ValueError, match="a newer server made this database: its version is 2, ours is 1"):
        PostgresMail(database)


@pytest.mark.parametrize("table", ["emails", "inboxes", "deliveries", "mail_totals"])
def test_a_database_of_something_else_is_refused_and_left_alone(
    postgres: Cluster, name: str, database: Database, table: str
) -> None:
    with postgres.connect(name) as connection:
        connection.execute(f"CREATE TABLE {table} (theirs integer)")
    with pytest.raises(ValueError, match=f"not a mail database: it already has a table {table}"):
        PostgresMail(database)
    assert query(postgres, name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(1,)]


def test_servers_that_start_at_once_take_turns(postgres: Cluster, name: str) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            with psycopg.connect(postgres.url(name)) as connection:
                prepare(connection, with_samples=False)
        except BaseException as error:  # noqa: BLE001 - told by the test
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert query(postgres, name, "SELECT version FROM mail_migrations") == [(1,)]


# --- many at once


def all_of(runner: Runner, tasks: list[Any]) -> list[Any]:
    """What each came to: its result, or what refused it."""
    runner.until(lambda: all(task.done for task in tasks))
    return [task.error if task.error is not None else task.result for task in tasks]


def test_many_messages_at_once_are_numbered_without_a_gap(
    runner: Runner, postgres: Cluster, name: str, database: Database
) -> None:
    store = PostgresMail(database)
    found = all_of(runner, [runner.start(store.add_email("a", str(number), "c")) for number in range(40)])
    assert sorted(email["id"] for email in found) == list(range(1, 41))
    check(postgres, name)


def test_as_many_messages_as_there_may_be_pass_and_one_more_is_507(
    runner: Runner, postgres: Cluster, name: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_store, "MAX_EMAILS", 5)
    store = PostgresMail(database)
    found = all_of(runner, [runner.start(store.add_email("a", "b", "c")) for _ in range(9)])
    assert sorted(type(one).__name__ for one in found) == ["FieldError"] * 4 + ["dict"] * 5
    assert {one.status for one in found if isinstance(one, FieldError)} == {507}
    check(postgres, name)


@pytest.mark.parametrize("same", [True, False], ids=["the same message", "several"])
def test_many_at_the_same_inbox_fill_it_and_never_more(
    runner: Runner, postgres: Cluster, name: str, database: Database, same: bool
) -> None:
    store = PostgresMail(database, with_samples=True)
    number: Callable[[int], int] = (lambda _: 7) if same else (lambda turn: turn + 1)
    found = all_of(runner, [runner.start(store.deliver("tiny", number(turn))) for turn in range(20)])
    delivered = [one for one in found if isinstance(one, dict)]
    refused = [one.status for one in found if isinstance(one, FieldError)]
    assert len(delivered) + len(refused) == 20
    assert (len(delivered), set(refused)) == ((1, {409}) if same else (3, {507}))
    check(postgres, name)


def test_a_delivery_that_is_given_up_in_the_middle_leaves_nothing(
    runner: Runner, postgres: Cluster, name: str, database: Database
) -> None:
    store = PostgresMail(database, with_samples=True)
    with postgres.connect(name) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM inboxes WHERE recipient = 'ada' FOR UPDATE")
        task = runner.start(store.deliver("ada", 42))
        runner.until(lambda: postgres.activity("wait_event_type = 'Lock'"))
        task.leave()
        runner.until(lambda: not postgres.activity("wait_event_type = 'Lock'"))
        other.execute("ROLLBACK")
    assert runner.run(store.deliver("ada", 42))["count"] == 1
    check(postgres, name)


def test_an_inbox_and_its_count_are_of_one_moment(
    runner: Runner, postgres: Cluster, name: str, database: Database
) -> None:
    store = PostgresMail(database, with_samples=True)
    writes = [runner.start(store.deliver("ada", number)) for number in range(1, 21)]
    reads = [runner.start(store.read_inbox("ada")) for _ in range(20)]
    for inbox in all_of(runner, reads):
        assert inbox["count"] == len(inbox["emails"])
    all_of(runner, writes)
    assert runner.run(store.read_inbox("ada"))["count"] == 20
    assert runner.run(store.read_inbox("grace")) == {"recipient": "grace", "count": 0, "capacity": 100, "emails": []}
