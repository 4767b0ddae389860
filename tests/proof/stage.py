"""The real shells of a client's connection and of one to an upstream, driven through a counter-example of a world.

Sockets are pairs, or the loopback's, played by hand; the clock stands; and the loop is told of one socket at a time: so
what the counter-example says happens next is what happens next. What the shells then do is noted (tests.support.held),
as a trace that a world accepts, or not.
"""

import socket
from contextlib import ExitStack, suppress

from clerestory.handlers.backends.upstream.upstream import Bounds, Upstream
from clerestory.handlers.proxy.proxy import Proxy
from clerestory.statemachines.engine import Machine
from proof.explorer import Fault
from proof.traces import Step
from proof.world import World
from tests.handlers.backends.upstreams import RESET_ON_CLOSE
from tests.server.support import Bench, Client, trigger_of
from tests.support.held import Walks
from tests.support.walks import trace_of

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = b"5\r\nhello\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
TOLD = {"its deadline passes": "DEADLINE_PASSED", "closed by order": "CLOSE_ORDERED", "makes room": "ROOM_WANTED"}
FROM_CLIENT = {
    "HEAD_STARTED": b"GET / HT",
    "HEAD_REFUSED": b"\x00\r\n\r\n",
    "BODY_RECEIVED": b"5\r\nhello\r\n0\r\n\r\n",
    "BODY_REFUSED": b"no size\r\n",
}
FROM_UPSTREAM = {
    "HEAD_RECEIVED": HEAD,
    "PIECE_RECEIVED": PIECE,
    "ANSWER_REFUSED": b"no answer\r\n\r\n",
    "CONTINUE_RECEIVED": b"HTTP/1.1 100 Continue\r\n\r\n",
    "UNEXPECTED_BYTES_RECEIVED": b"HTTP/1.1 200 OK\r\n\r\n",
}


class Stage:
    """A client, a proxy before one upstream, and who plays both."""

    def __init__(self, *, with_body: bool) -> None:
        self._stack = ExitStack()
        self._far: socket.socket | None = None
        self._listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._listener.setblocking(False)
        upstream = Upstream("http://{}:{}".format(*self._listener.getsockname()), bounds=Bounds(max_connections=1))
        self.bench = Bench(Proxy(upstream))
        self._pool = upstream.site(self.bench.loop).pools[0]
        self._walks = Walks()
        for engine in (self.bench.service.engine, self._pool.engine, self._pool.queue.engine):
            self._walks.hold(engine)
        self._client: Client = self.bench.connect()
        self._begun = b""
        fields = b"host: a\r\n" + b"transfer-encoding: chunked\r\n" * with_body
        self._request = (b"POST" if with_body else b"GET") + b" / HTTP/1.1\r\n" + fields + b"\r\n"

    @property
    def trace(self) -> list[Step]:
        """What the machines have done so far."""
        return trace_of(self._walks.lines)

    def close(self) -> None:
        self._client.far.close()
        if self._far is not None:
            self._far.close()
        self._stack.close()
        self.bench.close()

    def play(self, world: World, fault: Fault) -> None:
        """Let happen what the counter-example says, as far as it has not happened by itself."""
        done = 0
        for event, passed in fault.trace:
            rows = [(world.parts[one.part].table.name, one.row) for one in passed if one.row >= 0]
            shown = [(step.table, step.row) for step in self.trace]
            if rows and rows[0] in shown[done:]:
                done += shown[done:].index(rows[0]) + 1
                continue
            self._happen(event)
            done = max(done, len(self.trace) - max(len(rows) - 1, 0))

    def go_on(self) -> None:
        """What would come next in any case: all is looked at, another request is answered, and the client leaves."""
        for trigger in ("HEAD_RECEIVED", "PEER_CLOSED"):
            self.bench.settle()
            self._client_does(trigger)
            self.bench.settle()
            self._upstream_does("ANSWER_ENDED")
        self.bench.settle()

    def _happen(self, event: str) -> None:
        name, _, what = event.partition(": ")
        trigger = what.rpartition(": ")[2]
        machine = self._machine(name)
        if machine is None:
            return
        ordered = {
            "its deadline passes": "DEADLINE_PASSED",
            "closed by order": "CLOSE_ORDERED",
            "makes room": "ROOM_WANTED",
        }
        if what in ordered:
            fact = trigger_of(machine, ordered[what])
            if machine.accepts(fact):
                self.bench.loop.fire(machine, fact)
        elif name == "c0":
            self._client_does(trigger)
        elif name == "u":
            self._upstream_does(trigger)
        self._turn(machine)

    def _machine(self, name: str) -> Machine | None:
        if name == "c0":
            return self._client.connection
        found = self._pool.connections if name == "u" else self._pool.queue.slots if name == "s0" else ()
        return next(iter(found), None)

    def _client_does(self, trigger: str) -> None:
        far = self._client.far
        with suppress(OSError):
            if trigger == "HEAD_RECEIVED":
                far.sendall(self._request.removeprefix(self._begun))
            elif trigger in FROM_CLIENT:
                far.sendall(FROM_CLIENT[trigger])
                self._begun = FROM_CLIENT[trigger] if trigger == "HEAD_STARTED" else b""
            elif trigger == "PEER_CLOSED":
                far.shutdown(socket.SHUT_WR)
            elif trigger == "PEER_RESET":
                far.close()

    def _upstream_does(self, trigger: str) -> None:
        if self._far is None or trigger == "CONNECTED":
            with suppress(BlockingIOError):
                self._far, _ = self._listener.accept()
        far = self._far
        if far is None:
            return
        with suppress(OSError):
            if trigger == "ANSWER_ENDED":
                far.sendall(ANSWER if self._state("u") == "AWAITING_RESPONSE" else b"0\r\n\r\n")
            elif trigger in FROM_UPSTREAM:
                far.sendall(FROM_UPSTREAM[trigger])
            elif trigger in ("UPSTREAM_CLOSED", "UPSTREAM_RESET"):
                if trigger == "UPSTREAM_RESET":
                    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                far.close()

    def _state(self, name: str) -> str:
        machine = self._machine(name)
        return str(machine.state) if machine is not None else ""

    def _turn(self, machine: Machine) -> None:
        """One turn, in which the loop learns of this machine's socket alone."""
        poller = self.bench.poller
        ready = [one for one in poller.poller.wait(0) if one[0] == machine.descriptor]
        poller.script.append(ready)
        self.bench.turn()
