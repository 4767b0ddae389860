"""Behind a transaction pooler: each transaction may meet another server process, which knows nothing of the last."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from clerestory.handlers.backends.postgres import session as postgres_session
from clerestory.handlers.backends.postgres.database import Database
from tests.support.postgres import Cluster, Runner
from tests.support.waiting import eventually

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

SETTINGS = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
"""


@pytest.fixture(scope="module")
def pooler(postgres: Cluster) -> Iterator[str]:
    """The URL of a PgBouncer in transaction mode, with two server processes."""
    if PGBOUNCER is None:
        pytest.skip("there is no pgbouncer")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = postgres.folder / "pgbouncer.ini"
    settings.write_text(SETTINGS.format(server=postgres.port, port=port))
    process = subprocess.Popen(
        [PGBOUNCER, settings],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **postgres.user,  # type: ignore[call-overload]
    )
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    try:
        eventually(lambda: is_there(url))
        yield url
    finally:
        process.kill()
        process.wait()


def is_there(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


async def use(database: Database, number: int) -> list[Any]:
    """A frequent query, a transaction with it, and what is known of others' settings."""
    found: list[Any] = []
    for _ in range(10):
        found += await database.fetch("SELECT $1::integer", (number,))
        async with database.transaction() as transaction:
            await transaction.execute("SELECT set_config('app.number', $1, true)", (str(number),))
            found += await transaction.fetch("SELECT current_setting('app.number')::integer")
            found += await transaction.fetch("SELECT $1::integer", (number,))
    return found


def test_without_preparing_everything_works_behind_a_transaction_pooler(
    runner: Runner, pooler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--postgres-prepared 0` no statement is asked for by a name that another server process does not know."""
    monkeypatch.setattr(postgres_session, "FREQUENT", 0)
    database = Database(pooler, postgres_sessions=8, postgres_prepared=0)
    tasks = [runner.start(use(database, number)) for number in range(24)]
    for number, task in enumerate(tasks):
        assert runner.outcome(task) == [(number,)] * 30
    database.close()


def test_a_query_that_is_given_up_is_cancelled_through_the_pooler(
    runner: Runner, pooler: str, postgres: Cluster
) -> None:
    """The pooler passes the request to cancel to the server process that is at the query."""
    database = Database(pooler, postgres_sessions=1, postgres_prepared=0)
    task = runner.start(sleep(database))
    runner.until(lambda: postgres.activity("wait_event = 'PgSleep'"))
    task.leave()
    runner.until(lambda: not postgres.activity("wait_event = 'PgSleep'"))
    assert runner.run(use(database, 1)) == [(1,)] * 30
    database.close()


async def sleep(database: Database) -> Any:
    return await database.fetch("SELECT pg_sleep(600)")
