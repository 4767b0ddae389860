"""The supervisor: it executes workers, and makes up for those that end. The shell of statemachines/supervisor.py.

How many workers there are is never counted beside them: it is read from the loop's machines. So `fill` may be called
for any reason and any number of times; it starts what is missing and no more.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from itertools import count
from socket import socket
from typing import Any

from clerestory.server.logging.logs import Logs
from clerestory.server.loop.loop import Loop
from clerestory.server.process.assignment import NONE, VARIABLE, Assignment
from clerestory.server.process.descriptors import STANDARD
from clerestory.server.process.signals import DUMPING, ENDING, QUITTING, RELOADING, Signals
from clerestory.server.process.worker import Worker
from clerestory.statemachines import supervisor
from clerestory.statemachines.contract import Name
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.supervisor import State as S
from clerestory.statemachines.supervisor import Trigger as T
from clerestory.statemachines.worker import State as W
from clerestory.statemachines.worker import Trigger as WorkerTrigger

LONGEST_DELAY = 30.0
"""Seconds between two attempts to start a worker, at most."""

SOON = 10.0
"""Seconds for which a worker has to serve to be no failure of its start."""

COMING = (W.BACKING_OFF, W.STARTING, W.READY)
"""What a worker is in that counts as one of those that are wanted."""

FAILED = 1
"""The exit status where a worker has none of its own."""


class Launcher:
    """Executes `command` with the sockets that listen, the last `plain` of them without TLS. `turns` and `certificate`
    are descriptors that every worker inherits (server.process.assignment)."""

    def __init__(
        self,
        command: Sequence[str],
        listening: Sequence[socket],
        plain: int = 0,
        turns: int = NONE,
        certificate: int = NONE,
    ) -> None:
        self._command = list(command)
        self._plain = plain
        self._listening = tuple(listener.fileno() for listener in listening)
        self._turns, self._certificate = turns, certificate

    def launch(self, number: int, generation: int, channel: socket, door: socket) -> int:
        """Execute worker `number`, with its end of each; the number of its process. Raises OSError."""
        listening = self._listening, self._plain
        shared = self._turns, self._certificate
        assignment = Assignment(number, generation, channel.fileno(), *listening, door.fileno(), *shared)
        process = subprocess.Popen(  # noqa: S603 - our own command line
            self._command, env=os.environ | {VARIABLE: assignment.to_text()}, pass_fds=assignment.inherited()
        )
        process.returncode = 0  # the supervisor waits for all its children itself
        return process.pid


class Hooks:
    """What is told of the supervisor's progress: the service manager, the log's start-up line. Each may be replaced."""

    def __init__(self) -> None:
        self.serving: Callable[[], object] = _nothing
        self.reloading: Callable[[], object] = _nothing
        self.reloaded: Callable[[], object] = _nothing
        self.reload_failed: Callable[[], object] = _nothing
        self.stopping: Callable[[], object] = _nothing
        self.shut: Callable[[], object] = _nothing
        """Let nobody new into the backlog."""
        self.ended: Callable[[Worker], object] = _nothing
        """A worker has ended."""


def _nothing(*_: object) -> None:
    """What a hook does by default."""


class Supervisor(Machine):
    """Keeps `wanted` workers, which `launcher` executes. With `awaits_change` a start that fails waits for a reload."""

    __slots__ = (
        "_before",
        "_failures",
        "_generations",
        "_hang_up",
        "_launcher",
        "_logs",
        "_loop",
        "_numbers",
        "_signals",
        "_start_status",
        "awaits_change",
        "ending",
        "generation",
        "hooks",
        "status",
        "wanted",
    )

    def __init__(self, loop: Loop, logs: Logs, signals: Signals, launcher: Launcher, wanted: int) -> None:
        super().__init__(
            Engine(supervisor.TABLE, Supervisor, loop.clock, loop.limits, dispatch=loop.dispatch), signals.fileno()
        )
        self._loop, self._logs, self._signals, self._launcher = loop, logs, signals, launcher
        self._numbers, self._generations = count(1), count(1)
        self._failures = 0
        """Starts that have failed in a row."""
        self._hang_up = [number for number in STANDARD if os.isatty(number)] if signals.hangs_up else []
        """The terminals whose end ends the server."""
        self._start_status = FAILED
        """The exit status of the last worker whose start has failed."""
        self._before = 0
        """The generation that serves while a new one is being started."""
        self.generation = 0
        self.wanted = wanted
        self.awaits_change = False
        self.ending = False
        self.status = 0
        """The exit status."""
        self.hooks = Hooks()

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts."""
        return 0, f"generation {self.generation}"

    def workers(self) -> list[Worker]:
        """Those that have not ended, the oldest first."""
        return [machine for machine in self._loop.machines.values() if isinstance(machine, Worker)]

    # --- signals

    def read_signals(self, ready: int) -> Name | None:  # noqa: ARG002
        """As Model.read_signals."""
        self._reap()
        endings = 0
        reload = False
        for number in self._signals.take():
            if number in ENDING:
                endings += 1
            elif number == RELOADING:
                if self._terminal_gone():
                    endings += 1
                else:
                    reload = True
            elif number == QUITTING:
                self._quit()
                endings += 2
            elif number == DUMPING:
                self._signal_workers(number)
            elif number != signal.SIGCHLD:
                self._logs.warning("signal_ignored", signal=signal.Signals(number).name)
        if endings > 1:
            self._loop.tell(self, T.SIGNAL_RECEIVED)
        trigger = T.SIGNAL_RECEIVED if endings else T.RELOAD_ORDERED if reload else None
        return trigger if trigger is not None and self.accepts(trigger) else None

    def _reap(self) -> None:
        """Take the exit statuses of all children that have ended: also of those that the kernel has given us as the
        first process of a container."""
        by_pid = {worker.pid: worker for worker in self.workers()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            worker = by_pid.get(pid)
            if worker is not None:
                worker.exited(os.waitstatus_to_exitcode(status))

    def _terminal_gone(self) -> bool:
        """Whether SIGHUP says that the terminal has gone on which the server was started."""
        return any(not os.isatty(number) for number in self._hang_up)

    def _quit(self) -> None:
        self.status = FAILED
        self._logs.error("ended_at_once", signal="SIGQUIT", workers=len(self.workers()))
        self._signal_workers(signal.SIGQUIT)

    def _signal_workers(self, number: int) -> None:
        for worker in self.workers():
            worker.send_signal(number)

    # --- what workers tell (server.process.worker.Overseer)

    def execute(self, worker: Worker, channel: socket, door: socket) -> int:
        """As Overseer.execute."""
        return self._launcher.launch(worker.number, worker.generation, channel, door)

    def worker_ready(self, worker: Worker) -> None:
        """As Overseer.worker_ready."""
        self._loop.tell(self, T.WORKER_READY)
        when, pid = self._loop.clock() + SOON, worker.pid

        def forgive() -> None:
            if worker.status is None and worker.pid == pid:
                self._failures = 0

        self._loop.call_at(when, forgive)

    def successor_wanted(self, worker: Worker) -> None:  # noqa: ARG002
        """As Overseer.successor_wanted."""
        self._loop.tell(self, T.SUCCESSOR_WANTED)

    def worker_ended(self, worker: Worker) -> None:
        """As Overseer.worker_ended."""
        self.hooks.ended(worker)
        before = [edge.source.state for _, edge in worker.history]
        ordered = W.RETIRING in before or W.STOPPING in before or not (worker.pid or worker.reason)
        fields = {**worker.named(), "ended": worker.end_in_words(), "reason": worker.reason or None}
        if worker.words:
            fields["stack"] = worker.words
        if worker.ready_at is None and not ordered:
            self._failures += 1
            self._logs.error("worker_start_failed", **fields, attempts=self._failures)
            mine = worker.generation == self.generation
            self._start_status = worker.status if worker.status and worker.status > 0 else FAILED
            self._loop.tell(self, T.START_FAILED if mine else T.WORKER_LOST)
        elif ordered and W.KILLED not in before:
            self._logs.debug("worker_ended", **fields)
        else:
            if worker.ready_at is not None and self._loop.now - worker.ready_at < SOON:
                self._failures += 1
            self._logs.error("worker_lost", **fields, served=worker.figures.get("requests"))
            self._loop.tell(self, T.WORKER_LOST)
        if not self.workers():
            self._loop.tell(self, T.WORKERS_ENDED)

    # --- guards

    def is_complete(self) -> bool:
        """As Model.is_complete."""
        return self._ready() >= self.wanted

    def _ready(self) -> int:
        mine = [worker for worker in self.workers() if worker.generation == self.generation]
        return sum(worker.node.state is W.READY for worker in mine)

    def may_await_change(self) -> bool:
        """As Model.may_await_change."""
        return self.awaits_change

    # --- actions

    def fill(self) -> None:
        """As Model.fill. Until one of a generation is ready, it goes ahead alone."""
        mine = [worker for worker in self.workers() if worker.generation == self.generation]
        wanted = self.wanted if any(worker.ready_at is not None for worker in mine) else 1
        if self.node.state is S.SERVING:
            wanted = self.wanted
        for _ in range(wanted - sum(worker.node.state in COMING for worker in mine)):
            self._start()

    start_others = fill

    def _start(self) -> None:
        delay = min(LONGEST_DELAY, self._loop.limits.get("worker_back_off", 1.0) * 2 ** (self._failures - 1))
        if not self._failures:
            delay = 0.0
        worker = Worker(self, self._loop, self._logs, next(self._numbers), self.generation, delay)
        self._loop.add(worker)
        if not delay:
            self._loop.tell(worker, WorkerTrigger.START_ORDERED)
        else:
            self._logs.info("worker_put_off", worker=worker.number, seconds=delay)

    def begin(self) -> None:
        """Start the first generation: the loop is about to run."""
        self.begin_generation()

    def begin_generation(self) -> None:
        """As Model.begin_generation."""
        self._before, self.generation = self.generation, next(self._generations)
        self._failures = 0
        if self.node.state is S.RELOADING:
            self._logs.info("reloading", generation=self.generation)
            self.hooks.reloading()
        self.fill()

    def begin_again(self) -> None:
        """As Model.begin_again."""
        self._logs.info("reload_begun_again", generation=self.generation)
        self._retire(lambda worker: worker.generation == self.generation)
        before = self._before
        self.begin_generation()
        self._before = before

    def announce(self) -> None:
        """As Model.announce."""
        self.hooks.serving()
        self.retire_old()

    def retire_old(self) -> None:
        """As Model.retire_old."""
        if self._before:
            self._logs.info("reloaded", generation=self.generation)
            self.hooks.reloaded()
        self._retire(lambda worker: worker.generation < self.generation)
        self.retire_replaced()

    def retire_replaced(self) -> None:
        """As Model.retire_replaced."""
        mine = [worker for worker in self.workers() if worker.generation == self.generation]
        leaving = [worker for worker in mine if worker.node.state is W.AWAITING_SUCCESSOR]
        surplus = self._ready() + len(leaving) - self.wanted
        for worker in leaving[: max(0, surplus)]:
            self._loop.tell(worker, WorkerTrigger.RETIRE_ORDERED)
        self.fill()

    def _retire(self, chosen: Callable[[Worker], bool]) -> None:
        order = WorkerTrigger.STOP_ORDERED if self.awaits_change else WorkerTrigger.RETIRE_ORDERED
        for worker in self.workers():
            if chosen(worker):
                self._loop.tell(worker, order)

    def roll_back(self) -> None:
        """As Model.roll_back."""
        failed, self.generation = self.generation, self._before
        self._logs.error("reload_failed", generation=failed, hint=f"generation {self.generation} continues to serve")
        self._failures = 0
        self._retire(lambda worker: worker.generation == failed)
        self.hooks.reload_failed()
        self.retire_replaced()

    def await_change(self) -> None:
        """As Model.await_change."""
        self._logs.error("awaiting_change", hint="correct the error and save the file")
        self._retire(lambda _: True)

    def give_up(self) -> Name | None:
        """As Model.give_up."""
        self._logs.error("start_failed", reason="the first worker has ended before it was ready")
        self.status = self._start_status
        self.stop_workers()
        return None if self.workers() else T.WORKERS_ENDED

    def drain(self) -> Name | None:
        """As Model.drain."""
        self.ending = True
        self.hooks.stopping()
        self.hooks.shut()
        workers = self.workers()
        self._logs.info("draining", workers=len(workers), hint="a second signal ends them at once")
        for worker in workers:
            self._loop.tell(worker, WorkerTrigger.RETIRE_ORDERED)
        return None if workers else T.WORKERS_ENDED

    def stop_workers(self) -> None:
        """As Model.stop_workers."""
        self.ending = True
        for worker in self.workers():
            self._loop.tell(worker, WorkerTrigger.STOP_ORDERED)

    def stop(self) -> None:
        """As Model.stop."""
        self._loop.stop()

    def close(self) -> None:
        """Nothing to give back, as server.process.process.Process.close."""
