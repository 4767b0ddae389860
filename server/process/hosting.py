"""Serving inside asyncio: an ASGI application's start, its requests, and its end.

The order is what matters. Start-up comes before the first listener, shutdown after the last request: nothing that
serves a request is taken from under it. In a drain, requests have most of the time; then what still streams is told
http.disconnect, then cancelled and awaited, and only what is left of its connection is cut.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from clerestory.handlers.asgi.application import ASGI
from clerestory.handlers.asgi.hosting import Hosting
from clerestory.handlers.asgi.lifespan import Lifespan, StartupFailed
from clerestory.handlers.asgi.tasks import Starter
from clerestory.server.config import Limits
from clerestory.server.logging.logs import Logs
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.nested import Nested, Signals

FAILED = 3
"""The exit status when an application's start-up fails."""


class Host:
    """What serves `application` on `loop`, inside the asyncio loop that runs.

    `listen` binds and says so; `hosting` is there where the application is an ASGI one.
    """

    def __init__(self, application: Any, loop: Loop, limits: Limits, logs: Logs) -> None:
        self.loop = loop
        self.logs = logs
        self.outer = asyncio.get_running_loop()
        self.outer.set_exception_handler(self._tell_error)
        self.nested = Nested(loop, self.outer)
        self.starter = Starter(self.outer)
        self.asgi = application if isinstance(application, ASGI) else None
        self.hosting: Hosting | None = None
        if self.asgi is not None:
            self.hosting = self.asgi.bind(loop, self.starter, logs.event, limits.max_output)

    def _tell_error(self, _: object, context: dict[str, Any]) -> None:
        """What an application's own tasks leave unsaid: `Task exception was never retrieved`, and the like."""
        self.logs.error("asyncio_error", exc_info=context.get("exception"), message=context.get("message", ""))

    async def run(self, listen: Callable[[], None], numbers: Iterable[int], to: int) -> int:
        """Serve until our loop is stopped; the exit status. The `numbers` of signals are handed on to the descriptor
        `to`. Raises what `listen` raises."""
        signals = Signals(self.outer, numbers, to)
        self.nested.begin()
        try:
            lifespan = self._lifespan()
            status = await self._start(lifespan)
            if status is None:
                try:
                    if self.loop.running:
                        listen()
                        await self.nested.until_stopped()
                finally:
                    status = 0
                    await self._end(lifespan)
            return status
        finally:
            self.nested.end()
            signals.give_back()

    def _lifespan(self) -> Lifespan | None:
        asgi = self.asgi
        if asgi is None or asgi.lifespan == "off":
            return None
        return Lifespan(asgi.called, self.loop, self.starter, self.logs.event, wanted=asgi.lifespan == "on")

    async def _start(self, lifespan: Lifespan | None) -> int | None:
        """Start up; an exit status when that fails, or a signal came meanwhile."""
        if lifespan is None:
            return None
        starting = asyncio.ensure_future(lifespan.start())
        stopped = asyncio.ensure_future(self.nested.until_stopped())
        try:
            await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                self.nested.go_on()
                await lifespan.stop()
                return 0
            starting.result()
        except StartupFailed as failed:
            cause = failed.__cause__
            self.logs.event("critical", "startup_failed", reason=str(failed), **({"exc_info": cause} if cause else {}))
            await lifespan.stop()
            return FAILED
        finally:
            starting.cancel()
            stopped.cancel()
        assert self.asgi is not None
        self.asgi.scopes.shared = lifespan.kept
        return None

    async def _end(self, lifespan: Lifespan | None) -> None:
        """Cancel what is left, await it, and shut down."""
        self.nested.go_on()
        hosting = self.hosting
        if hosting is not None and hosting.runs:
            over: asyncio.Future[None] = self.outer.create_future()

            def look() -> None:
                if not hosting.runs and not over.done():
                    over.set_result(None)

            hosting.on_run_ended = look
            hosting.cancel_all()
            look()
            await over
        if lifespan is not None:
            await lifespan.stop()
