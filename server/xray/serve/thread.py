"""The x-ray's own thread: its own loop, its own listener, its own service. It answers while the main loop does not.

It shares with the server that it looks at nothing but the interpreter and the log. What it needs to answer it has
before: its socket is bound at the start, a few descriptors are held in reserve for the day when there are none left,
and the page is in memory.
"""

import copy
import os
import socket
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from clerestory.handlers.api.messages import Application
from clerestory.server.config import Limits
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.service import Service
from clerestory.server.http import codec_for
from clerestory.server.logging.logs import Logs
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.net.door import Inside
from clerestory.server.net.sockets import SocketFile
from clerestory.server.options import Options, XRayMetrics
from clerestory.server.xray.exports.metrics import metrics
from clerestory.server.xray.observe.beats import Beats
from clerestory.server.xray.observe.cut import take
from clerestory.server.xray.observe.recorder import Recorder
from clerestory.server.xray.observe.sampler import Sampler
from clerestory.server.xray.observe.watch import Watch
from clerestory.server.xray.observe.watchdog import Watchdog
from clerestory.server.xray.serve import runtime
from clerestory.server.xray.serve.address import (
    USUAL,
    AddressError,
    bind,
    bind_usual,
    is_local,
    parse,
    url_of,
)
from clerestory.server.xray.serve.events import Events
from clerestory.server.xray.serve.guard import Guard
from clerestory.server.xray.serve.keys import Keys
from clerestory.server.xray.serve.listening import DoorListener, ReservingListener
from clerestory.server.xray.serve.shape import JSON
from clerestory.server.xray.serve.site import Site
from clerestory.server.xray.workers.exposition import counters, read
from clerestory.server.xray.workers.site import WorkersSite
from clerestory.server.xray.workers.sums import COUNTED
from clerestory.server.xray.workers.workers import Workers
from clerestory.statemachines.engine import Machine

LIMITS = Limits(
    max_connections=64, max_body=16 * 1024, keep_alive_timeout=60.0, max_requests=100_000, pause_timeout=0.05
)
"""Few people look at a time; a page asks once a second, and for hours. A client waits through pauses until a connection
is dispensable (server.xray.serve.room), which takes a moment."""

JOIN_TIMEOUT = 2.0
"""Seconds that the end of the process waits for the x-ray to end."""


def open_xray(
    options: Options, main: Service, recorder: Recorder, logs: Logs, *, overview: bool = False
) -> "XRay | None":
    """The x-ray that `options` ask for, listening and not yet started; with `overview` of all the workers of the
    supervisor that `main` is of. None where none is wanted; or it cannot listen, which is no reason not to serve.

    Raises AddressError where the options cannot be meant.
    """
    if not options.xray:
        return None
    try:
        token = runtime.token_of(options.xray_token, "CLERESTORY_XRAY_TOKEN")
    except runtime.TokenError as error:
        raise AddressError(str(error)) from error
    usual, address = True, None if options.xray == "auto" else parse(options.xray)
    try:
        if address is None:
            listening, usual = bind_usual()
        else:
            listening = bind(address)
    except AddressError as error:
        logs.info("xray_unavailable", reason=str(error), hint="the server continues without it")
        return None
    place = Place(listening, metrics=options.xray_metrics, overview=overview)
    xray = XRay(main, recorder, place, logs, options.description, token)
    if not usual:
        xray.notes["note"] = f"{USUAL} is taken, so this is a free port; --xray chooses one"
    return xray


@dataclass(frozen=True, slots=True)
class Place:
    """Where an x-ray is, and what it shows there: `listening` is a socket that listens, or one end of a door
    (server.net.door), which nobody but the supervisor knocks at.

    `metrics` says who may have /metrics: `open` to all, those with the `token`, or `auto`: open on this machine only.
    With `overview` it shows all workers of the supervisor in whose process it is.
    """

    listening: socket.socket
    metrics: XRayMetrics = "auto"
    overview: bool = False

    @property
    def is_door(self) -> bool:
        """Whether it is a door."""
        return isinstance(self.listening, Inside)

    @property
    def url(self) -> str:
        """What people and commands find it by; empty for a door."""
        return "" if self.is_door else url_of(self.listening)

    def guard_of(self, application: Application, keys: Keys) -> Guard:
        """Who may look there at what `application` answers."""
        local, unix = is_local(self.listening), self.listening.family == socket.AF_UNIX
        shown = self.metrics == "open" or (self.metrics == "auto" and local)
        return Guard(application, keys, local, unix, shown, private=self.is_door)


