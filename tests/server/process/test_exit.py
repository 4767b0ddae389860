"""Threads that an application leaves behind do not hold the exit beyond the grace."""

import asyncio
import os
import threading
from typing import Any

from clerestory.server.process.exit import ExitGuard, places, workers
from tests.support.waiting import PATIENCE, eventually


class Log:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.closed = False

    def event(self, level: str, event: str, **fields: object) -> None:
        self.events.append((level, event, fields))

    def close(self, patience: float) -> None:
        self.closed = True


def test_a_process_whose_threads_end_is_let_go(monkeypatch: Any) -> None:
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    log: Any = Log()

    async def main(guard: ExitGuard) -> None:
        await asyncio.to_thread(int)
        assert len(workers()) == 1
        guard.arm(0)

    guard = ExitGuard(log, PATIENCE)
    asyncio.run(main(guard))
    guard.release()
    assert (statuses, log.events, workers()) == ([], [], [])


def test_without_threads_nothing_is_waited_for() -> None:
    log: Any = Log()
    guard = ExitGuard(log, PATIENCE)
    before = threading.active_count()
    guard.arm(0)
    assert threading.active_count() == before
    guard.release()


def test_a_thread_that_blocks_is_named_and_left(monkeypatch: Any) -> None:
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    log: Any = Log()
    freed = threading.Event()

    async def main(guard: ExitGuard) -> None:
        asyncio.get_running_loop().run_in_executor(None, freed.wait, PATIENCE)
        eventually(lambda: any("wait" in place for place in places(workers())))
        guard.arm(3)
        eventually(lambda: statuses)
        freed.set()

    guard = ExitGuard(log, 0.05)
    asyncio.run(main(guard))
    guard.release()
    assert (statuses, log.closed) == ([3], True)
    ((level, event, fields),) = log.events
    assert (level, event, fields["count"], fields["seconds"]) == ("error", "threads_left", 1, 0.05)
    assert len(fields["at"]) == 1
