"""What an application does before the first request and after the last: `@router.on_start`, `@router.on_stop`.

A hook is a function, or a coroutine function that awaits operations: it runs on our loop as a task
(handlers.api.tasks), while nobody listens yet, or any more. Start hooks run in the order in which they were registered,
stop hooks in the opposite one. A start hook that raises, or takes too long, ends the process before it serves; a stop
hook that does is logged, and the others run.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from clerestory.handlers.api.tasks import Task
from clerestory.server.config import Limits
from clerestory.server.connection.traceback_page import own_frames
from clerestory.server.logging.logs import Logs
from clerestory.server.loop.loop import Loop

FAILED = 3
"""The exit status when a start hook fails, as that of an ASGI application's start-up."""

Hook = Callable[[], Any]


def routers_of(application: Any) -> Iterator[Any]:
    """The routers in `application`, behind whatever stands before them."""
    seen: set[int] = set()
    found = [application]
    while found:
        one = found.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if hasattr(one, "start_hooks"):
            yield one
        for name in ("application", "front"):
            found += [inner] if (inner := getattr(one, name, None)) is not None else []
        found += getattr(one, "applications", ())


class Hooks:
    """The hooks of `application`, on `loop`."""

    def __init__(self, application: Any, loop: Loop, limits: Limits, logs: Logs) -> None:
        routers = list(routers_of(application))
        self._start: list[Hook] = [hook for router in routers for hook in router.start_hooks]
        self._stop: list[Hook] = [hook for router in reversed(routers) for hook in reversed(router.stop_hooks)]
        self._loop = loop
        self._limits = limits
        self._logs = logs

    @property
    def has_start(self) -> bool:
        """Whether there is something to be done before anybody listens."""
        return bool(self._start)

    def start(self) -> int | None:
        """Run the start hooks; None, or the exit status where one fails, or a signal ends the process meanwhile."""
        if self._start:
            self._loop.adopt(None)
        for hook in self._start:
            error = self._run(hook, self._limits.lifespan_startup_timeout)
            if not self._loop.running:
                return 0
            if error is not None:
                self._logs.event("critical", "startup_failed", reason=_told(hook, error))
                return FAILED
        return None

    def stop(self) -> None:
        """Run the stop hooks."""
        if self._stop:
            self._loop.adopt(None)
        for hook in self._stop:
            error = self._run(hook, self._limits.lifespan_shutdown_timeout)
            if error is not None:
                self._logs.error("stop_hook_failed", reason=_told(hook, error))

    def _run(self, hook: Hook, seconds: float) -> BaseException | None:
        """Call it, and turn the loop until its coroutine has ended; what it has raised."""
        try:
            coroutine = hook()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told in one line
            return error
        if not inspect.iscoroutine(coroutine):
            return None
        loop, late = self._loop, list[bool]()
        made = Task(loop, coroutine)

        def give_up() -> None:
            if not made.node.final:
                late.append(True)
                made.end()

        loop.call_at(loop.clock() + seconds, give_up)
        made.begin()
        while not made.node.final and loop.running:
            loop.turn(loop.poll_timeout())
        if not made.node.final:
            made.end()
        return TimeoutError(f"it has not ended within {seconds:g} s") if late else made.error


def _told(hook: Hook, error: BaseException) -> str:
    """`connect: OSError: no such host (shop.py:12)`: the hook, what it raised, and the line of the application."""
    frames = own_frames(error)
    code = getattr(hook, "__code__", None)
    place = f"{frames[0][0]}:{frames[0][1]}" if frames else f"{code.co_filename}:{code.co_firstlineno}" if code else ""
    name = getattr(hook, "__qualname__", repr(hook))
    return f"{name}: {type(error).__name__}: {error} ({place})"
