"""The sessions of one database, and who waits for one. Bounded: so many sessions, so many waiting, so long.

The laws:

- a session is opened when somebody would have to wait for one, and given back when it has long been idle;
- who waits is a machine with a deadline (statemachines.slot);
- whoever comes first is served first; one more than may wait is refused at once, and so is, when his time has passed,
  whoever waited in vain: 503 with Retry-After;
- a database that can not be reached is not asked again before a pause, which doubles with each failure and is spread at
  random, so that many servers do not come back at the same moment. Until then everybody is refused at once; then one
  attempt is made for the first who asks, and the others are still refused;
- nothing is asked twice: a query goes to one session, and what becomes of that becomes of the query.

No timer runs while nobody waits: the pause is a time that is compared.
"""

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from handlers.backends import bounds
from handlers.backends.postgres_address import Lookup, Place, look_up
from handlers.backends.postgres_cancel import CancelRequest
from handlers.backends.postgres_errors import unavailable
from handlers.backends.postgres_session import Session
from handlers.backends.slot import Queue
from handlers.backends.threads import ThreadCall, ThreadPool
from handlers.operations import Operation
from statemachines import postgres, postgres_cancel, slot
from statemachines.contract import Loop
from statemachines.engine import Engine
from statemachines.postgres import State as S
from statemachines.slot import Trigger as SlotTrigger

if TYPE_CHECKING:
    from handlers.backends.postgres_query import Query

FIRST_PAUSE = 0.1
"""Seconds between the first two attempts at a database that can not be reached, on the average. The longest pause is a
bound."""

FREQUENT = 5
"""Uses after which a statement is worth preparing; preparing it costs one more way to the server and back."""

MAX_COUNTED = 500
"""Statements whose uses are counted."""

Key = tuple[bytes, tuple[int, ...]]


class Pool:
    """At most so many sessions with `place`, and so many queries that wait for one, no longer than their deadline.

    `limits` are deadlines and bounds by option (handlers.backends.bounds), over those of the loop. It belongs to the
    loop on which it is first asked.
    """

    def __init__(
        self,
        place: Place,
        limits: Mapping[str, float] | None = None,
        lookup: Lookup = look_up,
    ) -> None:
        self.place = place
        self.name = str(place)
        self._limits = limits or {}
        self._take_bounds(self._limits)
        self.chunked = pq.version() >= 170000
        self.transformer = Transformer()
        self.sessions: list[Session] = []
        self.failures = 0
        """Attempts that have failed since the last that did not."""
        self.reason = ""
        """Why the last one did."""
        self._lookup = lookup
        self._lookups: list[ThreadCall[list[str]]] = []
        self._not_before = 0.0
        self._opened = 0
        self._uses: dict[Key, int] = {}
        self._loop: Loop | None = None

    # --- the loop

    @property
    def loop(self) -> Loop:
        """The loop that the sessions are on."""
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
        self.cancel_engine = Engine(postgres_cancel.TABLE, CancelRequest, loop.clock, limits, loop.dispatch)

    def _take_bounds(self, limits: Mapping[str, float]) -> None:
        def bound(found: bounds.Bound) -> float:
            return limits.get(found.option, found.default)

        self.size = int(bound(bounds.POSTGRES_SESSIONS))
        self.backlog = int(bound(bounds.POSTGRES_BACKLOG))
        self.max_rows = int(bound(bounds.POSTGRES_MAX_ROWS))
        self.max_prepared = int(bound(bounds.POSTGRES_PREPARED))
        self.longest_pause = bound(bounds.POSTGRES_RETRY)
        self.threads = ThreadPool(1, self.size, "postgres address")

    # --- for queries

    def ask(self, query: "Query[Any]", loop: Loop) -> None:
        """Give `query` to a session, now or when there is one. Raises HTTPError 503 where that is in vain."""
        if self._loop is not loop:
            self._settle_on(loop)
        for session in self.sessions:
            if session.node.state is S.IDLE:
                session.use(query)
                return
        if self.failures and not self._is_alive() and (loop.clock() < self._not_before or self._is_opening()):
            raise self.down()
        if len(self.queue.slots) >= self.backlog:
            raise unavailable("Too many requests are waiting for the database.")
        self.queue.join(query)
        if len(self.sessions) < self.size:
            self._open_if_wanted()

    def supply(self) -> str:
        """For an operator, on what those who wait do so: `10 sessions`."""
        text = f"{self.size} session{'s' if self.size != 1 else ''}"
        if self._lookups:
            return f"{text} <- {self._lookups[0].describe()}"
        opening = next((session for session in self.sessions if not session.started), None)
        return f"{text} <- {opening.describe()}" if opening is not None else text

    def is_frequent(self, query: "Query[Any]") -> bool:
        """Count a use of the statement; whether it is used so often that it is worth preparing."""
        uses = self._uses.get(query.key, 0) + 1
        if uses > 1 or len(self._uses) < MAX_COUNTED:
            self._uses[query.key] = uses
        return uses > FREQUENT

    # --- for sessions

    def next_query(self) -> "Query[Any] | None":
        """The query that a session which has become free is to carry out."""
        return self.queue.next()

    def reached(self) -> None:
        """A session has been made: the database is there."""
        self.failures = 0
        self._not_before = 0.0

    def left(self, session: Session) -> None:
        """`session` has ended. Go on with its other attempts, or with others."""
        self.sessions.remove(session)
        if not session.node.final:
            return  # the loop itself is being closed
        if not session.started:
            if session.others:
                self._connect(session.others)
                return
            self._failed(session.reason or f"no answer in {session.history[-1][1].source.state}")
        self._open_if_wanted()

    # --- opening

    def _is_alive(self) -> bool:
        """Whether there is a session that may become free."""
        return any(session.started for session in self.sessions)

    def _is_opening(self) -> int:
        """How many sessions are being made."""
        return len(self._lookups) + sum(not session.started for session in self.sessions)

    def _open_if_wanted(self) -> None:
        """Open a session for whoever waits, if another may be opened now."""
        opening = self._is_opening()
        wanted = min(len(self.queue.slots), 1 if self.failures else self.size)
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
        """Begin the first of `attempts` that can be begun."""
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
        """The database can not be reached. Without any session nobody waits for it."""
        self.reason = reason
        now = self.loop.clock()
        pause = min(FIRST_PAUSE * 2.0**self.failures, self.longest_pause)
        self.failures += 1
        self._not_before = now + pause * random.uniform(0.5, 1.5)  # noqa: S311 - it keeps no secret
        if not self._is_alive():
            self.queue.lose()

    def refuse(self, query: "Query[Any]", reason: SlotTrigger) -> None:
        """As slot.Pool: it has waited in vain."""
        if reason is SlotTrigger.BACKEND_LOST:
            query.fail(self.down())
        elif reason is SlotTrigger.DEADLINE_PASSED:
            query.fail(unavailable("No session with the database became free in time."))
        else:
            query.fail(unavailable("What was asked to answer this was ended."))
        self.loop.call_from_thread(query.deliver)

    def down(self) -> Exception:
        """What those are told who ask a database that can not be reached."""
        cause = psycopg.OperationalError(self.reason) if self.reason else None
        return unavailable("The database can not be reached.", self._not_before - self.loop.clock(), cause)
