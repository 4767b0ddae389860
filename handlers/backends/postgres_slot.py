"""The shell of a query that waits for a session: a place in the pool's queue, with a deadline.

It is in the loop's map under a negative number, for it has no descriptor.
"""

from typing import TYPE_CHECKING, Any

from handlers.backends.postgres_errors import unavailable
from handlers.operations import placeless, span
from statemachines.engine import Machine
from statemachines.postgres_slot import Trigger as T

if TYPE_CHECKING:
    from handlers.backends.postgres_pool import Pool
    from handlers.backends.postgres_query import Query


class Slot(Machine):
    """The place of `query` in the queue of `pool`."""

    __slots__ = ("born", "pool", "query")

    def __init__(self, pool: "Pool", query: "Query[Any]") -> None:
        super().__init__(pool.slot_engine, placeless())
        self.born = self.since
        self.pool = pool
        self.query = query

    def describe(self) -> str:
        """For an operator: `postgres slot#12 WAITING 0.3 s <- 10 sessions, 3 waiting`."""
        stay = span(self.pool.loop.clock() - self.since)
        return f"postgres slot#{-self.descriptor} {self.node.state} {stay} <- {self.pool.describe()}"

    def glance(self) -> tuple[Any, ...]:
        """As Machine.glance: contract.Facts."""
        return (-self.descriptor, self.pool.name, self.born)

    def leave(self) -> None:
        """Whoever asked has gone."""
        if self.accepts(T.ASKER_LEFT):
            self.pool.loop.fire(self, T.ASKER_LEFT)

    def withdraw(self) -> None:
        """Leave the queue, where those who are served have left it already."""
        self.pool.forget(self)

    def refuse(self) -> None:
        """Leave the queue, and have the query end by 503."""
        self.pool.forget(self)
        trigger, query = self.history[-1][1].trigger, self.query
        if trigger is T.DATABASE_LOST:
            query.fail(self.pool.down())
        elif trigger is T.DEADLINE_PASSED:
            query.fail(unavailable("No session with the database became free in time."))
        else:
            query.fail(unavailable("What was asked to answer this was ended."))
        self.pool.loop.call_from_thread(query.deliver)
