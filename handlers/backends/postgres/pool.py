"""The sessions of one database, and the queries that wait for one. Sessions, waiting queries and waits are limited.

The laws:

- a session is opened when a query would have to wait for one, and closed when it has been idle for long;
- a waiting query is a machine with a deadline (statemachines.slot);
- queries are served in order; beyond the limit a query is refused at once, and a waiting one when its deadline passes:
  503 with Retry-After;
- after a failed attempt to connect there is a pause, which doubles with each failure and is randomised, so that many
  servers do not reconnect at the same moment. During the pause every query is refused at once; after it one attempt is
  made for the next query, and the others are still refused;
- nothing is retried: a query goes to one session, and fails if that session fails.

No timer runs while no query waits: the end of the pause is only compared.
"""

import random
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from clerestory.handlers.api.operations import Operation
from clerestory.handlers.backends.pool import bounds
from clerestory.handlers.backends.pool.slot import Queue
from clerestory.handlers.backends.postgres.address import Lookup, Place, look_up
from clerestory.handlers.backends.postgres.cancel import CancelRequest
from clerestory.handlers.backends.postgres.errors import unavailable
from clerestory.handlers.backends.postgres.hygiene import Hygiene
from clerestory.handlers.backends.postgres.query import Query, Runner, Sessions
from clerestory.handlers.backends.postgres.reset import Reset
from clerestory.handlers.backends.postgres.session import Session
from clerestory.handlers.backends.postgres.statement import Statements
from clerestory.handlers.backends.threads.threads import ThreadPool
from clerestory.handlers.backends.threads.work import ThreadCall
from clerestory.statemachines import postgres, postgres_cancel, postgres_reset, slot
from clerestory.statemachines.engine import Engine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.slot import Trigger as SlotTrigger

FIRST_PAUSE = 0.1
"""Seconds between the first two attempts at a database that cannot be reached, on average. An option limits the
longest pause."""


