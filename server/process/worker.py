"""A worker process as its supervisor sees it: the shell of statemachines/worker.py.

What it says by the channel becomes triggers; what it does not say for too long is its deadline. The table says the
rest. Figures that come with each beat are kept for the x-ray.
"""

import os
import signal
from contextlib import suppress
from socket import socket
from typing import Any, Protocol

from clerestory.server.logging.logs import Logs
from clerestory.server.loop.loop import Loop
from clerestory.server.net.door import door
from clerestory.server.process.channel import LONGEST, READ, Message, Order, pair
from clerestory.statemachines import worker
from clerestory.statemachines.contract import Name
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.worker import State as S
from clerestory.statemachines.worker import Trigger as T

GRACE = 2.0
"""Seconds beyond --blocked-timeout for which a worker's own watchdog may tell where it stands, before its supervisor
takes it for silent."""

LINES = 64
"""Lines kept of what a dying worker has written into the channel."""

SAID = {
    "ready": T.READY_TOLD,
    "recycle": T.RECYCLING_WANTED,
    "drain": T.DRAIN_TOLD,
    "blocked": T.BLOCKED_TOLD,
}


class Overseer(Protocol):
    """What a worker needs of its supervisor."""

    @property
    def ending(self) -> bool:
        """Whether all workers are being ended: then nobody else takes the backlog."""

    def execute(self, worker: "Worker", channel: socket, door: socket) -> int:
        """Make the process, with the worker's end of each; its number. Raises OSError."""

    def worker_ready(self, worker: "Worker") -> None:
        """It serves."""

    def successor_wanted(self, worker: "Worker") -> None:
        """Another one is wanted in its place."""

    def worker_ended(self, worker: "Worker") -> None:
        """It has left the loop's machines."""


