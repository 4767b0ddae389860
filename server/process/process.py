"""The process: it binds, serves, drains and stops. Its machine's descriptor is the one that signals come by.

A signal is an event among others (server.process.signals), and what it does is a row of the table.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from types import FrameType

from clerestory.handlers.api.tasks import Background
from clerestory.handlers.asgi.hosting import Hosting
from clerestory.handlers.websocket.under_way import Conversations
from clerestory.handlers.wsgi.hosting import Hosting as Threads
from clerestory.server.connection.room import connections
from clerestory.server.connection.service import Service
from clerestory.server.net.listener import Listener
from clerestory.server.net.proxy_protocol import Senders
from clerestory.server.net.sockets import Listening, open_both
from clerestory.server.net.sockets import name_of as address_of
from clerestory.server.options import Options
from clerestory.server.process.descriptors import STANDARD
from clerestory.server.process.exit import LAST_WORDS
from clerestory.server.process.held import IDLE, held_by
from clerestory.server.process.inspector import Inspector, Uninspected
from clerestory.server.process.membership import Membership
from clerestory.server.process.signals import DUMPING, ENDING, QUITTING, RELOADING, Signals
from clerestory.server.process.stack import stack_of
from clerestory.statemachines import process
from clerestory.statemachines.connection import Trigger as ConnectionTrigger
from clerestory.statemachines.contract import Facts, Name
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.listener import Trigger as ListenerTrigger
from clerestory.statemachines.process import Trigger as T

FORCED = 1
"""The exit status of a process that has not come to its orderly end."""


class Process(Machine):
    """The process that serves `service`, and takes the signals that have come by `signals`."""

    __slots__ = (
        "_description",
        "_hangs_up",
        "_hostings",
        "_inspector",
        "_leaves_backlog",
        "_listeners",
        "_service",
        "_signals",
        "membership",
        "on_drain",
    )

    def __init__(
        self, service: Service, signals: Signals, description: str, inspector: Inspector | None = None
    ) -> None:
        loop = service.loop
        super().__init__(
            Engine(process.TABLE, Process, loop.clock, loop.limits, dispatch=loop.dispatch), signals.fileno()
        )
        self._service = service
        self._signals = signals
        self._description = description
        self._inspector = inspector if inspector is not None else Uninspected()
        self._listeners: list[Listener] = []
        self._hangs_up = any(map(os.isatty, STANDARD))
        """Whether SIGHUP says that the terminal has gone on which the server was started."""
        self._hostings: list[Hosting | Threads | Background | Conversations] = []
        self.membership: Membership | None = None
        """What there is where it is a supervisor's worker."""
        self._leaves_backlog = False
        """Whether other workers take the backlog when this one drains."""
        self.on_drain: Callable[[], object] = lambda: None
        """Called when a drain begins."""
        service.on_connection_closed = self._connection_closed

    def bind(self, *addresses: str, senders: Senders | None = None, plain: Sequence[str] = ()) -> None:
        """Listen there: server.net.addresses. With `senders`, connections begin with the PROXY protocol. On `plain`
        ones, no TLS is spoken. Raises OpenError."""
        opened, without = open_both(addresses, plain)
        for listening in opened:
            self._listen(Listener(self._service, listening, senders, plain=listening in without))

    def _listen(self, listener: Listener) -> None:
        self._service.loop.add(listener)
        self._listeners.append(listener)

    def secure_port(self) -> int:
        """The port of the first listener with TLS; 443 where none has a port."""
        return next(filter(None, (one.secure_port() for one in self._listeners)), 443)

    def join(self, membership: Membership) -> None:
        """Be a supervisor's worker: take its orders, and listen on its sockets."""
        self.membership = membership
        self._hangs_up = False  # the terminal is the supervisor's business

    def adopt(self, sockets: Sequence[socket.socket], senders: Senders | None = None, plain: int = 0) -> None:
        """Listen on sockets that other workers listen on, too; `senders` as in `bind`. On the last `plain` of them no
        TLS is spoken."""
        for place, one in enumerate(sockets):
            shared = Listening(one, address_of(one), shared=True)
            without = place >= len(sockets) - plain
            self._listen(Listener(self._service, shared, senders, in_turns=True, plain=without))

    def host(self, hosting: Hosting | Threads | Background | Conversations | None) -> None:
        """Count the tasks or calls of an application, too: what runs on behind its answer holds a drain."""
        if hosting is not None:
            self._hostings.append(hosting)
            hosting.on_run_ended = self._end_drain

    @property
    def is_bound(self) -> bool:
        """Whether it listens somewhere."""
        return bool(self._listeners)

    def _connection_closed(self) -> None:
        """A descriptor was given back: a paused listener may go on, and the last one ends a drain."""
        loop = self._service.loop
        for listener in self._listeners:
            if listener.accepts(ListenerTrigger.CONNECTION_ENDED):
                loop.tell(listener, ListenerTrigger.CONNECTION_ENDED)
        self._end_drain()

    def _end_drain(self) -> None:
        if self.accepts(T.CONNECTIONS_ENDED) and self.has_nothing_under_way():
            self._service.loop.tell(self, T.CONNECTIONS_ENDED)

    def _tasks(self) -> int:
        return sum(len(hosting.runs) for hosting in self._hostings)

    # --- signals

    def read_signals(self, ready: int) -> Name | None:  # noqa: ARG002
        """Take the signals that have come."""
        endings = 0
        for number in self._signals.take():
            if number in ENDING or (self._hangs_up and number == getattr(signal, "SIGHUP", None)):
                endings += 1
            elif number == DUMPING:
                self._dump()
            elif number != QUITTING and not (number == RELOADING and self._reloads()):
                self._service.logs.warning("signal_ignored", signal=name_of(number), hint=_hint(number))
        if not endings:
            return None
        if self.membership is not None and self.accepts(T.RETIRE_ORDERED):
            self.membership.ask_to_drain()  # who takes the backlog is for the supervisor to say
            return None
        if endings > 1:
            # In the next turn: the listeners take their backlog first, and who is accepted then is cut with the others.
            loop = self._service.loop
            loop.call_from_thread(lambda: loop.tell(self, T.SIGNAL_RECEIVED))
        return T.SIGNAL_RECEIVED

    def retire(self, *, last: bool) -> None:
        """Drain, unless it drains already; `last` where nobody else takes the backlog."""
        self._leaves_backlog = not last
        self._service.loop.tell(self, T.RETIRE_ORDERED)

    def end_now(self) -> None:
        """End without finishing what is in flight."""
        self._service.loop.tell(self, T.RETIRE_ORDERED)
        self._service.loop.tell(self, T.SIGNAL_RECEIVED)

    def _reloads(self) -> bool:
        """Load the files of certificates again, if there are any; bad ones are refused, and told. A worker leaves that
        to its supervisor, which replaces it."""
        if self.membership is not None:
            return True
        secure = self._service.secure
        if secure is None or not secure.has_files:
            return False
        secure.reload()
        return True

    def _dump(self) -> None:
        service = self._service
        try:
            service.logs.info("xray_dump", **self._inspector.dump(service))
        except Exception as error:
            service.logs.error("dump_failed", exc_info=error)

    def end_at_once(self, number: int, frame: FrameType | None, seconds: float) -> None:
        """A signal that does not wait for the loop: say where the program stands, and end the process. Called by the
        signal's handler, which may have interrupted the log: so its last words are another thread's, and bounded."""
        logs, machine = self._service.logs, self._service.loop.stepping
        facts = Facts(*machine.facts()) if machine is not None else Facts()
        request = facts.request
        fields = {
            "signal": name_of(number),
            "seconds": round(seconds, 3),
            "machine": repr(machine) if machine is not None else None,
            "id": facts.number or None,
            "request": f"{request.method} {request.target}" if request is not None else None,
            "stack": stack_of(frame),
            "connections": self._service.open_connections(),
        }

        def say() -> None:
            logs.event("critical", "ended_at_once", **fields)
            logs.close(LAST_WORDS)

        speaker = threading.Thread(target=say, daemon=True)
        speaker.start()
        speaker.join(LAST_WORDS)
        os._exit(FORCED)

    # --- the start and the end

    def announce(self) -> None:
        """Say where we listen, now that it is true. A worker tells its supervisor."""
        if self.membership is not None:
            self.membership.ready()
            return
        for listener in self._listeners:
            named = {"name": listener.label} if listener.label else {}
            self._service.logs.always("listening", url=listener.url, **named, serving=self._description)

    def close_listeners(self) -> None:
        """Let the listeners take what waits in the backlog, and close."""
        loop = self._service.loop
        self._service.draining = True
        self.on_drain()
        for listener in self._listeners:
            listener.leaves_backlog = self._leaves_backlog
            loop.tell(listener, ListenerTrigger.DRAIN_STARTED)
        loop.tell(self, T.LISTENERS_CLOSED)

    def has_nothing_under_way(self) -> bool:
        """Whether no client connection is open, and no application's task runs."""
        return not self._service.open_connections() and not self._tasks()

    def announce_drain(self) -> None:
        """Say how many connections are waited for, which, and how long."""
        service, tasks = self._service, self._tasks()
        limits, loop = service.limits, service.loop
        held = held_by(connections(service), queries=service.logs.queries)
        service.logs.info(
            "draining",
            connections=service.open_connections(),
            **({"applications": tasks} if tasks else {}),
            **({"waits_for": held} if held else {}),
            seconds=limits.drain_timeout,
            hint="a second signal, such as Ctrl-C once more, closes them at once",
        )
        # time to be told, and to be cancelled, before the connections are cut
        grace = max(limits.drain_timeout / 2, limits.drain_timeout - 2 * limits.application_leave_timeout)
        for hosting in self._hostings:
            loop.call_at(loop.clock() + limits.last_request_timeout + grace, hosting.drain)

    def stop_idle(self) -> None:
        """Say that nothing is waited for, and end the loop."""
        self.announce_drain()
        self.stop()

    def close_idle(self) -> None:
        """Close the connections that have no request under way. All of them have just been looked at: see
        server.loop.sweep."""
        loop = self._service.loop
        for connection in connections(self._service):
            loop.tell(connection, ConnectionTrigger.DRAIN_STARTED)

    def cut_off(self) -> None:
        """Close every connection that is left, and log each that has something to lose, with its state and age."""
        loop = self._service.loop
        for connection in connections(self._service):
            if connection.node.state not in IDLE:
                age = round(loop.now - connection.accepted_at, 3)
                self._service.logs.warning(
                    "connection_cut", id=connection.number, peer=connection.peer, state=connection.state, age=age
                )
            loop.tell(connection, ConnectionTrigger.CLOSE_ORDERED)
        self.stop()

    def stop(self) -> None:
        """End the loop."""
        self._service.loop.stop()

    def close(self) -> None:
        """Nothing to give back: the socket belongs to `signals_by_socket`, and is closed when no signal can be written
        to it any more. One that came between would make Python tell of a broken pipe."""


def senders_of(options: Options) -> Senders | None:
    """Who sends the PROXY protocol; None where nobody does."""
    return Senders(options.proxy_protocol) if options.proxy_protocol else None


def name_of(number: int) -> str:
    """`SIGTERM`."""
    return signal.Signals(number).name


def _hint(number: int) -> str:
    if name_of(number) == "SIGHUP":
        return "a reload takes a supervisor: start with --workers, which may be 1"
    return "SIGTERM ends the server in order"
