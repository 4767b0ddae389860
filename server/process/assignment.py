"""What a worker is told by its supervisor when it is executed: its number, what it has inherited, the sockets that
listen.

It stands in the environment variable CLERESTORY_WORKER, which is taken out when it is read: a process that an
application starts is no worker.
"""

import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass

VARIABLE = "CLERESTORY_WORKER"

NONE = -1
"""Stands for a descriptor that there is not."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which worker this process is. The others are descriptors that it has inherited, or NONE.

    `channel` leads to the supervisor; no TLS is spoken on the last `plain` of those that are `listening`; by the `door`
    the supervisor's x-ray connects to the worker's; `turns` is what those wait for who write to one log; in
    `certificate` is the one that the supervisor has made.
    """

    number: int
    generation: int
    channel: int
    listening: tuple[int, ...] = ()
    plain: int = 0
    door: int = NONE
    turns: int = NONE
    certificate: int = NONE

    def to_text(self) -> str:
        """The variable's value."""
        fixed = self.number, self.generation, self.channel, self.plain, self.door, self.turns, self.certificate
        return " ".join(map(str, (*fixed, *self.listening)))

    def inherited(self) -> tuple[int, ...]:
        """The descriptors that the worker is to inherit."""
        found = self.channel, self.door, self.turns, self.certificate, *self.listening
        return tuple(one for one in found if one != NONE)

    def sockets(self) -> list[socket.socket]:
        """The sockets that listen. They are shared: none of them is to be shut down."""
        found = []
        for descriptor in self.listening:
            os.set_inheritable(descriptor, False)
            found.append(socket.socket(fileno=descriptor))
        return found


def take_assignment(environment: MutableMapping[str, str] = os.environ) -> Assignment | None:
    """The assignment of this process, taken out of `environment`; None where it is not a supervisor's worker. Raises
    ValueError for what no supervisor has written."""
    text = environment.pop(VARIABLE, None)
    if text is None:
        return None
    number, generation, channel, plain, door, turns, certificate, *listening = map(int, text.split())
    return Assignment(number, generation, channel, tuple(listening), plain, door, turns, certificate)
