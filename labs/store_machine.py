"""A machine of one's own: the client of the mail store (`labs.mail_store`), with its table and its shell in one file.

    email = await store.find(7)        # in a handler of our server

This is all that it takes to let a handler wait for something new that has a descriptor: the states (what is waited
for), the rows (what may happen in each, and where that leads), the shell (how it is done), and an operation, by which
whoever waits is told. Interest, deadline, cancelling, the x-ray's words and the drawing come with the table.
"""

import errno
import socket
from collections.abc import Callable
from enum import auto

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.operations import Executor, Operation
from clerestory.statemachines.contract import HUNG_UP, Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way
from clerestory.statemachines.engine import Edge, Engine, Machine
from clerestory.statemachines.loop import Loop


class State(Name):
    CONNECTING = auto()
    AWAITING_EMAIL = auto()
    CLOSED = auto()


class Trigger(Name):
    CONNECTED = auto()
    CONNECT_FAILED = auto()
    EMAIL_RECEIVED = auto()
    """A line has come: the e-mail."""
    STORE_CLOSED = auto()
    CALLER_LEFT = auto()
    """Whoever asked does not want the e-mail any more."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()


S, T = State, Trigger

CONNECT = Deadline("connect", "store_connect_timeout", 5.0, "for the store to accept; it is near by")
EMAIL = Deadline("e-mail", "store_timeout", 10.0, "for the e-mail; shorter than a handler's time")

SPECS = (
    Spec(S.CONNECTING, Interest.WRITABLE, CONNECT, "finish_connect", "the store has not accepted yet"),
    Spec(S.AWAITING_EMAIL, Interest.READABLE, EMAIL, "read_email", "the store has been asked and has not answered"),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the descriptor is given back", final=True),
)

ROWS = (
    Row(S.CONNECTING, T.CONNECTED, S.AWAITING_EMAIL, action="ask", way=Way.HAPPY),
    Row(S.CONNECTING, T.CONNECT_FAILED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.CONNECTING, T.CALLER_LEFT, S.CLOSED, ends=Cause.CLIENT),
    Row(S.CONNECTING, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.CONNECTING, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    Row(S.AWAITING_EMAIL, T.EMAIL_RECEIVED, S.CLOSED, action="deliver", way=Way.HAPPY, ends=Cause.UPSTREAM),
    Row(S.AWAITING_EMAIL, T.STORE_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_EMAIL, T.CALLER_LEFT, S.CLOSED, ends=Cause.CLIENT),
    Row(S.AWAITING_EMAIL, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.AWAITING_EMAIL, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
)

TABLE = Table("store", State, Trigger, S.CONNECTING, SPECS, ROWS, frozenset({T.CONNECT_FAILED, T.STORE_CLOSED}))


class MailStore:
    """The store at `address`; `observer` is told of each passage of a query's machine."""

    def __init__(self, address: tuple[str, int], observer: Callable[[Machine, Edge], None] | None = None) -> None:
        self.address = address
        self._observer = observer
        self._engine: tuple[Loop, Engine] | None = None

    def find(self, number: int) -> "Find":
        """The e-mail of that number, as an operation. Raises HTTPError 502."""
        return Find(self, number)

    def engine(self, loop: Loop) -> Engine:
        """The table, compiled for `loop`."""
        if self._engine is None or self._engine[0] is not loop:
            self._engine = loop, Engine(TABLE, Query, loop.clock, loop.limits, loop.dispatch, self._observer)
        return self._engine[1]


class Query(Machine):
    """The shell: one question to the store, on a connection of its own."""

    __slots__ = ("answer", "caller", "number", "socket")

    def __init__(self, engine: Engine, connecting: socket.socket, caller: "Find") -> None:
        super().__init__(engine, connecting.fileno())
        self.socket = connecting
        self.caller = caller
        self.number = caller.number
        self.answer = b""

    def finish_connect(self, ready: int) -> Name | None:
        """What has come of connect(2)."""
        if ready & HUNG_UP or self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return T.CONNECT_FAILED
        return T.CONNECTED

    def ask(self) -> Name | None:
        """One short line: a socket that has just been connected takes it."""
        try:
            self.socket.send(b"%d\n" % self.number)
        except OSError:
            return T.STORE_CLOSED
        return None

    def read_email(self, ready: int) -> Name | None:  # noqa: ARG002
        """Read once: the line, a piece of it, or the end."""
        try:
            piece = self.socket.recv(4096)
        except BlockingIOError:
            return None
        except OSError:
            return T.STORE_CLOSED
        self.answer += piece
        if not piece:
            return T.STORE_CLOSED
        return T.EMAIL_RECEIVED if self.answer.endswith(b"\n") else None

    def deliver(self) -> None:
        """Tell whoever asked; the last step, for the caller goes on at once."""
        self.caller.end(self.answer)

    def give_up(self) -> None:
        """Tell whoever asked that there will be no e-mail."""
        self.caller.end(None)

    def close(self) -> None:
        """Give the descriptor back."""
        self.socket.close()


class Find(Operation):
    """What a handler awaits: one e-mail."""

    __slots__ = ("_executor", "_query", "_store", "number")

    def __init__(self, store: MailStore, number: int) -> None:
        self._store = store
        self.number = number

    def start(self, executor: Executor) -> None:
        connecting = socket.socket()
        connecting.setblocking(False)
        if connecting.connect_ex(self._store.address) not in (0, errno.EINPROGRESS):
            connecting.close()
            raise HTTPError(502, "The mail store cannot be reached.")
        self._executor = executor
        self._query = Query(self._store.engine(executor.loop), connecting, self)
        executor.loop.add(self._query)

    def end(self, email: bytes | None) -> None:
        """The machine has come to its end, with an e-mail or without."""
        if email is None:
            self._executor.finished(self, error=HTTPError(502, "The mail store has not answered."))
        else:
            self._executor.finished(self, email)

    def cancel(self) -> None:
        self._executor.loop.tell(self._query, T.CALLER_LEFT)

    def describe(self) -> str:
        query = self._query
        return f"store {query.state} <- fd {query.descriptor} {query.node.spec.waits_for.phrase()}"
