"""Threads for what blocks: `await in_thread(function, *arguments)`.

The laws:

- the loop's thread never waits here: it holds the pool's mutex for a few list operations at most;
- at most `size` functions run at a time and at most `backlog` wait; one more is refused, with 503;
- every call is a machine (statemachines.work), moved by the loop's thread alone: a worker notes facts, and leaves them
  with the loop by `call_from_thread`, which wakes it through its eventfd; nothing else of the loop is a worker's;
- threads are started when they are first needed, and are daemons: none of them keeps the process from ending;
- cancelled while queued, a call never runs; cancelled while it runs, its result is dropped, for nothing can stop a
  thread: it is ABANDONED until it ends.

Handing a call over and back costs some 30 us of CPU when it is the only one, and a third of that when many come at
once, who share their wake-ups (two cores of an AMD EPYC, CPython 3.11); and more time than that when the loop is busy:
a worker that wants the interpreter lock from a running thread asks for it after 5 ms (`sys.setswitchinterval`). What
takes less than that, such as opening a file whose directory is surely in the kernel's cache, is better done in place.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from clerestory.handlers.backends.pool.bounds import THREAD_BACKLOG, THREADS
from clerestory.handlers.backends.threads.job import Job, JobQueue
from clerestory.handlers.backends.threads.work import ThreadCall, engine_on
from clerestory.statemachines.engine import Engine
from clerestory.statemachines.loop import Loop

P = ParamSpec("P")
R = TypeVar("R")

SHUTTING_DOWN = "The server is shutting down."


class _Worker:
    """A thread: `work` is what it is at, None while it sleeps on `wake`."""

    __slots__ = ("thread", "wake", "work")

    def __init__(self, work: Job) -> None:
        self.work: Job | None = work
        self.wake = threading.Lock()
        self.wake.acquire()
        self.thread: threading.Thread


class ThreadPool(JobQueue):
    """At most `size` daemon threads and a queue of at most `backlog` calls before them.

    Where these are not given, the loop's limits say (handlers.backends.pool.bounds). `label` is what an operator reads
    of it; the default one is not mentioned.
    """

    def __init__(self, size: int | None = None, backlog: int | None = None, label: str = "thread") -> None:
        super().__init__(label, "" if label == "thread" else f"{label}: ")
        self._bounds = size, backlog
        self._take_bounds({})
        self._loop: Loop | None = None
        self._mutex = threading.Lock()
        self._queue: deque[Job] = deque()
        self._idle: list[_Worker] = []
        self._workers: list[_Worker] = []
        self._closed = False

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> ThreadCall[R]:
        """An operation that calls `function` in one of the threads. Awaiting it may raise HTTPError 503."""
        return ThreadCall(self, function, (args, kwargs))

    def engine_on(self, loop: Loop) -> Engine:
        """As JobQueue.engine_on."""
        if loop is not self._loop:
            self._take_bounds(loop.limits)
            self._engine = engine_on(loop)
            self._loop = loop
        return self._engine

    def _take_bounds(self, limits: Mapping[str, float]) -> None:
        size, backlog = self._bounds
        self.size = size or int(limits.get(THREADS.option, THREADS.default))
        self.backlog = backlog or int(limits.get(THREAD_BACKLOG.option, THREAD_BACKLOG.default))

    def submit(self, work: Job) -> tuple[str, bool]:
        """As JobQueue.submit."""
        with self._mutex:
            if self._closed:
                return SHUTTING_DOWN, False
            if self._idle:
                worker = self._idle.pop()
                worker.work = work
                worker.wake.release()
                return "", True
            if len(self._workers) < self.size and self._start_worker(work):
                return "", True
            if not self._workers:
                return "No thread can be started.", False
            if len(self._queue) >= self.backlog:
                return "Too many requests are waiting for a thread.", False
            self._queue.append(work)
            return "", False

    def withdraw(self, work: Job) -> bool:
        """As JobQueue.withdraw."""
        with self._mutex:
            try:
                self._queue.remove(work)
            except ValueError:
                return False
            return True

    def waiting(self) -> int:
        """How many calls wait for a thread."""
        return len(self._queue)

    def describe(self) -> str:
        """As JobQueue.describe."""
        return f"{self.size} {self.label}{'s' if self.size != 1 else ''}, {len(self._queue)} waiting"

    def close(self, timeout: float = 0.0) -> list[str]:
        """End the threads, giving those that run `timeout` seconds in all; what is queued ends with a 503.

        Returns what still runs, for the log. A thread that is stuck is left behind: it ends with the process.
        """
        with self._mutex:
            self._closed = True
            queued = list(self._queue)
            threads = [worker.thread for worker in self._workers]
            for worker in self._idle:
                self._workers.remove(worker)
                worker.wake.release()
            self._idle.clear()
        for work in queued:
            work.shut_out(SHUTTING_DOWN)
        for thread in threads:
            # Without a clock: shared out, so that all the joins together take at most `timeout`.
            thread.join(timeout / len(threads))
        with self._mutex:
            return [worker.work.describe() for worker in self._workers if worker.work is not None]

    def _start_worker(self, work: Job) -> bool:
        """Begin a thread with `work`; False where the system has none left for us: those that run will have to do."""
        worker = _Worker(work)
        name = f"{self.label} {len(self._workers)}"
        worker.thread = threading.Thread(target=self._labour, args=(worker,), name=name, daemon=True)
        self._workers.append(worker)
        try:
            worker.thread.start()
        except RuntimeError:
            self._workers.remove(worker)
            return False
        return True

    def _labour(self, worker: _Worker) -> None:
        """A thread's life: do what it was given, take the next from the queue, sleep when there is none."""
        work = worker.work
        while work is not None:
            work.run()
            with self._mutex:
                following = worker.work = self._queue.popleft() if self._queue and not self._closed else None
                leaving = following is None and self._closed
                if leaving:
                    self._workers.remove(worker)
                elif following is None:
                    self._idle.append(worker)
            work.tell_end(following)
            if following is None and not leaving:
                worker.wake.acquire()
                following = worker.work
            work = following


DEFAULT = ThreadPool()


def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> ThreadCall[R]:
    """An operation that calls `function` in a thread of the default pool. Awaiting it may raise HTTPError 503."""
    return DEFAULT.call(function, *args, **kwargs)