class Pool(Sessions):
    """The sessions with `place`, and the queries that wait for one, within the limits.

    `limits` are deadlines and bounds by option (handlers.backends.pool.bounds), over those of the loop. It belongs to
    the loop on which it is first used.
    """

    def __init__(
        self,
        place: Place,
        limits: Mapping[str, float] | None = None,
        lookup: Lookup = look_up,
        hygiene: Hygiene | None = None,
    ) -> None:
        self.place = place
        self.name = str(place)
        self._limits = limits or {}
        self._take_bounds(self._limits)
        self.chunked = pq.version() >= 170000
        self.transformer = Transformer()
        self.sessions: list[Session] = []
        self.failures = 0
        """Failed attempts since the last successful one."""
        self.reason = ""
        """Why the last one failed."""
        self._lookup = lookup
        self._lookups: list[ThreadCall[list[str]]] = []
        self._not_before = 0.0
        self._opened = 0
        self.hygiene = hygiene or Hygiene()
        self.statements = Statements(self.hygiene.least, self.hygiene.harmless)
        self._loop: Loop | None = None

    # --- the loop

    @property
    def loop(self) -> Loop:
        """As Sessions.loop."""
        assert self._loop is not None
        return self._loop

    def _settle_on(self, loop: Loop) -> None:
        if self._loop is not None:
            raise RuntimeError(f"the sessions of {self.name} are on another loop")
        self._loop = loop
        limits = {**loop.limits, **self._limits}
        self._take_bounds(limits)
        self.engine = Engine(postgres.TABLE, Session, loop.clock, limits, loop.dispatch)
        self.queue: Queue[Query[Any]] = Queue(self, self.name, slot.POSTGRES, loop, limits)
        self.reset_engine = Engine(postgres_reset.TABLE, Reset, loop.clock, limits, loop.dispatch)
        self.cancel_engine = Engine(postgres_cancel.TABLE, CancelRequest, loop.clock, limits, loop.dispatch)

    def _take_bounds(self, limits: Mapping[str, float]) -> None:
        def bound(found: bounds.Bound) -> float:
            return limits.get(found.option, found.default)

        self.size = int(bound(bounds.POSTGRES_SESSIONS))
        self.backlog = int(bound(bounds.POSTGRES_BACKLOG))
        self.max_rows = int(bound(bounds.POSTGRES_MAX_ROWS))
        self.max_bytes = int(bound(bounds.POSTGRES_MAX_BYTES))
        self.max_prepared = int(bound(bounds.POSTGRES_PREPARED))
        self.longest_pause = bound(bounds.POSTGRES_RETRY)
        self.threads = ThreadPool(1, self.size, "postgres address")

    # --- for queries

    def ask(self, query: Query[Any], loop: Loop) -> None:
        """As Sessions.ask."""
        if self._loop is not loop:
            self._settle_on(loop)
        if not self.queue.slots:  # otherwise those in the queue come first
            for session in self.sessions:
                if session.is_free():
                    session.use(query)
                    return
        if self.failures and not self._is_alive() and (loop.clock() < self._not_before or self._is_opening()):
            raise self.down()
        if len(self.queue.slots) >= self.backlog:
            raise unavailable("busy", "Too many requests are waiting for the database.")
        self.queue.join(query)
        if len(self.sessions) < self.size:
            self._open_if_wanted()

    def supply(self) -> str:
        """For an operator, what waiting queries wait for: `10 sessions`."""
        text = f"{self.size} session{'s' if self.size != 1 else ''}"
        if self._lookups:
            return f"{text} <- {self._lookups[0].describe()}"
        opening = next((session for session in self.sessions if session.is_being_made()), None)
        return f"{text} <- {opening.describe()}" if opening is not None else text

    # --- for sessions

    def next_query(self) -> Query[Any] | None:
        """As Sessions.next_query."""
        return self.queue.next()

    def reached(self) -> None:
        """As Sessions.reached."""
        self.failures = 0
        self._not_before = 0.0

    def left(self, session: Runner) -> None:
        """As Sessions.left."""
        assert isinstance(session, Session)
        self.sessions.remove(session)
        if not session.node.final:
            return  # the loop itself is being closed
        if session.is_being_made():
            if session.others:
                self._connect(session.others)
                return
            self._failed(session.reason or f"no response in {session.history[-1][1].source.state}")
        self._open_if_wanted()

    # --- opening

    def _is_alive(self) -> bool:
        """Whether there is a session that may become free."""
        return any(not session.is_being_made() for session in self.sessions)

    def _is_opening(self) -> int:
        """How many sessions are being opened."""
        return len(self._lookups) + sum(session.is_being_made() for session in self.sessions)

    def _open_if_wanted(self) -> None:
        """Open a session for waiting queries, if another may be opened now."""
        opening = self._is_opening()
        soon_free = sum(session.reset is not None and session.reset.is_brief() for session in self.sessions)
        wanted = min(len(self.queue.slots) - soon_free, 1 if self.failures else self.size)
        if opening >= wanted or len(self.sessions) + len(self._lookups) >= self.size:
            return
        if self.loop.clock() < self._not_before:
            return
        if self.place.has_names:
            call = self.threads.call(self.place.attempts, self._lookup)
            self._lookups.append(call)
            call.start(self)
        else:
            self._connect(self.place.attempts(self._lookup))

    def finished(self, operation: Operation, result: Any = None, error: BaseException | None = None) -> None:
        """As Executor.finished: the addresses have been looked up."""
        self._lookups.remove(operation)  # type: ignore[arg-type]
        if error is not None:
            self._failed(str(error))
        else:
            self._connect(result)

    def _connect(self, attempts: list[str]) -> None:
        """Start the first of `attempts` that can be started."""
        reason = "there is no address"
        for number, conninfo in enumerate(attempts, 1):
            pgconn = pq.PGconn.connect_start(conninfo.encode())
            try:
                if pgconn.status == pq.ConnStatus.BAD:
                    raise psycopg.OperationalError(pgconn.get_error_message())
                session = Session(self, self._opened + 1, pgconn, attempts[number:])
            except (psycopg.Error, OSError) as error:
                reason = str(error)
                pgconn.finish()
                continue
            self._opened += 1
            self.sessions.append(session)
            self.loop.add(session)
            return
        self._failed(reason)

    def _failed(self, reason: str) -> None:
        """The database cannot be reached. If there is no session, waiting queries are refused."""
        self.reason = reason
        now = self.loop.clock()
        pause = min(FIRST_PAUSE * 2.0**self.failures, self.longest_pause)
        self.failures += 1
        self._not_before = now + pause * random.uniform(0.5, 1.5)  # noqa: S311 - not for security
        if not self._is_alive():
            self.queue.lose()

    def refuse(self, query: Query[Any], reason: SlotTrigger) -> None:
        """As slot.Pool: fail a query that has not got a session."""
        if reason is SlotTrigger.BACKEND_LOST:
            query.fail(self.down())
        elif reason is SlotTrigger.DEADLINE_PASSED:
            query.fail(unavailable("busy", "No session with the database became free in time."))
        else:
            query.fail(unavailable("closed by an operator", "The operation was cancelled by an operator."))
        query.deliver()

    def down(self) -> Exception:
        """The error for queries to a database that cannot be reached."""
        error = psycopg.OperationalError(self.reason) if self.reason else None
        seconds = self._not_before - self.loop.clock()
        return unavailable("unreachable", "The database cannot be reached.", seconds, error)
