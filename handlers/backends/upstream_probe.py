"""Active health checks: each upstream is asked by ourselves every few seconds, so that no client has to find out.

A probe is a request like any other: on the pool's connections, within its bounds, in the states of its machine. An
answer below 500 says that the upstream is up, and brings it back at once; another one, or none in time, counts as a
failure.
Probes are jittered, so that many servers do not ask in one breath; the first one goes out with the first request.
"""

import random
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from handlers.backends.upstream_call import Call, Step
from handlers.backends.upstream_pool import Pool
from handlers.backends.upstream_request import NO_BODY, write_head
from handlers.operations import Operation
from statemachines.contract import Loop


class Probing(NamedTuple):
    """What is asked, how often, and how long an answer may take (seconds)."""

    target: str
    interval: float = 5.0
    timeout: float = 2.0


class Prober:
    """Probes one pool. It is the executor of its own requests."""

    def __init__(self, pool: Pool, host: bytes, probing: Probing, dice: Callable[[], float] = random.random) -> None:
        self.pool = pool
        self.probing = probing
        self._data = write_head("GET", probing.target, ((b"user-agent", b"clerestory-probe"),), host, NO_BODY)
        self._dice = dice
        self._call: Call | None = None
        self._coroutine: Coroutine[Any, Any, None] | None = None

    @property
    def loop(self) -> Loop:
        """As Executor.loop."""
        return self.pool.loop

    def begin(self) -> None:
        """Probe from now on, the first time at once."""
        self.loop.call_at(self.loop.clock(), self._probe)

    def _probe(self) -> None:
        if self.pool.is_closed:
            return
        self._call = call = Call("GET", self._data)
        self._coroutine = self._ask(call)
        self._step()
        loop, probing = self.loop, self.probing
        loop.call_at(loop.clock() + probing.timeout, lambda: self._expire(call))
        loop.call_at(loop.clock() + probing.interval * (0.75 + self._dice() / 2), self._probe)

    async def _ask(self, call: Call) -> None:
        await Step(call, lambda call, _: self.pool.begin(call))
        self.pool.health.probed(well=call.answer is not None and call.answer.status < 500)
        if not call.ended:
            call.leave()
        self._call = None

    def _expire(self, call: Call) -> None:
        if self._call is call:
            self._call = None
            call.leave()
            self.pool.health.probed(well=False)

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:  # noqa: ARG002
        """As Executor.finished."""
        self._step()

    def _step(self) -> None:
        assert self._coroutine is not None
        try:
            operation = self._coroutine.send(None)
        except StopIteration:
            return
        operation.start(self)
