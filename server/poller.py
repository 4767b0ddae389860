"""Readiness from the kernel: epoll(7), and poll(2) and select(2) behind the same face.

The only module that imports `select`. What the loop has to know of epoll, and what follows from it:

- *Level-triggered.* What was left unread or unwritten is reported again by the next wait, so one bounded read for each
  report is enough, and nobody has to drain until EAGAIN.
- *HUP and ERR come whatever the interest.* An interest of nothing still learns that the peer has reset.
- *An interest that is too wide spins, one that is too narrow sleeps.* The loop widens at once and narrows when an
  unwanted report comes, which on the usual path is never: no `epoll_ctl` there.
- *The set holds open file descriptions, not numbers.* A descriptor that was duplicated (by a fork that has not reached
  its exec, say) goes on being reported after our close. So it is taken out of the set before it is closed.
- *A number may be reused within one batch.* Events already fetched for the old one would reach the new one. So the loop
  closes descriptors only between two batches.
- *Bytes in our own buffer are not readiness.* The kernel knows nothing of them; see `Loop.revisit`.
- *An epoll descriptor can itself be polled*: `fileno()` lets another loop nest this one.
"""

import select
import socket
from collections.abc import Callable
from typing import Protocol

from statemachines.contract import HUNG_UP, Interest

READABLE, WRITABLE = int(Interest.READABLE), int(Interest.WRITABLE)

Readiness = list[tuple[int, int]]
"""(descriptor, bits) as of epoll(7): READABLE, WRITABLE, and those of HUNG_UP."""


class PollerError(Exception):
    """A poller that was asked for and is not there; the message says which ones are."""


class Poller(Protocol):
    """A set of descriptors, each with the readiness it waits for."""

    @property
    def name(self) -> str:
        """As in `--poller`."""

    @property
    def capacity(self) -> int | None:
        """The highest descriptor it can hold, plus one; None where the process's own limit is the only one."""

    def register(self, descriptor: int, interest: int, /) -> None:
        """Take `descriptor` into the set."""

    def modify(self, descriptor: int, interest: int, /) -> None:
        """Wait for something else on it."""

    def unregister(self, descriptor: int, /) -> None:
        """Take it out of the set, while it is still open."""

    def wait(self, timeout: float | None, /) -> Readiness:
        """What is ready, within `timeout` seconds; None waits until something is."""

    def close(self) -> None:
        """Give back what the set itself holds."""


class Epoll:
    """epoll(7): the cost of a wait depends on what is ready, not on how many are waited for."""

    name = "epoll"
    capacity = None

    def __init__(self) -> None:
        epoll = select.epoll()
        self.register: Callable[[int, int], None] = epoll.register
        self.modify: Callable[[int, int], None] = epoll.modify
        self.unregister: Callable[[int], None] = epoll.unregister
        self.wait: Callable[[float | None], Readiness] = epoll.poll
        self.close: Callable[[], None] = epoll.close
        self.fileno: Callable[[], int] = epoll.fileno


class Poll:
    """poll(2): the whole set goes to the kernel at each wait."""

    name = "poll"
    capacity = None

    def __init__(self) -> None:
        self._poll = select.poll()
        self.register: Callable[[int, int], None] = self._poll.register
        self.modify: Callable[[int, int], None] = self._poll.modify
        self.unregister: Callable[[int], None] = self._poll.unregister

    def wait(self, timeout: float | None) -> Readiness:
        """As Poller.wait. poll(2) counts in milliseconds: rounded up, so that a short wait does not spin."""
        return self._poll.poll(None if timeout is None else int(timeout * 1000 + 0.999))

    def close(self) -> None:
        """Nothing is held."""


class Select:
    """select(2): everywhere, for descriptors below 1,024.

    It can not wait for a hang-up alone. Descriptors that wait for nothing else are looked at before each wait, without
    waiting, and the wait is never longer than LOOK_AGAIN while there are any.
    """

    name = "select"
    capacity = 1024
    LOOK_AGAIN = 0.25

    def __init__(self) -> None:
        self._interests: dict[int, int] = {}

    def register(self, descriptor: int, interest: int) -> None:
        """As Poller.register. Raises ValueError for a descriptor that select(2) can not hold."""
        if descriptor >= self.capacity:
            raise ValueError(f"select(2) holds descriptors below {self.capacity}, not {descriptor}")
        self._interests[descriptor] = interest

    def modify(self, descriptor: int, interest: int) -> None:
        """As Poller.modify."""
        self._interests[descriptor] = interest

    def unregister(self, descriptor: int) -> None:
        """As Poller.unregister."""
        del self._interests[descriptor]

    def wait(self, timeout: float | None) -> Readiness:
        """As Poller.wait."""
        reading = [fd for fd, interest in self._interests.items() if interest & READABLE]
        writing = [fd for fd, interest in self._interests.items() if interest & WRITABLE]
        others = [fd for fd, interest in self._interests.items() if not interest & (READABLE | WRITABLE)]
        hung_up = [fd for fd in select.select(others, [], [], 0)[0] if _has_hung_up(fd)] if others else []
        if hung_up:
            timeout = 0
        elif others:
            timeout = self.LOOK_AGAIN if timeout is None else min(timeout, self.LOOK_AGAIN)
        readable, writable, _ = select.select(reading, writing, [], timeout)
        ready = dict.fromkeys(hung_up, HUNG_UP)
        ready |= dict.fromkeys(readable, READABLE)
        for descriptor in writable:
            ready[descriptor] = ready.get(descriptor, 0) | WRITABLE
        return list(ready.items())

    def close(self) -> None:
        """Nothing is held."""


def _has_hung_up(descriptor: int) -> bool:
    """Whether a socket that select(2) calls readable is in fact gone. Takes no bytes, and the error only to tell it."""
    try:
        lent = socket.socket(fileno=descriptor)
    except OSError:
        return False  # not a socket
    try:
        return lent.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
    finally:
        lent.detach()


_ALL: tuple[tuple[str, Callable[[], Poller]], ...] = (("epoll", Epoll), ("poll", Poll), ("select", Select))
POLLERS = {name: kind for name, kind in _ALL if hasattr(select, name)}


def open_poller(name: str = "auto") -> Poller:
    """The poller of that name; `auto` is the best there is here. Raises PollerError."""
    if name == "auto":
        name = next(iter(POLLERS))
    if name not in POLLERS:
        raise PollerError(f"there is no {name} on this system; there is {', '.join(POLLERS)}")
    return POLLERS[name]()
