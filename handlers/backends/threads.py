"""Threads for what blocks: `await in_thread(function, *arguments)`.

The laws:

- the loop's thread never waits here: it holds the pool's mutex for a few list operations at most;
- at most `size` functions run at a time and at most `backlog` wait; one more is refused at the `await`, with 503;
- threads are started when they are first needed, and are daemons: none of them keeps the process from ending;
- a result goes back to the loop's thread by `call_from_thread`, the only thing a worker touches of the loop;
- cancelled while queued, a call never runs; cancelled while it runs, its result is dropped, for nothing can stop a
  thread.

Handing a call over and back costs some 50 us of CPU and 80 us of time (two cores of an AMD EPYC, CPython 3.11), and
more time than that when the loop is busy: a worker that wants the interpreter lock from a running thread asks for it
after 5 ms (`sys.setswitchinterval`). What takes less than that, such as opening a file whose directory is surely in
the kernel's cache, is better done in place.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Generic, ParamSpec, TypeVar

from handlers.errors import HTTPError
from handlers.operations import Executor, Operation

P = ParamSpec("P")
T = TypeVar("T")

SIZE = 8
"""Threads: blocking calls mostly wait for a disk or a peer, so there may be more than processors; each has a stack."""

BACKLOG = 64
"""Calls waiting for a thread: eight for each; beyond that they would only wait longer for the same refusal."""

RETRY_AFTER = (b"retry-after", b"1")


class ThreadCall(Operation, Generic[T]):
    """One call of a function in a thread of `pool`."""

    __slots__ = ("_arguments", "_error", "_executor", "_function", "_loop", "_name", "_pool", "_progress", "_result")

    def __init__(
        self,
        pool: "ThreadPool",
        function: Callable[..., T],
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
        name: str = "",
    ) -> None:
        self._pool = pool
        self._function: Callable[..., T] | None = function
        self._arguments = arguments
        self._name = name or function_name(function)
        self._progress = "queued"
        self._executor: Executor | None = None
        self._result: T | None = None
        self._error: BaseException | None = None

    def __await__(self) -> Generator[Operation, Any, T]:
        self._pool.admit()
        result: T = yield self
        return result

    def start(self, executor: Executor) -> None:
        self._executor = executor
        self._loop = executor.loop
        self._pool.submit(self)

    def cancel(self) -> None:
        self._executor = None
        self._pool.withdraw(self)

    def describe(self) -> str:
        return f"{self._pool.label}: {self._progress}"

    def run(self) -> None:
        """On a worker's thread: call the function and send its end to the loop."""
        function, (args, kwargs) = self._function, self._arguments
        assert function is not None
        self._progress = f"running {self._name}"
        try:
            self._result = function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - it is raised again, at the await
            self._error = error
        except BaseException as error:  # noqa: BLE001 - sys.exit() in a thread ends neither the thread nor the process
            self._error = RuntimeError(f"{self._name} raised {type(error).__name__} in its thread")
            self._error.__cause__ = error
        self._send()

    def abandon(self, error: BaseException) -> None:
        """End without having run."""
        self._error = error
        self._send()

    def _send(self) -> None:
        # A loop that has ended meanwhile has nobody left who waits: whatever it says, the worker lives on.
        with suppress(Exception):
            self._loop.call_from_thread(self._deliver)

    def _deliver(self) -> None:
        """On the loop's thread, where `cancel` runs too: so either this comes first, or it finds no executor."""
        executor, result, error = self._executor, self._result, self._error
        self._executor = self._function = self._result = self._error = None
        self._arguments = ((), {})
        if executor is not None:
            executor.finished(self, result, error)


class ThreadPool:
    """At most `size` daemon threads and a queue of at most `backlog` calls before them.

    `label` is what an operator reads before `queued` and `running`.
    """

    def __init__(self, size: int = SIZE, backlog: int = BACKLOG, label: str = "thread") -> None:
        self.size = size
        self.backlog = backlog
        self.label = label
        self._mutex = threading.Lock()
        self._queue: deque[ThreadCall[Any]] = deque()
        self._idle: list[threading.Lock] = []  # one lock for each thread that sleeps; releasing it wakes that thread
        self._threads: dict[threading.Thread, ThreadCall[Any] | None] = {}
        self._closed = False

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> ThreadCall[T]:
        """An operation that calls `function` in one of the threads. Awaiting it may raise HTTPError 503."""
        return ThreadCall(self, function, (args, kwargs))

    def admit(self) -> None:
        """Raises HTTPError 503 when there is no thread and no place in the queue for one more call."""
        with self._mutex:
            if self._closed:
                raise HTTPError(503, "The server is shutting down.", (RETRY_AFTER,))
            running = sum(call is not None for call in self._threads.values())
            if running + len(self._queue) >= self.size + self.backlog:
                raise HTTPError(503, "Too many requests are waiting for a thread.", (RETRY_AFTER,))

    def submit(self, call: ThreadCall[Any]) -> None:
        """Queue `call` and see that a thread takes it."""
        with self._mutex:
            if not self._closed:
                if self._idle:
                    self._idle.pop().release()
                elif len(self._threads) < self.size:
                    self._start_thread()
                if self._threads:
                    self._queue.append(call)
                    return
        reason = "The server is shutting down." if self._closed else "No thread can be started."
        call.abandon(HTTPError(503, reason, (RETRY_AFTER,)))

    def withdraw(self, call: ThreadCall[Any]) -> None:
        """Take `call` out of the queue if it is still there."""
        with self._mutex, suppress(ValueError):
            self._queue.remove(call)

    def waiting(self) -> int:
        """How many calls wait for a thread."""
        with self._mutex:
            return len(self._queue)

    def close(self, patience: float = 0.0) -> list[str]:
        """End the threads, giving those that run `patience` seconds in all; what is queued ends with a 503.

        Hands back what still runs, for the log. A thread that is stuck is left behind: it ends with the process.
        """
        with self._mutex:
            self._closed = True
            queued = list(self._queue)
            self._queue.clear()
            while self._idle:
                self._idle.pop().release()
            threads = list(self._threads)
        for call in queued:
            call.abandon(HTTPError(503, "The server is shutting down.", (RETRY_AFTER,)))
        for thread in threads:
            # Without a clock: shared out, so that all the joins together take at most `patience`.
            thread.join(patience / len(threads))
        with self._mutex:
            return [call.describe() for call in self._threads.values() if call is not None]

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self.label} {len(self._threads)}", daemon=True)
        self._threads[thread] = None
        try:
            thread.start()
        except RuntimeError:
            # The system has no thread left for us; those that run already will have to do.
            del self._threads[thread]

    def _work(self) -> None:
        """A thread's life: take a call, run it, sleep when there is none."""
        thread = threading.current_thread()
        wake = threading.Lock()
        wake.acquire()
        while True:
            call: ThreadCall[Any] | None = None
            with self._mutex:
                if self._queue:
                    call = self._queue.popleft()
                elif self._closed:
                    del self._threads[thread]
                    return
                else:
                    self._idle.append(wake)
                self._threads[thread] = call
            if call is None:
                wake.acquire()
            else:
                call.run()


def function_name(function: Callable[..., object]) -> str:
    """What to call `function` before an operator."""
    return getattr(function, "__qualname__", None) or type(function).__name__


DEFAULT = ThreadPool()


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> ThreadCall[T]:
    """An operation that calls `function` in a thread of the default pool. Awaiting it may raise HTTPError 503."""
    return DEFAULT.call(function, *args, **kwargs)
