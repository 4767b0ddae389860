"""How a process is inspected while it runs: the interface that the x-ray implements (server.xray.inspector)."""

from typing import Any, Protocol

from clerestory.server.connection.service import Service
from clerestory.server.logging.logs import Logs
from clerestory.server.observer import Observer, Tracing, Unobserved
from clerestory.server.options import Options


class View(Protocol):
    """What shows a running server to others. It listens from when it is made, and answers from `start` on."""

    def start(self) -> None:
        """Answer from now on."""

    def announce(self) -> None:
        """Log where it is."""

    def close(self) -> None:
        """Stop answering, and give everything back."""

    def last_words(self) -> dict[str, Any]:
        """What has been counted, for the overview of all workers. Called after `close`, when the loop has ended."""


class Overview(View, Protocol):
    """What shows all workers of a supervisor at once."""

    def departed(self, number: int, last_words: dict[str, Any]) -> None:
        """Worker `number` has ended; `last_words` are its view's, empty where it had no time for them. Called on the
        thread of the supervisor's loop."""


class Inspector(Protocol):
    """What inspects one process: it observes the process's service from the start, shows it, and dumps it."""

    @property
    def observer(self) -> Observer:
        """What the service reports to."""

    def open(self, service: Service, options: Options, logs: Logs) -> View | None:
        """The view that `options` ask for; None where they ask for none, or it cannot be had, which is logged."""

    def open_behind(self, door: int, service: Service, options: Options, logs: Logs) -> View | None:
        """The view of a worker: the supervisor's looks at it through `door` (server.net.door), a descriptor."""

    def oversee(self, service: Service, options: Options, logs: Logs) -> Overview | None:
        """As `open`, of a supervisor whose machines are those of `service`: of all its workers."""

    def trace(self, options: Options, logs: Logs) -> Tracing | None:
        """What traces requests, where `options` ask for it."""

    def dump(self, service: Service) -> dict[str, Any]:
        """The fields of the event `xray_dump`: what every connection waits for. Called on the loop's thread."""


class Uninspected:
    """The inspector of a process that nobody inspects."""

    def __init__(self) -> None:
        self.observer = Unobserved()

    def open(self, service: Service, options: Options, logs: Logs) -> View | None:  # noqa: ARG002
        """As Inspector.open: no view."""
        return None

    def open_behind(self, door: int, service: Service, options: Options, logs: Logs) -> None:  # noqa: ARG002
        """As Inspector.open_behind: no view."""
        return

    def oversee(self, service: Service, options: Options, logs: Logs) -> None:  # noqa: ARG002
        """As Inspector.oversee: no view."""
        return

    def trace(self, options: Options, logs: Logs) -> Tracing | None:  # noqa: ARG002
        """As Inspector.trace: nothing does."""
        return None

    def dump(self, service: Service) -> dict[str, Any]:  # noqa: ARG002
        """As Inspector.dump: nothing is known."""
        return {}
