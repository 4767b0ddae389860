"""A task for each call of an application, started eagerly: its first step runs at once, as a task of its own.

Python 3.12 has `eager_start`. Before it, a task asks its loop to call its first step soon; a loop whose `call_soon`
keeps that step while a task is being made lets us run it at once, in the task's own context. Both are public means:
what an application sees of it is a task that is already running.

A loop takes that `call_soon` only as an attribute of the instance, so it must be of a class written in Python: those
of `loop_factory`.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any

EAGER = sys.version_info >= (3, 12)


class Starter:
    """Starts tasks on `loop`, each in a fresh copy of the context in which this was made."""

    __slots__ = ("_context", "_step", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._context = copy_context()
        self._step: Callable[[], object] | None = None

    def start(self, call: Awaitable[Any], name: str) -> "asyncio.Task[Any]":
        """Start `call`; it may have ended when this returns. Within a task's own step it is started a little later."""
        coroutine: Coroutine[Any, Any, Any] = call if asyncio.iscoroutine(call) else _awaited(call)
        context = self._context.copy()
        if EAGER:
            return _eager_task(coroutine, self.loop, name, context)
        return self._start_at_once(coroutine, name, context)

    def _start_at_once(self, coroutine: Coroutine[Any, Any, Any], name: str, context: Context) -> "asyncio.Task[Any]":
        loop: Any = self.loop
        if asyncio.current_task(loop) is not None:
            return asyncio.Task(coroutine, loop=loop, name=name, context=context)
        loop.call_soon = self._keep
        try:
            task = asyncio.Task(coroutine, loop=loop, name=name, context=context)
        finally:
            del loop.call_soon
        step, self._step = self._step, None
        if step is not None:
            context.run(step)
        return task

    def _keep(self, step: Callable[[], object], *_: Any, context: Context | None = None) -> None:  # noqa: ARG002
        """In place of the loop's `call_soon`, while a task is being made."""
        self._step = step


def _eager_task(
    coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop, name: str, context: Context
) -> "asyncio.Task[Any]":
    make: Callable[..., asyncio.Task[Any]] = asyncio.Task
    return make(coroutine, loop=loop, name=name, context=context, eager_start=True)


async def _awaited(call: Awaitable[Any]) -> Any:
    """As a coroutine, which a task needs: an application may return any awaitable."""
    return await call
