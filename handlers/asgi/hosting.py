"""What the calls of an ASGI application share on one loop: the machine's engine, the tasks that are under way, what is
remembered of fields."""

from collections.abc import Callable
from typing import Any, Protocol

from clerestory.handlers.api.messages import Fields, Request
from clerestory.handlers.api.operations import pseudo_descriptor
from clerestory.handlers.asgi.events import FieldChecker
from clerestory.handlers.asgi.scope import Scopes
from clerestory.handlers.asgi.tasks import Starter
from clerestory.statemachines import application
from clerestory.statemachines.application import Trigger as T
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.loop import Loop

Callable3 = Callable[[Any, Any, Any], Any]


class Carrier(Protocol):
    """What carries a request: an exchange."""

    def request_id(self) -> str:
        """Names the request in the log."""

    def ends(self) -> tuple[str, Any]:
        """The peer's name, and what getsockname(2) says of our own end."""

    def has_input(self) -> bool:
        """Whether bytes of the request's body have come already."""

    def interim(self, status: int, reason: str, fields: Fields) -> None:
        """As Relay.interim."""


class Hosted(Machine):
    """A call, as `Hosting` knows it. `name` is the request's id, which is the task's name too; `length` what the
    application has promised."""

    __slots__ = ("length", "name", "request")

    def __init__(self, engine: Engine, request: Request, name: str) -> None:
        super().__init__(engine, pseudo_descriptor())
        self.request = request
        self.name = name
        self.length: int | None = None


class Hosting:
    """The application's calls on `loop`, which are of the class `model`, and whose tasks `starter` starts.

    `tell` is told what is for the log: an event's level and name, and its fields.
    """

    def __init__(
        self,
        called: Callable3,
        loop: Loop,
        starter: Starter,
        scopes: Scopes,
        tell: Callable[..., None],
        max_output: int,
        model: type[Machine],
    ) -> None:
        self.application = called
        self.loop = loop
        self.starter = starter
        self.scopes = scopes
        self.max_output = max_output
        self.checker = FieldChecker()
        self.engine = Engine(application.TABLE, model, loop.clock, loop.limits, loop.dispatch)
        self.runs: set[Machine] = set()
        """Calls that are under way, and have taken more than one step."""
        self.on_run_ended: Callable[[], None] = _nothing
        self.tell = tell

    # --- what runs tell

    def run_ended(self, run: Hosted) -> None:
        """A call has ended."""
        self.runs.discard(run)
        self.on_run_ended()

    def tell_failure(self, run: Hosted, error: BaseException) -> None:
        """An application has raised when there was nobody left to be answered."""
        self.say("error", "application_failed", run, exc_info=error)

    def tell_too_long(self, run: Hosted) -> None:
        """An application has sent more than it had promised: the rest is not sent."""
        self.say("warning", "body_too_long", run, content_length=run.length)

    def tell_cancelled(self, run: Hosted) -> None:
        """A call is cancelled."""
        self.say("warning", "application_cancelled", run)

    def tell_stuck(self, run: Hosted) -> None:
        """A call does not end."""
        self.runs.discard(run)
        self.say("error", "application_stuck", run)
        self.on_run_ended()

    def say(self, level: str, event: str, run: Hosted, **fields: Any) -> None:
        """Write an event of a call to the log."""
        request = run.request
        self.tell(level, event, id=run.name, method=request.method, target=request.target, **fields)

    # --- the end

    def drain(self) -> None:
        """Tell those that have not answered that the server ends."""
        self._fire_all(T.DRAIN_STARTED)

    def cancel_all(self) -> None:
        """Cancel whatever is left."""
        self._fire_all(T.CLOSE_ORDERED)

    def _fire_all(self, trigger: T) -> None:
        for run in list(self.runs):
            self.loop.tell(run, trigger)


def _nothing() -> None:
    """Nobody is to be told."""
