"""Supervising, from the start to the end: the sockets are bound, workers are executed, and the loop runs.

The supervisor imports no application: what is wrong with one is told by the worker that tries.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from socket import AF_UNIX

from clerestory.handlers.echo import echo
from clerestory.server.config import Limits
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.service import Service
from clerestory.server.http import codec_for
from clerestory.server.logging.history import history_lines
from clerestory.server.logging.logs import Logs
from clerestory.server.logging.turns import Turns
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.net.backlog import admit_no_more
from clerestory.server.net.self_signed import in_memory, names_for
from clerestory.server.net.sockets import open_both
from clerestory.server.net.tls import make_certificate, tell_of_made
from clerestory.server.options import Options
from clerestory.server.process.assignment import NONE
from clerestory.server.process.descriptors import raise_limit
from clerestory.server.process.identity import become
from clerestory.server.process.inspector import Inspector
from clerestory.server.process.notify import take_notifier
from clerestory.server.process.pidfile import PidFile
from clerestory.server.process.signals import RELOADING, signals_by_socket
from clerestory.server.process.sources import Sources
from clerestory.server.process.supervisor import Launcher, Supervisor
from clerestory.statemachines.engine import Machine
from clerestory.statemachines.supervisor import Trigger as T


def supervise(
    options: Options,
    command: Sequence[str],
    logs: Logs,
    inspector: Inspector,
    turns: Turns | None = None,
    *,
    parting: bool = False,
) -> int:
    """Serve by workers, each executed as `command`, until a signal ends them; the exit status. They write their logs by
    `turns`. Raises OpenError, PollerError, CertificateError."""
    also = [number for number in (RELOADING, signal.SIGCHLD) if number is not None]
    with signals_by_socket(parting=parting, also=also) as signals, ExitStack() as undo:
        raise_limit()  # workers inherit it
        listening, plain = open_both(options.addresses(), options.redirect_http)
        for one in listening:
            undo.callback(one.close)
        sockets = [one.socket for one in listening]
        notifier = take_notifier()
        undo.callback(notifier.close)
        if options.pid_file:
            pid_file = PidFile(options.pid_file)
            pid_file.write()
            undo.callback(pid_file.remove)
        become(options.user, options.group)

        def crashed(machine: Machine, error: BaseException) -> None:
            logs.error("machine_crashed", exc_info=error, machine=repr(machine), history=history_lines(machine.history))

        loop = Loop(open_poller(options.poller), crashed, limits=deadlines(options.limits), dispatch=options.dispatch)
        undo.callback(loop.close)
        codec = codec_for(options.parser)
        service = Service(echo, loop, options.limits, logs, codec, Connection, inspector.observer)
        view = inspector.oversee(service, options, logs)
        if view is not None:
            undo.callback(view.close)
            view.start()
        certificate = _certificate(options, logs, undo)
        shared = turns.descriptor if turns is not None else NONE
        launcher = Launcher(command, sockets, len(plain), shared, certificate)
        supervisor = Supervisor(loop, logs, signals, launcher, options.workers)
        loop.add(supervisor)

        def ready(note: str = "") -> None:
            notifier.ready(f"{options.workers} workers, generation {supervisor.generation}{note}")

        def announce() -> None:
            for one in listening:
                scheme = "http" if options.tls is None or one in plain else "https"
                url = one.name if one.socket.family == AF_UNIX else f"{scheme}://{one.name}/"
                logs.always("listening", url=url, workers=options.workers, pid=os.getpid())
            if view is not None:
                view.announce()
            ready()
            notifier.watch(loop)  # a manager counts from READY=1 on; before it these would fill its socket

        supervisor.hooks.serving = announce
        supervisor.hooks.reloading = lambda: notifier.reloading(loop.clock())
        supervisor.hooks.reloaded = ready
        supervisor.hooks.reload_failed = lambda: ready("; a reload has failed")
        supervisor.hooks.stopping = notifier.stopping
        if view is not None:
            overview = view
            supervisor.hooks.ended = lambda worker: overview.departed(worker.number, worker.last_words)
        supervisor.hooks.shut = lambda: [admit_no_more(one) for one in sockets]
        if options.reload:
            supervisor.awaits_change = True

            def changed(path: str) -> None:
                logs.info("source_changed", path=path)
                loop.tell(supervisor, T.RELOAD_ORDERED)

            loop.add(Sources(loop, options.app_dir or ".", changed))
        loop.call_at(loop.clock(), supervisor.begin_generation)  # a start that fails ends the loop, which must run
        loop.run()
        if not supervisor.status:
            logs.info("stopped")
        return supervisor.status


def _certificate(options: Options, logs: Logs, undo: ExitStack) -> int:
    """A descriptor of the certificate that all workers of all generations show, where one is made; else NONE. Raises
    CertificateError."""
    if options.tls is None or not options.tls.self_signed:
        return NONE
    descriptor = in_memory(make_certificate(options.host))
    undo.callback(os.close, descriptor)
    tell_of_made(names_for(options.host), logs.event)
    return descriptor


def deadlines(limits: Limits) -> dict[str, float]:
    """The deadlines of a supervisor's machines. A worker retires within the time that its own drain may take, and some
    more."""
    drain = limits.last_request_timeout + limits.drain_timeout + limits.lifespan_shutdown_timeout
    return asdict(limits) | {"worker_retire_timeout": drain + limits.worker_retire_timeout}
