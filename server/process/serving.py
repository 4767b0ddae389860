"""Serving, from the start to the end: the loop, the service, the process, its view, and whichever loop runs ours."""

import gc
import os
import secrets
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Self

from clerestory.handlers.api.messages import Application
from clerestory.handlers.api.tasks import background_of
from clerestory.handlers.asgi.application import ASGI
from clerestory.handlers.proxy.forwarding import parse_networks
from clerestory.handlers.websocket.under_way import conversations_on
from clerestory.handlers.wsgi.application import WSGI
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.names import RequestNames
from clerestory.server.connection.service import Service
from clerestory.server.http import codec_for
from clerestory.server.http2 import http2_of
from clerestory.server.logging.history import history_lines
from clerestory.server.logging.logs import Logs
from clerestory.server.loop import nested as asyncio_loop
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.net.self_signed import from_memory
from clerestory.server.net.tls import Secure
from clerestory.server.options import Options
from clerestory.server.process.assignment import NONE, Assignment
from clerestory.server.process.descriptors import raise_limit
from clerestory.server.process.exit import ExitGuard
from clerestory.server.process.hooks import Hooks
from clerestory.server.process.hosting import Host
from clerestory.server.process.inspector import Inspector, Uninspected, View
from clerestory.server.process.membership import Membership
from clerestory.server.process.notify import Notifier, take_notifier
from clerestory.server.process.pidfile import PidFile
from clerestory.server.process.process import Process, senders_of
from clerestory.server.process.signals import Signals, signals_by_socket
from clerestory.statemachines.engine import Machine
from clerestory.statemachines.process import Trigger as T


def serve(
    application: Application,
    options: Options,
    logs: Logs,
    signals: Signals | None = None,
    inspector: Inspector | None = None,
    assignment: Assignment | None = None,
) -> int:
    """Serve until one of `signals` ends it; the exit status: 0, or 3 when an application's start-up fails.

    Our own loop runs alone, or inside asyncio's, which an ASGI application needs. `inspector` looks into the process.
    With an `assignment` it is a supervisor's worker. Raises OpenError, PollerError, PidFileError.
    """
    if signals is None:
        with signals_by_socket() as ours:
            return serve(application, options, logs, ours, inspector, assignment)
    before, after = raise_limit()
    if after > before:
        logs.info("descriptor_limit_raised", before=before, after=after)
    with _Serving(application, options, logs, signals, inspector or Uninspected(), assignment) as serving:
        status = serving.hooks.start()
        if status is not None:
            return status
        if isinstance(application, ASGI) or options.loop != "auto":
            guard = ExitGuard(logs, options.limits.application_cancel_timeout)
            status = asyncio_loop.run(_hosted(serving, signals, guard), options.loop)
            guard.release()
        else:
            serving.listen()
            serving.loop.run()
            status = 0
        serving.hooks.stop()
        if not status:
            said = logs.info if assignment is None else logs.debug
            said("stopped", connections_served=serving.service.accepted)
        return status


async def _hosted(serving: "_Serving", signals: Signals, guard: ExitGuard) -> int:
    """Serve inside the loop that runs; the exit status."""
    host = Host(serving.service.application, serving.loop, serving.service.limits, serving.service.logs)
    if host.hosting is not None:
        serving.process.host(host.hosting)
    status = await host.run(serving.listen, signals.numbers, signals.wakes())
    guard.arm(status)
    return status


def _names(options: Options) -> RequestNames:
    """How requests are named by this run of the process, and by no other."""
    trusted = parse_networks(options.trusted)
    return RequestNames(secrets.token_hex(4), trusted, always=options.request_ids == "all")


