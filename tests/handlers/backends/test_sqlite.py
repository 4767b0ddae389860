"""Transactions: whole or not at all, in threads, and what becomes of them when SQLite refuses."""

import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.backends.sqlite import MEMORY_PAGES, Database, Transaction, parse_url
from tests.handlers.running import PATIENCE, FakeExecutor


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///mail.db", "mail.db"),
        ("sqlite:///var/mail.db", "var/mail.db"),
        ("sqlite:////var/mail.db", "/var/mail.db"),
        ("sqlite:///:memory:", ":memory:"),
        ("sqlite:///", ":memory:"),
        ("sqlite://", ":memory:"),
        ("sqlite:///a b?c%20.db", "a b?c%20.db"),
    ],
)
def test_a_url_has_a_path(url: str, path: str) -> None:
    assert parse_url(url) == path


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mail.db", "'mail.db' is not a database URL"),
        ("sqlite:mail.db", "'sqlite:mail.db' is not a database URL"),
        ("postgresql://localhost/mail", "is not a database URL"),
        ("sqlite://mail.db", "names a host"),
        ("", "'' is not a database URL"),
    ],
)
def test_another_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_url(url)


def make_table(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    connection.execute("CREATE TABLE IF NOT EXISTS tags (note INTEGER NOT NULL REFERENCES notes (id))")


def add(connection: sqlite3.Connection, text: str) -> int | None:
    return connection.execute("INSERT INTO notes (text) VALUES (?)", (text,)).lastrowid


def texts(connection: sqlite3.Connection) -> list[str]:
    return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY id")]


def run(awaitable: Awaitable[Any]) -> Any:
    async def handler() -> object:
        return await awaitable

    return FakeExecutor().run(handler())


def unavailable(awaitable: Awaitable[Any]) -> str:
    """The detail of the 503 that `awaitable` ends with."""
    with pytest.raises(HTTPError) as caught:
        run(awaitable)
    assert caught.value.status == 503
    assert caught.value.fields == ((b"retry-after", b"1"),)
    return caught.value.detail


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/notes.db"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    yield from opened(url)


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Database]:
    yield from opened(f"sqlite:///{tmp_path}/notes.db")


def opened(url: str) -> Iterator[Database]:
    database = Database(url, busy_timeout=0.01)
    database.prepare(make_table)
    yield database
    assert database.close(PATIENCE) == []


def test_what_is_written_is_read(database: Database) -> None:
    assert run(database.write(add, "one")) == 1
    assert run(database.write(add, text="two")) == 2
    assert run(database.read(texts)) == ["one", "two"]


def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    def add_and_fail(connection: sqlite3.Connection) -> None:
        add(connection, "half")
        raise LookupError("the other half")

    with pytest.raises(LookupError, match="the other half"):
        run(database.write(add_and_fail))
    assert run(database.read(texts)) == []
    assert run(database.write(add, "whole")) == 1, "and the next write goes on"


def test_an_http_error_rolls_back_and_passes(database: Database) -> None:
    def refuse(connection: sqlite3.Connection) -> None:
        add(connection, "half")
        raise HTTPError(507, "No space.")

    with pytest.raises(HTTPError) as caught:
        run(database.write(refuse))
    assert caught.value.status == 507
    assert run(database.read(texts)) == []


def test_a_read_changes_nothing(url: str, database: Database) -> None:
    def peek(connection: sqlite3.Connection) -> int | None:
        return add(connection, "not so")

    if database.in_memory:
        run(database.read(peek))
    else:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            run(database.read(peek))
    assert run(database.read(texts)) == []


def test_a_read_of_one_statement_needs_no_transaction_and_changes_nothing_either(url: str, database: Database) -> None:
    def within(connection: sqlite3.Connection) -> tuple[bool, list[str]]:
        return connection.in_transaction, texts(connection)

    run(database.write(add, "one"))
    assert run(database.read_once(within)) == (database.in_memory, ["one"])
    if database.in_memory:
        run(database.read_once(add, "not so"))
    else:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            run(database.read_once(add, "not so"))
    assert run(database.read(texts)) == ["one"]


def test_what_a_read_leaves_unfetched_pins_no_state(stored: Database) -> None:
    def first(connection: sqlite3.Connection) -> object:
        return connection.execute("SELECT text FROM notes ORDER BY id").fetchone()

    for text in ("one", "two", "three"):
        run(stored.write(add, text))
    assert run(stored.read_once(first)) == ("one",)
    busy, _, _ = stored._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # type: ignore[union-attr]
    assert busy == 0, "no reader holds on to an old state"


