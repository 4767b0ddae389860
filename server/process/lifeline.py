"""A worker's end of the channel to its supervisor: the shell of statemachines/lifeline.py.

A worker does what it is ordered by the channel, and also what signals say: a terminal's Ctrl-C and a service manager's
SIGTERM reach all processes of a group. So an order to drain means nothing to a worker that drains already.
"""

import socket
from typing import Protocol

from clerestory.server.logging.logs import Logs
from clerestory.server.loop.loop import Loop
from clerestory.server.process.channel import Channel, Order
from clerestory.statemachines import lifeline
from clerestory.statemachines.contract import Name
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.lifeline import Trigger as T


class Ordered(Protocol):
    """What does what is ordered: the process."""

    def retire(self, *, last: bool) -> None:
        """Drain; `last` where nobody else takes the backlog."""

    def end_now(self) -> None:
        """End without finishing what is in flight."""


class Lifeline(Machine):
    """The channel, on the worker's loop."""

    __slots__ = ("_logs", "_ordered", "channel")

    def __init__(self, loop: Loop, logs: Logs, ordered: Ordered, descriptor: int) -> None:
        self.channel = Channel(socket.socket(fileno=descriptor))
        self.channel.socket.set_inheritable(False)
        super().__init__(
            Engine(lifeline.TABLE, Lifeline, loop.clock, loop.limits, dispatch=loop.dispatch), self.channel.fileno()
        )
        self._logs = logs
        self._ordered = ordered

    def read_orders(self, ready: int) -> Name | None:  # noqa: ARG002
        """As Model.read_orders."""
        messages, is_open = self.channel.read()
        for message in messages:
            order = message.get("order") if isinstance(message, dict) else None
            if order == Order.STOP:
                self._ordered.end_now()
            elif order in (Order.RETIRE, Order.DRAIN):
                self._ordered.retire(last=order == Order.DRAIN)
        return None if is_open else T.SUPERVISOR_GONE

    def end_alone(self) -> None:
        """As Model.end_alone."""
        self._logs.warning("supervisor_gone", hint="this worker finishes what is in flight, and ends")
        self._ordered.retire(last=True)

    def close(self) -> None:
        """As Machine.close."""
        self.channel.close()
