"""Active health checks: each upstream is asked by ourselves every few seconds, so that no client has to find out.

A probe has a connection of its own, for one question: it does not wait for a slot of the pool, and takes none. An
answer below 500 says that the upstream is up, and brings it back at once; another one, or none in time, counts as a
failure. A probe that did not get as far as asking says nothing.

When a probe is due, and how long it may take, is the table's to say (statemachines.probe). Probes are jittered, so that
many servers do not ask in one breath; the first one goes out with the first request.
"""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from clerestory.handlers.api.operations import Operation, pseudo_descriptor, span
from clerestory.handlers.backends.upstream.call import Call
from clerestory.handlers.backends.upstream.pool import Pool
from clerestory.handlers.backends.upstream.request import NO_BODY, write_head
from clerestory.handlers.backends.upstream.step import Step
from clerestory.statemachines import probe
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.probe import State as S
from clerestory.statemachines.probe import Trigger as T

_FIELDS = ((b"user-agent", b"clerestory-probe"), (b"connection", b"close"))

NOT_ASKED = frozenset({"no descriptors", "name", "closed by an operator"})
"""Causes that say nothing of the upstream."""


class Probing(NamedTuple):
    """What is asked, how often, and how long an answer may take (seconds); None stands for the loop's limits."""

    target: str
    interval: float | None = None
    timeout: float | None = None


class Prober(Machine):
    """Probes one pool. It is the executor of its own requests."""

    __slots__ = ("_call", "_data", "_dice", "_pause", "born", "pool", "target")

    def __init__(self, pool: Pool, host: bytes, probing: Probing, dice: Callable[[], float] = random.random) -> None:
        loop = pool.loop
        limits = dict(loop.limits)
        if probing.interval is not None:
            limits[probe.INTERVAL.option] = probing.interval
        if probing.timeout is not None:
            limits[probe.ANSWER.option] = probing.timeout
        super().__init__(Engine(probe.TABLE, Prober, loop.clock, limits, loop.dispatch), pseudo_descriptor())
        self.born = self.since
        self.pool = pool
        self.target = probing.target
        self._data = write_head("GET", probing.target, _FIELDS, host, NO_BODY)
        self._dice = dice
        self._pause = 0.0
        self._call = Call("GET", self._data, apart=True)

    @property
    def loop(self) -> Loop:
        """As Executor.loop."""
        return self.pool.loop

    def begin(self) -> None:
        """Probe from now on, the first time at once."""
        self.loop.add(self)
        self.pool.on_close.append(self._end)
        self.loop.call_from_thread(self._ask_first)

    def _ask_first(self) -> None:
        if self.node.state is S.RESTING:
            self.loop.tell(self, T.DEADLINE_PASSED)

    def _end(self) -> None:
        self.loop.tell(self, T.POOL_CLOSED)

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:  # noqa: ARG002
        """As Executor.finished: there is news of the request."""
        call = self._call
        if self.node.state is not S.ASKING:
            return
        if call.answer is not None:
            self.loop.tell(self, T.ANSWERED)
        else:
            assert call.failure is not None
            asked = call.failure.cause.partition(":")[0] not in NOT_ASKED
            self.loop.tell(self, T.REFUSED if asked else T.NOT_ASKED)

    # --- the machine's

    def is_overdue(self, now: float) -> bool:
        """Whether the next one is due, or this one has taken too long."""
        pause = self._pause if self.node.state is S.RESTING else 0.0
        return now - self.since >= max(pause, self.node.limit)

    def describe(self) -> str:
        """For an operator: `probe#7 ASKING 0.3 s of 2 s for 127.0.0.1:9000/health <- upstream#8 ...`."""
        stay = f"{span(self.loop.clock() - self.since)} of {self.node.limit:g} s"
        text = f"probe#{-self.descriptor} {self.node.state} {stay} for {self.pool.where}{self.target}"
        return f"{text} <- {self._call.describe()}" if self.node.state is S.ASKING else text

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts. Its peer is the upstream."""
        return (-self.descriptor, self.pool.where, self.born)

    def ask(self) -> None:
        """Ask, on a new connection."""
        self._pause = self.engine.initial.limit * (1 + self._dice() / 4)
        self._call = call = Call("GET", self._data, apart=True)
        Step(call, lambda call, _: self.pool.probe(call)).start(self)

    def judge(self) -> None:
        """By the status."""
        answer = self._call.answer
        assert answer is not None
        self.leave()
        self.pool.health.probed(well=answer.status < 500, reason=f"its health check was answered with {answer.status}")

    def count_failure(self) -> None:
        """It gave no answer."""
        failure = self._call.failure
        assert failure is not None
        self.pool.health.probed(well=False, reason=f"its health check: {failure.cause}")

    def leave(self) -> None:
        """What is still to come of it is not wanted."""
        if not self._call.ended:
            self._call.leave()

    def leave_failed(self) -> None:
        """It has taken too long."""
        self.leave()
        self.pool.health.probed(well=False, reason="its health check was not answered in time")
