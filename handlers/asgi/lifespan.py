"""An application's lifespan: one call that starts it up before the first connection, and shuts it down after the last.

The table (statemachines.lifespan) says what happens when. An application that does not know lifespans raises or
returns at once: then there is none, unless it was asked for (`on`). What an application says is wrong ends the process
before it listens: status 3.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from clerestory.handlers.api.operations import pseudo_descriptor
from clerestory.handlers.asgi.errors import EventError
from clerestory.handlers.asgi.tasks import Starter
from clerestory.statemachines import lifespan
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.lifespan import State as S
from clerestory.statemachines.lifespan import Trigger as T
from clerestory.statemachines.loop import Loop


class StartupFailed(Exception):
    """The application cannot start; the message says why, in its own words where it has any."""


class Lifespan(Machine):
    """The lifespan of `called`. `wanted`: an application without one does not start. `kept` is the `state` that it
    leaves for requests; None when it has no lifespan."""

    __slots__ = (
        "_asked",
        "_called",
        "_error",
        "_loop",
        "_over",
        "_shutdown",
        "_started",
        "_starter",
        "_task",
        "_tell",
        "_wanted",
        "born",
        "kept",
        "message",
    )

    def __init__(
        self, called: Callable[..., Any], loop: Loop, starter: Starter, tell: Callable[..., None], *, wanted: bool
    ) -> None:
        super().__init__(Engine(lifespan.TABLE, Lifespan, loop.clock, loop.limits, loop.dispatch), pseudo_descriptor())
        self._called = called
        self._loop = loop
        self._starter = starter
        self._tell = tell
        self._wanted = wanted
        self._asked = False
        """Whether the application has begun to receive: it knows lifespans."""
        self._task: asyncio.Task[Any] | None = None
        self._error: BaseException | None = None
        self._started: asyncio.Future[None] = starter.loop.create_future()
        self._shutdown: asyncio.Future[None] = starter.loop.create_future()
        self._over: asyncio.Future[None] = starter.loop.create_future()
        self.born = self.since
        self.message = ""
        self.kept: dict[str, Any] | None = {}

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts."""
        return (-self.descriptor, self.state_in_words(), self.born)

    def state_in_words(self) -> str:
        """`lifespan.startup`, while that is what is waited for."""
        return {S.STARTING: "lifespan.startup", S.STOPPING: "lifespan.shutdown"}.get(S(self.node.state), "lifespan")

    # --- what starts and ends the process

    async def start(self) -> None:
        """Start the application up. Raises StartupFailed."""
        self._loop.add(self)
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.kept,
        }
        self._task = self._starter.start(_call(self._called, scope, self.receive, self.send), "lifespan")
        self._task.add_done_callback(self._task_ended)
        await self._started

    async def stop(self) -> None:
        """Shut it down, if it is up; return when its call has ended, or is given up."""
        if self.accepts(T.SHUTDOWN_ORDERED):
            self._loop.tell(self, T.SHUTDOWN_ORDERED)
        if not self.node.final:
            await self._over

    # --- the application

    async def receive(self) -> dict[str, Any]:
        """lifespan.startup, and when the last request has ended, lifespan.shutdown."""
        if not self._asked:
            self._asked = True
            return {"type": "lifespan.startup"}
        await asyncio.shield(self._shutdown)
        return {"type": "lifespan.shutdown"}

    async def send(self, event: Any) -> None:
        """What the application says of its start, or its end."""
        kind = event["type"]
        trigger = {
            "lifespan.startup.complete": T.STARTUP_COMPLETE,
            "lifespan.startup.failed": T.STARTUP_FAILED,
            "lifespan.shutdown.complete": T.SHUTDOWN_COMPLETE,
            "lifespan.shutdown.failed": T.SHUTDOWN_FAILED,
        }.get(kind)
        if trigger is None or not self.accepts(trigger):
            raise EventError(f"{kind!r} is not to be sent here")
        self.message = str(event.get("message", ""))
        if trigger is T.SHUTDOWN_FAILED:
            self._tell("error", "lifespan_shutdown_failed", message=self.message)
        self._loop.tell(self, trigger)

    def _task_ended(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled():
            self._error = task.exception()
        if self.accepts(T.TASK_ENDED):
            self._loop.tell(self, T.TASK_ENDED)

    # --- the machine's

    def tell_started(self) -> None:
        """It is up; or there is no lifespan, which is a failure only where one is wanted."""
        if self.node.state is S.UP:
            _finish(self._started)
            return
        self.kept = None
        _finish(self._over)
        if self._wanted:
            self._fail("the application has no lifespan: it " + _how(self._error))
            return
        if self._asked and self._error is not None:
            self._tell("warning", "lifespan_unsupported", exc_info=self._error)
        _finish(self._started)

    def tell_failed(self) -> None:
        """It cannot start: in its words, or because it takes too long."""
        late = self.history[-1][1].trigger is T.DEADLINE_PASSED
        self._fail("the application did not start in time" if late else self.message)
        if late:
            self.cancel()

    def _fail(self, message: str) -> None:
        failed = StartupFailed(message or "the application failed to start")
        failed.__cause__ = self._error
        if not self._started.done():
            self._started.set_exception(failed)

    def tell_ended(self) -> None:
        """The call has ended; or is given up, when it does not."""
        task = self._task
        if task is not None and not task.done():
            self._tell("error", "lifespan_stuck")
        elif self._error is not None and self._started.done() and self._started.exception() is None:
            self._tell("error", "lifespan_failed", exc_info=self._error)
        _finish(self._started)
        _finish(self._over)

    def order_shutdown(self) -> None:
        """Let receive() say so."""
        _finish(self._shutdown)

    def cancel(self) -> None:
        """Cancel the call."""
        if self._task is not None:
            self._task.cancel()


async def _call(called: Callable[..., Any], *arguments: Any) -> None:
    """Call the application within the task: what it raises at once is how the task ends."""
    await called(*arguments)


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _how(error: BaseException | None) -> str:
    return f"raised {type(error).__name__}: {error}" if error is not None else "returned"
