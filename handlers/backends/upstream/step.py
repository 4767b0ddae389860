"""What a handler awaits of a call to an upstream: the next news of it."""

from collections.abc import Callable

from clerestory.handlers.api.operations import Executor, HalfClose, Held, Operation, relay_of
from clerestory.handlers.backends.upstream.call import Call
from clerestory.statemachines.loop import Loop


class Step(Operation):
    """Waiting until there is news of a call. The first one begins it, by `begin`, on the executor's loop."""

    __slots__ = ("_begin", "_call")

    def __init__(self, call: Call, begin: Callable[[Call, Loop], None] | None = None) -> None:
        self._call = call
        self._begin = begin

    def start(self, executor: Executor) -> None:
        call = self._call
        call.executor = executor
        if call.is_fed and self._begin is not None:
            self._join(call, executor)
        if self._begin is not None:
            self._begin(call, executor.loop)
        call.step = self
        if self._begin is not None and call.has_news:
            call.tell()

    @staticmethod
    def _join(call: Call, executor: object) -> None:
        """Let an executor that can do so feed the call."""
        call.relay = relay_of(executor)
        if call.relay is not None:
            call.relay.feed_from_body(call)
        else:
            call.is_fed = False  # the caller's coroutine reads the body

    def cancel(self) -> None:
        self._call.leave()

    def client_closed(self) -> HalfClose:
        """There are few connections to an upstream: none is held for long for a client that has probably gone."""
        return HalfClose.BRIEFLY

    def holds(self) -> Held | None:
        return self._call

    def describe(self) -> str:
        return self._call.describe()

    def subject(self) -> str:
        return name_of(self._call)

    def queued(self) -> tuple[str, float]:
        return queue_of(self._call)


def name_of(call: Call) -> str:
    """`upstream 127.0.0.1:9000`."""
    return f"upstream {call.pool.where}" if call.pool is not None else "upstream"


def queue_of(call: Call) -> tuple[str, float]:
    """As Operation.queued: the seconds are told with the first of the call's operations that ends, and not again."""
    seconds, call.in_queue = call.in_queue if call.slot is None else call.slot.queued(), 0.0
    return f"a connection to {name_of(call)}", seconds
