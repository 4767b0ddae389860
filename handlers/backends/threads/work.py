"""A call of a function in a thread: what is awaited, and the shell of its work: what a worker notes of it, and what the
loop then does.

The table (statemachines.work) says what happens when; here is how. Two threads meet in this object, and never at once:

- the loop's thread makes it, moves it, and reads what became of it;
- the worker that has it calls `run` and notes the result, then leaves `settle` with the loop, and forgets it.

It has no descriptor: it is in the loop's map under a negative number, to be seen, to be overdue, and to be ended.
"""

from collections.abc import Callable
from contextlib import suppress
from threading import get_ident
from typing import Any, Generic, TypeVar

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.operations import Executor, Operation, span
from clerestory.handlers.backends.threads.job import Job, JobQueue
from clerestory.statemachines import work
from clerestory.statemachines.engine import Engine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.work import State as S
from clerestory.statemachines.work import Trigger as T

R = TypeVar("R")

RETRY_AFTER = (b"retry-after", b"1")


def engine_on(loop: Loop) -> Engine:
    """The engine of all work that is done for `loop`, whatever pool does it."""
    engine: Engine | None = loop.registry.get(Work)
    if engine is None:
        engine = loop.registry[Work] = Engine(work.TABLE, Work, loop.clock, loop.limits, loop.dispatch)
    return engine


def unavailable(detail: str) -> HTTPError:
    """503, to be tried again soon."""
    return HTTPError(503, detail, (RETRY_AFTER,))


def function_name(function: Callable[..., object]) -> str:
    """What to call `function` before an operator."""
    return getattr(function, "__qualname__", None) or type(function).__name__


class ThreadCall(Operation, Generic[R]):
    """One call of a function in a thread of `pool`. Awaiting it may raise HTTPError 503."""

    __slots__ = ("_arguments", "_executor", "_function", "_pool", "_work", "name")

    def __init__(
        self,
        pool: JobQueue,
        function: Callable[..., R],
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
        name: str = "",
    ) -> None:
        self._pool = pool
        self._function = function
        self._arguments = arguments
        self._executor: Executor | None = None
        self._work: Work | None = None
        self.name = f"{pool.prefix}{name or function_name(function)}"
        """What an operator reads."""

    def start(self, executor: Executor) -> None:
        self._executor = executor
        pool, loop = self._pool, executor.loop
        work = Work(pool.engine_on(loop), pool, loop, self, self._function, self._arguments)
        refusal, given = pool.submit(work)
        if refusal:
            self.refuse(refusal)
            return
        self._work = work
        loop.add(work)
        if given:
            loop.tell(work, T.THREAD_GIVEN)

    def cancel(self) -> None:
        self._executor = None
        if self._work is not None:
            self._work.leave()

    def describe(self) -> str:
        return self._work.describe() if self._work is not None else self.name

    def subject(self) -> str:
        return f"thread {self.name}"

    def queued(self) -> tuple[str, float]:
        return f"{self._pool.prefix}a free thread", self._work.queued() if self._work is not None else 0.0

    @property
    def thread(self) -> int:
        """The identity of the thread that runs it; 0 where none does. May be called from another thread."""
        return self._work.thread if self._work is not None else 0

    def deliver(self, result: R | None, error: BaseException | None) -> None:
        """Tell the caller, if it still waits."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self, result, error)

    def refuse(self, detail: str) -> None:
        """Have it end by 503, soon: the caller may not wait for it yet."""
        if self._executor is not None:
            self._executor.loop.call_from_thread(lambda: self.deliver(None, unavailable(detail)))


class Work(Job):
    """One call of a function, for `call`, which is None when nobody waits any more."""

    __slots__ = ("_arguments", "_error", "_following", "_function", "_result", "call", "name", "thread")

    def __init__(
        self,
        engine: Engine,
        pool: JobQueue,
        loop: Loop,
        call: ThreadCall[Any],
        function: Callable[..., Any],
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
    ) -> None:
        super().__init__(engine, pool, loop)
        self.call: ThreadCall[Any] | None = call
        self.name = call.name
        self._function: Callable[..., Any] | None = function
        self._arguments = arguments
        self._result: Any = None
        self._error: BaseException | None = None
        self._following: Job | None = None
        self.thread = 0
        """The identity of the thread that runs it."""

    @property
    def number(self) -> int:
        """Its number, which no other work of the process has."""
        return -self.descriptor

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts. Its peer is what it does."""
        return (-self.descriptor, self.name, self.born)

    def describe(self) -> str:
        """For an operator: `work#7 RUNNING find_order 0.6 s`; `work#9 QUEUED find_order 0.2 s <- 8 threads`."""
        state, stay = self.node.state, span(self.loop.clock() - self.since)
        text = f"work#{self.number} {state} {self.name} {stay}"
        return f"{text} <- {self.pool.describe()}" if state is S.QUEUED else text

    # --- on a worker's thread

    def run(self) -> None:
        """Call the function, and note how it ended."""
        function, (args, kwargs) = self._function, self._arguments
        self._function, self._arguments = None, ((), {})
        assert function is not None
        self.thread = get_ident()
        try:
            self._result = function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - it is raised again, at the await
            self._error = error
        except BaseException as error:  # noqa: BLE001 - sys.exit() in a thread ends neither the thread nor the process
            self._error = RuntimeError(f"{self.name} raised {type(error).__name__} in its thread")
            self._error.__cause__ = error
        self.thread = 0

    def tell_end(self, following: Any) -> None:
        """Wake the loop: this has ended, and the thread has taken `following` from the queue. A loop that has ended
        meanwhile has nobody left who waits: whatever it says, the worker lives on."""
        with suppress(Exception):
            if following is None or following.loop is self.loop:
                self._following = following
            else:
                following.loop.call_from_thread(following.taken)
            self.loop.call_from_thread(self.settle)

    # --- on the loop's thread

    def taken(self) -> None:
        """A thread has it. The caller may just have left."""
        self.loop.tell(self, T.THREAD_GIVEN)

    def settle(self) -> None:
        """It has ended: rest, and then tell the caller, which may ask again at once."""
        call, result, error, following = self.call, self._result, self._error, self._following
        self.call = self._result = self._error = self._following = None
        if following is not None:
            following.taken()
        self.loop.tell(self, T.WORK_ENDED)
        if call is not None:
            call.deliver(result, error)

    def shut_out(self, detail: str) -> None:
        """As Job.shut_out."""
        if self.call is not None:
            self.call.refuse(detail)
        self.leave()

    def leave(self) -> None:
        """The caller has gone."""
        self.call = None
        self.loop.tell(self, T.CALLER_LEFT)

    def withdraw(self) -> T | None:
        """Take it out of the queue, if it is there."""
        return T.WITHDRAWN if self.pool.withdraw(self) else None

    def refuse(self) -> T | None:
        """The caller has waited without success."""
        call, self.call = self.call, None
        if call is not None:
            late = self.history[-1][1].trigger is T.DEADLINE_PASSED
            call.refuse("No thread became free in time." if late else "The operation was cancelled by an operator.")
        return self.withdraw()

    def ended(self) -> None:
        """The loop has let it go: what is still in the queue then, because the loop itself ends, never runs."""
        if not self.node.final:
            self.pool.withdraw(self)
