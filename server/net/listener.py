"""The shell of a listening socket: it makes connections of clients, or pauses when it cannot.

accept(2) has traps, each with a row or a line here:

- at capacity, and out of descriptors (EMFILE, ENFILE, ENOBUFS, ENOMEM), connections that have been idle long make room;
- where there are none, the socket stays readable and a loop that asks for it spins: the listener pauses, and resumes
  when a connection has ended or its deadline has passed;
- clients that have waited through a whole pause, and those behind them, get 503 at once: the reserve descriptor is
  given up for a moment to answer;
- a listening socket may be shared with a process that a handler has forked: closing ours is not enough to end it, so it
  is shut down first. One that is shared on purpose (server.net.sockets) is only closed: the others go on with it.
- a client that has gone again before we accepted it (ECONNABORTED, and what accept(2) lists as network errors) is
  nobody's fault: the next one is taken;
- the address comes from accept(2) itself: getpeername(2) would fail when the peer has reset meanwhile.
"""

import errno
import os
import socket
from contextlib import suppress
from typing import Any

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import error_response
from clerestory.handlers.wire.tls import TLS
from clerestory.handlers.wire.transport import READ_SIZE, RESET_ON_CLOSE, TCP, Transport
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.room import IDLE_ENOUGH, bound_handshakes, can_make_room, make_room
from clerestory.server.connection.service import Service
from clerestory.server.loop.poller import Epoll
from clerestory.server.net.backlog import admit_no_more
from clerestory.server.net.proxy_protocol import Preamble, Senders
from clerestory.server.net.sockets import BACKLOG, Listening, name_of, peer_name
from clerestory.statemachines import listener
from clerestory.statemachines.connection import Trigger as ConnectionTrigger
from clerestory.statemachines.contract import HUNG_UP, Name
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.listener import Trigger as T
from clerestory.statemachines.proxy_protocol import Trigger as PreambleTrigger

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What accept(2) fails with when there is nothing to accept with."""

LOST = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP})
"""The errors that mean that the listening socket is no longer usable. Its other errors belong to one client."""

TIME = 0.002
"""Seconds for which connections are accepted, or refused, before others get their turn."""

SHARE = 0.1
"""Of the time that the loop took for its last turn, how much may be spent with accepting: where a turn takes seconds,
new clients would otherwise be accepted more slowly than those who are here ask again."""

SHARED_ACCEPTS = 1
"""Connections that are accepted in one go on a socket that other workers accept on, too: with 8, the busier of two
workers had 0.72 of the work of sixteen clients, with 1 it has 0.55."""

LOOK_AGAIN = 0.5
"""Seconds between two looks at a socket that workers share, of which nothing was reported."""

RETRY_AFTER = b"1"
"""Seconds: what a client that was turned away is asked to wait."""


class Listener(Machine):
    """One listening socket."""

    __slots__ = (
        "_in_turns",
        "_listening",
        "_next_search",
        "_poller",
        "_quiet_until",
        "_reserve",
        "_secure",
        "_senders",
        "_service",
        "_socket",
        "_strangers",
        "_untold",
        "_waiting_since",
        "address",
        "leaves_backlog",
    )

    def __init__(
        self,
        service: Service,
        listening: socket.socket | Listening,
        senders: Senders | None = None,
        *,
        in_turns: bool = False,
        plain: bool = False,
    ) -> None:
        """With `senders`, connections begin with the PROXY protocol, and are taken from those alone. With `in_turns`,
        other workers accept on the socket, too. A `plain` one speaks no TLS, though others do."""
        loop = service.loop
        if isinstance(listening, socket.socket):
            listening = Listening(listening, name_of(listening))
        super().__init__(
            Engine(listener.TABLE, type(self), loop.clock, loop.limits, dispatch=loop.dispatch),
            listening.socket.fileno(),
        )
        self._service = service
        self._listening = listening
        self._socket = listening.socket
        self._secure = None if plain else service.secure
        self._senders = senders
        self._strangers = 0
        """Clients that may not send the PROXY protocol, since that was last said."""
        self.address = listening.name
        self._quiet_until: dict[str, float] = {}
        self._waiting_since: float | None = None
        """Since when clients have found no room."""
        self._next_search = self.since
        self._untold = 0
        """Clients that were refused since that was last said."""
        self.leaves_backlog = False
        """Whether others take what waits in the backlog of a shared socket when this one closes."""
        self._poller: Epoll | None = None
        """What wakes only one of several workers, where it can."""
        self._in_turns = in_turns
        if in_turns:
            if isinstance(loop.poller, Epoll):
                self._poller = loop.poller
                self._poller.share(self.descriptor)
            loop.call_at(loop.clock() + LOOK_AGAIN, self._look_again)
        self._reserve: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def facts(self) -> tuple[object, ...]:
        """As Machine.facts: contract.Facts."""
        return 0, self.address

    @property
    def label(self) -> str:
        """The name that systemd gave the socket; empty without one."""
        return self._listening.label

    @property
    def url(self) -> str:
        """Where clients find it: `http://127.0.0.1:8000/` or `unix:/run/app.sock`."""
        scheme = "http" if self._secure is None else "https"
        return self.address if self._socket.family == socket.AF_UNIX else f"{scheme}://{self.address}/"

    def secure_port(self) -> int:
        """The port on which it speaks TLS; 0 where it does not."""
        inet = self._secure is not None and self._socket.family in (socket.AF_INET, socket.AF_INET6)
        return int(self._socket.getsockname()[1]) if inet else 0

    def accept(self, ready: int) -> Name | None:  # noqa: ARG002
        """Accept for a bounded time: those who are here already get their turn in between."""
        loop, limits = self._service.loop, self._service.limits
        if not self._in_turns:
            return self._accept(limits.max_accepts, max(TIME, loop.busy * SHARE))
        found = self._accept(min(limits.max_accepts, SHARED_ACCEPTS), max(TIME, loop.busy * SHARE))
        if self._poller is not None:
            self._poller.take_turns(self.descriptor, self.node.mask)
        return found

    def _look_again(self) -> None:
        """Look whether somebody waits for whom another worker was woken that has not accepted: it may have been killed
        meanwhile, stand in a slow handler, or have no room."""
        loop = self._service.loop
        if not self.node.final:
            loop.schedule_read(self)
            loop.call_at(loop.clock() + LOOK_AGAIN, self._look_again)

    def _accept(self, most: int, seconds: float) -> Name | None:
        service, clock = self._service, self._service.loop.clock
        until = clock() + seconds
        for accepted in range(most):
            if not service.has_room():
                # That somebody waits is known only of the first: if there are more, they are reported again.
                return self._full("capacity_reached", T.CAPACITY_REACHED) if not accepted else None
            try:
                client, address = self._socket.accept()
            except BlockingIOError:
                self._waiting_since = None
                return None
            except OSError as error:
                if error.errno in EXHAUSTED:
                    return self._full("descriptors_exhausted", T.DESCRIPTORS_EXHAUSTED, reason=error.strerror)
                if error.errno in LOST:
                    return self._lost(error.strerror)
                continue
            self._add_connection(client, address)
            if clock() >= until:
                return None
        return None

    def _full(self, event: str, trigger: T, **fields: object) -> T | None:
        """There is no room. Where idle connections have made some, it is there in the next turn."""
        service = self._service
        closed = 0 if service.draining else self._make_room()
        if closed:
            self._tell_once("room_made", closed=closed)
            return None
        if self._waiting_since is None:
            self._waiting_since = service.loop.now
        self._tell_once(event, connections=service.open_connections(), **fields)
        return trigger

    def _make_room(self) -> int:
        """Close connections that others are in more need of; how many."""
        return make_room(self._service)

    def _can_make_room(self) -> bool:
        """Whether there are such connections."""
        return can_make_room(self._service)

    def is_overrun(self) -> bool:
        """Whether clients have waited for longer than a pause: since the queue was last empty."""
        since = self._waiting_since
        return since is not None and self._service.loop.now - since >= self._service.limits.pause_timeout

    def _add_connection(self, client: socket.socket, address: object) -> None:
        client.setblocking(False)
        if self._senders is None:
            self.take(client, peer_name(address), None)
        elif address in self._senders:
            preamble = Preamble(self._service, client, peer_name(address), self.take)
            self._add(preamble, PreambleTrigger.CLOSE_ORDERED)
        else:
            self._refuse_stranger(client, peer_name(address))

    def take(self, client: socket.socket, peer: str, own_address: Any) -> None:
        """Serve a client; `own_address` is what it has connected to, where a proxy has said it."""
        transport = self._transport(client, own_address)
        connection = Connection(self._service, transport, client.fileno(), peer)
        if self._add(connection, ConnectionTrigger.CLOSE_ORDERED) and self._secure is not None:
            self._service.loop.tell(connection, ConnectionTrigger.TLS_EXPECTED)

    def _add(self, machine: Machine, order: Name) -> bool:
        loop = self._service.loop
        try:
            loop.add(machine)
        except (OSError, ValueError) as error:  # ENOSPC of epoll_ctl(2), or a number select(2) cannot hold
            self._tell("connection_not_taken", reason=str(error))
            loop.machines[machine.descriptor] = machine  # it ends as all others do, when this step has ended
            loop.tell(machine, order)
            return False
        return True

    def _transport(self, client: socket.socket, own_address: Any) -> Transport:
        if self._secure is None:
            return TCP(client, own_address)
        closed = bound_handshakes(self._service)
        if closed:
            self._tell_once("handshakes_closed", closed=closed)
        return TLS(client, self._secure.context(self._service.loop.now), own_address)

    def _refuse_stranger(self, client: socket.socket, peer: str) -> None:
        """Reset a client that may not send the PROXY protocol: a header that anybody may send says nothing."""
        with suppress(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        client.close()
        self._strangers += 1
        hint = "name its network with --proxy-protocol, or let it connect to another listener"
        if self._tell_once("proxy_sender_refused", clients=self._strangers, peer=peer, hint=hint):
            self._strangers = 0

    def accept_backlog(self) -> None:
        """Accept what has come before we close, since closing resets it; from then on nobody can connect. What comes
        later to a shared socket is the others'."""
        if self._listening.shared:
            if not self.leaves_backlog:
                self._accept(BACKLOG, float("inf") if self._in_turns else TIME)
            return
        self._admit_no_more()
        self._accept(BACKLOG, float("inf"))
        self.refuse_backlog()

    def refuse_backlog(self) -> None:
        """Refuse what has come before we close, likewise."""
        if self._listening.shared:
            return
        self._admit_no_more()
        self._refuse(BACKLOG, float("inf"))
        self._shut_down()

    def _admit_no_more(self) -> None:
        admit_no_more(self._socket)
        if self._listening.file is not None:
            self._listening.file.remove()

    def _shut_down(self) -> None:
        if self._listening.shared:
            return
        with suppress(OSError):  # ENOTCONN: somebody else has done it
            self._socket.shutdown(socket.SHUT_RDWR)

    def notice_loss(self, ready: int) -> Name | None:
        """A hang-up of a listening socket: somebody who shares it has shut it down."""
        return self._lost("it has been shut down") if ready & HUNG_UP else None

    def _lost(self, reason: str | None) -> Name:
        self._service.logs.error("listener_lost", address=self.address, reason=reason)
        return T.SOCKET_LOST

    def has_room(self) -> bool:
        """Whether a further connection may be opened: below the bound, and with a descriptor to open it with; or an
        idle one can make room for it."""
        if self._can_make_room():
            return True
        if not self._service.has_room():
            return False
        try:
            os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return False
        return True

    def refuse(self, ready: int) -> Name | None:
        """Refuse those who have come, for a bounded time; unless connections have become idle meanwhile: that is looked
        at now and then."""
        if ready & HUNG_UP:
            return self.notice_loss(ready)
        now = self._service.loop.now
        if now >= self._next_search:
            self._next_search = now + IDLE_ENOUGH
            if self._can_make_room():
                return T.ROOM_FOUND
        return self.refuse_waiting()

    def refuse_waiting(self) -> Name | None:
        """Refuse those who wait, for a bounded time."""
        return self._refuse(BACKLOG, TIME)

    def _refuse(self, most: int, seconds: float) -> Name | None:
        """Answer with 503, one after the other, on the reserve descriptor."""
        fact: Name | None = None
        refused, clock = 0, self._service.loop.clock
        until = clock() + seconds
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        for _ in range(most):
            try:
                client, _ = self._socket.accept()
            except OSError as error:
                if error.errno in EXHAUSTED:
                    fact = T.DESCRIPTORS_EXHAUSTED
                if error.errno in LOST:
                    fact = self._lost(error.strerror)
                if fact is not None or error.errno == errno.EAGAIN:
                    break
                continue  # this one has gone again
            with client:
                client.setblocking(False)
                self._send_unavailable(client)
            refused += 1
            if clock() >= until:
                break
        with suppress(OSError):
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._untold += refused
        self.tell_refused()
        return fact

    def tell_refused(self) -> None:
        """Say how many have been refused since that was last said: at most once a second."""
        if self._untold and self._tell_once("turned_away", clients=self._untold):
            self._untold = 0

    def _send_unavailable(self, client: socket.socket) -> None:
        """503, after taking what the client has sent: unread bytes would make the close a reset. Over TLS there is no
        answer without a handshake, which takes what there is none of."""
        if self._secure is not None:
            return
        error = HTTPError(503, "Too many connections are open.", ((b"retry-after", RETRY_AFTER),))
        head = self._service.heads.head(error_response(error), "GET", 1, False, self._service.loop.now)
        body = error_response(error).body
        assert isinstance(body, bytes)
        with suppress(OSError):
            client.recv(READ_SIZE)
        with suppress(OSError):
            client.send(head.data + body)
            client.shutdown(socket.SHUT_WR)

    def _tell_once(self, event: str, **fields: object) -> bool:
        """At most once a second: with clients coming and going at the bound, each of them pauses the listener. Whether
        it was said."""
        now = self._service.loop.now
        if now < self._quiet_until.get(event, now):
            return False
        self._quiet_until[event] = now + 1.0
        self._tell(event, **fields)
        return True

    def _tell(self, event: str, **fields: object) -> None:
        self._service.logs.warning(event, address=self.address, **fields)

    def close(self) -> None:
        """Give the socket and the reserve back."""
        self._shut_down()
        self._listening.close()
        if self._reserve is not None:
            os.close(self._reserve)
