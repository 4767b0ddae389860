"""A real PostgreSQL, started by the tests themselves: no service, no root, nothing to be set up.

The server itself is that of the benchmarks (benchmarks.cluster); where there are no programs, the tests that need one
are skipped and say so. `Runner` runs handlers' coroutines on a real loop, with a clock that can be moved.
"""

import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks import cluster
from clerestory.handlers.api.operations import Operation
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.statemachines.engine import Dispatch, Machine
from tests.support.stepping import Stepping
from tests.support.waiting import PATIENCE


class Cluster(cluster.Cluster):
    """A cluster that a test looks into, and does things to."""

    def __init__(self, **settings: str) -> None:
        try:
            super().__init__(**settings)
        except LookupError as reason:
            pytest.skip(str(reason))

    def connect(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        """A session of the test's own, in which each statement is a transaction."""
        return psycopg.connect(self.url(database), autocommit=True)

    def new_database(self) -> str:
        """The name of an empty database."""
        with self.connect() as connection:
            row = connection.execute("SELECT count(*) FROM pg_database").fetchone()
            assert row is not None
            name = f"test{row[0]}"
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def activity(self, where: str = "true") -> list[tuple[Any, ...]]:
        """(pid, state, query) of the clients' sessions but the one that asks."""
        with self.connect() as connection:
            return connection.execute(
                "SELECT pid, state, query FROM pg_stat_activity"
                f" WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND {where}"
            ).fetchall()

    def clear(self) -> None:
        """End every client's session: a server goes on with a query though nobody is left to hear of it."""
        with self.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )

    # --- what happens to it

    def freeze(self) -> None:
        """SIGSTOP it, with all its children: connections are accepted by the kernel, and nobody answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        for child in self._children():
            os.kill(child, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on. The parent last: until then no child that ends is reaped, and no number given to another."""
        assert self.process is not None
        for child in self._children():
            os.kill(child, signal.SIGCONT)
        self.process.send_signal(signal.SIGCONT)

    def _children(self) -> list[int]:
        assert self.process is not None
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def close(self) -> None:
        """Thaw it, stop it, and remove its folder."""
        if self.process is not None:
            with suppress(ProcessLookupError, FileNotFoundError):
                self.thaw()
        super().close()


def running(**settings: str) -> Iterator[Cluster]:
    """A cluster, for a fixture."""
    cluster = Cluster(**settings)
    try:
        yield cluster
    finally:
        cluster.close()


class Task:
    """A coroutine that a Runner steps, as a connection steps a handler: its executor."""

    def __init__(self, runner: "Runner", coroutine: Coroutine[Any, Any, Any]) -> None:
        self.loop = runner.loop
        self.coroutine = coroutine
        self.operation: Operation | None = None
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.machine = Stepping(runner.loop, self._step)
        self._step()

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        if operation is self.operation:
            self.operation = None
            self.machine.ended_with(result, error)

    def _step(self, result: object = None, error: BaseException | None = None) -> None:
        while True:
            try:
                operation = self.coroutine.send(result) if error is None else self.coroutine.throw(error)
            except StopIteration as stop:
                self.done, self.result = True, stop.value
                self.machine.leave()
                return
            except BaseException as raised:  # noqa: BLE001 - kept for the test
                self.done, self.error = True, raised
                self.machine.leave()
                return
            result = error = None
            self.operation = operation
            try:
                operation.start(self)
            except BaseException as refused:  # noqa: BLE001 - the coroutine's to deal with
                self.operation, error = None, refused
            else:
                return

    def describe(self) -> str:
        """What it waits for."""
        return self.operation.describe() if self.operation is not None else ""

    def leave(self) -> None:
        """Give it up, as a connection does when its client has left."""
        operation, self.operation = self.operation, None
        if operation is not None:
            operation.cancel()
        with suppress(GeneratorExit, StopIteration):
            self.coroutine.throw(GeneratorExit())
        self.done = True
        self.machine.leave()


class Runner:
    """A loop, stepped by the test. `advance` moves its clock, so that nobody waits for a deadline."""

    def __init__(self, dispatch: Dispatch = Dispatch.COMPILED, poller: str = "auto") -> None:
        self.ahead = 0.0
        self.crashes: list[tuple[Machine, BaseException]] = []
        self.loop = Loop(open_poller(poller), self._crashed, clock=self._clock, dispatch=dispatch)

    def _clock(self) -> float:
        return time.monotonic() + self.ahead

    def _crashed(self, machine: Machine, error: BaseException) -> None:
        self.crashes.append((machine, error))

    def advance(self, seconds: float) -> None:
        """Move the clock, and let the deadlines see it."""
        self.ahead += seconds
        self.loop.turn(0)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """Begin a coroutine."""
        return Task(self, coroutine)

    def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Turn until `condition` is true; hand back what it says."""
        limit = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < limit, what or "what was waited for did not come"
            self.loop.turn(0.01)
        return found

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end; hand back its result, or raise its error."""
        return self.outcome(self.start(coroutine))

    def outcome(self, task: Task) -> Any:
        """Turn until `task` is done; hand back its result, or raise its error."""
        self.until(lambda: task.done, f"still waiting: {task.describe()}")
        if task.error is not None:
            raise task.error
        return task.result

    def close(self) -> None:
        """Close the loop, and assert that no machine has crashed."""
        self.loop.close()
        assert self.crashes == []