class Worker(Machine):
    """Worker `number` of `generation`. It is started after `delay` seconds, or by START_ORDERED."""

    __slots__ = (
        "_blocked_timeout",
        "_channel",
        "_delay",
        "_logs",
        "_loop",
        "_overseer",
        "_their_door",
        "_theirs",
        "born",
        "door",
        "figures",
        "generation",
        "heard",
        "last_words",
        "number",
        "pid",
        "ready_at",
        "reason",
        "status",
        "words",
    )

    def __init__(
        self, overseer: Overseer, loop: Loop, logs: Logs, number: int, generation: int, delay: float = 0.0
    ) -> None:
        self._channel, self._theirs = pair()
        self.door, self._their_door = door()
        super().__init__(
            Engine(worker.TABLE, Worker, loop.clock, loop.limits, dispatch=loop.dispatch), self._channel.fileno()
        )
        self._overseer, self._loop, self._logs = overseer, loop, logs
        self._delay = delay
        self._blocked_timeout = loop.limits.get("blocked_timeout", worker.SILENCE.seconds)
        self.number = number
        self.generation = generation
        self.pid = 0
        self.born = self.heard = loop.clock()
        """When it was made, and when it was last heard."""
        self.ready_at: float | None = None
        self.figures: Message = {}
        """What its last beat has told."""
        self.last_words: Message = {}
        """What it had counted at its end, for the x-ray."""
        self.reason = ""
        """Why it is ended, as far as the supervisor knows."""
        self.words: list[str] = []
        """What it has written into the channel besides messages."""
        self.status: int | None = None
        """Its exit status; minus a signal's number where that has ended it."""

    # --- what it looks like

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts. Its peer tells which process it is, and what it holds."""
        held = self.figures.get("connections", 0)
        text = f"pid {self.pid}, generation {self.generation}, {held} connections" if self.pid else "not started"
        return self.number, text, self.born, 0, 0, self.figures.get("requests", 0)

    def is_overdue(self, now: float) -> bool:
        """As Machine.is_overdue. A worker that serves is late when it has not been heard for too long; one that is
        started again, when its own delay has passed."""
        state = self.node.state
        if state is S.BACKING_OFF:
            return now - self.since >= self._delay
        if state in (S.READY, S.AWAITING_SUCCESSOR):
            limit = self._blocked_timeout
            return limit > 0 and now - self.heard >= limit + GRACE
        return now - self.since >= self.node.limit

    # --- its process

    def execute(self) -> Name | None:
        """As Model.execute."""
        try:
            self.pid = self._overseer.execute(self, self._theirs, self._their_door)
        except OSError as error:
            self.reason = f"it cannot be executed: {error}"
            return T.EXECUTION_FAILED
        finally:
            self._theirs.close()
            self._their_door.close()
        self.heard = self._loop.clock()
        self._logs.debug("worker_started", **self.named())
        return None

    def named(self) -> dict[str, Any]:
        """Which worker it is, for the log."""
        return {"worker": self.number, "pid": self.pid or None, "generation": self.generation}

    def exited(self, status: int) -> None:
        """wait(2) has told `status`, as subprocess has it: minus the number of the signal that has ended it."""
        self.status = status
        for _ in range(LONGEST // READ + 1):  # what it has said last; a process that it has forked may hold the channel
            self._read()
        self._loop.tell(self, T.EXITED)

    def send_signal(self, number: int) -> None:
        """Send it a signal, if there is such a process."""
        if self.pid and self.status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    # --- what it says

    def read_messages(self, ready: int) -> Name | None:  # noqa: ARG002
        """As Model.read_messages."""
        return None if self._read() else T.CHANNEL_CLOSED

    def _read(self) -> bool:
        """Take what has come; whether the channel is still open."""
        messages, is_open = self._channel.read()
        if messages:
            self.heard = self._loop.clock()
        for message in messages:
            if isinstance(message, str):
                if len(self.words) < LINES:
                    self.words.append(message)
                continue
            said = message.get("say")
            if said == "beat":
                self.figures = message
            elif said == "last":
                self.last_words = message
            elif isinstance(said, str) and said in SAID:
                self._note(said, message)
                self._loop.tell(self, SAID[said])
        return is_open

    def _note(self, said: str, message: Message) -> None:
        told = {key: value for key, value in message.items() if key != "say"}
        if said == "blocked":
            self.reason = f"its loop stood still for {message.get('seconds')} s"
            self._logs.error("worker_blocked", **self.named(), **told)
        elif said == "recycle":
            self.reason = str(message.get("why"))
            self._logs.info("worker_recycled", **self.named(), **told)

    # --- what it is told

    def tell_ready(self) -> None:
        """As Model.tell_ready."""
        self.ready_at = self._loop.clock()
        self._logs.info("worker_ready", **self.named(), seconds=round(self.ready_at - self.born, 3))
        self._overseer.worker_ready(self)

    def ask_for_successor(self) -> None:
        """As Model.ask_for_successor."""
        self._overseer.successor_wanted(self)

    def order_drain(self) -> None:
        """As Model.order_drain."""
        self._channel.tell({"order": Order.DRAIN if self._overseer.ending else Order.RETIRE})
        self._overseer.successor_wanted(self)  # unless there are enough

    def order_stop(self) -> None:
        """As Model.order_stop. One that has not said that it is ready may have accepted clients by now all the same: it
        answers these."""
        self._channel.tell({"order": Order.STOP if self.ready_at is not None else Order.RETIRE})

    def abort(self) -> None:
        """As Model.abort."""
        silent = round(self._loop.now - self.heard, 3)
        self.reason = f"it was silent for {silent} s"
        self._logs.error("worker_silent", **self.named(), seconds=silent, hint="code holds the interpreter's lock")
        self.send_signal(signal.SIGABRT)

    def kill(self) -> None:
        """As Model.kill."""
        if not self.reason:
            before = self.history[-1][1].source.state if self.history else ""
            self.reason = f"it was killed in {before}: its time was over"
        self.send_signal(signal.SIGKILL)
        self.await_exit()

    def await_exit(self) -> None:
        """As Model.await_exit."""
        self._loop.set_interest(self, None)  # a hang-up is reported whatever the interest

    # --- the end

    def ended(self) -> None:
        """As Machine.ended."""
        self._overseer.worker_ended(self)

    def close(self) -> None:
        """As Machine.close."""
        self._channel.close()
        self._theirs.close()
        self.door.close()
        self._their_door.close()

    def end_in_words(self) -> str:
        """`signal SIGKILL`, `status 3`."""
        if self.status is None:
            return "not executed"
        if self.status >= 0:
            return f"status {self.status}"
        try:
            return f"signal {signal.Signals(-self.status).name}"
        except ValueError:
            return f"signal {-self.status}"
