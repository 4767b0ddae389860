"""Whether an upstream is worth asking: what its connections have met lately, and what a probe finds.

The table (statemachines.breaker) says what follows from what; here is how much is forgiven, and how long pauses are.
Passive: `FAILURES` in a row (not reached, broken off, silent) take an upstream out for a second, then two, then four...
with jitter, so that many servers do not come back to it in one breath. Active: a probe asks by itself, so that no
client has to be the one that finds out; an upstream that fails `PROBES` in a row is out until a probe succeeds.

An upstream is never the last one to be given up: where all are down, one of them is asked all the same.
"""

import random
from collections.abc import Callable
from typing import Any

from clerestory.handlers.api.operations import pseudo_descriptor
from clerestory.handlers.backends.journal import journal_of
from clerestory.statemachines import breaker
from clerestory.statemachines.breaker import State as S
from clerestory.statemachines.breaker import Trigger as T
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.loop import Loop

FAILURES = 3
"""In a row: one or two happen when an upstream restarts."""

PROBES = 2
"""Failed probes in a row: one may meet a restart."""

LONGEST = 30.0
"""Seconds out of use at most."""


class Health(Machine):
    """One upstream's health; `where` it is. `dice` gives numbers from 0 to 1."""

    __slots__ = (
        "_dice",
        "_loop",
        "_times",
        "answered",
        "born",
        "failed_at",
        "failed_ever",
        "failures",
        "missed",
        "pause",
        "reason",
        "where",
    )

    def __init__(self, where: str, loop: Loop, dice: Callable[[], float] = random.random) -> None:
        super().__init__(_engine_on(loop), pseudo_descriptor())
        self.where = where
        self.born = self.since
        self.answered = self.failed_ever = 0
        """Requests that it has answered, and those that it has not."""
        self.failed_at = 0.0
        """When it failed last; 0 where it never did."""
        self.failures = 0
        """Failures in a row."""
        self.missed = 0
        """Probes failed in a row."""
        self.reason = ""
        """Why it failed last."""
        self.pause = 0.0
        """Seconds that it is left alone, while it is."""
        self._times = 0
        """How many times in a row it was taken out."""
        self._loop = loop
        self._dice = dice
        loop.add(self)

    @property
    def is_up(self) -> bool:
        """Whether it may be asked now."""
        return self.node.state is S.UP or self.node.state is S.TRYING

    @property
    def is_tried(self) -> bool:
        """Whether one request, and no more, is to find out."""
        return self.node.state is S.TRYING

    @property
    def until(self) -> float:
        """When its pause is over."""
        return self.since + self.pause if self.node.state is S.DOWN else float("inf")

    def probed(self, *, well: bool, reason: str = "") -> None:
        """A probe has ended."""
        if well:
            self.missed = self.failures = 0
            self._fire(T.CHECK_PASSED)
            return
        self.missed += 1
        self.reason = reason
        if self.missed >= PROBES:
            self._fire(T.CHECK_FAILED)

    def succeeded(self) -> None:
        """It has answered."""
        self.answered += 1
        if self.failures:
            self.failures = 0
            self._fire(T.RECOVERED)

    def failed(self, reason: str) -> None:
        """It could not be reached, or gave no answer."""
        self.failures += 1
        self.failed_ever += 1
        self.failed_at = self._loop.clock()
        self.reason = reason
        if self.failures >= FAILURES:
            self._fire(T.TRIPPED)

    def retire(self) -> None:
        """Nobody asks it any more."""
        self._fire(T.RETIRED)

    def _fire(self, trigger: T) -> None:
        self._loop.tell(self, trigger)

    # --- the machine's

    def is_overdue(self, now: float) -> bool:
        """Whether the pause is over."""
        return self.node.state is S.DOWN and now - self.since >= self.pause

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts. Its peer is the upstream."""
        facts = (-self.descriptor, self.where, self.born)
        if self.node.state is not S.DOWN:
            return facts
        return *facts, 0, 0, 0, None, None, None, (self.pause, 0, 0.0), self.since

    def open(self) -> None:
        """Begin the first pause."""
        self._times = 0
        self.lengthen()
        self.shun()

    def lengthen(self) -> None:
        """Begin a pause twice as long as the last one."""
        self.pause = min(LONGEST, self.node.limit * 2.0**self._times) * (1 + self._dice() / 2)
        self._times = min(self._times + 1, 10)

    def shun(self) -> None:
        """Tell that it is down."""
        journal_of(self._loop).warning("upstream_down", upstream=self.where, reason=self.reason)

    def restore(self) -> None:
        """Tell that it is up."""
        journal_of(self._loop).info("upstream_up", upstream=self.where, after=self.reason)


def _engine_on(loop: Loop) -> Engine:
    engine: Engine | None = loop.registry.get(Health)
    if engine is None:
        engine = loop.registry[Health] = Engine(breaker.TABLE, Health, loop.clock, loop.limits, loop.dispatch)
    return engine
