"""The server process of a session is killed (SIGKILL) in each state of the session and of its reset.

The caller is told 503, the session is closed, nothing is left on the loop, and the next request gets another session.
"""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.backends.postgres import reset as postgres_reset
from clerestory.handlers.backends.postgres import session as postgres_session
from clerestory.handlers.backends.postgres.database import Database
from clerestory.statemachines.postgres import State as S
from clerestory.statemachines.postgres_reset import State as ResetState
from clerestory.statemachines.postgres_reset import Trigger as ResetTrigger
from tests.support.postgres import Cluster, Runner, Task, running


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A cluster whose processes are frozen and killed here; it recovers by itself."""
    yield from running()


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


class Scene:
    """A database with one session, whose server answers until it is frozen."""

    def __init__(self, runner: Runner, own: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runner = runner
        self.own = own
        self.monkeypatch = monkeypatch
        self.database = Database(own.url(), postgres_sessions=1)
        runner.run(self.fetch("SELECT 1"))
        [self.session] = self.database.pool.sessions

    async def fetch(self, statement: str, *parameters: Any) -> Any:
        return await self.database.fetch(statement, parameters)

    def ask(self, statement: str = "SELECT 2", *parameters: Any) -> Task:
        """Freeze the server, and ask it something."""
        self.own.freeze()
        return self.runner.start(self.fetch(statement, *parameters))


def idle(scene: Scene) -> None:
    """Nobody waits."""
    scene.own.freeze()


def preparing(scene: Scene) -> Task:
    scene.monkeypatch.setattr(postgres_session, "FREQUENT", 0)
    return scene.ask()


def sending(scene: Scene) -> Task:
    return scene.ask("SELECT length($1)", "x" * 50_000_000)


def awaiting(scene: Scene) -> Task:
    return scene.ask()


def in_transaction(scene: Scene) -> Task:
    async def change() -> None:
        async with scene.database.transaction() as transaction:
            await transaction.execute("SELECT 1")
            scene.own.freeze()
            await Database(scene.own.url()).fetch("SELECT 2")

    task = scene.runner.start(change())
    scene.runner.until(lambda: scene.session.state is S.IN_TRANSACTION and "postgres_slot" in task.describe())
    return task


def cancelling(scene: Scene) -> None:
    task = scene.ask()
    scene.runner.until(lambda: scene.session.state is S.AWAITING_RESULT)
    task.leave()


def discarding(scene: Scene) -> None:
    scene.monkeypatch.setattr(postgres_reset, "request_cancel", lambda reset, threads: True)
    cancelling(scene)
    reset = scene.session.reset
    assert reset is not None
    scene.runner.until(lambda: reset.state is ResetState.CANCELLING)
    scene.runner.loop.fire(reset, ResetTrigger.CANCEL_SENT)


def rolling_back(scene: Scene) -> None:
    async def change() -> None:
        async with scene.database.transaction() as transaction:
            await transaction.execute("SELECT 1")
            scene.own.freeze()
            raise KeyError

    task = scene.runner.start(change())
    scene.runner.until(lambda: task.done)


def forgetting(scene: Scene) -> None:
    async def change() -> None:
        await scene.database.execute("SET a.b = 'c'")
        scene.own.freeze()

    task = scene.runner.start(change())
    scene.runner.until(lambda: task.done)


@pytest.mark.parametrize(
    ("reach", "state", "phase"),
    [
        (idle, S.IDLE, None),
        (preparing, S.PREPARING, None),
        (sending, S.SENDING_QUERY, None),
        (awaiting, S.AWAITING_RESULT, None),
        (in_transaction, S.IN_TRANSACTION, None),
        (cancelling, S.RESETTING, ResetState.CANCELLING),
        (discarding, S.RESETTING, ResetState.DISCARDING),
        (rolling_back, S.RESETTING, ResetState.ROLLING_BACK),
        (forgetting, S.RESETTING, ResetState.FORGETTING),
    ],
)
def test_a_server_that_is_killed_in_any_state_is_noticed_told_and_replaced(
    runner: Runner,
    own: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    reach: Callable[[Scene], Task | None],
    state: S,
    phase: ResetState | None,
) -> None:
    """Every state has a way out when the server goes, and nobody waits for ever."""
    scene = Scene(runner, own, monkeypatch)
    session = scene.session
    try:
        task = reach(scene)
        reset = session.reset
        runner.until(lambda: session.state is state and (reset is None or reset.state is phase))
        assert (reset is None) == (phase is None)
        os.kill(session.pgconn.backend_pid, signal.SIGKILL)
        runner.until(lambda: session.state is S.CLOSED)
    finally:
        own.thaw()
    monkeypatch.undo()
    if task is not None:
        runner.until(lambda: task.done)
        assert isinstance(task.error, HTTPError)
        assert task.error.status == 503
    assert not {session, reset} & set(runner.loop.machines.values())
    runner.until(lambda: answers(scene))
    scene.database.close()


def answers(scene: Scene) -> bool:
    """Whether the database answers again; the pause between two attempts is over."""
    scene.runner.advance(20)
    task = scene.runner.start(scene.fetch("SELECT 3"))
    scene.runner.until(lambda: task.done)
    return bool(task.result == [(3,)])
