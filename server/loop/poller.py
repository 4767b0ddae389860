"""Readiness from the kernel: epoll(7), and poll(2) and select(2) behind the same face.

The only module that imports `select`. What the loop has to know of epoll, and what follows from it:

- *Level-triggered.* What was left unread or unwritten is reported again by the next wait, so one bounded read for each
  report is enough, and nobody has to drain until EAGAIN.
- *A report is bounded* (`Poller.most`), and one that was interrupted by a signal may be empty although something is
  ready: epoll_wait(2) is not called again when its time has passed meanwhile. So the loop looks again before it takes
  anybody for late. What was not reported comes first in the next report.
- *HUP and ERR come whatever the interest.* An interest of nothing still learns that the peer has reset.
- *A FIN is no HUP.* A peer that closes, while we have not, is reported as RDHUP, and only to those that ask for it
  (Interest.HALF_CLOSE). It is level-triggered like the rest: a state that has noted it leads to one that does not ask.
- *An interest that is too wide spins, one that is too narrow sleeps.* The loop widens at once and narrows when an
  unwanted report comes, which on the usual path is never: no `epoll_ctl` there.
- *The set holds open file descriptions, not numbers.* A descriptor that was duplicated (by a fork that has not reached
  its exec, say) goes on being reported after our close. So it is taken out of the set before it is closed.
- *A number may be reused within one batch.* Events already fetched for the old one would reach the new one. So the loop
  closes descriptors only between two batches.
- *Bytes in our own buffer are not readiness.* The kernel knows nothing of them; see `Loop.schedule_read`.
- *A socket may be shared.* Where several processes wait for the same one, each would be woken for every connection:
  EPOLLEXCLUSIVE wakes one. It can be added but not modified, so a change takes it out and adds it again.
- *An epoll descriptor can itself be polled*: `fileno()` lets another loop nest this one.
"""

import select
import socket
from collections.abc import Callable
from typing import Protocol

from clerestory.statemachines.contract import HUNG_UP, Interest

READABLE, WRITABLE, HALF_CLOSE = int(Interest.READABLE), int(Interest.WRITABLE), int(Interest.HALF_CLOSE)

Readiness = list[tuple[int, int]]
"""(descriptor, bits) as of epoll(7): READABLE, WRITABLE, HALF_CLOSE, and those of HUNG_UP."""


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

    @property
    def most(self) -> int:
        """Descriptors that one wait reports at most: after a report that is shorter, nothing else is ready."""

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


MOST = 1023
"""What one epoll_wait(2) reports at most: select.epoll.poll() asks for FD_SETSIZE - 1 unless it is told otherwise."""

EXCLUSIVE = getattr(select, "EPOLLEXCLUSIVE", 0)
"""Of several sets that wait for the same socket, wake one (and not all) when it becomes ready."""

EVERYTHING = 1 << 30
"""What one poll(2) or select(2) reports at most: all that is ready."""


class Epoll:
    """epoll(7): the cost of a wait depends on what is ready, not on how many are waited for."""

    name = "epoll"
    capacity = None
    most = MOST

    def __init__(self) -> None:
        epoll = select.epoll()
        self.register: Callable[[int, int], None] = epoll.register
        self.modify: Callable[[int, int], None] = epoll.modify
        self.unregister: Callable[[int], None] = epoll.unregister
        self.wait: Callable[[float | None], Readiness] = epoll.poll
        self.close: Callable[[], None] = epoll.close
        self.fileno: Callable[[], int] = epoll.fileno
        self._epoll = epoll
        self._shared: set[int] = set()

    def share(self, descriptor: int) -> None:
        """`descriptor`, which is about to be registered, is also in the sets of other processes: wake one of them.
        EPOLLEXCLUSIVE, which epoll_ctl(2) only takes with EPOLL_CTL_ADD. With other pollers all are woken."""
        if not self._shared:
            self.register, self.modify, self.unregister = self._register, self._modify, self._unregister
        self._shared.add(descriptor)

    def take_turns(self, descriptor: int, interest: int) -> None:
        """Let others be woken first for the next event of a shared descriptor. The kernel wakes the first idle one of
        those that wait for the socket, in the order in which they were added: so the one that was woken goes to the
        end."""
        self._epoll.unregister(descriptor)
        self._epoll.register(descriptor, interest | EXCLUSIVE)

    def _register(self, descriptor: int, interest: int) -> None:
        self._epoll.register(descriptor, interest | EXCLUSIVE if descriptor in self._shared else interest)

    def _modify(self, descriptor: int, interest: int) -> None:
        if descriptor in self._shared:
            self.take_turns(descriptor, interest)
        else:
            self._epoll.modify(descriptor, interest)

    def _unregister(self, descriptor: int) -> None:
        self._shared.discard(descriptor)
        self._epoll.unregister(descriptor)


