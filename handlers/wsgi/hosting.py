"""What the calls of a WSGI application share on one loop: the engine of their machines, the threads, and what is
remembered of heads."""

from collections.abc import Callable
from typing import Any

from clerestory.handlers.backends.threads.job import Job
from clerestory.handlers.backends.threads.threads import ThreadPool
from clerestory.handlers.wsgi.environ import Environs
from clerestory.handlers.wsgi.heads import Heads
from clerestory.statemachines import wsgi
from clerestory.statemachines.engine import Engine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.wsgi import Trigger as T

Called = Callable[[Any, Any], Any]


def nothing(*_: object, **__: object) -> None:
    """Tells nobody."""


class Hosting:
    """The application's calls on `loop`, which are of the class `model`. `tell` is told what is for the log: an event's
    level and name, and its fields; on any thread."""

    def __init__(
        self, called: Called, environs: Environs, loop: Loop, tell: Callable[..., None], model: type[Job]
    ) -> None:
        self.called = called
        self.environs = environs
        self.loop = loop
        self.tell = tell
        self.heads = Heads()
        self.max_output = int(loop.limits.get("max_output", 64 * 1024))
        self.engine = Engine(wsgi.TABLE, model, loop.clock, loop.limits, loop.dispatch)
        self.pool = ThreadPool()
        self.pool.engine_on(loop)
        self.runs: set[Job] = set()
        """Calls that are under way."""
        self.on_run_ended: Callable[[], None] = nothing

    def call_ended(self, call: Job) -> None:
        """A call has ended, or never begins."""
        self.runs.discard(call)
        self.on_run_ended()

    def drain(self) -> None:
        """End the answers that still go on: the server ends."""
        for call in list(self.runs):
            self.loop.tell(call, T.DRAIN_STARTED)
