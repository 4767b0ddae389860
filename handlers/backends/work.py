"""The shell of a piece of work in a thread: what a worker notes of it, and what the loop then does.

The table (statemachines.work) says what happens when; here is how. Two threads meet in this object, and never at once:

- the loop's thread makes it, moves it, and reads what became of it;
- the worker that has it calls `run` and notes the result, then leaves `settle` with the loop, and forgets it.

It has no descriptor: it is in the loop's map under a negative number, to be seen, to be overdue, and to be ended.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from handlers.errors import HTTPError
from handlers.operations import placeless, span
from statemachines import work
from statemachines.contract import Loop
from statemachines.engine import Engine, Machine
from statemachines.work import State as S
from statemachines.work import Trigger as T

if TYPE_CHECKING:
    from handlers.backends.threads import ThreadCall, ThreadPool

RETRY_AFTER = (b"retry-after", b"1")


def engine_on(loop: Loop) -> Engine:
    """The engine of all work that is done for `loop`, whatever pool does it."""
    engine: Engine | None = loop.kept.get(Work)
    if engine is None:
        engine = loop.kept[Work] = Engine(work.TABLE, Work, loop.clock, loop.limits, loop.dispatch)
    return engine


def unavailable(detail: str) -> HTTPError:
    """503, to be tried again soon."""
    return HTTPError(503, detail, (RETRY_AFTER,))


class Work(Machine):
    """One call of a function, for `call`, which is None when nobody waits any more."""

    __slots__ = ("_arguments", "_error", "_following", "_function", "_result", "born", "call", "loop", "name", "pool")

    def __init__(
        self,
        engine: Engine,
        pool: "ThreadPool",
        loop: Loop,
        call: "ThreadCall[Any]",
        function: Callable[..., Any],
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
    ) -> None:
        super().__init__(engine, placeless())
        self.born = self.since
        self.pool = pool
        self.loop = loop
        self.call: ThreadCall[Any] | None = call
        self.name = call.name
        self._function: Callable[..., Any] | None = function
        self._arguments = arguments
        self._result: Any = None
        self._error: BaseException | None = None
        self._following: Work | None = None

    @property
    def number(self) -> int:
        """Its number, which no other work of the process has."""
        return -self.descriptor

    def glance(self) -> tuple[Any, ...]:
        """As Machine.glance: contract.Facts. Its peer is what it does."""
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
        try:
            self._result = function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - it is raised again, at the await
            self._error = error
        except BaseException as error:  # noqa: BLE001 - sys.exit() in a thread ends neither the thread nor the process
            self._error = RuntimeError(f"{self.name} raised {type(error).__name__} in its thread")
            self._error.__cause__ = error

    def tell_end(self, following: "Work | None") -> None:
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
        """A thread has it. Whoever asked may just have left."""
        if self.node.state is S.QUEUED:
            self.loop.fire(self, T.THREAD_GIVEN)

    def settle(self) -> None:
        """It has ended: rest, and then tell whoever waits; what he does next may be to ask again."""
        call, result, error, following = self.call, self._result, self._error, self._following
        self.call = self._result = self._error = self._following = None
        if following is not None:
            following.taken()
        self.loop.fire(self, T.WORK_ENDED)
        if call is not None:
            call.deliver(result, error)

    def leave(self) -> None:
        """Whoever asked has gone."""
        self.call = None
        if self.accepts(T.ASKER_LEFT):
            self.loop.fire(self, T.ASKER_LEFT)

    def withdraw(self) -> T | None:
        """Take it out of the queue, if it is there."""
        return T.NEVER_BEGUN if self.pool.withdraw(self) else None

    def refuse(self) -> T | None:
        """Whoever asked has waited in vain."""
        call, self.call = self.call, None
        if call is not None:
            late = self.history[-1][1].trigger is T.DEADLINE_PASSED
            call.refuse("No thread became free in time." if late else "What was asked to answer this was ended.")
        return self.withdraw()

    def ended(self) -> None:
        """The loop has let it go: what is still in the queue then, because the loop itself ends, never runs."""
        if not self.node.final:
            self.pool.withdraw(self)
