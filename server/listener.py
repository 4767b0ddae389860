"""The shell of a listening socket: it makes connections of clients, or pauses when it can not.

accept(2) has traps, each with a row or a line here:

- out of descriptors (EMFILE, ENFILE, ENOBUFS, ENOMEM), the socket stays readable and a loop that asks for it spins: the
  listener pauses, and resumes when a connection has ended or its deadline has passed;
- who has waited through a whole pause is told so: the reserve descriptor is given up for a moment to answer 503;
- a client that has gone again before we accepted it (ECONNABORTED, and what accept(2) lists as network errors) is
  nobody's fault: the next one is taken;
- the address comes from accept(2) itself: getpeername(2) would fail when the peer has reset meanwhile.
"""

import errno
import os
import socket
from contextlib import suppress

from handlers.errors import HTTPError
from handlers.messages import error_response
from server.connection import Connection
from server.service import Service
from server.transport import READ_SIZE, TCP
from statemachines import listener
from statemachines.connection import Trigger as ConnectionTrigger
from statemachines.contract import HUNG_UP, Name
from statemachines.engine import Engine, Machine
from statemachines.listener import Trigger as T

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What accept(2) fails with when there is nothing to accept with."""

LOST = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP})
"""What it fails with when the listening socket is none any more. Its other errors belong to one client."""

BACKLOG = 4096
"""Clients that may wait to be accepted: what the kernel allows at most, unless told otherwise."""

NOT_SENT = 128 * 1024
"""Bytes that may wait in a socket's buffer without having been sent. The kernel would let megabytes gather, and report
the socket writable only when a third of them has gone: a client that reads slowly but steadily would look like one that
reads nothing."""

RETRY_AFTER = b"1"
"""Seconds: what a client that was turned away is asked to wait."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there, for IPv4 or IPv6 as `host` says; `port` 0 takes a free one. Raises OSError.

    Its options are inherited by what is accepted. TCP_NODELAY: an answer goes out whole, so waiting for more would only
    delay it.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def address_of(listening: socket.socket) -> str:
    """`127.0.0.1:8000` or `[::1]:8000`."""
    return _peer_name(listening.getsockname())


class Listener(Machine):
    """One listening socket."""

    __slots__ = ("_quiet_until", "_reserve", "_service", "_socket", "address")

    def __init__(self, service: Service, listening: socket.socket) -> None:
        loop = service.loop
        super().__init__(
            Engine(listener.TABLE, type(self), loop.clock, loop.limits, dispatch=loop.dispatch), listening.fileno()
        )
        self._service = service
        self._socket = listening
        self.address = address_of(listening)
        self._quiet_until = self.since
        self._reserve: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def glance(self) -> tuple[object, ...]:
        """As Machine.glance: contract.Facts."""
        return 0, self.address

    def accept(self, ready: int) -> Name | None:  # noqa: ARG002
        """Accept at most `max_accepts`: those who are here already get their turn in between."""
        return self._accept(self._service.limits.max_accepts)

    def _accept(self, most: int) -> Name | None:
        service = self._service
        for _ in range(most):
            if not service.has_room():
                self._tell_pause("capacity_reached")
                return T.CAPACITY_REACHED
            try:
                client, address = self._socket.accept()
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._tell_pause("descriptors_exhausted", reason=error.strerror)
                    return T.DESCRIPTORS_EXHAUSTED
                if error.errno in LOST:
                    return self._lost(error.strerror)
                continue
            self._welcome(client, address)
        return None

    def _welcome(self, client: socket.socket, address: object) -> None:
        client.setblocking(False)
        connection = Connection(self._service, TCP(client), client.fileno(), _peer_name(address))
        try:
            self._service.loop.add(connection)
        except (OSError, ValueError) as error:  # ENOSPC of epoll_ctl(2), or a number select(2) can not hold
            self._tell("connection_not_taken", reason=str(error))
            connection.engine.fire(connection, ConnectionTrigger.CLOSE_ORDERED)
            client.close()

    def take_backlog(self) -> None:
        """Accept what has come before we close: closing resets it."""
        self._accept(BACKLOG)

    def notice_loss(self, ready: int) -> Name | None:
        """A hang-up of a listening socket: somebody who shares it has shut it down."""
        return self._lost("it has been shut down") if ready & HUNG_UP else None

    def _lost(self, reason: str | None) -> Name:
        self._service.logs.error("listener_lost", address=self.address, reason=reason)
        return T.SOCKET_LOST

    def has_room(self) -> bool:
        """Whether a further connection may be opened: below the bound, and with a descriptor to open it with."""
        if not self._service.has_room():
            return False
        try:
            os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return False
        return True

    def turn_away(self) -> None:
        """Answer those who have waited through a pause with 503, one after the other, on the reserve descriptor."""
        turned_away = 0
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        for _ in range(self._service.limits.max_accepts):
            try:
                client, _ = self._socket.accept()
            except OSError as error:
                if error.errno == errno.EAGAIN or error.errno in EXHAUSTED | LOST:
                    break  # nobody is left; or another thread was faster
                continue  # this one has gone again
            with client:
                client.setblocking(False)
                self._apologise(client)
            turned_away += 1
        with suppress(OSError):
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        if turned_away:
            self._tell("turned_away", clients=turned_away)

    def _apologise(self, client: socket.socket) -> None:
        """503, after taking what the client has sent: unread bytes would make the close a reset."""
        error = HTTPError(503, "Too many connections are open.", ((b"retry-after", RETRY_AFTER),))
        head = self._service.heads.head(error_response(error), "GET", 1, False, self._service.loop.now)
        body = error_response(error).body
        assert isinstance(body, bytes)
        with suppress(OSError):
            client.recv(READ_SIZE)
        with suppress(OSError):
            client.send(head.data + body)
            client.shutdown(socket.SHUT_WR)

    def _tell_pause(self, event: str, **fields: object) -> None:
        """At most once a second: with clients coming and going at the bound, each of them pauses the listener."""
        now = self._service.loop.now
        if now >= self._quiet_until:
            self._quiet_until = now + 1.0
            self._tell(event, connections=self._service.open_connections(), **fields)

    def _tell(self, event: str, **fields: object) -> None:
        self._service.logs.warning(event, address=self.address, **fields)

    def close(self) -> None:
        """Give the socket and the reserve back."""
        self._socket.close()
        if self._reserve is not None:
            os.close(self._reserve)


def _peer_name(address: object) -> str:
    """What accept(2) and getsockname(2) give, as people write it; a Unix socket's peer has no name."""
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return str(address) or "unix"