class XRay:
    """The x-ray of `main`, whose observer is `recorder`, at a place: `start` begins, `close` ends it.

    `token` opens everything; one is made up where none is given.
    """

    def __init__(
        self, main: Service, recorder: Recorder, place: Place, logs: Logs, description: str = "", token: str = ""
    ) -> None:
        quiet = copy.copy(logs)
        quiet.access = quiet.debug_enabled = False
        quiet.warning = logs.debug  # a page that was closed ends its connection like any client: no event of the server
        self.logs = logs
        self.url = place.url
        self.loop = loop = Loop(open_poller("auto"), self._crashed, limits=asdict(LIMITS))
        self.keys = Keys(token, loop.clock)
        self.watch = Watch(main, recorder, loop, description)
        main.on_exchange_ended = self.watch.profile.add
        self.beats = Beats(main.loop, loop)
        self.watchdog = Watchdog(main.loop, loop, logs)
        self.sampler = Sampler(main, self.watch.profile, loop)
        self.workers = Workers(self.watch) if place.overview else None
        if self.workers is not None:
            self.site: Site = WorkersSite(self.workers, self.beats, logs, self.keys)
        else:
            self.site = Site(self.watch, Events(self.watch, self.beats), logs, self.keys)
        guard = place.guard_of(self.site.router, self.keys)
        service = Service(guard, loop, LIMITS, quiet, codec_for("auto"), Connection)
        behind = DoorListener if place.is_door else ReservingListener
        self._listener = behind(service, place.listening, guard.is_known)
        service.on_connection_closed = self._listener.connection_ended
        loop.add(self._listener)
        named = place.listening.family == socket.AF_UNIX and not place.is_door
        self._socket_file = SocketFile.of(place.listening) if named else None
        self._file: Path | None = None
        self._given_back = False
        self.notes: dict[str, str] = {}
        """What the start-up line says besides the address."""
        self._thread = threading.Thread(target=self._run, name="x-ray", daemon=True)

    def start(self) -> None:
        """Write the runtime file, and answer from now on."""
        if self.url:
            self._write_file()
        self.beats.begin()
        self.loop.add(self.watchdog)
        self.sampler.begin()
        try:
            self._thread.start()
        except RuntimeError as error:  # no further thread can be had
            self._failed(error)

    def _write_file(self) -> None:
        pid = os.getpid()
        running = runtime.Running(pid, self.url, self.keys.token, self.watch.description, runtime.born(pid))
        try:
            self._file = runtime.write(running)
        except runtime.RuntimeFileError as error:
            hint = "start with CLERESTORY_XRAY_TOKEN, and give ps and top CLERESTORY_TOKEN and --xray ADDRESS"
            self.logs.warning("xray_not_found_by_itself", reason=str(error), hint=hint)

    def announce(self) -> None:
        """Say where it is. On a terminal that is a link that opens the page, once; a log is told how to get one."""
        if self._given_back or not self.url:
            return
        if self.logs.terminal and not self.url.startswith("unix:"):
            self.logs.info("xray", url=self.link(), **self.notes)
        else:
            self.logs.info("xray", url=self.url, page="for a link: clerestory page", **self.notes)

    def link(self) -> str:
        """A link that opens the page, once."""
        return f"{self.url}#key:{self.keys.new_key()}"

    def last_words(self) -> JSON:
        """As server.process.inspector.View.last_words: the summary, and the metrics that only grow."""
        cut = take(self.watch.service.loop)
        self.watch.see_engines()
        summary = self.watch.summary(cut, rows=False) | {"dwell": self.watch.dwell(buckets=True)}
        kept = {name: summary[name] for name in COUNTED}
        return {"summary": kept, "counters": counters(read(metrics(self.watch, cut)))}

    def departed(self, number: int, last_words: JSON) -> None:
        """As server.process.inspector.Overview.departed."""
        workers = self.workers
        if workers is not None:
            self.loop.call_from_thread(lambda: workers.departed(number, last_words))

    def close(self) -> None:
        """End the thread and give everything back. A thread that does not end is left behind: it is a daemon."""
        if self._thread.is_alive():
            self.loop.call_from_thread(self.loop.stop)
            self._thread.join(JOIN_TIMEOUT)
        self._give_back(self._thread.is_alive())

    def _give_back(self, stuck: bool) -> None:
        """Take our names away, and close everything unless the thread is still in it."""
        if self._given_back:
            return
        self._given_back = True
        if self._file is not None:
            runtime.remove(self._file)
        if self._socket_file is not None:
            self._socket_file.remove()
        if not stuck:
            self.loop.close()

    def _run(self) -> None:
        try:
            self.loop.run()
        except Exception as error:  # noqa: BLE001 - the server goes on without its x-ray
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """The server continues without its x-ray; a client that asks for it is refused at once."""
        self.logs.error("xray_failed", exc_info=error)
        self._give_back(stuck=False)

    def _crashed(self, machine: Machine, error: BaseException) -> None:
        self.logs.error("xray_crashed", exc_info=error, machine=repr(machine))
