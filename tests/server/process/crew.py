"""A loop with a fake clock for supervisors and workers, and processes that are only numbers."""

import itertools
import os
import signal
import socket
from typing import Any

from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.process.channel import Channel
from clerestory.server.process.signals import Signals
from clerestory.server.process.supervisor import Launcher, Supervisor
from clerestory.server.process.worker import Worker
from tests.server.support import Clock, RecordingLogs


class Recruits(Launcher):
    """Launches nothing: keeps the worker's end of each channel, and of each door. `faults` are raised first."""

    def __init__(self) -> None:
        self.channels: dict[int, Channel] = {}
        self.doors: dict[int, socket.socket] = {}
        self.faults: list[OSError] = []
        self._pids = itertools.count(4_000_000)  # above any process id there is

    def launch(self, number: int, generation: int, channel: socket.socket, door: socket.socket) -> int:
        if self.faults:
            raise self.faults.pop()
        self.channels[number] = Channel(channel.dup())
        self.doors[number] = door.dup()
        return next(self._pids)

    def close(self) -> None:
        """Give everything back."""
        for channel in self.channels.values():
            channel.close()
        for door in self.doors.values():
            door.close()


class Crew:
    """A supervisor of `wanted` recruits."""

    def __init__(self, wanted: int = 2, **limits: float) -> None:
        self.clock = Clock()
        self.logs: Any = RecordingLogs()
        self.crashes: list[BaseException] = []
        self.loop = Loop(open_poller("auto"), self._crashed, clock=self.clock, limits=limits)
        self.signals = Signals()
        self.recruits = Recruits()
        self.supervisor = Supervisor(self.loop, self.logs, self.signals, self.recruits, wanted)
        self.supervisor._hang_up = []
        self.loop.add(self.supervisor)

    def _crashed(self, machine: object, error: BaseException) -> None:
        self.crashes.append(error)

    def begin(self) -> "Crew":
        self.supervisor.begin_generation()
        self.settle()
        return self

    def serving(self) -> "Crew":
        """All of the first generation are ready."""
        self.begin()
        for _ in range(self.supervisor.wanted):
            for worker in self.workers("STARTING"):
                self.say(worker, "ready")
        assert self.supervisor.state == "SERVING"
        return self

    def settle(self) -> None:
        for _ in range(20):
            self.loop.turn(0)
        if self.crashes:
            raise self.crashes[0]

    def after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.settle()

    def workers(self, *states: str) -> list[Worker]:
        return [one for one in self.supervisor.workers() if not states or one.state in states]

    def states(self) -> list[tuple[int, str]]:
        """Each worker's generation and state."""
        return [(one.generation, str(one.state)) for one in self.supervisor.workers()]

    def say(self, worker: Worker, said: str, **fields: Any) -> None:
        assert self.recruits.channels[worker.number].tell({"say": said, **fields})
        self.settle()

    def told(self, worker: Worker) -> list[Any]:
        """What the worker has been ordered since the last call."""
        found, _ = self.recruits.channels[worker.number].read()
        return [one["order"] for one in found if isinstance(one, dict)]

    def exit(self, worker: Worker, status: int = 0, words: bytes = b"") -> None:
        """Its process ends."""
        channel = self.recruits.channels[worker.number]
        if words:
            channel.socket.send(words)
        channel.close()
        worker.exited(status)
        self.settle()

    def signal(self, number: int) -> None:
        self.signals.note(number)
        os.write(self.signals.wakes(), bytes([number]))
        self.settle()

    def logged(self) -> list[str]:
        events, self.logs.events = self.logs.events, []
        return [event["event"] for event in events if event["level"] != "debug"]

    def close(self) -> None:
        self.loop.close()
        self.signals.close()
        self.recruits.close()


HUP, TERM, KILL = int(signal.SIGHUP), int(signal.SIGTERM), int(signal.SIGKILL)
