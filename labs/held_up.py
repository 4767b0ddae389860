"""Three clients that hold a server up in three places, so that one can look where it keeps them.

One has sent half of its request; one has asked for an e-mail that the store keeps back; one does not take its answer,
which is longer than what two sockets hold. The lab plays the store, and lets the server's loop turn, all in one thread.
"""

import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.router import Router
from clerestory.server.connection.room import connections
from labs import store_machine
from labs.hosting import host
from labs.store_machine import MailStore

REPEAT: Final = 1_600_000
"""How often an answer holds its e-mail: sixteen megabytes, which no pair of sockets takes."""
PATIENCE: Final = 20.0
"""Seconds that a client waits for what must come."""
NUMBERS: Final = (b"3", b"42", b"7")
"""What the three ask for: the one that reads slowly, the one that is kept waiting, the one that takes nothing."""

Address = tuple[str, int]


class Store:
    """The mail store: it answers when it is told to."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.listener.setblocking(False)
        self.address: Address = self.listener.getsockname()
        self.asked: dict[bytes, socket.socket] = {}
        self._come: list[socket.socket] = []

    def look(self) -> None:
        """See who has come, and what has been asked."""
        with contextlib.suppress(BlockingIOError):
            self._come.append(self.listener.accept()[0])
        for asking in list(self._come):
            with contextlib.suppress(BlockingIOError):
                self.asked[asking.recv(64, socket.MSG_DONTWAIT).strip()] = asking
                self._come.remove(asking)

    def answer(self, number: bytes) -> None:
        """Send the e-mail to whoever has asked for it."""
        with self.asked.pop(number) as asking:
            asking.send(email(number))


def email(number: bytes) -> bytes:
    """The e-mail of that number."""
    return b"e-mail %b\n" % number


class Clients:
    """The three. `requests` are what they send; `turn` lets the server's loop turn."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        address: Address,
        store: Store,
        requests: list[bytes],
        turn: Callable[[], None],
    ) -> None:
        self.store = store
        self.turn = turn
        self.clients = [stack.enter_context(socket.create_connection(address)) for _ in NUMBERS]
        half = len(requests[0]) // 2
        self._rest = requests[0][half:]
        for client, sent in zip(self.clients, [requests[0][:half], *requests[1:]], strict=True):
            client.sendall(sent)

    def hold_up(self, settled: Callable[[], bool]) -> None:
        """Let the server come to where it is held up in all three."""
        self._until(lambda: len(self.store.asked) == 2)
        self.store.answer(NUMBERS[2])
        self._until(settled)

    def let_go(self) -> int:
        """Let all three have what they wait for; how many got the right e-mail, and all of it."""
        self.clients[0].sendall(self._rest)
        self.store.answer(NUMBERS[1])
        self._until(lambda: NUMBERS[0] in self.store.asked)
        self.store.answer(NUMBERS[0])
        return sum(self._read(client, number) for client, number in zip(self.clients, NUMBERS, strict=True))

    def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.turn()
            self.store.look()

    def _read(self, client: socket.socket, number: bytes) -> bool:
        """Take an answer while the server sends it; whether its end is the e-mail that it should be."""
        wanted, taken = email(number) * REPEAT, bytearray()
        client.setblocking(False)
        while len(taken) < len(wanted) or not taken.endswith(wanted):
            self.turn()
            with contextlib.suppress(BlockingIOError):
                piece = client.recv(1 << 20)
                if not piece:
                    return False
                taken += piece
        return True


class Held(NamedTuple):
    """Where the three were held up, what kind of readiness each waited for, and how many were served in the end."""

    places: list[Any]
    waits: list[str]
    served: int


def machines_held_up() -> Held:
    """Our server, for three clients that do the same."""
    with contextlib.ExitStack() as stack:
        store, inbox, router = Store(stack), list[bytes](), Router()
        questions = MailStore(store.address)

        @router.get("/emails/{number:int}")
        async def add(request: Request, number: int) -> Response:  # noqa: ARG001
            email = await questions.find(number)
            inbox.append(email)
            return Response(email * REPEAT)

        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        service = host(listener, router)
        stack.callback(service.loop.close)
        requests = [b"GET /emails/%b HTTP/1.1\r\nHost: lab\r\n\r\n" % number for number in NUMBERS]
        clients = Clients(stack, listener.getsockname(), store, requests, lambda: service.loop.turn(0.001))
        clients.hold_up(lambda: len({one.state for one in connections(service)}) == len(NUMBERS))
        held = connections(service)
        asking = [machine for machine in service.loop.machines.values() if machine.engine.table is store_machine.TABLE]
        machines = [asking[0] if one.state == "QUERYING_BACKEND" else one for one in held]
        waits = [machine.node.spec.waits_for.phrase() for machine in machines]
        return Held([one.state for one in held], waits, clients.let_go())
