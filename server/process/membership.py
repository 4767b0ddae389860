"""What makes a process a worker: the channel to its supervisor, and the watchdog that tells it that the loop turns."""

import os
import resource
import socket
from pathlib import Path
from typing import Any

from clerestory.server.connection.service import Service
from clerestory.server.process.assignment import Assignment
from clerestory.server.process.lifeline import Lifeline, Ordered
from clerestory.server.process.liveness import Liveness

PAGE = resource.getpagesize()


class Membership:
    """The worker that `assignment` names, which serves `service`; `ordered` does what the supervisor orders."""

    def __init__(self, assignment: Assignment, service: Service, ordered: Ordered) -> None:
        self.assignment = assignment
        self._service = service
        loop, limits = service.loop, service.limits
        self._lifeline = Lifeline(loop, service.logs, ordered, assignment.channel)
        loop.add(self._lifeline)
        self._liveness = Liveness(
            loop,
            self._lifeline.channel,
            self._figures,
            limits.blocked_timeout,
            limits.max_requests_per_worker,
            limits.max_memory,
        )

    def sockets(self) -> list[socket.socket]:
        """The sockets that listen, shared with other workers."""
        return self.assignment.sockets()

    def ready(self) -> None:
        """Say that this worker serves."""
        self._lifeline.channel.tell({"say": "ready"})
        self._liveness.begin()

    def ask_to_drain(self) -> None:
        """Say that a signal has told this worker to drain; the supervisor orders it then."""
        self._lifeline.channel.tell({"say": "drain"})

    def tell_last(self, words: dict[str, Any]) -> None:
        """Say what was counted: this worker ends."""
        self._lifeline.channel.tell({"say": "last", **words})

    def close(self) -> None:
        """End the watchdog. The channel is the loop's to close."""
        self._liveness.end()

    def _figures(self) -> dict[str, Any]:
        service = self._service
        return {
            "connections": service.open_connections(),
            "requests": sum(service.statuses),
            "memory": resident(),
        }


def resident() -> int:
    """Bytes of memory of this process that are resident: proc_pid_statm(5); elsewhere the most there ever were."""
    try:
        return int(Path(f"/proc/{os.getpid()}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
