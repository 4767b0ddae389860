"""Our loop inside asyncio's (or uvloop's): one reader of it, and one timer.

An epoll descriptor can itself be polled, so the outer loop has ours as one descriptor among its own: when it is
readable, ours takes a turn without waiting. The sweep is a timer of the outer loop. What is fired between two turns, by
an application's task, asks for a turn soon (`Loop.outside`). Laws:

- A turn never runs inside another one, nor inside a task's step: it is a callback of the outer loop.
- The timer is set when a turn leaves something to wait for; it is not moved back, only forward.
- An error that our loop cannot contain ends the outer loop with it.
- Signals come by our own socket: the outer loop hands them on, since it claims Python's wake-up descriptor for itself.
"""

import asyncio
import importlib
import os
import signal
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import PollerError

NAMES = ("auto", "asyncio", "uvloop")


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the outer loop: uvloop's where it is installed, or as `name` says. Raises PollerError.

    A class of our own, for an attribute `call_soon` of its instances (handlers.asgi.tasks).
    """
    if name in ("auto", "uvloop"):
        try:
            uvloop = importlib.import_module("uvloop")
        except ImportError as error:
            if name == "uvloop":
                raise PollerError("--loop uvloop: it is not installed: pip install uvloop, or take asyncio") from error
        else:
            return type("UvloopLoop", (uvloop.Loop,), {})
    return type("AsyncioLoop", (asyncio.SelectorEventLoop,), {})


class Nested:
    """`loop`, run by the asyncio loop `host` until it is stopped."""

    def __init__(self, loop: Loop, host: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._host = host
        self._stopped: asyncio.Future[None] = host.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._hurried = False

    def begin(self) -> None:
        """Let the outer loop turn ours. Raises PollerError where the poller cannot be polled."""
        poller: Any = self._loop.poller
        if not hasattr(poller, "fileno"):
            raise PollerError(
                f"--poller {poller.name} cannot run inside asyncio, as an ASGI application needs: take epoll"
            )
        self._loop.adopt(self._hurry)
        self._host.add_reader(poller.fileno(), self._turn)
        self._hurry()

    async def until_stopped(self) -> None:
        """Return when our loop has been stopped. Raises what it could not contain."""
        await asyncio.shield(self._stopped)

    def go_on(self) -> None:
        """Turn on behind a stop: for what is still to be ended."""
        self._stopped = self._host.create_future()
        self._loop.adopt(self._hurry)
        self._hurry()

    def end(self) -> None:
        """Turn ours no more."""
        self._loop.outside = None
        poller: Any = self._loop.poller
        self._host.remove_reader(poller.fileno())
        if self._timer is not None:
            self._timer.cancel()

    def _hurry(self) -> None:
        """Take a turn soon."""
        if not self._hurried:
            self._hurried = True
            self._host.call_soon(self._hurried_turn)

    def _hurried_turn(self) -> None:
        self._hurried = False
        self._turn()

    def _turn(self) -> None:
        loop = self._loop
        try:
            loop.turn(0)
        except BaseException as error:  # noqa: BLE001 - it is raised again by `until_stopped`
            if not self._stopped.done():
                self._stopped.set_exception(error)
            return
        if not loop.running:
            if not self._stopped.done():
                self._stopped.set_result(None)
            return
        timeout = loop.poll_timeout()
        if timeout is None:
            return
        if timeout <= 0:
            self._hurry()
        elif self._timer is None or loop.sweeper.due < self._timer_at:
            self._set_timer(timeout)

    def _set_timer(self, timeout: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._loop.sweeper.due
        self._timer = self._host.call_later(timeout, self._time_has_come)

    def _time_has_come(self) -> None:
        self._timer = None
        self._turn()


class Signals:
    """Signals of the outer loop, handed on to the descriptor that they were written to before."""

    def __init__(self, host: asyncio.AbstractEventLoop, numbers: Iterable[int], to: int) -> None:
        self._host = host
        self._to = to
        self._before = {number: signal.getsignal(number) for number in numbers}
        for number, handler in self._before.items():
            host.add_signal_handler(number, self._hand_on, number)
            signal.signal(number, _both(signal.getsignal(number), handler))

    def _hand_on(self, number: int) -> None:
        with suppress(OSError):  # it is full of signals: they will be read
            os.write(self._to, bytes((number,)))

    def give_back(self) -> None:
        """Let Python's handlers be as they were. None of these signals is seen in between."""
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, self._before)
        try:
            for number, handler in self._before.items():
                self._host.remove_signal_handler(number)
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._to, warn_on_full_buffer=False)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _both(theirs: Any, ours: Any) -> Callable[[int, Any], None]:
    """What Python calls on a signal: uvloop's own note of it, and what was called before."""

    def handler(number: int, frame: Any) -> None:
        for one in (theirs, ours):
            if callable(one):
                one(number, frame)

    return handler


def wakeup_descriptor() -> int:
    """The descriptor that Python writes the numbers of signals to."""
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    return descriptor


def run(main: Coroutine[Any, Any, int], name: str) -> int:
    """Run `main` on a loop of that name. Python's wake-up descriptor is as before when it returns."""
    descriptor = wakeup_descriptor()
    try:
        with asyncio.Runner(loop_factory=loop_factory(name)) as runner:
            # As asyncio's own, whose threads have this name; uvloop gives them none that says whose they are.
            runner.get_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))
            return runner.run(main)
    finally:
        main.close()
        signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
