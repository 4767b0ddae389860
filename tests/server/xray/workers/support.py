"""A supervisor with its x-ray, live, in this process; its workers are servers of this process, behind their doors."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from clerestory.handlers.echo import echo
from clerestory.server.config import Limits
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.service import Service
from clerestory.server.http import codec_for
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.net.door import Inside
from clerestory.server.net.sockets import listen
from clerestory.server.process.signals import Signals
from clerestory.server.process.supervisor import Supervisor
from clerestory.server.xray.observe.recorder import Recorder
from clerestory.server.xray.serve.thread import Place, XRay
from clerestory.statemachines.engine import Machine
from clerestory.statemachines.supervisor import Trigger
from tests.server.process.crew import Recruits
from tests.server.support import RecordingLogs
from tests.server.xray.support import Asked, Live
from tests.support.client import Client
from tests.support.waiting import eventually

Handler = Callable[[Any], Any]


class Team(Asked):
    """A supervisor, and a worker for each of `applications`; for None one that never answers."""

    def __init__(self, *applications: Handler | None) -> None:
        self.applications = applications
        self.logs = RecordingLogs()
        self.crashes: list[BaseException] = []
        self.loop = Loop(open_poller(), self._crashed, limits=asdict(Limits()))
        self.signals, self.recruits = Signals(), Recruits()
        wanted = len(applications)
        self.supervisor = Supervisor(self.loop, self.logs, self.signals, self.recruits, wanted)
        self.supervisor._hang_up = []
        self.loop.add(self.supervisor)
        recorder = Recorder()
        service = Service(echo, self.loop, Limits(), self.logs, codec_for("h11"), Connection, recorder)
        place = Place(listen("127.0.0.1", 0), overview=True)
        self.xray_address = place.listening.getsockname()
        self.xray = XRay(service, recorder, place, self.logs, "a trial")
        self.supervisor.hooks.ended = lambda worker: self.xray.departed(worker.number, worker.last_words)
        self.workers: dict[int, Live] = {}
        self._thread = threading.Thread(target=self.loop.run, daemon=True)

    def _crashed(self, machine: Machine, error: BaseException) -> None:
        self.crashes.append(error)

    def start(self, *, ready: bool = True) -> None:
        self._thread.start()
        self.xray.start()
        self.on_loop(self.supervisor.begin_generation)
        if ready:
            for number in range(1, len(self.applications) + 1):
                self.join(number, self.applications[number - 1])
            eventually(lambda: self.supervisor.state == "SERVING", what="the start")

    def join(self, number: int, application: Handler | None) -> None:
        """Have worker `number` serve `application`, once it has been executed."""
        eventually(lambda: number in self.recruits.doors, what=f"worker {number}")
        if application is not None:
            inside = Inside.at(os.dup(self.recruits.doors[number].fileno()))
            self.workers[number] = live = Live(application, inside)
            live.start()
        self.say(number, "ready")

    def say(self, number: int, said: str, **fields: Any) -> None:
        """Tell the supervisor something as that worker."""
        assert self.recruits.channels[number].tell({"say": said, **fields})

    def leave(self, number: int, *, last_words: bool) -> None:
        """End that worker, with or without its last words."""
        live = self.workers.pop(number)
        if last_words:
            live.stop_serving()
            self.say(number, "last", **live.xray.last_words())
        live.stop()
        worker = next(one for one in self.supervisor.workers() if one.number == number)
        self.recruits.channels[number].close()
        self.on_loop(lambda: worker.exited(0))

    def on_loop(self, call: Callable[[], object]) -> None:
        """Have the supervisor's loop do that, and wait until it has."""
        done = threading.Event()

        def run() -> None:
            call()
            done.set()

        self.loop.call_from_thread(run)
        assert done.wait(20)

    def reload(self) -> None:
        """Order another generation."""
        self.on_loop(lambda: self.loop.tell(self.supervisor, Trigger.RELOAD_ORDERED))

    def get(self, number: int, target: str) -> str:
        """What that worker answers a client."""
        with Client(self.workers[number].address) as client:
            return client.get(target).text

    def states(self) -> list[str]:
        """The workers' states as /snapshot.json has them."""
        return [one["state"] for one in self.json("/snapshot.json")["workers"]]

    def stop(self) -> None:
        self.xray.close()
        for live in self.workers.values():
            live.stop()
        self.loop.call_from_thread(self.loop.stop)
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.loop.close()
        self.signals.close()
        self.recruits.close()


@contextlib.contextmanager
def team_of(*applications: Handler | None, ready: bool = True) -> Iterator[Team]:
    """A supervisor with such workers. At the end nothing has crashed, on any of the loops."""
    team = Team(*applications)
    team.start(ready=ready)
    try:
        yield team
        assert team.crashes == []
        assert team.log("xray_crashed") == []
        for live in team.workers.values():
            assert live.crashes == []
            assert live.log("xray_crashed") == []
    finally:
        team.stop()
