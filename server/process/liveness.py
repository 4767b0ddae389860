"""A worker's watchdog: a thread that asks the loop whether it still turns, and tells the supervisor.

The application cannot block it, short of code that holds the interpreter's lock for good: then the supervisor hears
nothing at all. It counts its own looks instead of reading a clock: a process that was stopped has not looked either,
and is not taken for blocked when it goes on.
"""

import faulthandler
import random
import sys
import threading
from collections.abc import Callable
from typing import Any

from clerestory.server.loop.loop import Loop
from clerestory.server.loop.standing import standing
from clerestory.server.process.channel import Channel
from clerestory.server.process.stack import stack_of

INTERVAL = 1.0
"""Seconds between two looks."""

FRAMES = 24
"""Lines of a blocked loop's stack that are told: the innermost ones."""

JITTER = 0.1
"""Of --max-requests-per-worker, how much more may be served at most, at random: workers that were started together
must not all be replaced together."""

Figures = Callable[[], dict[str, Any]]


class Liveness:
    """The watchdog of `loop`. `figures` is called on the loop's thread: connections, requests, memory."""

    def __init__(
        self, loop: Loop, channel: Channel, figures: Figures, blocked: float = 0.0, requests: int = 0, memory: int = 0
    ) -> None:
        self._loop = loop
        self._channel = channel
        self._figures = figures
        self._blocked = blocked
        self._requests = int(requests * (1 + random.random() * JITTER))  # noqa: S311 - no secret
        self._memory = memory
        self._interval = min(INTERVAL, blocked / 4) if blocked else INTERVAL
        self._over = threading.Event()
        self._answered = False
        self._known: dict[str, Any] = {}
        self._told = False
        """Whether it has been told that the worker is to be replaced."""
        self._thread = threading.Thread(target=self._run, name="liveness", daemon=True)

    def begin(self) -> None:
        """Begin to look. A crash of the interpreter writes its stack into the channel from now on."""
        if not faulthandler.is_enabled():
            faulthandler.enable(self._channel.fileno())
        self._ask()
        self._thread.start()

    def end(self) -> None:
        """Look no more: the channel is about to be closed."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(INTERVAL)
        faulthandler.disable()

    def _ask(self) -> None:
        self._answered = False
        self._loop.call_from_thread(self._answer)

    def _answer(self) -> None:
        """On the loop's thread."""
        self._known = self._figures()
        self._answered = True

    def _run(self) -> None:
        missed = 0
        while not self._over.wait(self._interval):
            if self._answered:
                missed = 0
                self._look_at(self._known)
                self._ask()
            elif not self._loop.waiting:  # one that waits, and does not answer, gets no processor
                missed += 1
                if self._blocked and missed * self._interval >= self._blocked:
                    self._report(missed * self._interval)
                    missed = 0
            self._channel.tell({"say": "beat", **self._known})

    def _look_at(self, known: dict[str, Any]) -> None:
        why = ""
        if self._requests and known["requests"] >= self._requests:
            why = f"it has answered {known['requests']} requests"
        elif self._memory and known["memory"] >= self._memory:
            why = f"it takes {known['memory']} bytes of memory"
        if why and not self._told:
            self._told = self._channel.tell({"say": "recycle", "why": why})

    def _report(self, seconds: float) -> None:
        loop = self._loop
        machine = standing(loop)
        request = machine.facts()[6:7] if machine is not None else ()
        named = request[0] if request else None
        self._channel.tell(
            {
                "say": "blocked",
                "seconds": round(seconds, 3),
                "machine": repr(machine) if machine is not None else None,
                "request": f"{named.method} {named.target}" if named is not None else None,
                "stack": stack_of(sys._current_frames().get(loop.thread), FRAMES),  # noqa: SLF001 - documented
            }
        )
