"""Who waits for a thread: one of anyio's, whose number a limiter bounds, or one of an executor's, to which
`asyncio.to_thread` and `run_in_executor` hand a function. Both are queues that an application does not see.

A future of asyncio's does not say whose result it waits for: the callback that would cancel that one does. The queue
of an executor is known by its threads.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import thread as pools
from types import FrameType
from typing import Any

_POOL = os.path.join("concurrent", "futures", "thread.py")
DEEPEST = 256
"""Frames of a thread that are looked through, at most."""


def limiter_of(frames: Sequence[FrameType]) -> str:
    """`a thread of anyio's, 40 of 40 in use, 3 waiting`, where the innermost frames wait for a limiter; else empty."""
    for frame in reversed(frames[-8:]):
        limiter = frame.f_locals.get("self") if frame.f_code.co_name == "acquire_on_behalf_of" else None
        if limiter is None or not hasattr(limiter, "borrowed_tokens"):
            continue
        is_thread = any(one.f_code.co_name == "run_sync_in_worker_thread" for one in frames)
        what = "a thread of anyio's" if is_thread else type(limiter).__name__
        waiting = limiter.statistics().tasks_waiting
        return f"{what}, {limiter.borrowed_tokens} of {limiter.total_tokens} in use, {waiting} waiting"
    return ""


def executor_of(future: Any, where: Callable[[int], str]) -> str:
    """What is said of a future whose result a thread of an executor makes; empty for any other future.

    `where` tells the application's line in a thread: `thread at shop/db.py:41 fetch`, once the function runs. Before
    that: `a thread of an executor, 8 of 8 in use, 3 waiting`.
    """
    made = _source(future)
    if made is None:
        return ""
    if made.running():
        ident = _running(made)
        place = where(ident) if ident is not None else ""
        return f"thread {place}" if place else "a thread of an executor"
    return f"a thread of an executor{_queued()}" if not made.done() else ""


def _source(future: Any) -> "Future[Any] | None":
    """The executor's future behind one of asyncio's."""
    for entry in getattr(future, "_callbacks", None) or ():
        for cell in getattr(entry[0], "__closure__", None) or ():
            if isinstance(cell.cell_contents, Future):
                return cell.cell_contents
    return None


def _running(made: "Future[Any]") -> int | None:
    """The thread in which a function runs, by its work item."""
    for ident, innermost in sys._current_frames().items():  # noqa: SLF001 - documented, in spite of its name
        frame: FrameType | None = innermost
        for _ in range(DEEPEST):
            if frame is None:
                break
            if frame.f_code.co_name == "run" and frame.f_code.co_filename.endswith(_POOL):
                if getattr(frame.f_locals.get("self"), "future", None) is made:
                    return ident
                break
            frame = frame.f_back
    return None


def _queued() -> str:
    """How many threads the executor has and how many functions wait for one, where one executor alone has a queue."""
    threads = Counter(id(queue) for queue in pools._threads_queues.values())  # noqa: SLF001
    queues = {id(queue): queue for queue in pools._threads_queues.values() if queue.qsize()}  # noqa: SLF001
    if len(queues) != 1:
        return ""
    ((name, queue),) = queues.items()
    return f", {threads[name]} of {threads[name]} in use, {queue.qsize()} waiting"
