"""An inquiry: one request to one worker's x-ray, and the operation that awaits the answers of several. The shell of
statemachines/inquiry.py, on the x-ray's own loop.

Nobody is waited for who does not answer: each inquiry has a deadline, and one to a worker that has not been heard for a
while has a short one.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import h11

from clerestory.handlers.api.operations import Executor, Operation
from clerestory.server.process.liveness import INTERVAL
from clerestory.server.xray.workers.member import Member
from clerestory.statemachines import inquiry
from clerestory.statemachines.contract import Name
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.inquiry import Trigger as T
from clerestory.statemachines.loop import Loop

SILENT = 2.5 * INTERVAL
"""Seconds for which a worker has not been heard, from which on little is expected of it: it beats each INTERVAL."""

BRIEFLY = 0.25
"""Seconds that such a worker has to answer."""

READ = 256 * 1024

MOST = 64 << 20
"""Bytes of an answer: three times what 20,000 rows take."""


class Answer(NamedTuple):
    """What a worker's x-ray has answered."""

    status: int
    media_type: bytes
    body: bytes


def engine_on(loop: Loop) -> Engine:
    """The engine of all inquiries of `loop`."""
    engine: Engine | None = loop.registry.get(Inquiry)
    if engine is None:
        engine = loop.registry[Inquiry] = Engine(inquiry.TABLE, Inquiry, loop.clock, loop.limits, loop.dispatch)
        for node in engine.nodes:
            node.least = min(node.limit, BRIEFLY)
    return engine


class Inquiry(Machine):
    """`method` `target`, asked of `member`. `told` is called at its end, with itself; `answer` is None where there is
    none. Raises OSError where the worker cannot be connected to."""

    __slots__ = (
        "_briefly",
        "_is_whole",
        "_parts",
        "_protocol",
        "_rest",
        "_size",
        "_socket",
        "_told",
        "answer",
        "member",
        "target",
    )

    def __init__(self, loop: Loop, member: Member, method: str, target: str, told: Callable[["Inquiry"], None]) -> None:
        self._socket = member.worker.door.connect()
        super().__init__(engine_on(loop), self._socket.fileno())
        self.member, self.target, self._told = member, target, told
        self._briefly = member.heard > SILENT
        self._protocol = h11.Connection(h11.CLIENT)
        fields = [("Host", "localhost"), ("Connection", "close"), ("Content-Length", "0")]
        self._rest = self._protocol.send(h11.Request(method=method, target=target, headers=fields)) or b""
        self._parts: list[bytes] = []
        self._size = 0
        self.answer: Answer | None = None
        self._is_whole = False

    def facts(self) -> tuple[object, ...]:
        """As Machine.facts."""
        return self.member.number, f"worker {self.member.number}: {self.target.partition('?')[0]}"

    def is_overdue(self, now: float) -> bool:
        """As Machine.is_overdue."""
        return now - self.since >= (min(BRIEFLY, self.node.limit) if self._briefly else self.node.limit)

    def send(self, ready: int) -> Name | None:  # noqa: ARG002
        """As Model.send."""
        try:
            self._rest = self._rest[self._socket.send(self._rest) :]
        except BlockingIOError:
            return None
        except OSError:
            return T.CONNECTION_LOST
        return None if self._rest else T.REQUEST_SENT

    def receive(self, ready: int) -> Name | None:  # noqa: ARG002
        """As Model.receive."""
        try:
            self._protocol.receive_data(self._socket.recv(READ))
            return self._take()
        except BlockingIOError:
            return None
        except (OSError, h11.RemoteProtocolError):
            return T.CONNECTION_LOST

    def _take(self) -> Name | None:
        """Take what the answer has come to. Raises h11.RemoteProtocolError, also where it is cut."""
        while True:
            event = self._protocol.next_event()
            if isinstance(event, h11.Response):
                media_type = next((value for name, value in event.headers if name == b"content-type"), b"")
                self.answer = Answer(event.status_code, media_type, b"")
            elif isinstance(event, h11.Data):
                self._parts.append(bytes(event.data))
                self._size += len(event.data)
                if self._size > MOST:
                    return T.CONNECTION_LOST
            elif isinstance(event, h11.EndOfMessage):
                assert self.answer is not None
                self.answer = self.answer._replace(body=b"".join(self._parts))
                self._is_whole = True
                return T.ANSWER_RECEIVED
            elif event is h11.NEED_DATA:
                return None
            else:
                return T.CONNECTION_LOST

    def ended(self) -> None:
        """As Machine.ended."""
        if not self._is_whole:
            self.answer = None
        self._told(self)

    def close(self) -> None:
        """As Machine.close."""
        self._socket.close()


Answers = dict[int, Answer | None]
"""By the worker's number; None where it did not answer."""


class Inquiries(Operation):
    """`answers = await Inquiries(loop, members, method, target)`. With `enough`, it is not waited for others once it
    is true of an answer."""

    __slots__ = ("_answers", "_enough", "_executor", "_loop", "_members", "_method", "_open", "_target")

    def __init__(
        self,
        loop: Loop,
        members: Iterable[Member],
        method: str,
        target: str,
        enough: Callable[[Answer], bool] | None = None,
    ) -> None:
        self._loop, self._members = loop, list(members)
        self._method, self._target, self._enough = method, target, enough
        self._answers: Answers = {}
        self._open: list[Inquiry] = []
        self._executor: Executor | None = None

    def start(self, executor: Executor) -> None:
        self._executor = executor
        for member in self._members:
            self._answers[member.number] = None
            try:
                one = Inquiry(self._loop, member, self._method, self._target, self._told)
            except OSError:
                continue
            self._open.append(one)
            self._loop.add(one)
        if not self._open:
            self._loop.call_at(self._loop.clock(), self._deliver)

    def cancel(self) -> None:
        self._executor = None
        self._give_up()

    def describe(self) -> str:
        return "workers " + ", ".join(str(one.member.number) for one in self._open)

    def _told(self, one: Inquiry) -> None:
        self._open.remove(one)
        self._answers[one.member.number] = one.answer
        enough = self._enough is not None and one.answer is not None and self._enough(one.answer)
        if enough or not self._open:
            self._deliver()
            self._give_up()

    def _give_up(self) -> None:
        for one in list(self._open):
            self._loop.tell(one, T.CLOSE_ORDERED)

    def _deliver(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self, self._answers)