def test_foreign_keys_hold(database: Database) -> None:
    def tag(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO tags VALUES (7)")

    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        run(database.write(tag))


def test_no_function_runs_on_the_loops_thread(database: Database) -> None:
    def where(connection: sqlite3.Connection) -> int:
        return threading.get_ident()

    idents = {run(database.read(where)), run(database.write(where))}
    assert threading.get_ident() not in idents
    assert len(idents) == (1 if database.in_memory else 2)


def test_a_wrong_statement_is_our_own_fault(database: Database) -> None:
    def wrong(connection: sqlite3.Connection) -> None:
        connection.execute("SELECT * FROM absent")

    for operation in (database.read(wrong), database.write(wrong)):
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            run(operation)
    assert run(database.read(texts)) == []


def test_a_file_has_a_write_ahead_log_that_is_synced(stored: Database) -> None:
    def pragmas(connection: sqlite3.Connection) -> list[Any]:
        names = ("journal_mode", "foreign_keys", "synchronous", "query_only")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert run(stored.write(pragmas)) == ["wal", 1, 2, 0]
    journal, foreign_keys, _, query_only = run(stored.read(pragmas))
    assert (journal, foreign_keys, query_only) == ("wal", 1, 1)


def test_a_database_in_memory_is_bounded() -> None:
    database = Database("sqlite://")
    database.prepare(make_table)
    ((pages,),) = database.prepare(lambda connection: connection.execute("PRAGMA max_page_count").fetchall())
    assert pages == MEMORY_PAGES
    database.close(PATIENCE)


class Held:
    """A function of a transaction that stays in it until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()

    def stay(self, connection: sqlite3.Connection) -> list[str]:
        before = texts(connection)
        self.begun.set()
        assert self.let_go.wait(PATIENCE)
        assert texts(connection) == before, "one state of the database throughout"
        return before


def test_readers_see_the_last_commit_and_wait_for_no_writer(stored: Database) -> None:
    held, executor = Held(), FakeExecutor()

    def add_and_stay(connection: sqlite3.Connection) -> None:
        add(connection, "new")
        held.stay(connection)

    run(stored.write(add, "old"))
    writing = stored.write(add_and_stay)
    writing.start(executor)
    assert held.begun.wait(PATIENCE)
    assert run(stored.read(texts)) == ["old"]
    held.let_go.set()
    assert executor.wait(writing) == (None, None)
    assert run(stored.read(texts)) == ["old", "new"]


def test_a_reader_keeps_its_state_while_others_write(stored: Database) -> None:
    held, executor = Held(), FakeExecutor()
    reading = stored.read(held.stay)
    reading.start(executor)
    assert held.begun.wait(PATIENCE)
    run(stored.write(add, "new"))
    held.let_go.set()
    assert executor.wait(reading) == ([], None)


def test_an_operation_says_what_it_does(database: Database) -> None:
    held, executor = Held(), FakeExecutor()
    first, second = database.write(held.stay), database.write(texts)
    for operation in (first, second):
        operation.start(executor)
    assert held.begun.wait(PATIENCE)
    label = "sqlite" if database.in_memory else "sqlite writer"
    assert re.fullmatch(rf"work#\d+ RUNNING {label}: Held\.stay 0\.0 s", first.describe())
    assert re.fullmatch(rf"work#\d+ QUEUED {label}: texts 0\.0 s <- 1 {label}, 1 waiting", second.describe())
    held.let_go.set()
    executor.wait(first)
    executor.wait(second)


def test_a_cancelled_read_is_interrupted(stored: Database) -> None:
    executor, begun = FakeExecutor(), threading.Event()

    def count(connection: sqlite3.Connection) -> None:
        # From within the statement: so it is known to run.
        connection.create_function("begun", 0, begun.set)
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT begun() UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n"
        ).fetchone()

    operation = stored.read(count)
    operation.start(executor)
    assert begun.wait(PATIENCE)
    operation.cancel()
    executor.loop.turn()  # which comes only when the thread is free again
    assert executor.ended == {}
    assert run(stored.read(texts)) == []


def test_a_cancelled_write_is_whole_all_the_same(stored: Database) -> None:
    held, executor = Held(), FakeExecutor()

    def stay_and_add(connection: sqlite3.Connection) -> None:
        held.stay(connection)
        add(connection, "whole")

    operation = stored.write(stay_and_add)
    operation.start(executor)
    assert held.begun.wait(PATIENCE)
    operation.cancel()
    held.let_go.set()
    executor.loop.turn()
    assert executor.ended == {}
    assert run(stored.read(texts)) == ["whole"]


def test_cancelling_what_has_ended_interrupts_nobody(stored: Database) -> None:
    operation: Transaction[list[str]] = stored.read(texts)
    run(operation)
    operation.cancel()
    assert run(stored.read(texts)) == []


class TestFaults:
    def test_locked_by_another_process_is_503_and_reading_goes_on(self, stored: Database) -> None:
        run(stored.write(add, "before"))
        other = sqlite3.connect(stored.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert unavailable(stored.write(add, "refused")) == "The database is locked."
        assert run(stored.read(texts)) == ["before"]
        other.close()
        run(stored.write(add, "after"))
        assert run(stored.read(texts)) == ["before", "after"]
        self.check(stored)

    def test_read_only_is_503_until_it_is_not(self, stored: Database) -> None:
        assert stored._writer is not None
        stored._writer.execute("PRAGMA query_only = ON")
        assert unavailable(stored.write(add, "refused")) == "The database is read-only."
        assert run(stored.write(add, "taken")) == 1, "by a new connection"
        self.check(stored)

    def test_a_full_disk_is_503_and_nothing_is_half_written(self, stored: Database) -> None:
        def add_much(connection: sqlite3.Connection) -> None:
            for _ in range(100):
                add(connection, "x" * 10_000)

        run(stored.write(add, "before"))
        assert stored._writer is not None
        stored._writer.execute("PRAGMA max_page_count = 20")
        assert unavailable(stored.write(add_much)) == "The database is full."
        assert run(stored.read(texts)) == ["before"]
        assert run(stored.write(add, "small")) == 2
        self.check(stored)

    def test_a_file_that_cannot_be_opened_is_503_until_it_can(self, stored: Database, tmp_path: Path) -> None:
        run(stored.write(add, "before"))
        tmp_path.rename(tmp_path.with_name("away"))
        try:
            assert unavailable(stored.read(texts)) == "The database cannot be opened."
        finally:
            tmp_path.with_name("away").rename(tmp_path)
        assert run(stored.read(texts)) == ["before"]

    def test_a_malformed_file_is_our_own_fault(self, tmp_path: Path) -> None:
        path = tmp_path / "garbage.db"
        path.write_bytes(b"not a database, but long enough to be read as one" * 100)
        with pytest.raises(sqlite3.DatabaseError, match="not a database"):
            Database(f"sqlite:///{path}")

    def test_a_path_that_cannot_be_opened_is_said_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(sqlite3.OperationalError, match="unable to open"):
            Database(f"sqlite:///{tmp_path}/nothing/notes.db")

    @staticmethod
    def check(database: Database) -> None:
        def integrity(connection: sqlite3.Connection) -> str:
            return str(connection.execute("PRAGMA integrity_check").fetchone()[0])

        assert run(database.read(integrity)) == "ok"


def test_the_backlog_is_bounded(url: str) -> None:
    database = Database(url, backlog=1)
    held, executor = Held(), FakeExecutor()
    first, second = database.write(held.stay), database.write(held.stay)
    database.prepare(make_table)
    first.start(executor)
    assert held.begun.wait(PATIENCE)
    second.start(executor)
    assert unavailable(database.write(texts)) == "Too many requests are waiting for a thread."
    held.let_go.set()
    for operation in (first, second):
        assert executor.wait(operation) == ([], None)
    assert database.close(PATIENCE) == []


def test_no_more_read_at_once_than_there_are_readers_and_one_more_waits(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/notes.db", readers=2)
    database.prepare(make_table)
    executor, held = FakeExecutor(), [Held() for _ in range(3)]
    operations = [database.read(one.stay) for one in held]
    for operation in operations:
        operation.start(executor)
    assert held[0].begun.wait(PATIENCE)
    assert held[1].begun.wait(PATIENCE)
    assert [operation.describe().split()[1] for operation in operations] == ["RUNNING", "RUNNING", "QUEUED"]
    for one in held:
        one.let_go.set()
    assert [executor.wait(operation) for operation in operations] == [([], None)] * 3
    assert database.close(PATIENCE) == []


def test_close_does_not_wait_for_what_is_stuck(stored: Database) -> None:
    held, executor = Held(), FakeExecutor()
    operation = stored.read(held.stay)
    operation.start(executor)
    assert held.begun.wait(PATIENCE)
    [running] = stored.close()
    assert re.fullmatch(r"work#\d+ RUNNING sqlite reader: Held\.stay 0\.0 s", running)
    assert unavailable(stored.write(texts)) == "The server is shutting down."
    held.let_go.set()
    assert executor.wait(operation) == ([], None)


def test_a_schema_that_fails_leaves_nothing(stored: Database) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        add(connection, "half")
        raise LookupError

    with pytest.raises(LookupError):
        stored.prepare(fail)
    assert stored.prepare(texts) == []


WRITE_FOR_EVER = """
import sys
from clerestory.handlers.backends.sqlite import Database
from tests.handlers.running import FakeExecutor

def add_two(connection, number):
    for text in ("first", "second"):
        connection.execute("INSERT INTO notes (text) VALUES (?)", (text + str(number),))

async def write(database):
    number = 0
    while True:
        await database.write(add_two, number)
        print(number, flush=True)
        number += 1

FakeExecutor().run(write(Database("sqlite:///" + sys.argv[1])))
"""


@pytest.mark.parametrize("answers", [1, 20, 50])
def test_a_killed_process_leaves_a_whole_database(stored: Database, answers: int) -> None:
    command = [sys.executable, "-c", WRITE_FOR_EVER, stored.path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert process.stdout is not None
    for _ in range(answers):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    answered = answers + len(process.stdout.readlines())
    process.wait()
    process.stdout.close()
    TestFaults.check(stored)
    found = run(stored.read(texts))
    assert found == [f"{text}{number}" for number in range(len(found) // 2) for text in ("first", "second")]
    assert len(found) // 2 in (answered, answered + 1), "all that was answered, and at most the one in the making"


class TestWaitingForALock:
    """Another process's lock is waited for from when a write was asked for, not from when its turn has come."""

    @pytest.fixture
    def patient(self, tmp_path: Path) -> Iterator[Database]:
        database = Database(f"sqlite:///{tmp_path}/patient.db", busy_timeout=10)
        database.prepare(make_table)
        yield database
        assert database.close(PATIENCE) == []

    def test_those_that_have_waited_in_the_queue_wait_less_for_the_lock(self, patient: Database) -> None:
        """What is left of the time is what SQLite is told; a write that is asked for later has all of it again."""
        executor = FakeExecutor()
        began, go_on = threading.Event(), threading.Event()

        def hold(connection: sqlite3.Connection) -> None:
            began.set()
            go_on.wait(PATIENCE)

        patient.write(hold).start(executor)
        assert began.wait(PATIENCE)
        writes = [patient.write(waiting_time) for _ in range(4)]
        for write, waited in zip(writes, (6.0, 3.0, 5.0, 0.0), strict=True):
            write.start(executor)
            executor.loop.now += waited
        go_on.set()
        assert [executor.wait(write) for write in writes] == [(0, None), (2000, None), (5000, None), (10000, None)]

    def test_all_writers_are_refused_in_about_one_time(self, tmp_path: Path) -> None:
        """The sixth does not wait six times as long as the first: when its turn comes its time has passed."""
        database = Database(f"sqlite:///{tmp_path}/busy.db", busy_timeout=0.05)
        database.prepare(make_table)
        executor = FakeExecutor()
        other = sqlite3.connect(tmp_path / "busy.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writes = [database.write(add, str(number)) for number in range(6)]
        for write in writes:
            write.start(executor)
        executor.loop.now += 0.05
        for write in writes:
            _, error = executor.wait(write)
            assert isinstance(error, HTTPError)
            assert (error.status, error.detail) == (503, "The database is locked.")
        assert database._waits == 0, "the last was not made to wait"
        other.execute("ROLLBACK")
        last = database.write(add, "after")
        last.start(executor)
        assert executor.wait(last) == (1, None)
        assert database._waits == 0.05
        other.close()
        assert database.close(PATIENCE) == []


def waiting_time(connection: sqlite3.Connection) -> int:
    """Milliseconds for which a lock is waited for."""
    return int(connection.execute("PRAGMA busy_timeout").fetchone()[0])
