"""The process: it binds, serves, drains and stops. Its machine's descriptor is the one that signals come by.

Python's own way with signals is to run a handler between two bytecodes, wherever the program is. Here the C-level
handler writes the signal's number to a socket (signal.set_wakeup_fd), and the loop reads it like anything else: a
signal is an event among others, and what it does is a row of the table.
"""

import gc
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from server.connection import Connection
from server.exchange import Application
from server.http import codec_for
from server.listener import Listener, listen
from server.logs import Logs
from server.loop import Loop
from server.options import Options
from server.poller import open_poller
from server.service import Service
from server.xray.cut import take
from server.xray.dump import dump
from server.xray.recorder import told
from server.xray.thread import XRay, open_xray
from server.xray.watch import bounds_of
from statemachines import process
from statemachines.connection import Trigger as ConnectionTrigger
from statemachines.contract import Name
from statemachines.engine import Engine, Machine
from statemachines.listener import Trigger as ListenerTrigger
from statemachines.process import State as S
from statemachines.process import Trigger as T

ENDING = (signal.SIGINT, signal.SIGTERM)
DUMPING = signal.SIGUSR1
"""Tells the log what every connection waits for."""


class Process(Machine):
    """The process that serves `service`. It reads the signals that come by `signals`, the end of a socket pair."""

    __slots__ = ("_description", "_listeners", "_service", "_signals", "forced")

    def __init__(self, service: Service, signals: socket.socket, description: str) -> None:
        loop = service.loop
        super().__init__(
            Engine(process.TABLE, Process, loop.clock, loop.limits, dispatch=loop.dispatch), signals.fileno()
        )
        self._service = service
        self._signals = signals
        self._description = description
        self._listeners: list[Listener] = []
        self.forced = False
        """Whether connections were cut at the end."""
        service.on_connection_closed = self._connection_closed

    def bind(self, host: str, port: int) -> None:
        """Listen there. Raises OSError."""
        listener = Listener(self._service, listen(host, port))
        self._service.loop.add(listener)
        self._listeners.append(listener)

    def _connection_closed(self) -> None:
        """A descriptor was given back: a paused listener may go on, and the last one ends a drain."""
        loop = self._service.loop
        for listener in self._listeners:
            if listener.accepts(ListenerTrigger.CONNECTION_ENDED):
                loop.fire(listener, ListenerTrigger.CONNECTION_ENDED)
        if self.node.state is S.DRAINING and not self._service.connections():
            loop.fire(self, T.CONNECTIONS_ENDED)

    def read_signals(self, ready: int) -> Name | None:  # noqa: ARG002
        """Take the signals that have come. Each is a byte; several may have come at once."""
        try:
            received = self._signals.recv(16)
        except BlockingIOError:
            return None
        if DUMPING in received:
            self._dump()
        numbers = [number for number in received if number in ENDING]
        if not numbers:
            return None
        if len(numbers) > 1:
            self._service.loop.call_from_thread(self._signal_again)
        return T.SIGNAL_RECEIVED

    def _signal_again(self) -> None:
        if self.accepts(T.SIGNAL_RECEIVED):
            self._service.loop.fire(self, T.SIGNAL_RECEIVED)

    def _dump(self) -> None:
        service = self._service
        self._service.logs.info("xray_dump", **dump(take(service.loop), service.recorder, bounds_of(service)))

    def announce(self) -> None:
        """Say where we listen, now that it is true."""
        for listener in self._listeners:
            self._service.logs.always("listening", url=f"http://{listener.address}/", serving=self._description)

    def drain(self) -> Name | None:
        """Take what waits in the backlog, close the listeners, and the idle connections after a whole further turn, so
        that a request which has come before the signal is answered, in whatever order the poller reports."""
        service = self._service
        service.draining = True
        for listener in self._listeners:
            service.loop.fire(listener, ListenerTrigger.DRAIN_STARTED)
        connections = len(service.connections())
        service.logs.info("draining", connections=connections, seconds=service.limits.drain_timeout)
        if not connections:
            return T.CONNECTIONS_ENDED
        loop = service.loop
        loop.call_from_thread(lambda: loop.call_from_thread(self._close_idle))
        return None

    def _close_idle(self) -> None:
        loop = self._service.loop
        for connection in self._service.connections():
            if connection.accepts(ConnectionTrigger.DRAIN_STARTED):
                loop.fire(connection, ConnectionTrigger.DRAIN_STARTED)

    def cut_off(self) -> None:
        """Close every connection that is left, and log each with its state and age."""
        self.forced = True
        loop = self._service.loop
        for connection in self._service.connections():
            age = round(loop.now - connection.accepted_at, 3)
            self._service.logs.warning(
                "connection_cut", id=connection.number, peer=connection.peer, state=connection.state, age=age
            )
            loop.fire(connection, ConnectionTrigger.CLOSE_ORDERED)
        self.stop()

    def stop(self) -> None:
        """End the loop."""
        self._service.loop.stop()

    def close(self) -> None:
        """Nothing to give back: the socket belongs to `signals_by_socket`, and is closed when no signal can be written
        to it any more. One that came between would make Python tell of a broken pipe."""


@contextmanager
def signals_by_socket(*, parting: bool = False) -> Iterator[socket.socket]:
    """The reading end of a socket pair to which the numbers of our signals are written while the block runs.

    After it the handlers are as before; with `parting`, where the process ends with the block, signals are ignored: the
    interpreter takes a moment to end, and what comes meanwhile must not change the exit status.
    """
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    with reading, writing:
        before = {number: signal.signal(number, lambda *_: None) for number in (*ENDING, DUMPING)}
        fd_before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(fd_before)
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if parting else handler)


def serve(application: Application, options: Options, logs: Logs) -> int:
    """Serve until a signal ends it; the exit status, 0. Raises OSError, AddressError of the x-ray."""

    def crashed(machine: Machine, error: BaseException) -> None:
        logs.error("machine_crashed", exc_info=error, machine=repr(machine), history=told(machine.history))

    xray: XRay | None = None
    with signals_by_socket() as signals:
        loop = Loop(open_poller(options.poller), crashed, limits=asdict(options.limits), dispatch=options.dispatch)
        try:
            service = Service(application, loop, options.limits, logs, codec_for(options.parser), Connection)
            this = Process(service, signals, options.description)
            loop.add(this)
            this.bind(options.host, options.port)
            xray = open_xray(options, service, logs)
            if xray is not None:
                xray.start()
            loop.fire(this, T.LISTENING)
            gc.freeze()  # what was made by starting stays: the collector of cycles need not look at it again
            loop.run()
            logs.info("stopped", connections_served=service.accepted)
        finally:
            if xray is not None:
                xray.close()
            loop.close()
    return 0
