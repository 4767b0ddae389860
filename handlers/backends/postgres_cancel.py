"""The shell of a request to cancel: libpq's non-blocking one (from 17 on), else its blocking one in a thread.

`request_cancel(session)` begins; the session is told by CANCEL_SENT or CANCEL_FAILED, on the loop and never before it
has returned.
"""

import os
from typing import TYPE_CHECKING

import psycopg
from psycopg import capabilities, pq

from handlers.backends.threads import ThreadCall, ThreadPool
from handlers.operations import Operation
from statemachines import postgres
from statemachines.contract import Loop
from statemachines.engine import Machine
from statemachines.postgres_cancel import State as S
from statemachines.postgres_cancel import Trigger as T

if TYPE_CHECKING:
    from handlers.backends.postgres_session import Session

_OK, _FAILED, _READING = pq.PollingStatus.OK, pq.PollingStatus.FAILED, pq.PollingStatus.READING


def request_cancel(session: "Session", threads: ThreadPool) -> bool:
    """Begin to cancel what `session` is at. False when that can not be done."""
    try:
        if not capabilities.has_cancel_safe():
            _InThread(session, threads)
            return True
        cancelling = session.pgconn.cancel_conn()
        cancelling.start()
        session.loop.add(CancelRequest(session, cancelling))
    except (psycopg.Error, OSError):
        return False
    return True


class CancelRequest(Machine):
    """A request on its way. As a session, it waits on a descriptor of its own: see postgres_session."""

    __slots__ = ("_cancelling", "_inode", "_session")

    def __init__(self, session: "Session", cancelling: pq.abc.PGcancelConn) -> None:
        super().__init__(session.pool.cancel_engine, os.dup(cancelling.socket))
        self._session = session
        self._cancelling = cancelling
        self._inode = os.fstat(self.descriptor).st_ino

    def poll_request(self, ready: int) -> T | None:  # noqa: ARG002
        """One step of libpq's."""
        status = self._cancelling.poll()
        if status == _OK:
            return T.REQUEST_TAKEN
        if status == _FAILED:
            return T.CONNECTION_LOST
        self._inode = follow_socket(self._session.loop, self, self._cancelling.socket, self._inode)
        if status == _READING:
            return T.CLOSE_AWAITED if self.node.state is S.SENDING else None
        return T.WRITING_AWAITED if self.node.state is S.AWAITING_CLOSE else None

    def close(self) -> None:
        """Close the descriptor, and libpq's; then tell the session."""
        history = self.history
        taken = bool(history) and history[-1][1].trigger is T.REQUEST_TAKEN
        os.close(self.descriptor)
        self._cancelling.finish()
        tell(self._session, taken=taken)


def follow_socket(loop: Loop, machine: Machine, socket: int, inode: int) -> int:
    """libpq may have taken another socket meanwhile: for the next address, or to begin again without TLS. Then our
    descriptor is made to mean that one; hands back its inode. The old one was closed by libpq and, now, by us, so the
    poller has forgotten it."""
    found = os.fstat(socket).st_ino
    if found != inode:
        os.dup2(socket, machine.descriptor, inheritable=False)
        loop.add(machine)
    return found


def tell(session: "Session", *, taken: bool) -> None:
    """Fire the end of the request at its session, unless that has ended meanwhile."""
    trigger = postgres.Trigger.CANCEL_SENT if taken else postgres.Trigger.CANCEL_FAILED
    if session.accepts(trigger):
        session.loop.fire(session, trigger)


class _InThread:
    """The executor of the blocking request, which is all that libpq has before 17."""

    def __init__(self, session: "Session", threads: ThreadPool) -> None:
        self._session = session
        call: ThreadCall[None] = threads.call(session.pgconn.get_cancel().cancel)
        call.start(self)

    @property
    def loop(self) -> Loop:
        return self._session.loop

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:  # noqa: ARG002
        tell(self._session, taken=error is None)
