"""The bounds and deadlines of the backends, set small on the command line: N passes, N + 1 is refused, with its reason.

Nothing here waits by the clock for others: whoever holds a database's lock lets it go when the test says so.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Start
from tests.support.client import Client, request
from tests.support.postgres import Cluster
from tests.support.server import ServerProcess
from tests.support.waiting import eventually
from tests.support.xray import look

EMAIL = json.dumps({"sender": "me@example.org", "subject": "news", "body": "It works.\n"}).encode()
Serve = Callable[..., ServerProcess]


@contextmanager
def asking(server: ServerProcess, count: int) -> Iterator[list[Client]]:
    """So many clients, each of whom has posted a message and has not read the answer."""
    clients = [Client(server.address) for _ in range(count)]
    for client in clients:
        client.send(request("/emails", method="POST", body=EMAIL))
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def one_more(server: ServerProcess) -> tuple[int, str]:
    """What one who comes now is told, and why."""
    with Client(server.address) as client:
        answer = client.get("/emails", method="POST", body=EMAIL)
    return answer.status, answer.error.partition(": ")[2] if answer.status >= 400 else ""


def seen(server: ServerProcess, kind: str) -> dict[str, int]:
    """The machines of that kind, by state, as the x-ray shows them."""
    states: dict[str, int] = look(server, "snapshot.json")["machines"][kind]["states"]
    return {state: count for state, count in states.items() if count}


class TestThreads:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "mail.db"

    @pytest.fixture
    def serve(self, start: Start, path: Path) -> Serve:
        return lambda *options: start("--database", f"sqlite:///{path}", "--xray", "127.0.0.1:0", *options, target="")

    def test_as_many_as_may_wait_for_the_writer_wait_and_one_more_is_503(self, serve: Serve, path: Path) -> None:
        server = serve("--thread-backlog", "2")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with asking(server, 3) as clients:
                eventually(lambda: seen(server, "work") == {"QUEUED": 2, "RUNNING": 1})
                assert one_more(server) == (503, "Too many requests are waiting for a thread.")
                other.execute("ROLLBACK")
                assert [client.answer().status for client in clients] == [201] * 3

    def test_who_finds_no_thread_in_time_is_503(self, serve: Serve, path: Path) -> None:
        server = serve("--thread-queue-timeout", "0.3")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with asking(server, 1) as [first]:
                eventually(lambda: seen(server, "work") == {"RUNNING": 1})
                assert one_more(server) == (503, "No thread became free in time.")
                other.execute("ROLLBACK")
                assert first.answer().status == 201

    def test_a_lock_that_lasts_too_long_is_503(self, serve: Serve, path: Path) -> None:
        server = serve("--sqlite-busy", "0.2")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert one_more(server) == (503, "The database is locked.")

    def test_what_nobody_waits_for_any_more_is_seen_until_it_ends(self, serve: Serve, path: Path) -> None:
        server = serve("--sqlite-busy", "60")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with asking(server, 1) as [client]:
                eventually(lambda: seen(server, "work") == {"RUNNING": 1})
                client.reset()
                eventually(lambda: seen(server, "work") == {"ABANDONED": 1})
            other.execute("ROLLBACK")
        eventually(lambda: seen(server, "work") == {})


class TestPostgres:
    @pytest.fixture
    def name(self, postgres: Cluster) -> str:
        return postgres.new_database()

    @pytest.fixture
    def serve(self, start: Start, postgres: Cluster, name: str) -> Serve:
        return lambda *options: start("--database", postgres.url(name), "--xray", "127.0.0.1:0", *options, target="")

    @pytest.fixture
    def lock(self, postgres: Cluster, name: str) -> Callable[[], "psycopg.Connection"]:
        def locked() -> "psycopg.Connection":
            session = psycopg.connect(postgres.url(name))
            session.execute("LOCK TABLE emails")
            return session

        return locked

    def test_as_many_as_may_wait_for_a_session_wait_and_one_more_is_503(
        self, serve: Serve, lock: Callable[[], "psycopg.Connection"]
    ) -> None:
        server = serve("--postgres-sessions", "2", "--postgres-backlog", "3")
        with lock() as other, asking(server, 2) as first:
            eventually(lambda: seen(server, "postgres") == {"AWAITING_RESULT": 2})
            with asking(server, 3) as second:
                eventually(lambda: seen(server, "postgres_slot") == {"WAITING": 3})
                assert one_more(server) == (503, "Too many requests are waiting for the database.")
                other.rollback()
                assert [client.answer().status for client in (*first, *second)] == [201] * 5

    def test_who_finds_no_session_in_time_is_503(self, serve: Serve, lock: Callable[[], "psycopg.Connection"]) -> None:
        server = serve("--postgres-sessions", "1", "--postgres-slot-timeout", "0.3")
        with lock() as other, asking(server, 1) as [first]:
            eventually(lambda: seen(server, "postgres") == {"AWAITING_RESULT": 1})
            assert one_more(server) == (503, "No session with the database became free in time.")
            other.rollback()
            assert first.answer().status == 201

    def test_a_result_that_does_not_come_in_time_is_504_and_its_session_goes_on(
        self, serve: Serve, lock: Callable[[], "psycopg.Connection"]
    ) -> None:
        server = serve("--postgres-sessions", "1", "--postgres-query-timeout", "0.3")
        with lock():
            assert one_more(server) == (504, "The database did not answer in time.")
            eventually(lambda: seen(server, "postgres") == {"IDLE": 1})
        assert one_more(server)[0] == 201

    def test_an_idle_session_is_given_back_in_its_time(self, serve: Serve) -> None:
        server = serve("--postgres-idle-timeout", "0.3")
        assert one_more(server)[0] == 201
        eventually(lambda: seen(server, "postgres") == {})
