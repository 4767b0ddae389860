"""The shell of a cancel request: libpq's non-blocking one (from version 17), else its blocking one in a thread.

`request_cancel` begins; CANCEL_SENT or CANCEL_FAILED is fired at the reset, on the loop, and never before it has
returned.
"""

import os

import psycopg
from psycopg import capabilities, pq

from clerestory.handlers.api.operations import Operation
from clerestory.handlers.backends.postgres.query import Runner
from clerestory.handlers.backends.threads.work import ThreadCall
from clerestory.statemachines import postgres_reset
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.postgres_cancel import State as S
from clerestory.statemachines.postgres_cancel import Trigger as T

_OK, _FAILED, _READING = pq.PollingStatus.OK, pq.PollingStatus.FAILED, pq.PollingStatus.READING


def request_cancel(reset: Machine, session: Runner) -> bool:
    """Begin to cancel the query of `session`, for its `reset`. False if that is not possible."""
    loop, pool = session.loop, session.pool
    try:
        if not capabilities.has_cancel_safe():
            _InThread(loop, reset, pool.threads.call(session.pgconn.get_cancel().cancel))
            return True
        cancelling = session.pgconn.cancel_conn()
        cancelling.start()
        loop.add(CancelRequest(loop, reset, pool.cancel_engine, cancelling))
    except (psycopg.Error, OSError):
        return False
    return True


class CancelRequest(Machine):
    """A cancel request. Like a session, it waits on a descriptor of its own: see session.py."""

    __slots__ = ("_cancelling", "_inode", "_loop", "_reset")

    def __init__(self, loop: Loop, reset: Machine, engine: Engine, cancelling: pq.abc.PGcancelConn) -> None:
        super().__init__(engine, os.dup(cancelling.socket))
        self._loop = loop
        self._reset = reset
        self._cancelling = cancelling
        self._inode = os.fstat(self.descriptor).st_ino

    def poll_request(self, ready: int) -> T | None:  # noqa: ARG002
        """One step of libpq."""
        status = self._cancelling.poll()
        if status == _OK:
            return T.REQUEST_TAKEN
        if status == _FAILED:
            return T.CONNECTION_LOST
        self._inode = follow_socket(self._loop, self, self._cancelling.socket, self._inode)
        if status == _READING:
            return T.CLOSE_AWAITED if self.node.state is S.SENDING else None
        return T.WRITING_AWAITED if self.node.state is S.AWAITING_CLOSE else None

    def close(self) -> None:
        """Close the descriptor, and libpq's; then notify the reset."""
        history = self.history
        taken = bool(history) and history[-1][1].trigger is T.REQUEST_TAKEN
        os.close(self.descriptor)
        self._cancelling.finish()
        tell(self._loop, self._reset, taken=taken)


def follow_socket(loop: Loop, machine: Machine, socket: int, inode: int) -> int:
    """Return the inode of libpq's socket. libpq may have opened another socket: for the next address, or to start again
    without TLS. Then our descriptor is made a duplicate of that one. libpq has closed the old one, and so do we, so the
    poller has forgotten it."""
    found = os.fstat(socket).st_ino
    if found != inode:
        os.dup2(socket, machine.descriptor, inheritable=False)
        loop.add(machine)
    return found


def tell(loop: Loop, reset: Machine, *, taken: bool) -> None:
    """Fire the outcome of the request at its reset, unless the reset has ended meanwhile."""
    trigger = postgres_reset.Trigger.CANCEL_SENT if taken else postgres_reset.Trigger.CANCEL_FAILED
    if reset.accepts(trigger):
        loop.tell(reset, trigger)


class _InThread:
    """The executor of the blocking request, the only one in libpq before 17."""

    def __init__(self, loop: Loop, reset: Machine, call: ThreadCall[None]) -> None:
        self.loop = loop
        self._reset = reset
        call.start(self)

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:  # noqa: ARG002
        tell(self.loop, self._reset, taken=error is None)
