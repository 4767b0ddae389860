"""A storm: queries that are answered, fail, are given up and lose their server, each with a tag of its own.

Whatever happens, a result is given to the query that asked for it, nothing that a request has set is found by another,
and what was confirmed is kept.
"""

import random
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.backends.postgres import session as postgres_session
from clerestory.handlers.backends.postgres.database import Database
from tests.support.postgres import Cluster, Runner, Task, running

QUERIES = 3000
"""Requests of one storm. A hundred thousand take some minutes, and find no more."""

UNDER_WAY = 24
"""Requests at a time, for a third as many sessions."""

USER = "coalesce(current_setting('app.user', true), '')"


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A cluster that is killed here. What it has confirmed is on the disk."""
    yield from running(synchronous_commit="on", fsync="on", max_connections="30")


class Storm:
    """Requests with tags, and what became of them."""

    def __init__(self, runner: Runner, own: Cluster, seed: int) -> None:
        self.random = random.Random(seed)
        self.runner = runner
        self.own = own
        self.database = Database(own.url(), postgres_sessions=UNDER_WAY // 3, postgres_prepared=3)
        self.tags = 0
        self.confirmed: list[str] = []
        self.wrong: list[str] = []
        self.outcomes: dict[str, int] = {}

    def tag(self) -> str:
        self.tags += 1
        return f"tag{self.tags}"

    def expect(self, found: Any, tag: str, kind: str) -> None:
        """Note what came; a foreign tag, or a foreign user, is wrong."""
        if found != [(tag, "")]:
            self.wrong.append(f"{kind} {tag}: {found}")

    # --- requests

    async def read(self, tag: str) -> None:
        text = (
            f"SELECT $1, {USER} /* {self.random.randrange(3)} */"
            if self.random.random() < 0.3
            else f"SELECT $1, {USER}"
        )
        self.expect(await self.database.fetch(text, (tag,)), tag, "read")

    async def wait(self, tag: str) -> None:
        seconds = self.random.random() / 50
        rows = await self.database.fetch(f"SELECT $1, {USER}, pg_sleep($2)", (tag, seconds))
        self.expect([row[:2] for row in rows], tag, "wait")

    async def large(self, tag: str) -> None:
        rows = await self.database.fetch(f"SELECT $1, {USER} FROM generate_series(1, 3000)", (tag,))
        self.expect(list(set(rows)), tag, "large")

    async def fail(self, tag: str) -> None:
        try:
            await self.database.fetch("SELECT $1::text::integer", (tag,))
        except psycopg.errors.InvalidTextRepresentation as error:
            if tag not in str(error):
                self.wrong.append(f"fail {tag}: {error}")
        else:
            self.wrong.append(f"fail {tag}: it has not failed")

    async def soil(self, tag: str) -> None:
        [(found,)] = await self.database.fetch("SELECT set_config('app.user', $1, false)", (tag,))
        if found != tag:
            self.wrong.append(f"soil {tag}: {found}")

    async def write(self, tag: str) -> None:
        rows = await self.database.fetch(f"INSERT INTO tags VALUES ($1) RETURNING tag, {USER}", (tag,))
        self.expect(rows, tag, "write")
        self.confirmed.append(tag)

    async def transact(self, tag: str) -> None:
        async with self.database.transaction() as transaction:
            await transaction.execute("SELECT set_config('app.user', $1, false)", (tag,))
            await transaction.execute("INSERT INTO tags VALUES ($1)", (tag,))
            rows = await transaction.fetch("SELECT tag, '' FROM tags WHERE tag = $1", (tag,))
            self.expect(rows, tag, "transact")
            if self.random.random() < 0.2:
                raise KeyError
        self.confirmed.append(tag)

    # --- the storm

    def begin(self) -> Task:
        kinds = (
            self.read,
            self.read,
            self.read,
            self.wait,
            self.large,
            self.fail,
            self.soil,
            self.write,
            self.transact,
        )
        return self.runner.start(self.random.choice(kinds)(self.tag()))

    def note(self, task: Task) -> None:
        error = task.error
        if isinstance(error, AssertionError):
            raise error
        name = f"{error.status}" if isinstance(error, HTTPError) else type(error).__name__
        self.outcomes[name] = self.outcomes.get(name, 0) + 1

    def trouble(self) -> None:
        """End somebody else's session, sometimes all, or the server itself."""
        kind = self.random.random()
        if kind < 0.02:
            self.own.stop(signal.SIGQUIT)
            self.own.start()
        elif kind < 0.1:
            self.own.freeze()
            for _ in range(20):
                self.runner.loop.turn(0.001)
            self.own.thaw()
        else:
            alive = [
                session.pgconn.backend_pid for session in self.database.pool.sessions if not session.is_being_made()
            ]
            if alive:
                with self.own.connect() as operator:
                    operator.execute("SELECT pg_terminate_backend(%s)", (self.random.choice(alive),))

    def run(self, count: int) -> None:
        tasks: list[Task] = []
        ended = 0
        while ended < count:
            while len(tasks) < UNDER_WAY and self.tags < count:
                tasks.append(self.begin())
            self.runner.loop.turn(0.01)
            if self.random.random() < 0.05 and tasks:
                leaving = self.random.choice(tasks)
                if not leaving.done:
                    leaving.leave()
            if self.random.random() < 0.005:
                self.trouble()
            if self.random.random() < 0.001:
                self.runner.advance(26)  # whoever waits now is late
            if self.database.pool.failures:
                self.runner.advance(1)
            done = [task for task in tasks if task.done]
            tasks = [task for task in tasks if not task.done]
            ended += len(done)
            for task in done:
                self.note(task)

    def kept(self) -> list[str]:
        with self.own.connect() as connection:
            return [tag for (tag,) in connection.execute("SELECT tag FROM tags").fetchall()]


@pytest.mark.parametrize("seed", [1, 2])
def test_no_result_is_given_to_another_and_nothing_confirmed_is_lost(
    own: Cluster, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Through cancelled queries, errors, ended sessions, a frozen server and one that is killed."""
    monkeypatch.setattr(postgres_session, "FREQUENT", 2)
    with own.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS tags")
        connection.execute("CREATE TABLE tags (tag text)")
    runner = Runner()
    storm = Storm(runner, own, seed)
    storm.run(QUERIES)
    assert storm.wrong == []
    runner.until(lambda: all(not session.reset for session in storm.database.pool.sessions))
    kept = storm.kept()
    assert len(kept) == len(set(kept)), "nothing was done twice"
    assert set(storm.confirmed) <= set(kept)
    assert storm.outcomes["NoneType"] > QUERIES / 2, "most are answered"
    assert storm.outcomes.get("503", 0) > 0, "and some have lost their server"
    storm.database.close()
    runner.close()
