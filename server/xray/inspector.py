"""The x-ray of a process: it implements the interface that the server offers (server.process.inspector)."""

from typing import Any

from clerestory.server.connection.service import Service
from clerestory.server.logging.logs import Logs
from clerestory.server.net.door import Inside
from clerestory.server.observer import Tracing
from clerestory.server.options import Options
from clerestory.server.xray.exports.dump import dump
from clerestory.server.xray.observe.cut import take
from clerestory.server.xray.observe.profile import Profile
from clerestory.server.xray.observe.recorder import Recorder
from clerestory.server.xray.observe.watch import bounds_of
from clerestory.server.xray.serve.slow import log_slow
from clerestory.server.xray.serve.thread import Place, XRay, open_xray


class Inspector:
    """As server.process.inspector.Inspector. The recorder keeps how connections ended, also where no view is open."""

    def __init__(self) -> None:
        self.observer = Recorder()

    def open(self, service: Service, options: Options, logs: Logs) -> XRay | None:
        """As there: the x-ray, listening and not yet started."""
        view = open_xray(options, service, self.observer, logs)
        _log_slow(view, service, options, logs)
        return view

    def trace(self, options: Options, logs: Logs) -> Tracing | None:
        """As there: by OpenTelemetry."""
        if not options.otel:
            return None
        from clerestory.server.xray.exports import tracing

        return tracing.Tracing(queries=logs.queries)

    def open_behind(self, door: int, service: Service, options: Options, logs: Logs) -> XRay:
        """As there: the x-ray of a worker, which the supervisor's looks at."""
        view = XRay(service, self.observer, Place(Inside.at(door)), logs, options.description)
        _log_slow(view, service, options, logs)
        return view

    def oversee(self, service: Service, options: Options, logs: Logs) -> XRay | None:
        """As there: the x-ray of all workers."""
        return open_xray(options, service, self.observer, logs, overview=True)

    def dump(self, service: Service) -> dict[str, Any]:
        """As there."""
        return dump(take(service.loop), self.observer, bounds_of(service))


def _log_slow(view: XRay | None, service: Service, options: Options, logs: Logs) -> None:
    """Log the requests that take as long as `options` say, whether or not there is a view."""
    if options.slow:
        profile = view.watch.profile if view is not None else Profile(service.loop.clock())
        log_slow(profile, service, options.slow, logs)
