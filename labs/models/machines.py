"""Machines on the server's own loop: a table for the client, one for the store, and no other memory of where we are.

The engine and the loop are those that are shipped; the tables and the shells are as small as the task. A connection
that queries waits for nothing but its client's disconnect, so that a client
that talks on is not read before it is answered.
"""

import socket
from enum import auto

from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.statemachines.contract import Cause, Interest, Name, Row, Spec, Table, Unbounded, Way
from clerestory.statemachines.engine import Engine, Machine

PATIENT = Unbounded("the clients of a lab may take their time")


class State(Name):
    READING_REQUEST = auto()
    QUERYING_STORE = auto()
    SENDING_RESPONSE = auto()
    CLOSED = auto()


class Trigger(Name):
    ECHO_ASKED = auto()
    EMAIL_ASKED = auto()
    EMAIL_RECEIVED = auto()
    OUTPUT_FLUSHED = auto()
    PEER_CLOSED = auto()
    STORE_CLOSED = auto()
    CLOSE_ORDERED = auto()


S, T = State, Trigger

CLIENT = Table(
    "client",
    State,
    Trigger,
    S.READING_REQUEST,
    (
        Spec(S.READING_REQUEST, Interest.READABLE, PATIENT, "read_request", "no whole line has come"),
        Spec(S.QUERYING_STORE, Interest.HANG_UP, PATIENT, "notice_loss", "the store has been asked"),
        Spec(S.SENDING_RESPONSE, Interest.WRITABLE, PATIENT, "write", "the answer waits for the socket"),
        Spec(S.CLOSED, Interest.NOTHING, PATIENT, "", "it is over", final=True),
    ),
    (
        Row(S.READING_REQUEST, T.ECHO_ASKED, S.SENDING_RESPONSE, action="begin_response", way=Way.HAPPY),
        Row(S.READING_REQUEST, T.EMAIL_ASKED, S.QUERYING_STORE, action="ask_store", way=Way.HAPPY),
        Row(S.READING_REQUEST, T.PEER_CLOSED, S.CLOSED, way=Way.HAPPY, ends=Cause.CLIENT),
        Row(S.READING_REQUEST, T.STORE_CLOSED, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
        Row(S.READING_REQUEST, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
        Row(S.QUERYING_STORE, T.EMAIL_RECEIVED, S.SENDING_RESPONSE, action="begin_response", way=Way.HAPPY),
        Row(S.QUERYING_STORE, T.PEER_CLOSED, S.CLOSED, ends=Cause.CLIENT),
        Row(S.QUERYING_STORE, T.STORE_CLOSED, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
        Row(S.QUERYING_STORE, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
        Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.READING_REQUEST, action="next_request", way=Way.HAPPY),
        Row(S.SENDING_RESPONSE, T.PEER_CLOSED, S.CLOSED, ends=Cause.CLIENT),
        Row(S.SENDING_RESPONSE, T.STORE_CLOSED, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
        Row(S.SENDING_RESPONSE, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
    ),
    frozenset({T.PEER_CLOSED}),
)


class StoreState(Name):
    IDLE = auto()
    AWAITING_EMAIL = auto()
    CLOSED = auto()


class StoreTrigger(Name):
    QUESTION_SENT = auto()
    EMAIL_RECEIVED = auto()
    PEER_CLOSED = auto()
    CLIENT_LEFT = auto()
    CLOSE_ORDERED = auto()


SS, ST = StoreState, StoreTrigger

STORE = Table(
    "store",
    StoreState,
    StoreTrigger,
    SS.IDLE,
    (
        Spec(SS.IDLE, Interest.HANG_UP, PATIENT, "notice_loss", "the client has asked nothing"),
        Spec(SS.AWAITING_EMAIL, Interest.READABLE, PATIENT, "read_email", "the store looks for the e-mail"),
        Spec(SS.CLOSED, Interest.NOTHING, PATIENT, "", "it is over", final=True),
    ),
    (
        Row(SS.IDLE, ST.QUESTION_SENT, SS.AWAITING_EMAIL, way=Way.HAPPY),
        Row(SS.IDLE, ST.PEER_CLOSED, SS.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
        Row(SS.IDLE, ST.CLIENT_LEFT, SS.CLOSED, way=Way.HAPPY, ends=Cause.CLIENT),
        Row(SS.IDLE, ST.CLOSE_ORDERED, SS.CLOSED, ends=Cause.OPERATOR),
        Row(SS.AWAITING_EMAIL, ST.EMAIL_RECEIVED, SS.IDLE, action="deliver", way=Way.HAPPY),
        Row(SS.AWAITING_EMAIL, ST.PEER_CLOSED, SS.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
        Row(SS.AWAITING_EMAIL, ST.CLIENT_LEFT, SS.CLOSED, ends=Cause.CLIENT),
        Row(SS.AWAITING_EMAIL, ST.CLOSE_ORDERED, SS.CLOSED, ends=Cause.OPERATOR),
    ),
    frozenset({ST.PEER_CLOSED}),
)


class Client(Machine):
    """The shell of a client's connection."""

    __slots__ = ("output", "socket", "store", "unread")

    def __init__(self, engine: Engine, client: socket.socket) -> None:
        super().__init__(engine, client.fileno())
        client.setblocking(False)
        self.socket = client
        self.unread = self.output = b""
        self.store: Store

    def read_request(self, _: int) -> Name | None:
        """Read once; a line is a request."""
        try:
            heard = self.socket.recv(4096)
        except BlockingIOError:
            return None
        except OSError:
            return T.PEER_CLOSED
        if not heard:
            return T.PEER_CLOSED
        self.unread += heard
        return self.next_request()

    def next_request(self) -> Name | None:
        """What the line asks for, if there is a whole one."""
        line, end, rest = self.unread.partition(b"\n")
        if not end:
            return None
        self.unread = rest
        verb, _, asked = line.partition(b" ")
        self.output = asked + b"\n"
        return T.EMAIL_ASKED if verb == b"email" else T.ECHO_ASKED

    def ask_store(self) -> Name | None:
        """Pass the question on."""
        question, self.output = self.output, b""
        return None if self.store.ask(question) else T.STORE_CLOSED

    def begin_response(self) -> Name | None:
        """Most answers go at once."""
        return self.write(0)

    def write(self, _: int) -> Name | None:
        """Write once."""
        try:
            sent = self.socket.send(self.output)
        except BlockingIOError:
            return None
        except OSError:
            return T.PEER_CLOSED
        self.output = self.output[sent:]
        return None if self.output else T.OUTPUT_FLUSHED

    def notice_loss(self, _: int) -> Name | None:
        """Nothing but a hang-up is reported here."""
        return T.PEER_CLOSED

    def ended(self) -> None:
        """The store's connection goes with the client."""
        self.store.leave()

    def close(self) -> None:
        """Give the descriptor back."""
        self.socket.close()


class Store(Machine):
    """The shell of a client's connection to the store."""

    __slots__ = ("client", "email", "loop", "socket")

    def __init__(self, engine: Engine, store: socket.socket, client: Client, loop: Loop) -> None:
        super().__init__(engine, store.fileno())
        store.setblocking(False)
        self.socket = store
        self.client = client
        self.loop = loop
        self.email = b""

    def ask(self, question: bytes) -> bool:
        """Send the number of an e-mail."""
        try:
            self.socket.send(question)
        except OSError:
            return False
        self.loop.fire(self, ST.QUESTION_SENT)
        return True

    def read_email(self, _: int) -> Name | None:
        """Read once; a line is the e-mail."""
        try:
            heard = self.socket.recv(4096)
        except BlockingIOError:
            return None
        except OSError:
            return ST.PEER_CLOSED
        self.email += heard
        if not heard:
            return ST.PEER_CLOSED
        return ST.EMAIL_RECEIVED if heard.endswith(b"\n") else None

    def deliver(self) -> None:
        """To the client, which goes on at once; this one is at rest by then."""
        self.client.output, self.email = self.email, b""
        self.loop.fire(self.client, T.EMAIL_RECEIVED)

    def notice_loss(self, _: int) -> Name | None:
        """Nothing but a hang-up is reported here."""
        return ST.PEER_CLOSED

    def leave(self) -> None:
        """The client is no more."""
        if not self.node.final:
            self.loop.fire(self, ST.CLIENT_LEFT)

    def ended(self) -> None:
        """Without its store a client is of no use."""
        if not self.client.node.final:
            self.loop.fire(self.client, T.STORE_CLOSED)

    def close(self) -> None:
        """Give the descriptor back."""
        self.socket.close()


class EntranceState(Name):
    ACCEPTING = auto()
    CLOSED = auto()


class EntranceTrigger(Name):
    CLOSE_ORDERED = auto()


ENTRANCE = Table(
    "entrance",
    EntranceState,
    EntranceTrigger,
    EntranceState.ACCEPTING,
    (
        Spec(EntranceState.ACCEPTING, Interest.READABLE, PATIENT, "accept", "clients connect at any time"),
        Spec(EntranceState.CLOSED, Interest.NOTHING, PATIENT, "", "it is over", final=True),
    ),
    (Row(EntranceState.ACCEPTING, EntranceTrigger.CLOSE_ORDERED, EntranceState.CLOSED, ends=Cause.OPERATOR),),
    frozenset(),
)


class Entrance(Machine):
    """The shell of the listening socket; it has the engines of the others."""

    __slots__ = ("clients", "listener", "loop", "store_address", "stores")

    def __init__(self, loop: Loop, listener: socket.socket, store_address: tuple[str, int]) -> None:
        super().__init__(Engine(ENTRANCE, Entrance, loop.clock), listener.fileno())
        self.clients = Engine(CLIENT, Client, loop.clock)
        self.stores = Engine(STORE, Store, loop.clock)
        self.loop = loop
        self.listener = listener
        self.store_address = store_address

    def accept(self, _: int) -> None:
        """Take one, and connect to the store for it."""
        accepted, _address = self.listener.accept()
        client = Client(self.clients, accepted)
        client.store = Store(self.stores, socket.create_connection(self.store_address), client, self.loop)
        self.loop.add(client)
        self.loop.add(client.store)


def crashed(machine: Machine, error: BaseException) -> None:
    """No machine of a lab does."""
    raise RuntimeError(f"{machine} has crashed") from error


def serve(listener: socket.socket, host: str, port: str) -> None:
    """Everybody on the loop of the server."""
    loop = Loop(open_poller(), crashed)
    loop.add(Entrance(loop, listener, (host, int(port))))
    loop.run()