class _Serving:
    """What serves, from its making to its end, whichever loop runs it."""

    def __init__(
        self,
        application: Application,
        options: Options,
        logs: Logs,
        signals: Signals,
        inspector: Inspector,
        assignment: Assignment | None = None,
    ) -> None:
        self._options = options
        self._logs = logs
        self._signals = signals
        self._exit = ExitStack()
        with ExitStack() as undo:
            limits = options.limits
            self.loop = Loop(
                open_poller(options.poller), self._crashed, limits=asdict(limits), dispatch=options.dispatch
            )
            undo.callback(self.loop.close)
            codec = codec_for(options.parser)
            self.service = Service(application, self.loop, limits, logs, codec, Connection, inspector.observer)
            self.service.debug = options.debug or options.reload
            self.service.http2 = http2_of(self.service, options.http2, options.h2c, options.tls is not None)
            self.service.h2c = options.h2c
            self.service.names = _names(options)
            if options.tls is not None:
                tls = replace(options.tls, http2=self.service.http2 is not None and options.http2 != "off")
                if assignment is not None and assignment.certificate != NONE:
                    tls = replace(tls, made=from_memory(assignment.certificate))
                self.service.secure = Secure(tls, options.host, logs.event, self.loop.now)
            self.process = Process(self.service, signals, options.description, inspector)
            if self.service.secure is not None and options.redirect_http:
                port = options.redirect_port
                self.service.redirect_plain(lambda: port or self.process.secure_port())
            self.loop.add(self.process)
            self._notifier = Notifier() if assignment is not None else take_notifier()
            undo.callback(self._notifier.close)
            self.process.on_drain = self._notifier.stopping
            if assignment is None and options.pid_file:
                pid_file = PidFile(options.pid_file)
                pid_file.write()
                undo.callback(pid_file.remove)
            if assignment is not None:
                membership = Membership(assignment, self.service, self.process)
                undo.callback(membership.close)
                self.process.join(membership)
            if isinstance(application, WSGI):
                self.process.host(application.bind(self.loop))
            self.process.host(background_of(self.loop))
            self.process.host(conversations_on(self.loop))
            self.hooks = Hooks(application, self.loop, limits, logs)
            if not isinstance(application, ASGI) and not self.hooks.has_start:
                self._bind()
            self._view = self._open_view(inspector, assignment)
            self.service.tracing = inspector.trace(options, logs)
            if self.service.tracing is not None:
                undo.callback(self.service.tracing.close)
            if self._view is not None:
                if self.process.membership is not None:
                    undo.callback(self._tell_last)  # behind the view's own end: nobody else counts then
                undo.callback(self._view.close)
                self._view.start()
            undo.callback(signals.unwatch)
            self._exit = undo.pop_all()

    def _crashed(self, machine: Machine, error: BaseException) -> None:
        self._logs.error(
            "machine_crashed", exc_info=error, machine=repr(machine), history=history_lines(machine.history)
        )

    def _open_view(self, inspector: Inspector, assignment: Assignment | None) -> View | None:
        if assignment is None:
            return inspector.open(self.service, self._options, self._logs)
        if assignment.door == NONE:
            return None
        if not self._options.xray:
            os.close(assignment.door)
            return None
        return inspector.open_behind(assignment.door, self.service, self._options, self._logs)

    def _tell_last(self) -> None:
        """Tell the supervisor what has been counted here."""
        assert self._view is not None
        assert self.process.membership is not None
        try:
            self.process.membership.tell_last(self._view.last_words())
        except Exception as error:  # noqa: BLE001 - the worker has served well
            self._logs.debug("last_words_failed", exc_info=error)

    def _bind(self) -> None:
        membership = self.process.membership
        if membership is not None:
            self.process.adopt(membership.sockets(), senders_of(self._options), membership.assignment.plain)
        else:
            plain = self._options.redirect_http
            self.process.bind(*self._options.addresses(), senders=senders_of(self._options), plain=plain)

    def listen(self) -> None:
        """Begin to serve. An application has started up before its listener is there."""
        if not self.process.is_bound:
            self._bind()
        self.loop.fire(self.process, T.LISTENING)
        if self._view is not None and self.process.membership is None:
            self._view.announce()
        self._notifier.ready("serving")
        self._notifier.watch(self.loop)
        gc.freeze()  # what was made by starting stays: the collector of cycles need not look at it again
        self._signals.watch(self.loop.clock, self.process.end_at_once)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()
