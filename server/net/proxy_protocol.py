"""The shell of a connection that begins with the PROXY protocol: it reads the header, and hands the socket on.

Only the header's own bytes are taken from the socket: they are looked at first (MSG_PEEK), so that TLS or HTTP finds
the first byte of its own. A header that comes in pieces is taken in pieces, or the socket would stay readable and the
loop would spin.
"""

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from clerestory.handlers.proxy.forwarding import Network, parse_networks
from clerestory.server.connection.service import Service
from clerestory.server.net.proxy_header import Header, HeaderRefused, is_complete, parse, wanted
from clerestory.server.net.sockets import peer_name
from clerestory.statemachines import proxy_protocol
from clerestory.statemachines.contract import EXCERPT, HUNG_UP, Name
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.proxy_protocol import Trigger as T

HandOn = Callable[[socket.socket, str, Any], None]
"""What goes on with a connection: its socket, its client's name, and its own end if the header has named it."""

UNIX = "unix"


class Senders:
    """Who may send the header: networks, and `unix` for the peers of Unix sockets."""

    __slots__ = ("_networks", "_unix")

    def __init__(self, names: Iterable[str]) -> None:
        names = tuple(names)
        self._unix = UNIX in names
        self._networks: tuple[Network, ...] = parse_networks(name for name in names if name != UNIX)

    def __contains__(self, address: object) -> bool:
        """Whether the peer with this address (as accept(2) gives it) is one of them."""
        if not isinstance(address, tuple):
            return self._unix
        host = peer_name(address).rpartition(":")[0].strip("[]").partition("%")[0]
        found = ip_address(host)
        return any(found in network for network in self._networks)


class Preamble(Machine):
    """A connection whose header is awaited."""

    __slots__ = ("_data", "_hand_on", "_header", "_reason", "_service", "_socket", "peer")

    def __init__(self, service: Service, client: socket.socket, peer: str, hand_on: HandOn) -> None:
        super().__init__(engine_of(service), client.fileno())
        self._service = service
        self._socket: socket.socket | None = client
        self._hand_on = hand_on
        self._data = b""
        self._reason = ""
        self._header: Header | None = None
        self.peer = peer
        service.preambles += 1

    def facts(self) -> tuple[object, ...]:
        """As Machine.facts: contract.Facts."""
        return 0, self.peer, 0.0, len(self._data)

    def excerpts(self) -> tuple[bytes, bytes]:
        """What has come, and nothing that was sent."""
        return self._data[:EXCERPT], b""

    def read_header(self, ready: int) -> Name | None:
        """As proxy_protocol.Model.read_header."""
        longest = self._service.limits.max_proxy_header
        assert self._socket is not None
        try:
            seen = self._socket.recv(longest, socket.MSG_PEEK)
            if not seen:
                return T.PEER_CLOSED
            size = wanted(self._data + seen, longest) - len(self._data)
            if size > 0:
                self._data += self._socket.recv(min(size, len(seen)))
            if not is_complete(self._data):
                return None
            self._header = parse(self._data)
        except BlockingIOError:
            return T.PEER_RESET if ready & HUNG_UP else None
        except OSError:
            return T.PEER_RESET
        except HeaderRefused as refused:
            self._data = (self._data + seen)[:EXCERPT]
            self._reason = str(refused)
            return T.HEADER_REFUSED
        return T.HEADER_RECEIVED

    def tell_refused(self) -> None:
        """As proxy_protocol.Model.tell_refused."""
        self._service.logs.warning("proxy_header_refused", peer=self.peer, reason=self._reason)

    def tell_late(self) -> None:
        """As proxy_protocol.Model.tell_late."""
        seconds = self._service.limits.proxy_protocol_timeout
        self._service.logs.warning("proxy_header_late", peer=self.peer, seconds=seconds, received=len(self._data))

    def ended(self) -> None:
        """Hand the socket on, where the header has come. The loop has taken it out of its map and its poller."""
        header, client = self._header, self._socket
        if header is None or client is None or self.state is not proxy_protocol.State.HANDED_ON:
            return
        self._socket = None
        name = self.peer if header.client is None else peer_name(header.client)
        self._hand_on(client, name, header.server)

    def close(self) -> None:
        """Close what was not handed on."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._service.on_connection_closed()


def engine_of(service: Service) -> Engine:
    """The engine that moves all preambles of `service`."""
    found = service.preamble_engine
    if found is None:
        loop = service.loop
        found = Engine(proxy_protocol.TABLE, Preamble, loop.clock, loop.limits, dispatch=loop.dispatch)
        service.preamble_engine = found
    return found