class Poll:
    """poll(2): the whole set goes to the kernel at each wait."""

    name = "poll"
    capacity = None
    most = EVERYTHING

    def __init__(self) -> None:
        self._poll = select.poll()
        self.register: Callable[[int, int], None] = self._poll.register
        self.modify: Callable[[int, int], None] = self._poll.modify
        if getattr(select, "POLLRDHUP", 0) != HALF_CLOSE:  # another system: a half-close shows when something is sent
            self.register = lambda descriptor, interest: self._poll.register(descriptor, interest & ~HALF_CLOSE)
            self.modify = lambda descriptor, interest: self._poll.modify(descriptor, interest & ~HALF_CLOSE)
        self.unregister: Callable[[int], None] = self._poll.unregister

    def wait(self, timeout: float | None) -> Readiness:
        """As Poller.wait. poll(2) counts in milliseconds: rounded up, so that a short wait does not spin."""
        return self._poll.poll(None if timeout is None else int(timeout * 1000 + 0.999))

    def close(self) -> None:
        """Nothing is held."""


class Select:
    """select(2): everywhere, for descriptors below 1,024.

    It can wait neither for a hang-up alone nor for a half-close. Descriptors that wait for nothing else are looked at
    before each wait, without waiting, and the wait is never longer than LOOK_AGAIN while there are any. Of a
    Unix socket, a half-close behind bytes that nobody reads now is not seen.
    """

    name = "select"
    capacity = 1024
    most = EVERYTHING
    LOOK_AGAIN = 0.25

    def __init__(self) -> None:
        self._interests: dict[int, int] = {}

    def register(self, descriptor: int, interest: int) -> None:
        """As Poller.register. Raises ValueError for a descriptor that select(2) cannot hold."""
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
        hung_up = {}
        for descriptor in select.select(others, [], [], 0)[0] if others else ():
            if seen := _look(descriptor) & (self._interests[descriptor] | HUNG_UP):
                hung_up[descriptor] = seen
        if hung_up:
            timeout = 0
        elif others:
            timeout = self.LOOK_AGAIN if timeout is None else min(timeout, self.LOOK_AGAIN)
        readable, writable, _ = select.select(reading, writing, [], timeout)
        ready = hung_up | dict.fromkeys(readable, READABLE)
        for descriptor in writable:
            ready[descriptor] = ready.get(descriptor, 0) | WRITABLE
        return list(ready.items())

    def close(self) -> None:
        """Nothing is held."""


_CLOSE_WAIT = 8
"""TCP_CLOSE_WAIT of tcp(7), the first byte of TCP_INFO: the FIN has come, behind bytes that are still unread. Over
TLS there always are: a close_notify."""


def _look(descriptor: int) -> int:
    """What has become of a socket that select(2) calls readable: HUNG_UP, HALF_CLOSE, or 0 where it only has bytes to
    be read. Takes no bytes, and the error only to tell it."""
    try:
        lent = socket.socket(fileno=descriptor)
    except OSError:
        return 0  # not a socket
    try:
        if lent.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return HUNG_UP
        if lent.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"":
            return HALF_CLOSE
        return HALF_CLOSE if lent.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSE_WAIT else 0
    except OSError:
        return 0
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
